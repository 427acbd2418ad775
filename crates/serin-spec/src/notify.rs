//! `notify`: who is told of what becomes of rollouts.

use crate::{
    field::Field,
    problem::{Problem, looks_secret},
    reader::Reader,
    run,
    yaml::shown,
};
use serin_core::{EnvValue, Millis, NotifyKind, NotifyTarget, Occasion};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// How long one try may take unless said.
const TIMEOUT: Millis = Millis::secs(10);
const LONGEST: Millis = Millis::secs(60);
const MAX_TARGETS: usize = 10;
const MAX_HEADERS: usize = 20;
/// What a program can be told.
const KNOWN: [&str; 4] = ["SERVICE", "REVISION", "EVENT", "TEXT"];
/// Headers that Serin writes itself.
const OURS: [&str; 6] = [
    "host",
    "content-length",
    "content-type",
    "user-agent",
    "idempotency-key",
    "transfer-encoding",
];

/// One target, or a list of them.
pub(crate) fn read(field: &Field<'_>, base: &Path) -> Option<Vec<NotifyTarget>> {
    let items = if field.is_map() { vec![field.clone()] } else { field.list()? };
    if items.is_empty() || items.len() > MAX_TARGETS {
        return field.outside(format!("a list of {}", items.len()), 1, MAX_TARGETS);
    }
    let mut targets: Vec<NotifyTarget> = Vec::new();
    for item in &items {
        let Some(target) = one(item, base) else { continue };
        if targets.iter().any(|other| other.name == target.name) {
            let message = format!("two targets of `notify` are called `{}`", shown(&target.name));
            item.report(item.problem("duplicate-name", message).hint("give each its `name`"));
        }
        targets.push(target);
    }
    Some(targets)
}

fn one(field: &Field<'_>, base: &Path) -> Option<NotifyTarget> {
    let mut reader = field.map()?;
    let name = reader.maybe("name", |f| name(&f));
    let kind = kind(&mut reader, base);
    let on = reader.or("on", Occasion::usual(), |f| occasions(&f));
    let timeout = reader.or("timeout", TIMEOUT, |f| f.duration(Millis(100)..=LONGEST));
    reader.finish();
    let kind = kind?;
    Some(NotifyTarget { name: name.unwrap_or_else(|| called(&kind)), kind, on, timeout })
}

fn name(field: &Field<'_>) -> Option<String> {
    let text = field.word()?;
    let inside = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if text.len() <= 50 && text.chars().all(inside) {
        return Some(text.into());
    }
    let message = format!("`{}` is not the name of a target", shown(text));
    let hint = "use 1 to 50 of A-Z, a-z, 0-9, `-`, `_` and `.`: `oncall`";
    field.report(field.problem("bad-name", message).hint(hint));
    None
}

/// What people call a target that has no name.
fn called(kind: &NotifyKind) -> String {
    match kind {
        NotifyKind::Command { argv, .. } => {
            let program = argv.first().map_or("", String::as_str);
            program.rsplit('/').next().unwrap_or(program).to_owned()
        }
        NotifyKind::Http { .. } => "http".into(),
    }
}

fn occasions(field: &Field<'_>) -> Option<BTreeSet<Occasion>> {
    let items = if field.scalar().is_some() { vec![field.clone()] } else { field.list()? };
    if items.is_empty() {
        let hint = "leave `on` out for what whoever is on call must know, or name what is told";
        field.report(field.problem("empty-value", format!("{} is empty", field.what)).hint(hint));
        return None;
    }
    let found: Vec<_> = items.iter().map(|item| item.choice(&Occasion::ALL)).collect();
    found.into_iter().collect()
}

fn kind(reader: &mut Reader<'_>, base: &Path) -> Option<NotifyKind> {
    let argv = reader.maybe("command", |f| run::command_with(&f, &KNOWN));
    let env = reader.or("env", BTreeMap::new(), |f| run::env_with(&f, base, &KNOWN));
    let http = reader.maybe("http", |f| http(&f, base));
    let (is_command, is_http) = (reader.has("command"), reader.has("http"));
    if is_command == is_http {
        let message = "a target has one of `command` and `http`";
        let hint = "write `http: { url: \"http://127.0.0.1:9000/page\" }`, or \
                    `command: [\"./page.sh\"]`, which gets the message on its standard input";
        reader.report(reader.key_problem("wrong-choice", message).hint(hint));
    } else if is_http && reader.has("env") {
        let message = "`env` is for a `command`: a request has no environment";
        let hint = "write `headers` in `http`, or remove `env`";
        reader.report(reader.key_problem("wrong-choice", message).hint(hint));
    }
    argv.map(|argv| NotifyKind::Command { argv, env }).or(http)
}

fn http(field: &Field<'_>, base: &Path) -> Option<NotifyKind> {
    let mut reader = field.map()?;
    let url = reader.need("url", "\"http://127.0.0.1:9000/page\"", |f| {
        if f.is_map() { run::env_source(&f, base) } else { url(&f) }
    });
    let headers = reader.or("headers", BTreeMap::new(), |f| headers(&f, base));
    reader.finish();
    Some(NotifyKind::Http { url: url?, headers })
}

fn url(field: &Field<'_>) -> Option<EnvValue> {
    let text = field.word()?;
    let rest = text.strip_prefix("http://");
    let plain = text.bytes().all(|c| c.is_ascii_graphic());
    if rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/')) && plain {
        return Some(EnvValue::Literal(text.into()));
    }
    let (code, message, hint) = if text.starts_with("https://") {
        (
            "no-tls",
            "Serin does not speak TLS itself, so `url` cannot begin with https://",
            "let a program do it: `command: [curl, -sS, --fail-with-body, --json, \"@-\", \
             \"https://...\"]` gets the message on its standard input",
        )
    } else {
        ("bad-url", "`url` is no address", "write it like `http://127.0.0.1:9000/page`")
    };
    // What is wrong with it is not shown: it may be a secret.
    field.report(field.problem(code, message).hint(hint));
    None
}

fn headers(field: &Field<'_>, base: &Path) -> Option<BTreeMap<String, EnvValue>> {
    let reader = field.map()?;
    if reader.len() > MAX_HEADERS {
        return field.outside(format!("{} headers", reader.len()), 0, MAX_HEADERS);
    }
    let mut headers = BTreeMap::new();
    for (entry, field) in reader.all() {
        let name = entry.key.as_str();
        let token = |c: char| c.is_ascii_alphanumeric() || c == '-';
        if name.is_empty() || name.len() > 64 || !name.chars().all(token) {
            let message = format!("`{}` cannot be the name of a header", shown(name));
            let problem = Problem::error("bad-name", entry.key_span.clone(), message);
            field.report(problem.hint("use 1 to 64 of A-Z, a-z, 0-9 and `-`: `X-Token`"));
        } else if OURS.contains(&name.to_ascii_lowercase().as_str()) {
            let message = format!("Serin writes the header `{}` itself", shown(name));
            let problem = Problem::error("bad-name", entry.key_span.clone(), message);
            field.report(problem.hint("remove it"));
        } else if let Some(value) = header(&field, name, base) {
            headers.insert(name.to_owned(), value);
        }
    }
    Some(headers)
}

fn header(field: &Field<'_>, name: &str, base: &Path) -> Option<EnvValue> {
    if field.is_map() {
        return run::env_source(field, base);
    }
    let text = field.string()?;
    if !text.bytes().all(|c| (b' '..=b'~').contains(&c)) {
        let message = format!("{} has characters that no header can have", field.what);
        field.report(field.problem("bad-value", message).hint("use printable ASCII"));
        return None;
    }
    if looks_secret(name) || name.eq_ignore_ascii_case("authorization") {
        let message = format!("`{name}` looks like a secret, and this file is stored and shown");
        let hint = "use `{ fromFile: path }` or `{ fromEnv: NAME }`: those are never stored";
        let problem = Problem::error("secret-in-file", field.key.clone(), message);
        field.report(problem.warning().hint(hint));
    }
    Some(EnvValue::Literal(text.into()))
}
