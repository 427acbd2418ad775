//! Steps beside shares and waiting, in short: `run(smoke+api,tries=2)`,
//! `approve(2,from=ada+bob,timeout=10m)`, `route(testers,x-tester=yes)`, `route(testers)` to take it
//! away, `mirror(50)`.

use super::words;
use serin_core::{
    Approval, FlagChange, FlagStep, HeaderMatch, HeaderRoute, Hook, HookKind, Millis, MirrorRoute,
    Step, TextMatch,
};
use std::collections::BTreeMap;

/// How long a test may take.
const TEST_TIMEOUT: Millis = Millis::secs(30);

pub(super) fn step(verb: &str, inside: &str) -> Result<Step, String> {
    match verb {
        "run" => run(inside),
        "approve" => approve(inside),
        "route" => route(inside),
        "flag" => flag(inside),
        _ => mirror(inside),
    }
}

fn flag(inside: &str) -> Result<Step, String> {
    let (key, who) = inside.split_once(',').ok_or("flag needs a key and who gets it")?;
    let change = match who {
        "on" => FlagChange::On,
        "off" => FlagChange::Off,
        share => FlagChange::Percent(words::weight(share)?),
    };
    Ok(Step::Flag(FlagStep { set: String::new(), key: key.into(), change }))
}

/// Each service has flags of its own.
pub(super) fn own(mut steps: Vec<Step>, service: &str) -> Vec<Step> {
    for step in &mut steps {
        if let Step::Flag(flag) = step {
            service.clone_into(&mut flag.set);
        }
    }
    steps
}

fn run(inside: &str) -> Result<Step, String> {
    let (names, tries) = match inside.split_once(",tries=") {
        Some((names, tries)) => (names, words::number(tries, 1, 100)? as u32),
        None => (inside, 1),
    };
    let hook = |name: &str| {
        let kind = HookKind::Command { argv: vec![format!("./{name}")], env: BTreeMap::new() };
        Hook { name: name.into(), kind, timeout: TEST_TIMEOUT, tries }
    };
    Ok(Step::Run(names.split('+').map(hook).collect()))
}

fn approve(inside: &str) -> Result<Step, String> {
    let mut approval = Approval { from: vec![], count: 1, timeout: None };
    for term in inside.split(',').filter(|term| !term.is_empty()) {
        match term.split_once('=') {
            Some(("from", who)) => approval.from = who.split('+').map(Into::into).collect(),
            Some(("timeout", span)) => approval.timeout = Some(words::span(span)?),
            None => approval.count = words::number(term, 1, 100)? as u32,
            _ => return Err(format!("`{term}` is not of approve; allowed: from, timeout")),
        }
    }
    Ok(Step::Approve(approval))
}

fn route(inside: &str) -> Result<Step, String> {
    let (name, matches) = inside.split_once(',').unwrap_or((inside, ""));
    let one = |term: &str| {
        let (header, value) =
            term.split_once('=').ok_or_else(|| format!("`{term}` is not HEADER=VALUE"))?;
        Ok(HeaderMatch { header: header.into(), value: TextMatch::Exact(value.into()) })
    };
    let matches = matches.split(',').filter(|term| !term.is_empty());
    let matches = matches.map(one).collect::<Result<_, String>>()?;
    Ok(Step::SetHeaderRoute(HeaderRoute { name: name.into(), matches }))
}

fn mirror(inside: &str) -> Result<Step, String> {
    let share = words::weight(inside)?;
    Ok(Step::SetMirror(MirrorRoute { name: "copies".into(), matches: vec![], share }))
}
