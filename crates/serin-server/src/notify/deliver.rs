//! One try to tell one target one thing.

use super::message;
use crate::call::command::{self, INPUT_MOST, Program};
use crate::call::http::{self, Call};
use crate::call::{resolve, text};
use serin_core::{EnvValue, Notice, NotifyKind, NotifyTarget, RunSpec, ServiceName, Shared};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use tokio::time::timeout;

/// Bytes of a reason that are kept.
const WHY_MOST: usize = 300;

/// What is told to whom.
#[derive(Debug, Clone)]
pub(crate) struct Delivery {
    pub(crate) service: ServiceName,
    pub(crate) environment: String,
    pub(crate) target: NotifyTarget,
    /// Whose directory and user a program runs with.
    pub(crate) run: Shared<RunSpec>,
    pub(crate) notice: Notice,
}

/// Tells it once, at most as long as it may take. Why it failed never holds a secret.
pub(crate) async fn deliver(delivery: &Delivery) -> Result<(), String> {
    let limit = Duration::from_millis(delivery.target.timeout.0);
    let told = match &delivery.target.kind {
        NotifyKind::Command { argv, env } => program(delivery, argv, env, limit).await,
        NotifyKind::Http { url, headers } => {
            match timeout(limit, post(delivery, url, headers)).await {
                Ok(told) => told,
                Err(_) => Err(format!("no answer within {} s", limit.as_secs_f64())),
            }
        }
    };
    told.map_err(|why| why.chars().take(WHY_MOST).collect())
}

impl Delivery {
    fn body(&self) -> String {
        message::body(self.service.as_str(), &self.environment, &self.notice)
    }

    fn directory(&self) -> &Path {
        Path::new(&self.run.working_directory)
    }
}

async fn program(
    delivery: &Delivery,
    argv: &[String],
    env: &BTreeMap<String, EnvValue>,
    limit: Duration,
) -> Result<(), String> {
    let notice = &delivery.notice;
    let version = notice.revision.as_ref().map_or("", |id| id.version.name());
    let told = vec![
        ("SERVICE", delivery.service.to_string()),
        ("REVISION", version.to_owned()),
        ("EVENT", notice.event.as_str().to_owned()),
        ("TEXT", notice.text.clone()),
    ];
    let body = delivery.body();
    if body.len() > INPUT_MOST {
        return Err(format!("the message has {} bytes, more than {INPUT_MOST}", body.len()));
    }
    let key = ("SERIN_NOTIFY_KEY", notice.key.clone());
    let (run, input) = (&delivery.run, Some(body));
    let outcome = command::run(&Program { argv, env, run, told, key, input }, limit).await;
    let last = || text::last_line(&outcome.text).unwrap_or("it failed").to_owned();
    if outcome.passed { Ok(()) } else { Err(last()) }
}

async fn post(
    delivery: &Delivery,
    url: &EnvValue,
    headers: &BTreeMap<String, EnvValue>,
) -> Result<(), String> {
    let directory = delivery.directory();
    let url = resolve("url", url, directory)?.trim().to_owned();
    let mut sent = vec![
        ("user-agent".to_owned(), "serin-notify".to_owned()),
        ("idempotency-key".to_owned(), delivery.notice.key.clone()),
    ];
    let mut secrets = secrets_of(&url);
    for (name, value) in headers {
        let value = resolve(name, value, directory)?.trim().to_owned();
        secrets.extend(value.split_whitespace().map(ToOwned::to_owned));
        secrets.push(value.clone());
        sent.push((name.clone(), value));
    }
    let body = Some(delivery.body());
    let call = Call { name: "its address".into(), method: "POST".into(), url, headers: sent, body };
    let answer = http::send(&call).await?;
    if answer.status.is_success() {
        return Ok(());
    }
    let said = text::clean(&answer.body, &secrets);
    let line = text::last_line(&said).map_or(String::new(), |line| format!(": {line}"));
    Err(format!("status {}{line}", answer.status.as_u16()))
}

/// What of an address must not be told, longest first: a receiver may repeat any part of it.
fn secrets_of(url: &str) -> Vec<String> {
    let path = url.split_once("://").map_or(url, |(_, rest)| rest);
    let path = path.split_once('/').map_or("", |(_, path)| path);
    let parts = path.split(['/', '?', '&', '=']).map(ToOwned::to_owned);
    [url.to_owned(), path.to_owned()].into_iter().chain(parts).collect()
}
