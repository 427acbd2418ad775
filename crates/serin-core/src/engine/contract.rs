//! The end of a migration: the old shape goes, by a person's word or by itself.

use super::Turn;
use super::ask::{Answer, because};
use super::hold::ENGINE;
use crate::{
    Actor, ContractSay, MigrationPhase, MigrationTold, Millis, OpenMigration, Refusal,
    RefusalCode as Code, Rollout, Service, Step, Timestamp,
};

/// Time after which a contract that was refused is tried again by itself.
const AGAIN: Millis = Millis::secs(60);

/// When an automatic contract may be tried next.
pub(super) fn next_contract(service: &Service) -> Option<Timestamp> {
    let open = service.schemas.open.as_ref().filter(|open| !open.by_hand)?;
    let ends = open.window_ends()?;
    Some(open.retry_at.map_or(ends, |at| at.max(ends)))
}

/// Whether a rollout stands before the schema it brings.
fn waits_for_it(rollout: &Rollout) -> bool {
    let step = rollout.schedule.step(rollout.step.index);
    rollout.is_on_trial() && matches!(step, Some(Step::Migrate(step)) if !step.files.is_empty())
}

fn not_promoted(open: &OpenMigration) -> Refusal {
    let what = match open.phase {
        MigrationPhase::Back => "is being taken back",
        MigrationPhase::Halting { .. } => "has its contract stopped, for a way back",
        _ => "belongs to a rollout under way",
    };
    let message = format!("migration {} {what}", open.name);
    Refusal::new(Code::Schema, message, "see `serin status`; the old shape stays until then")
}

impl Turn {
    /// A person has the old shape dropped.
    pub(super) fn contract(
        &mut self,
        by: &Actor,
        override_reason: Option<&str>,
        backup: Option<&str>,
    ) -> Answer {
        let Some(open) = self.service.schemas.open.as_ref() else {
            let message = format!("{} has no migration under way", self.service.name);
            return Err(Refusal::new(Code::Already, message, "see `serin status`"));
        };
        let promoted = match open.phase {
            MigrationPhase::Promoted { at } => at,
            MigrationPhase::Contracting { .. } => return Ok(()),
            _ => return Err(not_promoted(open)),
        };
        if let Some(why) = self.against_contract(open, override_reason) {
            let hint = "wait for it, or set aside what can be with `--override REASON`";
            return Err(Refusal::new(Code::Schema, why, hint));
        }
        let owned = |text: Option<&str>| text.map(ToOwned::to_owned);
        let (override_reason, backup) = (owned(override_reason), owned(backup));
        let say = ContractSay { by: by.clone(), override_reason, backup };
        self.begin_contract(say, promoted);
        Ok(())
    }

    /// What speaks against dropping the old shape now. Instances that use it are never set aside.
    fn against_contract(&self, open: &OpenMigration, set_aside: Option<&str>) -> Option<String> {
        let old = self.service.on_old_schema(open);
        if let Some((id, n)) = old.first() {
            return Some(format!("{n} instances of {} use the old shape", id.version));
        }
        let goes_there = |r: &&Rollout| {
            let fits = self.service.misfit(&r.candidate).is_none();
            fits && self.service.sees_new(open, &r.candidate) == Some(false)
        };
        if let Some(rollout) = self.service.rollout.as_ref().filter(goes_there) {
            return Some(format!("a rollout to {} is under way", rollout.candidate.version));
        }
        let left = open.window_ends().map_or(Millis(0), |ends| ends.since(self.now));
        let early = left > Millis(0) && set_aside.is_none();
        early.then(|| format!("the way back stays open for {left} more, as the migration says"))
    }

    fn begin_contract(&mut self, say: ContractSay, promoted: Timestamp) {
        let against = say.override_reason.as_deref().map(|why| {
            let left = self.service.schemas.open.as_ref().and_then(OpenMigration::window_ends);
            let left = left.map_or(Millis(0), |ends| ends.since(self.now));
            format!("the way back would stay open for {left}{}", because(Some(why)))
        });
        let by = say.by.clone();
        let Some(open) = self.service.schemas.open.as_mut() else { return };
        open.phase = MigrationPhase::Contracting { say, promoted };
        open.progress = None;
        let name = open.name.clone();
        if by.0 != ENGINE {
            open.stopped = None;
        }
        if by.0 != ENGINE || open.retry_at.is_none() {
            self.tell_schema(&name, MigrationTold::Contract { by, against });
        }
    }

    /// Where the migration says so, the old shape goes without a person once nothing speaks
    /// against it.
    pub(super) fn contract_by_itself(&mut self) {
        // A rollout that waits for this very contract does not keep it from going.
        let other = self.service.rollout.as_ref().is_some_and(|rollout| !waits_for_it(rollout));
        if other || self.service.removing {
            return;
        }
        let due = next_contract(&self.service).is_some_and(|at| at <= self.now);
        let Some(open) = self.service.schemas.open.as_ref().filter(|_| due) else { return };
        let MigrationPhase::Promoted { at } = open.phase else { return };
        if self.against_contract(open, None).is_none() {
            let by = Actor(ENGINE.into());
            self.begin_contract(ContractSay { by, override_reason: None, backup: None }, at);
        }
    }

    /// Something spoke against it: both shapes stay.
    pub(super) fn contract_refused(&mut self, why: &str) {
        let now = self.now;
        let Some(open) = self.service.schemas.open.as_mut() else { return };
        let MigrationPhase::Contracting { promoted, .. } = open.phase else { return };
        open.phase = MigrationPhase::Promoted { at: promoted };
        let told = open.stopped.as_deref() == Some(why);
        open.stopped = Some(why.to_owned());
        (open.progress, open.retry_at) = (None, Some(now.plus(AGAIN)));
        let name = open.name.clone();
        if !told {
            self.tell_schema(&name, MigrationTold::Refused { why: why.to_owned() });
        }
    }
}
