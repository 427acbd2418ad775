//! Once a way back is proven, or cannot be, each instance of what serves now is looked at: does it
//! answer, and does it write errors? What was seen stays with the rollout.

use crate::api::view::{CheckedInstance, Checkup};
use crate::control::{Core, now};
use crate::views;
use serin_core::{Entry, Fact, RevisionId, Service, ServiceName};
use serin_local::CheckedInstance as Seen;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// Longest time the looks at all instances may take.
const LONGEST: Duration = Duration::from_secs(15);

/// What was seen after a way back.
#[derive(Debug)]
pub(crate) struct CheckedUp {
    service: ServiceName,
    rollout: u64,
    checkup: Checkup,
}

/// Tells the owner what was seen.
#[derive(Debug)]
pub(crate) struct Checkups(mpsc::UnboundedSender<CheckedUp>);

impl Checkups {
    /// What was seen comes out of the receiver.
    pub(crate) fn new() -> (Self, mpsc::UnboundedReceiver<CheckedUp>) {
        let (tell, seen) = mpsc::unbounded_channel();
        (Self(tell), seen)
    }
}

impl Core {
    /// Has instances looked at when `entry` says that a way back came to its proof.
    pub(crate) fn check_up(&self, name: &ServiceName, entry: &Entry) {
        let proven = matches!(entry.fact, Fact::BackProven { .. });
        let Some(rollout) = entry.rollout.filter(|_| proven) else { return };
        let service = self.executor.service(name);
        let Some((service, to)) = service.and_then(|s| Some((s, went_to(s, rollout)?))) else {
            return;
        };
        let Some(run) = service.revisions.get(&to).map(|known| known.run.clone()) else { return };
        let looks = self.platform().check_up(name.clone(), to.clone(), run);
        let (tell, service) = (self.checkups.0.clone(), name.clone());
        tokio::spawn(async move {
            let Ok(seen) = timeout(LONGEST, looks).await else { return };
            let instances = seen.into_iter().map(checked).collect();
            let checkup = Checkup { at: now(), revision: to, instances };
            // Nobody listens when the control plane ends.
            let _ = tell.send(CheckedUp { service, rollout, checkup });
        });
    }

    /// Keeps what was seen. A way back stays proven also where this cannot be written.
    pub(crate) fn checked_up(&mut self, seen: &CheckedUp) {
        let Ok(text) = serde_json::to_string(&seen.checkup) else { return };
        let kept = self.executor.store_mut().keep_checkup(&seen.service, seen.rollout, &text);
        if let Err(error) = kept {
            eprintln!("serin: {}: {error}", seen.service);
        }
    }
}

/// Where the way back of a rollout led.
fn went_to(service: &Service, rollout: u64) -> Option<RevisionId> {
    let running = service.rollout.as_ref().filter(|r| r.id == rollout);
    let ended = service.last.as_ref().filter(|record| record.id == rollout);
    let ended = ended.and_then(|record| record.back.as_ref());
    running.and_then(|r| r.back.as_ref()).or(ended)?.to.clone()
}

fn checked(seen: Seen) -> CheckedInstance {
    let Seen { view, probe, lines, error_lines } = seen;
    CheckedInstance {
        instance: view.id,
        phase: views::instance_phase(view.phase).into(),
        healthy: probe.is_ok(),
        probe: probe.unwrap_or_else(|why| why),
        lines,
        error_lines,
    }
}
