//! The schema of the service's database: what is owed of it, and who may run with what is there.
//!
//! Level-triggered like tests and flags: whoever works on the database does what is owed and says
//! what came of it; what is not said is owed again. No instance runs without its shape of the
//! tables, and no shape goes while an instance uses it.

use super::Turn;
use super::ask::{Answer, because};
use super::hold::ENGINE;
use crate::{
    Actor, ContractSay, DeployAsk, Fact, MigrateStep, MigrationGoal, MigrationNews, MigrationOrder,
    MigrationPhase, MigrationTold, Millis, OpenMigration, Outcome, Phase, Refusal,
    RefusalCode as Code, RevisionId, Rollout, RolloutKind, RunSpec, Service, Step, Timestamp,
    WaitingOn,
};

/// Time after which a contract that was refused is tried again by itself.
const AGAIN: Millis = Millis::secs(60);

/// What is owed of the database of `service` now.
pub fn migrations_wanted(service: &Service) -> Vec<MigrationOrder> {
    let open = service.schemas.open.as_ref();
    let goal = open.and_then(|open| Some((open, goal(service, open)?)));
    let order = |(open, goal): (&OpenMigration, MigrationGoal)| MigrationOrder {
        service: service.name.clone(),
        rollout: open.rollout,
        revision: open.revision.clone(),
        database: open.database.clone(),
        goal,
    };
    goal.map(order).into_iter().collect()
}

fn goal(service: &Service, open: &OpenMigration) -> Option<MigrationGoal> {
    match &open.phase {
        MigrationPhase::Forward => {
            let rollout = service.rollout.as_ref().filter(|r| r.id == open.rollout)?;
            let step = present(rollout).filter(|_| rollout.paused.is_none())?;
            let first = service.stable.is_none();
            Some(MigrationGoal::Ready { files: step.files.clone(), first })
        }
        MigrationPhase::Back if service.is_left(open) => {
            Some(MigrationGoal::Back { name: open.name.clone() })
        }
        MigrationPhase::Contracting { say, .. } => {
            Some(MigrationGoal::Contract { name: open.name.clone(), say: say.clone() })
        }
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

/// When an automatic contract may be tried next.
pub(super) fn next_contract(service: &Service) -> Option<Timestamp> {
    let open = service.schemas.open.as_ref().filter(|open| !open.by_hand)?;
    let ends = open.window_ends()?;
    Some(open.retry_at.map_or(ends, |at| at.max(ends)))
}

/// What the step waits for.
pub(crate) fn waits(service: &Service, rollout: &Rollout, step: &MigrateStep) -> WaitingOn {
    let name = step.name().to_owned();
    let Some(open) = &service.schemas.open else {
        return WaitingOn::Migration { name, what: "to begin".into() };
    };
    if open.rollout != rollout.id {
        return WaitingOn::Migration { name, what: service.blocked_by(open) };
    }
    WaitingOn::Migration { name, what: standing(open) }
}

/// How far it is, or what is in the way.
fn standing(open: &OpenMigration) -> String {
    let progress = || open.progress.as_ref().map(ToString::to_string);
    open.stopped.clone().or_else(progress).unwrap_or_else(|| "to begin".into())
}

fn view_of(run: &RunSpec) -> Option<&str> {
    run.database.as_ref()?.view.as_deref()
}

fn goes(open: &OpenMigration, id: &RevisionId) -> String {
    let (name, version) = (&open.name, &id.version);
    format!("the contract of migration {name} is under way, and {version} uses the old shape")
}

impl Service {
    /// Why instances of `id` cannot run with the shapes that the database has; `None` when they
    /// can.
    pub fn misfit(&self, id: &RevisionId) -> Option<String> {
        if self.schemas.is_plain() && !self.brings_schema(id) {
            return None;
        }
        let known = self.revisions.get(id)?;
        let Some(database) = known.run.database.as_ref() else { return self.unmanaged(id) };
        let version = &id.version;
        if database.migration.is_some() && database.view.is_none() {
            return Some(format!("the schema that {version} brings is not ready"));
        }
        let view = database.view.as_deref();
        let open = self.schemas.open.as_ref();
        let is_new = |open: &OpenMigration| view.is_some() && open.view.as_deref() == view;
        match open.map(|open| (open, &open.phase)) {
            Some((open, MigrationPhase::Back)) if is_new(open) => {
                Some(format!("migration {} is being taken back, and {version} needs it", open.name))
            }
            Some((open, _)) if is_new(open) => None,
            Some((open, MigrationPhase::Contracting { .. })) => Some(goes(open, id)),
            _ if self.schemas.settled == database.view => None,
            _ if self.schemas.beside.contains(&database.view) => None,
            _ => Some(self.gone(version.as_str())),
        }
    }

    fn brings_schema(&self, id: &RevisionId) -> bool {
        let database = self.revisions.get(id).and_then(|known| known.run.database.as_ref());
        database.is_some_and(|database| database.migration.is_some())
    }

    /// Of a revision that says nothing of a database: when it was in use before the last contract,
    /// it used what is gone.
    fn unmanaged(&self, id: &RevisionId) -> Option<String> {
        let used_at = self.revisions.get(id)?.promoted_at?;
        let open = self.schemas.open.as_ref();
        let going = open.filter(|o| matches!(o.phase, MigrationPhase::Contracting { .. }));
        let gone = self.schemas.settled_at.filter(|at| used_at <= *at);
        let gone = gone.map(|_| self.gone(id.version.as_str()));
        going.map(|open| goes(open, id)).or(gone)
    }

    fn gone(&self, version: &str) -> String {
        let by = self.schemas.settled_by.as_deref();
        by.map_or_else(
            || format!("the schema that {version} uses was taken back with its migration"),
            |name| format!("the schema that {version} uses is gone since the contract of {name}"),
        )
    }

    /// Whether instances of `id` see the new shape of `open`; `None` when nobody knows.
    fn sees_new(&self, open: &OpenMigration, id: &RevisionId) -> Option<bool> {
        let planned = || self.plan.as_deref().and_then(|plan| plan.revisions.get(id));
        let known = self.revisions.get(id).map(|known| &*known.run);
        let run = known.or_else(|| planned().map(|planned| &*planned.run))?;
        Some(open.view.is_some() && view_of(run) == open.view.as_deref())
    }

    /// Whether nothing uses the new shape any more, and nothing is about to.
    fn is_left(&self, open: &OpenMigration) -> bool {
        let planned = self.plan.as_deref().into_iter().flat_map(|plan| plan.revisions.keys());
        let mut all = self.observed.revisions.keys().chain(planned);
        self.is_applied() && all.all(|id| self.sees_new(open, id) == Some(false))
    }

    /// Processes of revisions that see the old shape of `open`, by revision.
    pub fn on_old_schema(&self, open: &OpenMigration) -> Vec<(RevisionId, u32)> {
        self.processes(|id| self.sees_new(open, id) != Some(true))
    }

    /// Processes of revisions that see the new shape of `open`, by revision.
    pub fn on_new_schema(&self, open: &OpenMigration) -> Vec<(RevisionId, u32)> {
        self.processes(|id| self.sees_new(open, id) != Some(false))
    }

    fn processes(&self, wanted: impl Fn(&RevisionId) -> bool) -> Vec<(RevisionId, u32)> {
        let seen = self.observed.revisions.iter().filter(|(id, _)| wanted(id));
        seen.map(|(id, r)| (id.clone(), (r.starting + r.ready + r.stopping).max(1))).collect()
    }

    /// Whether the database still has to go back before the service may be forgotten.
    pub(crate) fn owes_schema_back(&self) -> bool {
        let open = self.schemas.open.as_ref();
        open.is_some_and(|open| open.phase == MigrationPhase::Back)
    }

    /// Why another migration waits for `open`.
    fn blocked_by(&self, open: &OpenMigration) -> String {
        let what = match open.phase {
            MigrationPhase::Back => "is being taken back",
            MigrationPhase::Contracting { .. } => "is losing its old shape",
            _ => "has both shapes in use: `serin migrate contract` ends it",
        };
        format!("one at a time, and {} of {} {what}", open.name, open.revision.version)
    }

    /// What there is to say of the open migration beside a rollout.
    pub fn schema_sentence(&self, now: Timestamp) -> Option<String> {
        let open = self.schemas.open.as_ref()?;
        let name = &open.name;
        let progress = || open.progress.as_ref().map_or(String::new(), |p| format!(" ({p})"));
        let stopped = open.stopped.as_ref().map(|why| format!("; {why}")).unwrap_or_default();
        Some(match &open.phase {
            MigrationPhase::Forward => format!("migration {name}: {}", standing(open)),
            MigrationPhase::Dual => format!("migration {name}: both shapes are in use{stopped}"),
            MigrationPhase::Promoted { at } => {
                let left = Millis(open.after.0.saturating_sub(now.since(*at).0));
                let next = match (left, open.by_hand) {
                    (Millis(0), true) => {
                        format!("`serin migrate contract {}` drops the old one", self.name)
                    }
                    (Millis(0), false) => "the old one goes as soon as nothing uses it".into(),
                    (left, _) => format!("the way back stays open for {left}"),
                };
                format!("migration {name}: both shapes are in use; {next}{stopped}")
            }
            MigrationPhase::Contracting { .. } => {
                format!("migration {name}: the old shape goes{}{stopped}", progress())
            }
            MigrationPhase::Back if !self.is_left(open) => {
                format!("migration {name} goes back once no instance uses the new shape")
            }
            MigrationPhase::Back => format!("migration {name} goes back{}{stopped}", progress()),
        })
    }
}

impl Turn {
    fn tell_schema(&mut self, name: &str, told: MigrationTold) {
        self.tell(Fact::Migration { name: name.to_owned(), told });
    }

    /// Begins the migration, and goes on when the candidate's schema is there.
    pub(super) fn migrate_step(&mut self, step: &MigrateStep) -> bool {
        let Some(rollout) = self.service.rollout.as_ref().filter(|r| r.paused.is_none()) else {
            return false;
        };
        if self.service.misfit(&rollout.candidate).is_none() {
            self.next_step(self.now);
            return true;
        }
        self.service.schemas.open.is_none() && self.begin_migration(step)
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
        });
        true
    }

    /// Takes in what became of an order. What is said twice or too late changes nothing.
    pub(super) fn migrated(&mut self, order: &MigrationOrder, news: &MigrationNews) {
        let is_owed = migrations_wanted(&self.service).iter().any(|owed| {
            owed.rollout == order.rollout && owed.goal == order.goal
        });
        if !is_owed {
            return;
        }
        match (&order.goal, news) {
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

    /// It can never be done as it was written: the candidate is not for this database.
    fn migration_refused(&mut self, why: &str) {
        let Some(rollout) = self.service.rollout.as_ref() else { return };
        let name = self.service.schemas.open.as_ref().map_or("", |open| &open.name);
        let cause = rollout.cause("migration", format!("migration {name}: {why}"), None);
        self.revert(Outcome::RolledBack, cause);
    }

    fn give_view(&mut self, view: &str) {
        let Some(open) = self.service.schemas.open.as_ref() else { return };
        let known = self.service.revisions.get_mut(&open.revision);
        if let Some(database) = known.and_then(|known| known.run.database.as_mut()) {
            database.view = Some(view.to_owned());
        }
    }

    fn schema_ready(&mut self, news: &MigrationNews) {
        let MigrationNews::Ready { name, view, after, by_hand } = news else { return };
        self.give_view(view);
        let now = self.now;
        let Some(open) = self.service.schemas.open.as_mut() else { return };
        open.name.clone_from(name);
        open.view = Some(view.clone());
        open.phase = MigrationPhase::Dual;
        (open.after, open.by_hand) = (*after, *by_hand);
        (open.progress, open.stopped) = (None, None);
        let took = now.since(open.since);
        self.tell_schema(name, MigrationTold::Ready { after: took });
    }

    fn schema_applied(&mut self, name: &str, view: &str) {
        self.give_view(view);
        let schemas = &mut self.service.schemas;
        schemas.open = None;
        let before = schemas.settled.replace(view.to_owned());
        schemas.beside.insert(before);
        schemas.settled_by = Some(name.to_owned());
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

    fn contract_refused(&mut self, why: &str) {
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
        (open.progress, open.stopped) = (None, None);
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

    /// A service that is removed leaves a schema that both shapes use as it is.
    pub(super) fn leave_schema(&mut self) {
        let open = self.service.schemas.open.as_ref();
        let Some(open) = open.filter(|open| open.phase != MigrationPhase::Back) else { return };
        let name = open.name.clone();
        self.service.schemas.open = None;
        self.tell_schema(&name, MigrationTold::Left);
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

    /// A revision that was in use with a shape that is gone is not tried with another one.
    pub(super) fn refuse_schema(&self, ask: &DeployAsk) -> Answer {
        let known = self.service.revisions.get(&ask.revision);
        let used = known.is_some_and(|known| known.promoted_at.is_some());
        let used = used && !self.service.brings_schema(&ask.revision);
        match self.service.misfit(&ask.revision).filter(|_| used) {
            Some(why) => Err(self.no_schema(why)),
            None => Ok(()),
        }
    }

    pub(super) fn no_schema(&self, why: String) -> Refusal {
        let hint = match self.service.rollback_target() {
            Some(to) => {
                format!("go back to {} instead, or deploy a version for the schema there is", to.version)
            }
            None => "deploy a version that is written for the schema there is".to_owned(),
        };
        Refusal::new(Code::Schema, why, &hint)
    }

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
            _ => return Err(self.not_promoted(open)),
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

    fn not_promoted(&self, open: &OpenMigration) -> Refusal {
        let back = open.phase == MigrationPhase::Back;
        let what = if back { "is being taken back" } else { "belongs to a rollout under way" };
        let message = format!("migration {} {what}", open.name);
        Refusal::new(Code::Schema, message, "see `serin status`; the old shape stays until then")
    }

    /// What speaks against dropping the old shape now. Instances that use it are never set aside.
    fn against_contract(&self, open: &OpenMigration, set_aside: Option<&str>) -> Option<String> {
        let old = self.service.on_old_schema(open);
        if let Some((id, n)) = old.first() {
            return Some(format!("{n} instances of {} use the old shape", id.version));
        }
        let goes_there = |r: &&Rollout| self.service.sees_new(open, &r.candidate) == Some(false);
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
        if self.service.rollout.is_some() || self.service.removing {
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
}
