//! `readiness` and `liveness`.

use crate::field::Field;
use serin_core::{Millis, Probe, ProbeKind};

const SHORTEST: Millis = Millis(10);
const LONGEST: Millis = Millis::secs(3600);

/// Readiness when nothing is said: a TCP connection, tried each second.
pub(crate) fn readiness() -> Probe {
    Probe {
        kind: ProbeKind::Tcp,
        period: Millis::secs(1),
        timeout: Millis::secs(1),
        failure_threshold: 3,
        success_threshold: 1,
        initial_delay: Millis(0),
    }
}

/// What liveness starts from when it is written.
pub(crate) fn liveness() -> Probe {
    Probe { period: Millis::secs(10), ..readiness() }
}

/// A probe; what is not written comes from `default`.
pub(crate) fn read(field: &Field<'_>, default: Probe) -> Option<Probe> {
    let mut reader = field.map()?;
    let http = reader.maybe("httpGet", |f| http_get(&f));
    let tcp = reader.take("tcp");
    let both = tcp.is_some() && reader.has("httpGet");
    if let Some(tcp) = tcp {
        if let Some(nothing) = tcp.map_or_nothing() {
            nothing.finish();
        }
        if both {
            let message = format!("{} has both `httpGet` and `tcp`", field.what);
            reader.report(tcp.key_problem("wrong-choice", message).hint("keep one of the two"));
        }
    }
    let span = |f: Field<'_>| f.seconds(SHORTEST..=LONGEST);
    let count = |f: Field<'_>| f.integer(1..=1000);
    let probe = Probe {
        kind: http.unwrap_or(default.kind),
        period: reader.or("periodSeconds", default.period, span),
        timeout: reader.or("timeoutSeconds", default.timeout, span),
        failure_threshold: reader.or("failureThreshold", default.failure_threshold.into(), count)
            as u32,
        success_threshold: reader.or("successThreshold", default.success_threshold.into(), count)
            as u32,
        initial_delay: reader
            .or("initialDelaySeconds", default.initial_delay, |f| f.seconds(Millis(0)..=LONGEST)),
    };
    reader.finish();
    Some(probe)
}

fn http_get(field: &Field<'_>) -> Option<ProbeKind> {
    let mut reader = field.map()?;
    let path = reader.need("path", "/ready", |f| path(&f));
    reader.finish();
    path.map(|path| ProbeKind::HttpGet { path })
}

/// A path as a request line carries it.
pub(crate) fn path(field: &Field<'_>) -> Option<String> {
    let text = field.word()?;
    let refuse = |message: String, hint: String| {
        field.report(field.problem("bad-path", message).hint(hint));
        None
    };
    if !text.starts_with('/') {
        let message =
            format!("`path` is `{}`, which does not start with `/`", crate::yaml::shown(text));
        let bare = text.find("://").map_or(text, |at| &text[at + 3..]);
        let bare =
            bare.find('/').filter(|_| text.contains("://")).map_or(bare, |at| &bare[at + 1..]);
        return refuse(message, format!("write `/{}`", crate::yaml::shown(bare)));
    }
    if text.len() > 2000 || !text.bytes().all(|c| c.is_ascii_graphic()) {
        return refuse(
            "`path` has characters that a request line cannot carry".into(),
            "encode them: a space is `%20`".into(),
        );
    }
    Some(text.into())
}
