//! Who can run with the shapes that the database has, and what there is to say of them.

use crate::{
    MigrationPhase, Millis, OpenMigration, RevisionId, RunSpec, Service, ServiceName, Timestamp,
};

pub(crate) fn view_of(run: &RunSpec) -> Option<&str> {
    run.database.as_ref()?.view.as_deref()
}

fn goes(open: &OpenMigration, id: &RevisionId) -> String {
    let (name, version) = (&open.name, &id.version);
    format!("the contract of migration {name} is under way, and {version} uses the old shape")
}

/// How far it is, or what is in the way.
pub(crate) fn standing(open: &OpenMigration) -> String {
    let progress = || open.progress.as_ref().map(ToString::to_string);
    open.stopped.clone().or_else(progress).unwrap_or_else(|| "to begin".into())
}

/// Why another migration of `service` waits for `open`.
pub(crate) fn blocked_by(service: &ServiceName, open: &OpenMigration) -> String {
    let what = match open.phase {
        MigrationPhase::Back => "is being taken back".into(),
        MigrationPhase::Contracting { .. } => "is losing its old shape".into(),
        MigrationPhase::Halting { .. } => "has its contract stopped".into(),
        _ if open.by_hand => {
            format!("has both shapes in use: `serin migrate contract {service}` ends it")
        }
        _ => "has both shapes in use: its contract comes by itself".to_owned(),
    };
    format!("one at a time, and {} of {} {what}", open.name, open.revision.version)
}

impl Service {
    /// Why instances of `id` cannot run with the shapes that the database has; `None` when they
    /// can.
    pub fn misfit(&self, id: &RevisionId) -> Option<String> {
        self.misfit_in(id, self.schemas.open.as_ref().map(|open| &open.phase))
    }

    /// Whether instances of `id` could run if only the contract under way were stopped.
    pub(crate) fn fits_without_contract(&self, id: &RevisionId) -> bool {
        let open = self.schemas.open.as_ref();
        let promoted = open.and_then(|open| match open.phase {
            MigrationPhase::Contracting { promoted, .. }
            | MigrationPhase::Halting { promoted, .. } => {
                Some(MigrationPhase::Promoted { at: promoted })
            }
            _ => None,
        });
        promoted.is_some_and(|phase| self.misfit_in(id, Some(&phase)).is_none())
    }

    /// The same, as if the open migration were in `phase`.
    fn misfit_in(&self, id: &RevisionId, phase: Option<&MigrationPhase>) -> Option<String> {
        let known = self.revisions.get(id)?;
        // What was taken back leaves a plain database, and revisions that ran with it.
        let has_own = self.brings_schema(id) || view_of(&known.run).is_some();
        if self.schemas.is_plain() && !has_own {
            return None;
        }
        let Some(database) = known.run.database.as_ref() else {
            return self.unmanaged(id, phase);
        };
        let version = &id.version;
        if database.migration.is_some() && database.view.is_none() {
            return Some(format!("the schema that {version} brings is not ready"));
        }
        let view = database.view.as_deref();
        let open = self.schemas.open.as_ref();
        let is_new = |open: &OpenMigration| view.is_some() && open.view.as_deref() == view;
        match open.zip(phase) {
            Some((open, MigrationPhase::Back)) if is_new(open) => {
                Some(format!("migration {} is being taken back, and {version} needs it", open.name))
            }
            Some((open, _)) if is_new(open) => None,
            Some((open, MigrationPhase::Contracting { .. } | MigrationPhase::Halting { .. })) => {
                Some(goes(open, id))
            }
            _ if self.schemas.settled == database.view => None,
            _ if self.schemas.beside.contains(&database.view) => None,
            _ => Some(self.gone(version.as_str())),
        }
    }

    pub(crate) fn brings_schema(&self, id: &RevisionId) -> bool {
        let database = self.revisions.get(id).and_then(|known| known.run.database.as_ref());
        database.is_some_and(|database| database.migration.is_some())
    }

    /// Of a revision that says nothing of a database: when it was in use before the last contract,
    /// it used what is gone.
    fn unmanaged(&self, id: &RevisionId, phase: Option<&MigrationPhase>) -> Option<String> {
        let used_at = self.revisions.get(id)?.promoted_at?;
        let going = self.schemas.open.as_ref().zip(phase);
        let going = going.filter(|(_, phase)| {
            matches!(phase, MigrationPhase::Contracting { .. } | MigrationPhase::Halting { .. })
        });
        let gone = self.schemas.settled_at.filter(|at| used_at <= *at);
        let gone = gone.map(|_| self.gone(id.version.as_str()));
        going.map(|(open, _)| goes(open, id)).or(gone)
    }

    fn gone(&self, version: &str) -> String {
        let by = self.schemas.settled_by.as_deref();
        by.map_or_else(
            || format!("the schema that {version} uses was taken back with its migration"),
            |name| format!("the schema that {version} uses is gone since the contract of {name}"),
        )
    }

    /// Whether instances of `id` see the new shape of `open`; `None` when nobody knows.
    pub(crate) fn sees_new(&self, open: &OpenMigration, id: &RevisionId) -> Option<bool> {
        let planned = || self.plan.as_deref().and_then(|plan| plan.revisions.get(id));
        let known = self.revisions.get(id).map(|known| &*known.run);
        let run = known.or_else(|| planned().map(|planned| &*planned.run))?;
        Some(open.view.is_some() && view_of(run) == open.view.as_deref())
    }

    /// Whether nothing uses the new shape any more, and nothing is about to.
    pub(crate) fn is_left(&self, open: &OpenMigration) -> bool {
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

    /// The views of the open migration, when `id` brings the very same one and may use it.
    pub(crate) fn is_open_already(&self, id: &RevisionId) -> Option<String> {
        let open = self.schemas.open.as_ref()?;
        let brings = self.revisions.get(id)?.run.database.as_ref()?.migration.as_ref()?;
        let same = open.database.migration.as_ref() == Some(brings);
        let rests = matches!(open.phase, MigrationPhase::Dual | MigrationPhase::Promoted { .. });
        open.view.clone().filter(|_| same && rests)
    }

    /// Whether the database still has to go back before the service may be forgotten.
    pub(crate) fn owes_schema_back(&self) -> bool {
        let open = self.schemas.open.as_ref();
        open.is_some_and(|open| open.phase == MigrationPhase::Back)
    }

    /// What there is to say of the open migration beside a rollout.
    pub fn schema_sentence(&self, now: Timestamp) -> Option<String> {
        let open = self.schemas.open.as_ref()?;
        let name = &open.name;
        let progress = || open.progress.as_ref().map_or(String::new(), |p| format!(" ({p})"));
        let doubt = open.doubt.as_ref().map(ToString::to_string);
        let against = open.stopped.iter().chain(&doubt);
        let stopped = against.fold(String::new(), |text, why| format!("{text}; {why}"));
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
            MigrationPhase::Halting { .. } => {
                format!("migration {name}: the contract is to stop{stopped}")
            }
            MigrationPhase::Back if !self.is_left(open) => {
                format!("migration {name} goes back once no instance uses the new shape")
            }
            MigrationPhase::Back => format!("migration {name} goes back{}{stopped}", progress()),
        })
    }
}
