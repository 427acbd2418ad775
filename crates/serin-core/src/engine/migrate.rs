//! The schema of the service's database: what is owed of it, and who may run with what is there.
//!
//! Level-triggered like tests and flags: whoever works on the database does what is owed and says
//! what came of it; what is not said is owed again. No instance runs without its shape of the
//! tables, and no shape goes while an instance uses it.

use super::Turn;
use super::ask::Answer;
use crate::lifecycle::{blocked_by, standing, view_of};
use crate::{
    DeployAsk, Doubt, Fact, MigrateStep, MigrationGoal, MigrationNews, MigrationOrder,
    MigrationPhase, MigrationTold, Millis, OpenMigration, Outcome, PauseReason, Phase, Refusal,
    RefusalCode as Code, RevisionId, Rollout, RolloutKind, Service, Step, WaitingOn,
};

/// What is owed of the database of `service` now.
pub fn migrations_wanted(service: &Service) -> Vec<MigrationOrder> {
    let open = service.schemas.open.as_ref();
    let order = open.and_then(|open| Some(order(service, open, goal(service, open)?)));
    order.into_iter().collect()
}

/// That both shapes are compared, while both are in use. Never done: whoever does it tells when
/// what is known of them changes.
pub fn shapes_watched(service: &Service) -> Option<MigrationOrder> {
    let open = service.schemas.open.as_ref()?;
    let both = matches!(open.phase, MigrationPhase::Dual | MigrationPhase::Promoted { .. });
    both.then(|| order(service, open, MigrationGoal::Watch { name: open.name.clone() }))
}

fn order(service: &Service, open: &OpenMigration, goal: MigrationGoal) -> MigrationOrder {
    MigrationOrder {
        service: service.name.clone(),
        rollout: open.rollout,
        revision: open.revision.clone(),
        database: open.database.clone(),
        goal,
    }
}

fn goal(service: &Service, open: &OpenMigration) -> Option<MigrationGoal> {
    match &open.phase {
        MigrationPhase::Forward => {
            let rollout = service.rollout.as_ref().filter(|r| r.id == open.rollout)?;
            let step = present(rollout).filter(|_| rollout.paused.is_none())?;
            let (files, first) = (step.files.clone(), service.stable.is_none());
            let old = service.schemas.settled.clone();
            Some(MigrationGoal::Ready { files, first, old })
        }
        MigrationPhase::Back if service.is_left(open) => {
            Some(MigrationGoal::Back { name: open.name.clone() })
        }
        MigrationPhase::Contracting { say, .. } => {
            Some(MigrationGoal::Contract { name: open.name.clone(), say: say.clone() })
        }
        MigrationPhase::Halting { .. } => Some(MigrationGoal::Halt { name: open.name.clone() }),
        _ => None,
    }
}

/// The present step, if it brings a schema.
fn present(rollout: &Rollout) -> Option<&MigrateStep> {
    match rollout.schedule.step(rollout.step.index) {
        Some(Step::Migrate(step)) if matches!(rollout.phase, Phase::Stepping) => Some(step),
        _ => None,
    }
}

/// What the step waits for.
pub(crate) fn waits(service: &Service, rollout: &Rollout, step: &MigrateStep) -> WaitingOn {
    let name = step.name().to_owned();
    let Some(open) = &service.schemas.open else {
        return WaitingOn::Migration { name, what: "to begin".into() };
    };
    if matches!(open.phase, MigrationPhase::Halting { .. }) {
        let stopped = open.stopped.as_ref().map(|why| format!("; {why}")).unwrap_or_default();
        let what = format!("its contract to stop, before anything is dropped{stopped}");
        return WaitingOn::Migration { name, what };
    }
    if open.rollout != rollout.id {
        return WaitingOn::Migration { name, what: blocked_by(&service.name, open) };
    }
    WaitingOn::Migration { name, what: standing(open) }
}

impl Turn {
    pub(super) fn tell_schema(&mut self, name: &str, told: MigrationTold) {
        self.tell(Fact::Migration { name: name.to_owned(), told });
    }

    /// Begins the migration, and goes on when the candidate's schema is there.
    pub(super) fn migrate_step(&mut self, step: &MigrateStep) -> bool {
        let Some(rollout) = self.service.rollout.as_ref().filter(|r| r.paused.is_none()) else {
            return false;
        };
        let candidate = rollout.candidate.clone();
        if self.service.misfit(&candidate).is_none() {
            self.next_step(self.now);
            return true;
        }
        if let Some(view) = self.service.is_open_already(&candidate) {
            self.give_view(&candidate, &view);
            return true;
        }
        // A way back only waits for a contract to stop.
        let brings = !step.files.is_empty();
        brings && self.service.schemas.open.is_none() && self.begin_migration(step)
    }

    fn begin_migration(&mut self, step: &MigrateStep) -> bool {
        let now = self.now;
        let Some(rollout) = self.service.rollout.as_ref() else { return false };
        let (id, revision) = (rollout.id, rollout.candidate.clone());
        let Some(known) = self.service.revisions.get_mut(&revision) else { return false };
        let Some(database) = known.run.database.as_mut() else { return false };
        database.view = None;
        let (database, name) = (database.clone(), step.name().to_owned());
        self.tell_schema(&name, MigrationTold::Begun { revision: revision.clone() });
        self.service.schemas.open = Some(OpenMigration {
            rollout: id,
            revision,
            name,
            database,
            view: None,
            phase: MigrationPhase::Forward,
            since: now,
            progress: None,
            stopped: None,
            after: Millis(0),
            by_hand: true,
            retry_at: None,
            doubt: None,
        });
        true
    }

    /// Takes in what became of an order. What is said twice or too late changes nothing.
    pub(super) fn migrated(&mut self, order: &MigrationOrder, news: &MigrationNews) {
        let watched = shapes_watched(&self.service);
        let is_owed = migrations_wanted(&self.service)
            .iter()
            .chain(&watched)
            .any(|owed| owed.rollout == order.rollout && owed.goal == order.goal);
        if !is_owed {
            return;
        }
        match (&order.goal, news) {
            (MigrationGoal::Watch { .. }, MigrationNews::Compared { doubt }) => {
                self.shapes_compared(doubt.as_ref());
            }
            (MigrationGoal::Watch { .. }, _) => {}
            (_, MigrationNews::Progress(progress)) => self.migration_moves(progress),
            (_, MigrationNews::Stopped { why }) => self.migration_stops(why),
            (MigrationGoal::Ready { .. }, MigrationNews::Refused { why }) => {
                self.migration_refused(why);
            }
            (MigrationGoal::Ready { .. }, MigrationNews::Ready { .. }) => self.schema_ready(news),
            (MigrationGoal::Ready { .. }, MigrationNews::Applied { name, view }) => {
                self.schema_applied(name, view);
            }
            (MigrationGoal::Back { .. }, MigrationNews::Back) => self.schema_back(),
            (MigrationGoal::Contract { .. }, MigrationNews::Refused { why }) => {
                self.contract_refused(why);
            }
            (MigrationGoal::Contract { .. }, MigrationNews::Contracted) => self.contracted(),
            (MigrationGoal::Halt { .. }, MigrationNews::Halted) => self.contract_halted(),
            (MigrationGoal::Halt { .. }, MigrationNews::Contracted) => {
                self.contracted();
                self.halted_too_late("it was done in the moment before");
            }
            (MigrationGoal::Halt { .. }, MigrationNews::Refused { why }) => {
                self.contract_goes_on(why);
            }
            _ => {}
        }
    }

    fn migration_moves(&mut self, progress: &crate::MigrationProgress) {
        let Some(open) = self.service.schemas.open.as_mut() else { return };
        open.progress = Some(progress.clone());
        open.stopped = None;
    }

    fn migration_stops(&mut self, why: &str) {
        let Some(open) = self.service.schemas.open.as_mut() else { return };
        if open.stopped.as_deref() == Some(why) {
            return;
        }
        open.stopped = Some(why.to_owned());
        let name = open.name.clone();
        self.tell_schema(&name, MigrationTold::Stopped { why: why.to_owned() });
    }

    /// Both shapes were compared. Where they do not say the same, the rollout that brought the new
    /// one is held for a person, once: the old version and the new one may be reading different
    /// things, and which of them is right is not known.
    fn shapes_compared(&mut self, doubt: Option<&Doubt>) {
        let Some(open) = self.service.schemas.open.as_mut() else { return };
        let before = std::mem::replace(&mut open.doubt, doubt.cloned());
        let (name, rollout) = (open.name.clone(), open.rollout);
        let kind = |doubt: Option<&Doubt>| doubt.map(std::mem::discriminant);
        if kind(before.as_ref()) == kind(doubt) {
            return;
        }
        match doubt {
            Some(doubt) => self.tell_schema(&name, MigrationTold::Doubted { doubt: doubt.clone() }),
            None => self.tell_schema(&name, MigrationTold::Together),
        }
        let goes_on = |r: &&Rollout| {
            matches!(r.paused, None | Some(PauseReason::Inconclusive | PauseReason::Check(_)))
        };
        let on_trial = self.service.rollout.as_ref().filter(|r| r.id == rollout && r.is_on_trial());
        if let Some(Doubt::Apart { what }) = doubt
            && on_trial.as_ref().is_some_and(goes_on)
        {
            let why = format!("migration {name}: {what}");
            self.hold(PauseReason::Guard(why.clone()), why);
        }
    }

    /// It can never be done as it was written: the candidate is not for this database.
    fn migration_refused(&mut self, why: &str) {
        let Some(rollout) = self.service.rollout.as_ref() else { return };
        let name = self.service.schemas.open.as_ref().map_or("", |open| &open.name);
        let cause = rollout.cause("migration", format!("migration {name}: {why}"), None);
        self.revert(Outcome::RolledBack, cause);
    }

    fn give_view(&mut self, to: &RevisionId, view: &str) {
        let known = self.service.revisions.get_mut(to);
        if let Some(database) = known.and_then(|known| known.run.database.as_mut()) {
            database.view = Some(view.to_owned());
        }
    }

    fn schema_ready(&mut self, news: &MigrationNews) {
        let MigrationNews::Ready { name, view, after, by_hand } = news else { return };
        let now = self.now;
        let Some(open) = self.service.schemas.open.as_mut() else { return };
        let revision = open.revision.clone();
        open.name.clone_from(name);
        open.view = Some(view.clone());
        open.phase = MigrationPhase::Dual;
        (open.after, open.by_hand) = (*after, *by_hand);
        (open.progress, open.stopped) = (None, None);
        let took = now.since(open.since);
        self.give_view(&revision, view);
        self.tell_schema(name, MigrationTold::Ready { after: took });
    }

    fn schema_applied(&mut self, name: &str, view: &str) {
        let schemas = &mut self.service.schemas;
        let Some(open) = schemas.open.take() else { return };
        let before = schemas.settled.replace(view.to_owned());
        schemas.beside.insert(before);
        schemas.settled_by = Some(name.to_owned());
        self.give_view(&open.revision, view);
        self.tell_schema(name, MigrationTold::Applied);
    }

    fn schema_back(&mut self) {
        let Some(open) = self.service.schemas.open.take() else { return };
        self.tell_schema(&open.name, MigrationTold::Back);
    }

    fn contracted(&mut self) {
        let Some(open) = self.service.schemas.open.take() else { return };
        self.service.schemas.settled = open.view;
        self.service.schemas.beside.clear();
        self.service.schemas.settled_by = Some(open.name.clone());
        self.service.schemas.settled_at = Some(self.now);
        self.tell_schema(&open.name, MigrationTold::Contracted);
    }

    /// The rollout goes back: so does the schema it brought, once nothing uses it.
    pub(super) fn take_schema_back(&mut self) {
        let Some(rollout) = self.service.rollout.as_ref().map(|r| r.id) else { return };
        let open = self.service.schemas.open.as_ref();
        let on_trial = |open: &&OpenMigration| {
            matches!(open.phase, MigrationPhase::Forward | MigrationPhase::Dual)
        };
        if open.filter(on_trial).is_some_and(|open| open.rollout == rollout) {
            self.go_back_with_schema();
        }
    }

    fn go_back_with_schema(&mut self) {
        let Some(open) = self.service.schemas.open.as_mut() else { return };
        open.phase = MigrationPhase::Back;
        (open.progress, open.stopped, open.doubt) = (None, None, None);
        let name = open.name.clone();
        self.tell_schema(&name, MigrationTold::GoesBack);
    }

    /// What became stable decides what becomes of the schema: the new shape has its window from
    /// now on, or goes back because the old one is what is trusted.
    pub(super) fn schema_promoted(&mut self) {
        let (service, now) = (&self.service, self.now);
        let Some((open, stable)) = service.schemas.open.as_ref().zip(service.stable.as_ref())
        else {
            return;
        };
        let (after, by_hand, name) = (open.after, open.by_hand, open.name.clone());
        match (service.sees_new(open, stable), &open.phase) {
            (Some(true), MigrationPhase::Dual) => {
                if let Some(open) = self.service.schemas.open.as_mut() {
                    open.phase = MigrationPhase::Promoted { at: now };
                }
                self.tell_schema(&name, MigrationTold::Open { after, by_hand });
            }
            (Some(false), MigrationPhase::Promoted { .. }) => self.go_back_with_schema(),
            _ => {}
        }
    }

    /// A service that is gone leaves a schema that both shapes use as it is. Not before: until
    /// then a deploy takes the removal back, and goes on with what is there.
    pub(super) fn leave_schema(&mut self) {
        if !self.service.is_gone() {
            return;
        }
        let Some(open) = self.service.schemas.open.take() else { return };
        self.tell_schema(&open.name, MigrationTold::Left);
    }

    /// Which shape a revision uses that brings none itself: that of stable.
    pub(super) fn take_view(&mut self, to: &RevisionId, kind: RolloutKind) {
        let of = |id| self.service.revisions.get(id).and_then(|r| view_of(&r.run));
        let stable = self.service.stable.as_ref().and_then(of).map(ToOwned::to_owned);
        let stable = stable.or_else(|| self.service.schemas.settled.clone());
        let Some(known) = self.service.revisions.get_mut(to) else { return };
        let is_new = kind.is_tried() && known.promoted_at.is_none();
        if let Some(database) = known.run.database.as_mut()
            && is_new
            && database.migration.is_none()
        {
            database.view = stable;
        }
    }

    /// A revision that was in use with a shape that is gone is not tried with another one; nor is
    /// one that needs a migration with steps that do not begin with it.
    pub(super) fn refuse_schema(&self, ask: &DeployAsk) -> Answer {
        let known = self.service.revisions.get(&ask.revision);
        let is_made = if self.service.brings_schema(&ask.revision) {
            ask.spec.schedule.steps().any(|(_, step)| matches!(step, Step::Migrate(_)))
        } else {
            known.is_none_or(|known| known.promoted_at.is_none())
        };
        match self.service.misfit(&ask.revision).filter(|_| !is_made) {
            Some(why) => Err(self.no_schema(why)),
            None => Ok(()),
        }
    }

    pub(super) fn no_schema(&self, why: String) -> Refusal {
        let hint = match self.service.rollback_target() {
            Some(to) => {
                format!(
                    "go back to {} instead, or deploy a version for the schema there is",
                    to.version
                )
            }
            None => "deploy a version that is written for the schema there is; what was dropped \
                     lies hidden for its grace time, and a new migration can bring it back"
                .to_owned(),
        };
        Refusal::new(Code::Schema, why, &hint)
    }
}
