//! A way back during a contract: the contract stops first, if nothing of it is final.

use super::Turn;
use crate::{
    Actor, MigrateStep, MigrationPhase, MigrationTold, Outcome, RevisionId, Rollout, RolloutKind,
    Service, Shared, Step,
};

/// The step with which a way back to `target` waits for a contract to stop; `None` where it need
/// not.
pub(super) fn wait_step(service: &Service, target: &RevisionId) -> Option<Step> {
    let open = service.schemas.open.as_ref()?;
    let waits = service.misfit(target).is_some() && service.fits_without_contract(target);
    let step = MigrateStep { path: open.name.clone(), files: Shared::default() };
    waits.then_some(Step::Migrate(step))
}

/// Whether it is a way back that waits for a contract to stop.
fn waits(rollout: &Rollout) -> bool {
    let step = rollout.schedule.step(rollout.step.index);
    let waits = matches!(step, Some(Step::Migrate(step)) if step.files.is_empty());
    waits && rollout.kind == RolloutKind::Rollback && rollout.is_on_trial()
}

impl Turn {
    /// Has the contract under way stop where `to` needs the old shape.
    pub(super) fn halt_contract_for(&mut self, by: &Actor, to: &RevisionId) {
        if self.service.misfit(to).is_none() || !self.service.fits_without_contract(to) {
            return;
        }
        let Some(open) = self.service.schemas.open.as_mut() else { return };
        let MigrationPhase::Contracting { say, promoted } = open.phase.clone() else { return };
        open.phase = MigrationPhase::Halting { say, promoted };
        (open.progress, open.stopped) = (None, None);
        let name = open.name.clone();
        self.tell_schema(&name, MigrationTold::Halts { by: by.clone(), to: to.clone() });
    }

    /// Both shapes are whole: the way back goes on by itself.
    pub(super) fn contract_halted(&mut self) {
        let Some(open) = self.service.schemas.open.as_mut() else { return };
        let MigrationPhase::Halting { promoted, .. } = open.phase else { return };
        open.phase = MigrationPhase::Promoted { at: promoted };
        (open.progress, open.stopped) = (None, None);
        let name = open.name.clone();
        self.tell_schema(&name, MigrationTold::Halted);
    }

    /// Something of it is final: it goes on, and the way back ends.
    pub(super) fn contract_goes_on(&mut self, why: &str) {
        let Some(open) = self.service.schemas.open.as_mut() else { return };
        let MigrationPhase::Halting { say, promoted } = open.phase.clone() else { return };
        open.phase = MigrationPhase::Contracting { say, promoted };
        (open.progress, open.stopped) = (None, None);
        self.halted_too_late(why);
    }

    /// The way back that waited comes to nothing; what runs stays.
    pub(super) fn halted_too_late(&mut self, why: &str) {
        let schemas = &self.service.schemas;
        let open = schemas.open.as_ref().map(|open| &open.name);
        let name = open.or(schemas.settled_by.as_ref()).cloned().unwrap_or_default();
        self.tell_schema(&name, MigrationTold::TooLate { why: why.to_owned() });
        let Some(rollout) = self.service.rollout.as_ref().filter(|r| waits(r)) else { return };
        let to = &rollout.candidate.version;
        let text = format!(
            "the contract of {name} could not be stopped ({why}): the schema that {to} uses is \
             gone. Deploy a version for the schema there is; `serin migrate status` tells how long \
             what was dropped lies hidden"
        );
        let cause = rollout.cause("schema", text, None);
        self.revert(Outcome::RolledBack, cause);
    }
}
