//! `run`: tests against the candidate, by a program or by a request.

use super::route;
use crate::{field::Field, reader::Reader, run, variables, yaml::shown};
use serin_core::{Hook, HookKind, Millis};
use std::{collections::BTreeMap, path::Path};

/// How long one try may take unless said.
const TIMEOUT: Millis = Millis::secs(60);
const DAY: Millis = Millis::secs(86_400);
const MAX_HOOKS: usize = 20;
/// What a test can be told.
pub(crate) const KNOWN: [&str; 3] = ["CANDIDATE_URL", "REVISION", "SERVICE"];

/// One test, or a list of tests that run at the same time.
pub(crate) fn read(field: &Field<'_>, base: &Path) -> Option<Vec<Hook>> {
    let items = if field.is_map() { vec![field.clone()] } else { field.list()? };
    if items.is_empty() || items.len() > MAX_HOOKS {
        return field.outside(format!("a list of {}", items.len()), 1, MAX_HOOKS);
    }
    let mut hooks: Vec<Hook> = Vec::new();
    let mut whole = true;
    for item in &items {
        let Some(hook) = one(item, base) else {
            whole = false;
            continue;
        };
        if hooks.iter().any(|other| other.name == hook.name) {
            let message = format!("two tests are called `{}`", shown(&hook.name));
            item.report(item.problem("duplicate-name", message).hint("give each its `name`"));
        }
        hooks.push(hook);
    }
    whole.then_some(hooks)
}

fn one(field: &Field<'_>, base: &Path) -> Option<Hook> {
    let mut reader = field.map()?;
    let name = reader.maybe("name", |f| f.word().map(str::to_owned));
    let kind = kind(&mut reader, base);
    let timeout = reader.or("timeout", TIMEOUT, |f| f.duration(Millis(100)..=DAY));
    let tries = reader.or("tries", 1, |f| f.integer(1..=100)) as u32;
    reader.finish();
    let kind = kind?;
    Some(Hook { name: name.unwrap_or_else(|| called(&kind)), kind, timeout, tries })
}

fn kind(reader: &mut Reader<'_>, base: &Path) -> Option<HookKind> {
    let argv = reader.maybe("command", |f| run::command_with(&f, &KNOWN));
    let env = reader.or("env", BTreeMap::new(), |f| run::env_with(&f, base, &KNOWN));
    let http = reader.maybe("http", |f| http(&f));
    let (is_command, is_http) = (reader.has("command"), reader.has("http"));
    if is_command == is_http {
        let message = "a test has one of `command` and `http`";
        let hint = "write `run: { http: { url: /status } }`, or `run: { command: [\"./smoke\"] }`";
        reader.report(reader.key_problem("wrong-choice", message).hint(hint));
    } else if is_http && reader.has("env") {
        let message = "`env` is for a `command`: a request has no environment";
        reader.report(reader.key_problem("wrong-choice", message).hint("remove `env`"));
    }
    argv.map(|argv| HookKind::Command { argv, env }).or(http)
}

/// What people call a test that has no name: its program, or its request.
fn called(kind: &HookKind) -> String {
    match kind {
        HookKind::Command { argv, .. } => {
            let program = argv.first().map_or("", String::as_str);
            program.rsplit('/').next().unwrap_or(program).to_owned()
        }
        HookKind::Http { method, url, .. } => format!("{method} {url}"),
    }
}

fn http(field: &Field<'_>) -> Option<HookKind> {
    let mut reader = field.map()?;
    let method = reader.or("method", "GET".into(), |f| route::method(&f));
    let url = reader.need("url", "/status", |f| url(&f));
    let status = reader.or("status", (200, 299), |f| status(&f));
    let contains = reader.maybe("contains", |f| f.string().map(str::to_owned));
    reader.finish();
    Some(HookKind::Http { method, url: url?, status, contains })
}

fn url(field: &Field<'_>) -> Option<String> {
    let text = field.word()?;
    variables::check_among(field, text, &KNOWN);
    let plain = text.bytes().all(|c| c.is_ascii_graphic());
    if plain && ["/", "http://", "$(CANDIDATE_URL)"].iter().any(|start| text.starts_with(start)) {
        return Some(text.into());
    }
    let message = format!("`{}` is no path on the candidate and no `http://` address", shown(text));
    let hint = "write a path, `/status`, or `$(CANDIDATE_URL)/status`";
    field.report(field.problem("bad-path", message).hint(hint));
    None
}

/// `200` or `200-299`: the first and the last status that passes.
fn status(field: &Field<'_>) -> Option<(u16, u16)> {
    let text = field.scalar().unwrap_or_default();
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let number = |part: &str| part.trim().parse().ok().filter(|n| (100..=599).contains(n));
    match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => Some((first, last)),
        _ => {
            let message = format!("`{}` is no status", shown(text));
            let hint = "write `200`, or a range: `200-299`";
            field.report(field.problem("bad-value", message).hint(hint));
            None
        }
    }
}
