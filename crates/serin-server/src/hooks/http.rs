//! A test that is an HTTP call.

use super::{key_of, variable};
use crate::call::http::{Answer, Call, send};
use crate::call::{Outcome, text};
use serin_core::HookOrder;
use serin_local::fill;
use std::time::Duration;
use tokio::time::timeout;

/// What is asked, and which answer passes.
pub(super) struct Wanted<'a> {
    pub(super) method: &'a str,
    pub(super) url: &'a str,
    pub(super) status: (u16, u16),
    pub(super) contains: Option<&'a str>,
}

/// Calls, and says what came back.
pub(super) async fn run(order: &HookOrder, wanted: &Wanted<'_>, limit: Duration) -> Outcome {
    match timeout(limit, send(&call(order, wanted))).await {
        Ok(Ok(answer)) => judge(wanted, &answer),
        Ok(Err(why)) => Outcome::failed(why),
        Err(_) => Outcome::failed(format!("no answer within {} s", limit.as_secs_f64())),
    }
}

fn call(order: &HookOrder, wanted: &Wanted<'_>) -> Call {
    let url = fill(wanted.url, |name| variable(order, name));
    let url = if url.starts_with('/') { format!("{}{url}", order.url) } else { url };
    let has_body = matches!(wanted.method, "POST" | "PUT" | "PATCH");
    let told = serde_json::json!({
        "service": order.service,
        "revision": order.revision.version.name(),
        "candidateUrl": order.url,
        "key": key_of(order),
    });
    let agent = ("user-agent".into(), "serin-hook".into());
    Call {
        name: format!("`{url}`"),
        method: wanted.method.to_owned(),
        url,
        headers: vec![agent, ("idempotency-key".into(), key_of(order))],
        body: has_body.then(|| told.to_string()),
    }
}

fn judge(wanted: &Wanted<'_>, answer: &Answer) -> Outcome {
    let ((first, last), status) = (wanted.status, answer.status);
    if !(first..=last).contains(&status.as_u16()) {
        let said = text::clean(&answer.body, &[]);
        let line = text::last_line(&said).map_or(String::new(), |line| format!(": {line}"));
        let range = if first == last { first.to_string() } else { format!("{first} to {last}") };
        let text = format!("{said}\nstatus {status}, wanted {range}{line}");
        return Outcome::failed(text::tail(&text));
    }
    match wanted.contains {
        Some(text) if !String::from_utf8_lossy(&answer.body).contains(text) => {
            Outcome::failed(format!("status {status}, but the answer does not hold `{text}`"))
        }
        _ => Outcome { passed: true, text: format!("status {status}") },
    }
}
