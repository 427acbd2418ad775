//! What the owner of all state needs of the machine.

use serin_core::{Plan, ServiceName};
use serin_local::Local;
use serin_local::wire::Counters;
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
}

/// Counters on their way.
pub type Counting = Pin<Box<dyn Future<Output = Option<Counters>> + Send>>;

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
}
