//! `serin stats judge`: reads the stream, judges each of its runs, says the verdicts.

use super::line::Line;
use super::report::{Totals, TraceLine, VerdictLine};
use super::run::Run;
use super::settings::JudgeArgs;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::printer::{Line as Words, Lines, Printer};
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read as _};
use std::path::Path;

/// Longest line that is read, in bytes.
const LONGEST: u64 = 16 << 20;
/// Bytes read at once.
const CHUNK: usize = 1 << 16;

/// Judges a file or standard input.
pub fn judge(printer: &Printer, args: &JudgeArgs) -> Result<Exit, Failure> {
    args.check()?;
    if let Some(warning) = args.warning() {
        printer.note(&Words::plain(format!("warning: {warning}")));
    }
    let name = args.file.to_string_lossy();
    let mut out = printer.lines();
    let mut stream =
        Stream { args, name: &name, runs: Vec::new(), index: HashMap::new(), last: 0, bad: 0 };
    let lines = if args.file == Path::new("-") {
        stream.read(BufReader::with_capacity(CHUNK, std::io::stdin().lock()), &mut out)?
    } else {
        let file = std::fs::File::open(&args.file).map_err(|error| unreadable(&name, &error))?;
        stream.read(BufReader::with_capacity(CHUNK, file), &mut out)?
    };
    let totals = stream.say(printer.is_json(), &mut out);
    drop(out);
    printer.note(&Words::plain(totals.text(lines, stream.bad)));
    Ok(Exit::Reached)
}

/// All runs of a stream.
struct Stream<'a> {
    args: &'a JudgeArgs,
    name: &'a str,
    /// In order of first appearance.
    runs: Vec<Run>,
    index: HashMap<String, usize>,
    /// The run of the line before: most often that of this one too.
    last: usize,
    /// Lines that were skipped.
    bad: u64,
}

impl Stream<'_> {
    /// Reads to the end; gives the number of lines.
    fn read(&mut self, mut from: impl BufRead, out: &mut Lines<'_>) -> Result<u64, Failure> {
        let mut text = Vec::new();
        let mut at = 0;
        loop {
            text.clear();
            let read = from.by_ref().take(LONGEST).read_until(b'\n', &mut text);
            if read.map_err(|error| unreadable(self.name, &error))? == 0 {
                return Ok(at);
            }
            at += 1;
            if text.len() as u64 == LONGEST && text.last() != Some(&b'\n') {
                return Err(self.wrong(at, &format!("longer than {} MiB", LONGEST >> 20)));
            }
            if !text.trim_ascii().is_empty() {
                self.take(&text, at, out)?;
            }
        }
    }

    fn take(&mut self, text: &[u8], at: u64, out: &mut Lines<'_>) -> Result<(), Failure> {
        if !text.trim_ascii_start().starts_with(b"{") {
            return self.refuse(at, None, "a line is one JSON object: {\"run\":...}");
        }
        let mut line: Line<'_> = match serde_json::from_slice(text) {
            Ok(line) => line,
            Err(error) => return self.refuse(at, None, &unreadable_line(text, &error)),
        };
        let run = self.run(&line.run.0);
        match self.absorb(run, &mut line, at) {
            Ok(false) => Ok(()),
            Ok(true) => {
                if let Some(state) = self.runs[run].now(self.args).filter(|_| self.args.trace) {
                    out.document(&TraceLine::of(&self.runs[run].name, &state));
                }
                Ok(())
            }
            Err(wrong) => self.refuse(at, Some(run), &wrong),
        }
    }

    /// Whether it was a tick that was judged.
    fn absorb(&mut self, run: usize, line: &mut Line<'_>, at: u64) -> Result<bool, String> {
        let run = &mut self.runs[run];
        let is_tick = line.t.is_some() || line.stable.is_some() || line.canary.is_some();
        let (settings, recorded) = (line.settings.take(), line.recorded.take());
        if settings.is_none() && recorded.is_none() {
            return run.tick(self.args, line, at);
        }
        if is_tick {
            return Err("a tick has neither settings nor a recorded verdict".into());
        }
        if let Some(settings) = settings {
            run.begin(self.args, settings, line.judge.take())?;
        }
        run.recorded = recorded.or(run.recorded.take());
        Ok(false)
    }

    fn run(&mut self, name: &str) -> usize {
        if self.runs.get(self.last).is_some_and(|run| run.name == name) {
            return self.last;
        }
        let known = self.index.get(name).copied();
        self.last = known.unwrap_or_else(|| {
            self.index.insert(name.to_owned(), self.runs.len());
            self.runs.push(Run::new(name));
            self.runs.len() - 1
        });
        self.last
    }

    /// Ends the reading, or skips the line.
    fn refuse(&mut self, at: u64, run: Option<usize>, wrong: &str) -> Result<(), Failure> {
        if !self.args.skip_bad {
            return Err(self.wrong(at, wrong));
        }
        self.bad += 1;
        if let Some(run) = run {
            self.runs[run].skip();
        }
        Ok(())
    }

    fn wrong(&self, at: u64, wrong: &str) -> Failure {
        let name = if self.name == "-" { "<stdin>" } else { self.name };
        Failure::usage("bad-line", format!("{name}, line {at}: {wrong}"))
            .hint("no verdict was given; `--skip-bad` leaves such lines out and counts them")
    }

    /// The verdicts, in order.
    fn say(&self, schema: bool, out: &mut Lines<'_>) -> Totals {
        let mut totals = Totals::default();
        for run in &self.runs {
            let verdict = run.verdict(self.args);
            let line = VerdictLine::of(run, verdict.as_ref(), self.args, schema);
            totals.add(run, line.verdict);
            out.document(&line);
        }
        totals
    }
}

fn unreadable(name: &str, error: &std::io::Error) -> Failure {
    Failure::usage("unreadable-file", format!("cannot read `{name}`: {error}"))
        .hint("name a file of JSON lines, or `-` for standard input")
}

/// What JSON is wrong, without its own idea of the line.
fn unreadable_line(text: &[u8], error: &serde_json::Error) -> String {
    let said = error.to_string();
    let said = said.split(" at line ").next().unwrap_or(&said);
    // The end of the text has no column of its own.
    let column = if error.is_eof() { text.trim_ascii_end().len() + 1 } else { error.column() };
    let rest = text.get(column.saturating_sub(1)..).unwrap_or_default();
    let not_finite = ["NaN", "nan", "Infinity", "-Infinity", "Inf", "inf"];
    let word = not_finite.iter().find(|word| {
        rest.starts_with(word.as_bytes())
            || column > 1 && text[column - 2..].starts_with(word.as_bytes())
    });
    match word {
        Some(word) => format!("column {column}: {word} is not a number of JSON and counts nothing"),
        None => format!("column {column}: {said}"),
    }
}
