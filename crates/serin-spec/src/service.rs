//! One document: `kind: Service`.

use crate::{
    Located, affinity,
    field::Field,
    nearest::nearest,
    reader::{Context, Reader},
    run, strategy,
    yaml::{Node, shown},
};
use serin_core::{Millis, Schedule, ServiceName, ServiceSpec, TrafficSpec, Version};
use std::{net::SocketAddr, path::Path};

const API_VERSION: &str = "serin.dev/v1alpha1";
const HOUR: Millis = Millis::secs(3600);

/// Reads a document; `None` when something in it is wrong or it is of another kind.
pub(crate) fn read(cx: &Context<'_>, node: &Node, base: &Path) -> Option<Located<ServiceSpec>> {
    cx.take_marks();
    let mut root = Reader::root(cx, node)?;
    let ours = root.need("apiVersion", API_VERSION, |f| api_version(&f));
    let service = root.need("kind", "Service", |f| kind(&f));
    if [root.peek("apiVersion"), root.peek("kind")].iter().flatten().any(is_foreign) {
        return None;
    }
    let name = root.need("metadata", "{ name: shop }", |f| metadata(&f));
    let spec = root.need("spec", "{ run: ..., traffic: ... }", |f| spec(&f, base));
    root.finish();
    let (name, spec) = (name?, spec?);
    let marks = cx.take_marks();
    let mark = marks.get("metadata.name").cloned().unwrap_or_else(|| cx.lines.mark(&node.span));
    let value = ServiceSpec { name, ..spec };
    (ours.is_some() && service.is_some()).then_some(Located { value, mark, marks })
}

fn api_version(field: &Field<'_>) -> Option<()> {
    let text = field.word()?;
    if text == API_VERSION {
        return Some(());
    }
    let message = format!("unknown `apiVersion: {}`; allowed: {API_VERSION}", shown(text));
    let problem = field.problem("unknown-value", message);
    field.report(match nearest(text, std::iter::once(API_VERSION)) {
        Some(name) => problem.label(format!("did you mean `{name}`?")),
        None => problem.hint("this looks like a file of another tool"),
    });
    None
}

/// Whether this is a document of something else, whose other keys are not worth a word.
fn is_foreign(field: &Field<'_>) -> bool {
    let ours = [API_VERSION, "Service"].into_iter();
    field.scalar().is_none_or(|text| nearest(text, ours).is_none())
}

fn kind(field: &Field<'_>) -> Option<()> {
    field.choice(&[("Service", ())])
}

fn metadata(field: &Field<'_>) -> Option<ServiceName> {
    let mut reader = field.map()?;
    let name = reader.need("name", "shop", |f| service_name(&f));
    reader.finish();
    name
}

fn service_name(field: &Field<'_>) -> Option<ServiceName> {
    let text = field.word()?;
    let problem = || field.problem("bad-name", format!("`{}` is not a service name", shown(text)));
    let Ok(name) = text.parse() else {
        let hint = "use 1 to 50 of a-z, 0-9 and `-`, starting with a letter, not ending with `-`";
        field.report(problem().hint(hint));
        return None;
    };
    field.cx.claim(|claims| claims.name(&name, &field.node.span));
    Some(name)
}

/// The spec, with a placeholder for the name.
fn spec(field: &Field<'_>, base: &Path) -> Option<ServiceSpec> {
    let mut reader = field.map()?;
    let environment = reader.or("environment", "production".into(), |f| environment(&f));
    let replicas = reader.or("replicas", 2, |f| f.integer(1..=100)) as u32;
    let version = reader.maybe("revision", |f| version(&f));
    let run = reader.need("run", "{ command: [\"./shop\"] }", |f| run::read(&f, base));
    let traffic = reader.need("traffic", "{ listen: \"127.0.0.1:8080\" }", |f| traffic(&f));
    let schedule = reader.maybe("strategy", |f| strategy::read(&f));
    if let (Some(schedule), Some(traffic)) = (&schedule, &traffic) {
        check_affinity(&reader, traffic, schedule);
    }
    reader.finish();
    let name = "placeholder".parse().ok()?;
    let schedule = schedule.unwrap_or_else(strategy::guarded);
    let (run, traffic) = (run?, traffic?);
    Some(ServiceSpec {
        environment,
        replicas,
        version,
        ..ServiceSpec::of(name, run, traffic, schedule)
    })
}

fn environment(field: &Field<'_>) -> Option<String> {
    let text = field.word()?;
    let inside = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if text.len() <= 50
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(inside)
    {
        return Some(text.into());
    }
    let message = format!("`{}` is not the name of an environment", shown(text));
    let hint = "use 1 to 50 of a-z, 0-9 and `-`, starting with a letter: `production`, `staging`";
    field.report(field.problem("bad-name", message).hint(hint));
    None
}

/// The field's own text matters: unquoted, `1.10` and `1.1` are one number.
fn version(field: &Field<'_>) -> Option<Version> {
    let text = field.word()?;
    text.parse()
        .map_err(|_| {
            let message = format!("`{}` is not a revision", shown(text));
            let hint = "use 1 to 64 of A-Z, a-z, 0-9, `.`, `_`, `-` and `+`, starting with a letter or digit";
            field.report(field.problem("bad-name", message).hint(hint));
        })
        .ok()
}

fn traffic(field: &Field<'_>) -> Option<TrafficSpec> {
    let mut reader = field.map()?;
    let listen = reader.need("listen", "\"127.0.0.1:8080\"", |f| listen(&f));
    let request_timeout =
        reader.or("requestTimeout", Millis::secs(60), |f| f.duration(Millis(0)..=HOUR));
    let affinity = reader.maybe("affinity", |f| affinity::read(&f));
    reader.finish();
    Some(TrafficSpec { request_timeout, affinity, ..TrafficSpec::at(listen?) })
}

/// Users who stay with a revision do not spoil the comparison: they are dealt at random, and they
/// are what is counted. That changes what rates mean and how long evidence takes.
fn check_affinity(spec: &Reader<'_>, traffic: &TrafficSpec, schedule: &Schedule) {
    let Some(affinity) = &traffic.affinity else { return };
    let Some(analysis) = schedule.analysis.as_ref().filter(|a| a.compares()) else { return };
    let at = |keys: &[&str]| {
        let first = spec.peek(keys[0]);
        keys[1..].iter().fold(first, |field, key| field?.map()?.peek(key))
    };
    if analysis.late_onset == Some(true)
        && let Some(field) = at(&["strategy", "canary", "analysis", "lateOnset"])
    {
        let message = "late onset is looked for, but with `affinity` users repeat: a few unlucky \
                       ones would look like a regression";
        let hint = "leave `lateOnset` out; slow regressions are still found, later";
        field.report(field.problem("onset-with-affinity", message).hint(hint));
    }
    if let Some(field) = at(&["traffic", "affinity"]) {
        let window = affinity.window;
        let message = format!(
            "with `affinity` the judge counts users, not requests: each once in {window}, failed \
             if one of their requests did"
        );
        let hint = "users are dealt at random, so the comparison is sound; it takes longer, and \
                    `harm` and the rates shown are shares of users";
        field.report(field.key_problem("users-as-units", message).warning().hint(hint));
    }
}

fn listen(field: &Field<'_>) -> Option<SocketAddr> {
    let text = field.word()?;
    let refuse = |code, message: &str, hint: String| {
        field.report(field.problem(code, format!("`{}` {message}", shown(text))).hint(hint));
    };
    let Ok(address) = text.parse::<SocketAddr>() else {
        refuse("bad-address", "is not an address with a port", address_hint(text));
        return None;
    };
    if address.port() == 0 {
        let hint = "users must know the port: write one from 1 to 65535";
        refuse("bad-address", "has port 0", hint.into());
        return None;
    }
    field.cx.claim(|claims| claims.address(address, &field.node.span));
    if !address.ip().is_loopback() {
        let message = format!("`{address}` can be reached from other machines");
        let hint = "Serin speaks plain HTTP here; keep it behind a TLS proxy or a firewall";
        field.report(field.problem("open-address", message).warning().hint(hint));
    }
    Some(address)
}

/// What was probably meant: `localhost:80`, `:80`, `127.0.0.1`.
fn address_hint(text: &str) -> String {
    let port = text.rsplit(':').next().and_then(|port| port.parse::<u16>().ok());
    format!("write IP and port: `127.0.0.1:{}`", port.filter(|&port| port != 0).unwrap_or(8080))
}
