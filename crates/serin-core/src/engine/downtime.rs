//! The time in which nobody answers users because all old instances had to go first.

use super::Turn;
use crate::{Fact, Plan, RevisionId, Service, Weight};

impl Turn {
    /// Begins with a plan without any share.
    pub(super) fn begin_downtime(&mut self) {
        let (now, down) = (self.now, is_down(&self.service));
        let rollout = self.service.rollout.as_mut();
        let Some(rollout) = rollout.filter(|r| down && r.downtime.since.is_none()) else { return };
        rollout.downtime.since = Some(now);
        let revision = awaited(rollout);
        self.tell(Fact::Down { revision });
    }

    /// Ends when the data plane has confirmed a share with a ready instance.
    pub(super) fn end_downtime(&mut self) {
        let Some(revision) = serving(&self.service).cloned() else { return };
        let now = self.now;
        let Some(rollout) = self.service.rollout.as_mut() else { return };
        let Some(since) = rollout.downtime.since.take() else { return };
        let after = now.since(since);
        rollout.downtime.total.0 += after.0;
        self.tell(Fact::Up { revision, after });
    }
}

fn awaited(rollout: &crate::Rollout) -> RevisionId {
    let back = rollout.baseline.as_ref().filter(|_| !rollout.is_on_trial());
    back.unwrap_or(&rollout.candidate).clone()
}

/// Whether a service that has a trusted revision and users leads them nowhere.
fn is_down(service: &Service) -> bool {
    let places = service.rollout.as_ref().is_some_and(|r| r.places.is_some());
    let nowhere = |plan: &Plan| plan.revisions.values().all(|r| r.weight == Weight::NONE);
    let users = service.spec.traffic.listen.is_some() && !service.removing;
    places && users && service.plan.as_deref().is_some_and(nowhere)
}

/// A revision that has a share, confirmed, and a ready instance.
fn serving(service: &Service) -> Option<&RevisionId> {
    let plan = service.plan.as_deref().filter(|_| service.is_applied())?;
    let led = plan.revisions.iter().filter(|(_, r)| r.weight > Weight::NONE);
    led.map(|(id, _)| id).find(|id| service.ready(id) > 0)
}
