//! Instances that stay without traffic for a while, and what time makes of a revision.

use super::Turn;
use super::ask::Answer;
use crate::{
    Capacity, Fact, Kept, KeptFor, Millis, Outcome, Refusal, RefusalCode as Code, RevisionId,
    RevisionStanding, Rollout, RolloutKind, Service, Timestamp,
};

impl Turn {
    /// What time alone brings: kept instances go, and what survived counts as good.
    pub(super) fn age(&mut self) {
        if self.service.kept.as_ref().is_some_and(|kept| kept.until <= self.now) {
            self.let_go();
        }
        let now = self.now;
        let due = |r: &crate::Revision| {
            r.standing == RevisionStanding::Promoted && r.good_at.is_none_or(|at| at <= now)
        };
        let survivors = self.service.revisions.iter_mut().filter(|(_, r)| due(r));
        let survived = survivors.map(|(id, revision)| {
            revision.standing = RevisionStanding::Good;
            revision.good_at = None;
            id.clone()
        });
        for revision in survived.collect::<Vec<_>>() {
            self.tell(Fact::Survived { revision });
        }
    }

    /// After a promotion the old revision stays for a way back; after a way back what was left
    /// stays to be looked at.
    pub(super) fn keep_old(&mut self) {
        let Some(rollout) = self.service.rollout.as_ref() else { return };
        let (why, span) = if rollout.kind.is_way_back() {
            (KeptFor::Inspection, rollout.schedule.keep_failed)
        } else {
            (KeptFor::WayBack, rollout.schedule.keep_old)
        };
        let Some(old) = rollout.baseline.clone() else { return };
        let planned = self.service.plan.as_deref().and_then(|plan| plan.revisions.get(&old));
        let replicas = planned.map_or(0, |planned| planned.replicas);
        self.keep(old, why, span, replicas);
    }

    /// A candidate that was decided against stays to be looked at, as far as it runs.
    pub(super) fn keep_failed(&mut self, outcome: Outcome) {
        let Some(rollout) = self.service.rollout.as_ref() else { return };
        let decided = matches!(outcome, Outcome::RolledBack | Outcome::Aborted);
        if !decided || rollout.baseline.is_none() || self.service.removing {
            return;
        }
        let (candidate, span) = (rollout.candidate.clone(), rollout.schedule.keep_failed);
        let planned = self.service.plan.as_deref().and_then(|plan| plan.revisions.get(&candidate));
        let ready = self.service.ready(&candidate);
        let replicas = planned.map_or(0, |planned| planned.replicas.min(ready));
        self.keep(candidate, KeptFor::Inspection, span, replicas);
    }

    /// Where the two sides share places there is no room for instances without traffic.
    fn keep(&mut self, revision: RevisionId, why: KeptFor, span: Millis, replicas: u32) {
        let rollout = self.service.rollout.as_ref();
        let room = rollout.is_some_and(|r| r.schedule.capacity == Capacity::Beside);
        if !room || span == Millis(0) || replicas == 0 {
            return;
        }
        self.tell(Fact::Kept { revision: revision.clone(), why, instances: replicas, span });
        let (since, until) = (self.now, self.now.plus(span));
        self.service.kept = Some(Kept { revision, why, since, until, replicas });
    }

    /// Kept instances make room for a rollout, unless it is theirs.
    pub(super) fn let_go_for(&mut self, to: &RevisionId) {
        match &self.service.kept {
            Some(kept) if kept.revision == *to => self.service.kept = None,
            Some(_) => self.let_go(),
            None => {}
        }
    }

    pub(super) fn let_go(&mut self) {
        let Some(kept) = self.service.kept.take() else { return };
        self.tell(Fact::LetGo { revision: kept.revision });
    }

    pub(super) fn clean(&mut self) -> Answer {
        if self.service.kept.is_none() {
            let message = format!("nothing of {} is kept without traffic", self.service.name);
            return Err(Refusal::new(Code::Already, message, "see `serin gc --dry-run`"));
        }
        self.let_go();
        Ok(())
    }
}

/// Whether the instances of `revision` stay although it leaves.
pub(crate) fn is_kept(service: &Service, revision: &RevisionId) -> bool {
    service.kept.as_ref().is_some_and(|kept| kept.revision == *revision)
}

/// When time alone changes something next.
pub(super) fn next_change(service: &Service) -> impl Iterator<Item = Timestamp> + '_ {
    let survive = service.revisions.values();
    let survive = survive.filter(|r| r.standing == RevisionStanding::Promoted);
    service.kept.iter().map(|kept| kept.until).chain(survive.filter_map(|r| r.good_at))
}

/// What a promotion makes of a revision that was `before`, and when it counts as good.
pub(super) fn promoted_standing(
    rollout: &Rollout,
    before: RevisionStanding,
    watch_left: Millis,
    now: Timestamp,
) -> (RevisionStanding, Option<Timestamp>) {
    let wait = Millis(rollout.schedule.keep_old.0 + watch_left.0);
    match before {
        RevisionStanding::Good => (RevisionStanding::Good, None),
        _ if rollout.kind == RolloutKind::First || wait == Millis(0) => {
            (RevisionStanding::Good, None)
        }
        _ => (RevisionStanding::Promoted, Some(now.plus(wait))),
    }
}
