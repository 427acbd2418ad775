//! What the runner of a migration is told of the service: who lives, how far the rollout is, and
//! how the service fares.

use serin_core::{
    Doubt, MigrationPhase, OpenMigration, RevisionId, Service, Timestamp, application_prefix,
};
use serin_migrate::{Health, Promotion, World};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What is known of one service, as of the last event.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    old: Vec<String>,
    new: Vec<String>,
    old_applications: Vec<String>,
    new_applications: Vec<String>,
    promoted_at: Option<Timestamp>,
    objections: Vec<String>,
    doubt: Option<Doubt>,
    pub(super) health: Option<Health>,
}

/// Shared with the runner at work.
#[derive(Debug, Clone, Default)]
pub(super) struct Facts(Arc<Mutex<Known>>);

impl Facts {
    fn get(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in how the service is now.
    pub(super) fn look(&self, service: &Service, open: &OpenMigration) {
        let mut known = self.get();
        known.old = processes(service, &service.on_old_schema(open));
        known.new = processes(service, &service.on_new_schema(open));
        (known.old_applications, known.new_applications) = applications(service, open);
        known.promoted_at = match open.phase {
            MigrationPhase::Promoted { at } => Some(at),
            MigrationPhase::Contracting { promoted, .. }
            | MigrationPhase::Halting { promoted, .. } => Some(promoted),
            _ => None,
        };
        known.doubt.clone_from(&open.doubt);
        known.objections.clear();
        if service.rollout.as_ref().is_some_and(|r| service.misfit(&r.candidate).is_none()) {
            known.objections.push("a rollout is under way: let it end first".into());
        }
    }

    /// What is known against both shapes saying the same.
    pub(super) fn doubt(&self) -> Option<Doubt> {
        self.get().doubt.clone()
    }

    pub(super) fn fares(&self, health: Option<Health>) {
        self.get().health = health;
    }
}

/// One name for each process.
fn processes(service: &Service, seen: &[(RevisionId, u32)]) -> Vec<String> {
    let name = &service.name;
    let of = |(id, n): &(RevisionId, u32)| {
        (1..=*n).map(|at| format!("{name}/{} {at}", id.version)).collect::<Vec<_>>()
    };
    seen.iter().flat_map(of).collect()
}

/// Names of connections of all known revisions, those that see the old shape first.
fn applications(service: &Service, open: &OpenMigration) -> (Vec<String>, Vec<String>) {
    let sees_new = |id: &RevisionId| {
        let database = service.revisions.get(id).and_then(|known| known.run.database.as_ref());
        let view = database.and_then(|database| database.view.as_ref());
        view.is_some() && view == open.view.as_ref()
    };
    let (new, old): (Vec<_>, Vec<_>) = service.revisions.keys().partition(|id| sees_new(id));
    let names = |ids: Vec<&RevisionId>| {
        ids.into_iter().map(|id| application_prefix(&service.name, id)).collect()
    };
    (names(old), names(new))
}

impl World for Facts {
    fn old_instances(&self) -> Vec<String> {
        self.get().old.clone()
    }

    fn new_instances(&self) -> Vec<String> {
        self.get().new.clone()
    }

    fn old_applications(&self) -> Vec<String> {
        self.get().old_applications.clone()
    }

    fn new_applications(&self) -> Vec<String> {
        self.get().new_applications.clone()
    }

    fn promotion(&self) -> Promotion {
        let now = crate::control::now();
        self.get().promoted_at.map_or(Promotion::Pending, |at| Promotion::Since(now.since(at).0))
    }

    fn objections(&self) -> Vec<String> {
        self.get().objections.clone()
    }

    fn health(&self) -> Option<Health> {
        self.get().health
    }
}
