//! Runs the tests that the engine wants: starts what is wanted and does not run, stops what is not
//! wanted any more, and hands in how each ended. Nothing here waits: a test is a task of its own.
//!
//! A result that cannot be stored is handed in again; a controller that takes over runs what is
//! wanted again, with the same key, so that a test can tell.

mod http;

use crate::call::Outcome;
use crate::call::command::{self, Program};
use serin_core::{HookKey, HookKind, HookOrder, Millis, ServiceName, hooks_wanted};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

/// How a test ended.
#[derive(Debug, Clone)]
pub(crate) struct Ended {
    pub(crate) service: ServiceName,
    pub(crate) key: HookKey,
    pub(crate) passed: bool,
    pub(crate) text: String,
}

/// The tests under way.
#[derive(Debug)]
pub(crate) struct Hooks {
    running: BTreeMap<(ServiceName, HookKey), AbortHandle>,
    ends: mpsc::UnboundedSender<Ended>,
    unsent: Vec<Ended>,
}

impl Hooks {
    /// No test yet; ends come out of the receiver.
    pub(crate) fn new() -> (Self, mpsc::UnboundedReceiver<Ended>) {
        let (ends, receiver) = mpsc::unbounded_channel();
        (Self { running: BTreeMap::new(), ends, unsent: vec![] }, receiver)
    }

    /// Makes what runs for `name` what is wanted now.
    pub(crate) fn tend(&mut self, name: &ServiceName, service: Option<&serin_core::Service>) {
        let wanted = service.map(hooks_wanted).unwrap_or_default();
        if wanted.is_empty() && self.running.is_empty() {
            return;
        }
        self.running.retain(|(of, key), running| {
            let keep = of != name || wanted.iter().any(|order| order.key == *key);
            if !keep {
                running.abort();
            }
            keep
        });
        for order in wanted {
            self.start(order);
        }
    }

    fn start(&mut self, order: HookOrder) {
        let place = (order.service.clone(), order.key.clone());
        if self.running.contains_key(&place) {
            return;
        }
        let ends = self.ends.clone();
        let task = tokio::spawn(async move {
            let outcome = run(&order).await;
            let Outcome { passed, text } = outcome;
            // Nobody listens when the control plane ends.
            let _ = ends.send(Ended { service: order.service, key: order.key, passed, text });
        });
        self.running.insert(place, task.abort_handle());
    }

    /// The engine knows the result.
    pub(crate) fn delivered(&mut self, ended: &Ended) {
        self.running.remove(&(ended.service.clone(), ended.key.clone()));
    }

    /// The result could not be stored; it is handed in again later.
    pub(crate) fn keep(&mut self, ended: Ended) {
        self.unsent.push(ended);
    }

    /// Results to hand in again.
    pub(crate) fn take_unsent(&mut self) -> Vec<Ended> {
        std::mem::take(&mut self.unsent)
    }
}

impl Drop for Hooks {
    fn drop(&mut self) {
        self.running.values().for_each(AbortHandle::abort);
    }
}

/// Runs one try to its end, at most as long as it may take.
async fn run(order: &HookOrder) -> Outcome {
    let limit = order.hook.timeout;
    match &order.hook.kind {
        HookKind::Command { argv, env } => {
            let told = TOLD.map(|name| (name, variable(order, name).unwrap_or_default()));
            let key = ("SERIN_HOOK_KEY", key_of(order));
            let (run, told, input) = (&order.run, told.into(), None);
            command::run(&Program { argv, env, run, told, key, input }, span(limit)).await
        }
        HookKind::Http { method, url, status, contains } => {
            let (status, contains) = (*status, contains.as_deref());
            let wanted = http::Wanted { method, url, status, contains };
            http::run(order, &wanted, span(limit)).await
        }
    }
}

fn span(limit: Millis) -> Duration {
    Duration::from_millis(limit.0)
}

/// Variables that every test has.
const TOLD: [&str; 3] = ["SERVICE", "REVISION", "CANDIDATE_URL"];

/// What a test can be told, by name: the variables of its command and its environment.
fn variable(order: &HookOrder, name: &str) -> Option<String> {
    match name {
        "CANDIDATE_URL" => Some(order.url.clone()),
        "REVISION" => Some(order.revision.version.name().into()),
        "SERVICE" => Some(order.service.to_string()),
        _ => None,
    }
}

/// The same text for every run of one try.
fn key_of(order: &HookOrder) -> String {
    let HookKey { rollout, step, hook, attempt } = &order.key;
    format!("{}/{rollout}/{}/{}/{attempt}", order.service, step + 1, hook + 1)
}

#[cfg(test)]
mod tests;
