//! What the owner of all state needs of the machine.

use serin_core::{Plan, RevisionId, RunSpec, ServiceName, Shared};
use serin_local::wire::Counters;
use serin_local::{CheckedInstance, Local};
use std::pin::Pin;

/// What makes plans true.
pub trait Platform: Send + Sync + 'static {
    /// Makes `plan` true, and keeps it true. May be repeated; an older generation is ignored.
    fn apply(&self, plan: Plan);

    /// Stops everything of a service.
    fn remove(&self, service: ServiceName);

    /// Everything counted so far; `None` when the data plane does not answer.
    fn counters(&self) -> Counting;

    /// What is evidence about these services, and as little else as there can be.
    fn evidence(&self, services: Vec<ServiceName>) -> Counting;

    /// Looks at every instance of a revision, which runs as the last parameter says; none where
    /// there are no processes.
    fn check_up(&self, _: ServiceName, _: RevisionId, _: Shared<RunSpec>) -> Looking {
        Box::pin(async { vec![] })
    }
}

/// Counters on their way.
pub type Counting = Pin<Box<dyn Future<Output = Option<Counters>> + Send>>;

/// Looks at instances on their way.
pub type Looking = Pin<Box<dyn Future<Output = Vec<CheckedInstance>> + Send>>;

impl Platform for Local {
    fn apply(&self, plan: Plan) {
        Self::apply(self, plan);
    }

    fn remove(&self, service: ServiceName) {
        Self::remove(self, service);
    }

    fn counters(&self) -> Counting {
        let local = self.clone();
        Box::pin(async move { Self::counters(&local).await.ok() })
    }

    fn evidence(&self, services: Vec<ServiceName>) -> Counting {
        let local = self.clone();
        Box::pin(async move { Self::evidence(&local, &services).await.ok() })
    }

    fn check_up(&self, service: ServiceName, id: RevisionId, run: Shared<RunSpec>) -> Looking {
        let local = self.clone();
        Box::pin(async move { Self::check_up(&local, &service, &id, run).await })
    }
}
