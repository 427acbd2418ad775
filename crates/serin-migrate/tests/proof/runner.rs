//! The runner as a process of its own, which can be killed.

use crate::writers::runtime;
use serde::{Deserialize, Serialize};
use serin_migrate::{Alone, Database, Ident, Patience, Plan, Runner, Say, State, Status};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

/// How the process is told what to do.
pub const TASK: &str = "SERIN_PROOF_TASK";

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verb {
    Forward,
    Back,
    Contract,
}

#[derive(Serialize, Deserialize)]
struct Task {
    url: String,
    plan: Plan,
    verb: Verb,
}

/// Starts a process of this program that does nothing else.
pub fn spawn(url: &str, plan: &Plan, verb: Verb) -> Child {
    let task = Task { url: url.into(), plan: plan.clone(), verb };
    let mut process = Command::new(std::env::current_exe().unwrap());
    process.args(["--exact", "runner_of_its_own", "--nocapture", "--test-threads=1"]);
    process.env(TASK, serde_json::to_string(&task).unwrap());
    process.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Does what this process was started for; false when it was for nothing.
pub fn main() -> bool {
    let Ok(task) = std::env::var(TASK) else { return false };
    let task: Task = serde_json::from_str(&task).unwrap();
    run(&task.url, &task.plan, task.verb).unwrap();
    true
}

/// Takes a migration where it should go, from wherever it is.
pub fn run(url: &str, plan: &Plan, verb: Verb) -> Result<Status, serin_migrate::Error> {
    let database = Database::new(url, Ident::new("public").unwrap())?;
    let patience = Patience { quiet_ms: 0, ..Patience::default() };
    let runner = Runner::new(database, Arc::new(Alone), "proof").patience(patience);
    let say = Say {
        backup: Some("none needed: a test".into()),
        override_reason: Some("clients of the test delete rows on purpose".into()),
        ..Say::default()
    };
    runtime().block_on(async {
        let status = runner.status().await?;
        match (verb, status) {
            (Verb::Forward, _) => runner.start(plan).await,
            (Verb::Back, Some(status)) if status.state == State::Reverted => Ok(status),
            (Verb::Back, _) => runner.revert(&say).await,
            // Killed between the swap and what follows it: that is left to a cleaning.
            (Verb::Contract, Some(status)) if status.state == State::Done => {
                runner.clean().await.map(|_| status)
            }
            (Verb::Contract, _) => runner.contract(&say).await,
        }
    })
}
