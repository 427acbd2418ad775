//! `run`: how an instance is started, checked and stopped.

use crate::{
    field::Field,
    probe,
    problem::{Problem, looks_secret},
    variables,
    yaml::{Entry, shown},
};
use serin_core::{EnvValue, Limits, LogLimits, MetricsSpec, Millis, RunSpec};
use std::{
    collections::BTreeMap,
    path::{Component, Path, PathBuf},
};

const HOUR: Millis = Millis::secs(3600);
/// Time between two looks at an instance's own numbers unless said.
const METRICS_PERIOD: Millis = Millis::secs(5);
const MIB: u64 = 1 << 20;
/// Words by which lines look like errors.
const MAX_WORDS: usize = 10;
/// Bytes of one of them.
const LONGEST_WORD: usize = 100;
const TIB: u64 = 1 << 40;

pub(crate) fn read(field: &Field<'_>, base: &Path, worker: bool) -> Option<RunSpec> {
    let mut reader = field.map()?;
    let command_at = reader.peek("command");
    let command = reader.need("command", "[\"./shop\", \"--port\", \"$(PORT)\"]", |f| command(&f));
    let env = reader.or("env", BTreeMap::new(), |f| env(&f, base));
    let env_files = reader.or("envFiles", Vec::new(), |f| paths(&f, base));
    let working_directory = reader.or("workingDirectory", absolute(base, "."), |f| path(&f, base));
    let user = reader.maybe("user", |f| user(&f));
    let limits = reader.or("limits", Limits::default(), |f| limits(&f));
    let readiness =
        reader.or("readiness", probe::readiness(), |f| probe::read(&f, probe::readiness()));
    let liveness = reader.maybe("liveness", |f| probe::read(&f, probe::liveness()));
    let grace = reader.or("terminationGracePeriodSeconds", Millis::secs(30), |f| {
        f.seconds(Millis::secs(1)..=HOUR)
    });
    let log = reader.or("logs", LogLimits::default(), |f| logs(&f));
    let metrics = reader.maybe("metrics", |f| metrics(&f));
    reader.finish();
    let command = command?;
    // A worker without numbers is asked nothing on its port.
    if let Some(field) = command_at.filter(|_| !worker || metrics.is_some()) {
        warn_without_port(&field, &command, &env);
    }
    Some(RunSpec {
        command,
        env,
        env_files,
        working_directory,
        user,
        limits,
        readiness,
        liveness,
        grace,
        log,
        metrics,
        database: None,
    })
}

fn command(field: &Field<'_>) -> Option<Vec<String>> {
    command_with(field, &variables::KNOWN)
}

/// Program and arguments, in which these variables are filled in.
pub(crate) fn command_with(field: &Field<'_>, known: &[&str]) -> Option<Vec<String>> {
    if let Some(problem) = written_as_text(field) {
        field.report(problem);
        return None;
    }
    let items = field.list()?;
    let Some(program) = items.first() else {
        let message = "`command` is empty";
        field.report(field.problem("empty-command", message).hint("name at least the program"));
        return None;
    };
    let program_ok = program.word().is_some();
    let read = |item: &Field<'_>| {
        let text = item.string()?;
        variables::check_among(item, text, known);
        nul_free(item, text)
    };
    let rest: Option<Vec<_>> =
        items.iter().skip(1).map(read).collect::<Vec<_>>().into_iter().collect();
    let first = if program_ok { read(program) } else { None };
    Some(std::iter::once(first?).chain(rest?).collect())
}

/// `command: ./shop --port 1`: no shell reads it, so it must be a list.
fn written_as_text(field: &Field<'_>) -> Option<Problem> {
    let text = field.scalar()?;
    let words: Vec<_> = text.split_whitespace().map(|word| format!("{word:?}")).collect();
    let message = "`command` must be a list of strings, found one string";
    let hint = format!("no shell reads it; write `command: [{}]`", shown(&words.join(", ")));
    Some(field.problem("wrong-type", message).hint(hint))
}

fn nul_free(field: &Field<'_>, text: &str) -> Option<String> {
    if !text.contains('\0') {
        return Some(text.into());
    }
    let message = format!("{} contains a NUL character, which no program can be given", field.what);
    field.report(field.problem("bad-value", message));
    None
}

fn warn_without_port(field: &Field<'_>, command: &[String], env: &BTreeMap<String, EnvValue>) {
    let in_env =
        env.values().any(|v| matches!(v, EnvValue::Literal(t) if variables::names(t, "PORT")));
    if in_env || command.iter().any(|text| variables::names(text, "PORT")) {
        return;
    }
    let message = "neither `command` nor `env` passes `$(PORT)` to the program";
    let hint = "each instance gets a port of its own: add `--port $(PORT)`, or `env: { PORT: \"$(PORT)\" }` if it reads that variable";
    field.report(field.problem("port-not-passed", message).warning().hint(hint));
}

/// The environment of an instance.
pub(crate) fn env(field: &Field<'_>, base: &Path) -> Option<BTreeMap<String, EnvValue>> {
    env_with(field, base, &variables::KNOWN)
}

/// An environment in whose values these variables are filled in.
pub(crate) fn env_with(
    field: &Field<'_>,
    base: &Path,
    known: &[&str],
) -> Option<BTreeMap<String, EnvValue>> {
    let reader = field.map()?;
    let mut env = BTreeMap::new();
    for (entry, field) in reader.all() {
        let named = env_name(&field, entry);
        let value = if named { env_value(&field, &entry.key, base, known) } else { None };
        env.extend(value.map(|value| (entry.key.clone(), value)));
    }
    Some(env)
}

fn env_name(field: &Field<'_>, entry: &Entry) -> bool {
    let name = entry.key.as_str();
    let inside = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let ok = !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(inside);
    if !ok {
        let message = format!("`{}` cannot be the name of an environment variable", shown(name));
        let problem = Problem::error("bad-name", entry.key_span.clone(), message);
        field.report(problem.hint("use A-Z, a-z, 0-9 and `_`, not starting with a digit"));
    }
    ok
}

fn env_value(field: &Field<'_>, name: &str, base: &Path, known: &[&str]) -> Option<EnvValue> {
    let value =
        if field.is_map() { env_source(field, base)? } else { env_literal(field, name, known)? };
    let passes_port = matches!(&value, EnvValue::Literal(text) if variables::names(text, "PORT"));
    if name == "PORT" && !passes_port && known.contains(&"PORT") {
        let message = "`PORT` is chosen by Serin for each instance and cannot be set";
        field.report(field.problem("port-set", message).hint("write `PORT: \"$(PORT)\"`"));
        return None;
    }
    Some(value)
}

fn env_literal(field: &Field<'_>, name: &str, known: &[&str]) -> Option<EnvValue> {
    let text = field.string()?;
    variables::check_among(field, text, known);
    if looks_secret(name) && !text.is_empty() && !text.contains("$(") {
        let message = format!("`{name}` looks like a secret, and this file is stored and shown");
        let hint = "use `{ fromFile: path }` or `{ fromEnv: NAME }`: those are never stored";
        let problem = Problem::error("secret-in-file", field.key.clone(), message);
        field.report(problem.warning().hint(hint));
    }
    nul_free(field, text).map(EnvValue::Literal)
}

pub(crate) fn env_source(field: &Field<'_>, base: &Path) -> Option<EnvValue> {
    let mut reader = field.map()?;
    let from_env = reader.maybe("fromEnv", |f| f.word().map(|name| EnvValue::FromEnv(name.into())));
    let from_file = reader.maybe("fromFile", |f| path(&f, base).map(EnvValue::FromFile));
    let keys = reader.len();
    if keys != 1 {
        let message = format!("{} needs exactly one of `fromEnv` and `fromFile`", field.what);
        reader.report(reader.key_problem("wrong-choice", message));
    }
    reader.finish();
    from_env.or(from_file)
}

fn paths(field: &Field<'_>, base: &Path) -> Option<Vec<String>> {
    let items = field.list()?;
    Some(items.iter().filter_map(|item| path(item, base)).collect())
}

/// A path as the machine needs it: absolute.
pub(crate) fn path(field: &Field<'_>, base: &Path) -> Option<String> {
    let text = field.word()?;
    let refuse = |message: &str, hint: &str| {
        let message = format!("`{}`: {message}", shown(text));
        field.report(field.problem("bad-path", message).hint(hint));
        None
    };
    if text.starts_with('~') {
        return refuse(
            "no shell fills in `~` here",
            "write the whole path, or one from this file's directory",
        );
    }
    if text.contains("$(") {
        return refuse("variables are not filled into paths", "write the path itself");
    }
    nul_free(field, text).map(|text| absolute(base, &text))
}

fn absolute(base: &Path, text: &str) -> String {
    let joined = base.join(text);
    let parts = joined.components().filter(|part| !matches!(part, Component::CurDir));
    parts.collect::<PathBuf>().to_string_lossy().into_owned()
}

fn user(field: &Field<'_>) -> Option<String> {
    let text = field.word()?;
    let inside = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    if text.len() <= 32 && !text.starts_with('-') && text.chars().all(inside) {
        return Some(text.into());
    }
    let message = format!("`{}` cannot be a user name", shown(text));
    field.report(field.problem("bad-name", message).hint("write the name as in /etc/passwd"));
    None
}

fn limits(field: &Field<'_>) -> Option<Limits> {
    let mut reader = field.map()?;
    let limits = Limits {
        open_files: reader.maybe("openFiles", |f| f.integer(16..=1 << 30)),
        memory_bytes: reader.maybe("memory", |f| f.bytes(MIB..=64 * TIB)),
        processes: reader.maybe("processes", |f| f.integer(1..=1 << 22)),
    };
    reader.finish();
    Some(limits)
}

/// Where instances publish numbers of their own.
fn metrics(field: &Field<'_>) -> Option<MetricsSpec> {
    let mut reader = field.map()?;
    let path = reader.need("path", "/metrics", |f| probe::path(&f));
    let period = reader.or("periodSeconds", METRICS_PERIOD, |f| f.seconds(Millis::secs(1)..=HOUR));
    reader.finish();
    path.map(|path| MetricsSpec { path, period })
}

fn logs(field: &Field<'_>) -> Option<LogLimits> {
    let mut reader = field.map()?;
    let default = LogLimits::default();
    let logs = LogLimits {
        max_bytes: reader.or("maxSize", default.max_bytes, |f| f.bytes(1 << 16..=TIB)),
        keep: reader.or("keep", default.keep.into(), |f| f.integer(1..=100)) as u32,
        errors: reader.or("errors", Vec::new(), |f| error_words(&f)),
    };
    reader.finish();
    Some(logs)
}

/// Words by which a line looks like an error.
fn error_words(field: &Field<'_>) -> Option<Vec<String>> {
    let items = field.list()?;
    if items.is_empty() || items.len() > MAX_WORDS {
        return field.outside(format!("a list of {}", items.len()), 1, MAX_WORDS);
    }
    let word = |item: &Field<'_>| {
        let text = item.word()?;
        if text.len() <= LONGEST_WORD && !text.contains('\n') {
            return Some(text.to_owned());
        }
        let message = format!("{} is longer than {LONGEST_WORD} bytes, or than a line", item.what);
        item.report(item.problem("out-of-range", message).hint("write a word: `ERROR`"));
        None
    };
    let words: Vec<_> = items.iter().map(word).collect::<Option<_>>()?;
    // What is usual is not written down, so that it is no other revision.
    Some(if words == LogLimits::ERRORS { Vec::new() } else { words })
}
