//! `serin flag eval`: answers from a file of flags, in the words of OFREP, without a server.

use super::args::{EvalArgs, Hash};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::printer::{Lines, Printer};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serin_flags::{Bucketing, Context, EvalError, FlagSet, Metadata, Resolution};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _};
use std::path::Path;

/// Largest file of flags, in bytes; the evaluator's own limit is the same.
const LARGEST: u64 = 64 << 20;
/// Longest line that is read, in bytes.
const LINE: u64 = 8 << 20;

/// One question.
#[derive(Debug, Deserialize)]
struct Question {
    flag: String,
    #[serde(default)]
    context: Option<Value>,
    /// What type the caller expects; any when absent.
    #[serde(default, rename = "type")]
    kind: Option<Wanted>,
}

/// A type of OpenFeature.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Wanted {
    Boolean,
    String,
    Integer,
    Float,
    Object,
}

/// One answer, as OFREP has it.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Answer<'a> {
    #[serde(rename_all = "camelCase")]
    Value {
        key: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        value: Option<&'a Value>,
        #[serde(skip_serializing_if = "Option::is_none")]
        variant: Option<&'a str>,
        reason: &'static str,
        metadata: &'a Metadata,
    },
    #[serde(rename_all = "camelCase")]
    Error {
        #[serde(skip_serializing_if = "Option::is_none")]
        key: Option<&'a str>,
        error_code: &'static str,
        error_details: String,
    },
}

/// `serin flag eval`.
pub fn eval(printer: &Printer, args: &EvalArgs) -> Result<Exit, Failure> {
    let set = read_set(&args.flags, args.bucketing.into())?;
    let now = args.now.unwrap_or_else(|| jiff::Timestamp::now().as_second());
    let mut input = input(args.input.as_deref())?;
    let mut out = printer.lines();
    let (mut number, mut wrong) = (0_u64, 0_u64);
    loop {
        let mut line = Vec::new();
        let read = input.by_ref().take(LINE).read_until(b'\n', &mut line);
        if read.map_err(|error| unreadable("the questions", &error))? == 0 {
            break;
        }
        number += 1;
        if !line.trim_ascii().is_empty() {
            wrong += u64::from(!answer_line(&set, &line, number, now, &mut out));
        }
        // Whoever asks one by one waits for the answer.
        if input.buffer().is_empty() {
            out.flush();
        }
    }
    if wrong == 0 {
        return Ok(Exit::Reached);
    }
    let message =
        format!("{wrong} of {number} lines are no questions; each has an answer that says why");
    Err(Failure::usage("bad-question", message)
        .hint("write each as {\"flag\":\"new_checkout\",\"context\":{\"targetingKey\":\"u1\"}}"))
}

/// Whether the line was a question.
fn answer_line(set: &FlagSet, line: &[u8], number: u64, now: i64, out: &mut Lines<'_>) -> bool {
    match serde_json::from_slice::<Question>(line) {
        Ok(question) => {
            out.document(&answer(set, &question, now));
            true
        }
        Err(error) => {
            let error_details = format!("line {number} is no question: {error}");
            out.document(&Answer::Error { key: None, error_code: "PARSE_ERROR", error_details });
            false
        }
    }
}

fn answer<'a>(set: &'a FlagSet, question: &'a Question, now: i64) -> Answer<'a> {
    let empty = Value::Object(serde_json::Map::new());
    let context = question.context.as_ref().unwrap_or(&empty);
    let key = &question.flag;
    let evaluated = Context::from_value(context)
        .map_err(EvalError::from)
        .and_then(|context| set.evaluate(key, &context, now))
        .and_then(|found| typed(&found, question.kind).map(|()| found));
    match evaluated {
        Ok(found) => Answer::Value {
            key,
            value: found.value.map(serin_flags::FlagValue::value),
            variant: found.variant,
            reason: found.reason.as_str(),
            metadata: found.metadata,
        },
        Err(EvalError { code, details }) => {
            Answer::Error { key: Some(key), error_code: code.as_str(), error_details: details }
        }
    }
}

fn typed(found: &Resolution<'_>, wanted: Option<Wanted>) -> Result<(), EvalError> {
    match wanted {
        None => Ok(()),
        Some(Wanted::Boolean) => found.boolean().map(drop),
        Some(Wanted::String) => found.string().map(drop),
        Some(Wanted::Integer) => found.integer().map(drop),
        Some(Wanted::Float) => found.float().map(drop),
        Some(Wanted::Object) => found.object().map(drop),
    }
}

/// Reads and compiles a flagd document.
pub fn read_set(path: &Path, bucketing: Bucketing) -> Result<FlagSet, Failure> {
    let document = read_file(path)?;
    FlagSet::parse(&document, bucketing).map_err(|problems| {
        let lines: Vec<_> = problems.iter().map(ToString::to_string).collect();
        let message = format!("`{}` is no document of flags", path.display());
        Failure { detail: Some(lines.join("\n")), ..Failure::usage("invalid-flags", message) }
            .hint("every problem is listed above; fix them and run it again")
    })
}

/// The bytes of a file, or of standard input for `-`.
pub fn read_file(path: &Path) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let read = if path == Path::new("-") {
        io::stdin().lock().take(LARGEST + 1).read_to_end(&mut bytes)
    } else {
        File::open(path).and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes))
    };
    read.map_err(|error| unreadable(&format!("`{}`", path.display()), &error))?;
    if bytes.len() as u64 > LARGEST {
        let message = format!("`{}` is larger than {LARGEST} bytes", path.display());
        return Err(Failure::usage("too-large", message).hint("split it into several sets"));
    }
    Ok(bytes)
}

fn input(path: Option<&Path>) -> Result<BufReader<Box<dyn io::Read>>, Failure> {
    let source: Box<dyn io::Read> = match path.filter(|path| *path != Path::new("-")) {
        None => Box::new(io::stdin()),
        Some(path) => Box::new(
            File::open(path)
                .map_err(|error| unreadable(&format!("`{}`", path.display()), &error))?,
        ),
    };
    Ok(BufReader::with_capacity(1 << 16, source))
}

fn unreadable(what: &str, error: &io::Error) -> Failure {
    Failure::usage("unreadable-file", format!("cannot read {what}: {error}"))
        .hint("name a file that is there and that you may read")
}

impl From<Hash> for Bucketing {
    fn from(hash: Hash) -> Self {
        match hash {
            Hash::V2 => Self::V2,
            Hash::V3 => Self::V3,
        }
    }
}
