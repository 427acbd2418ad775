//! The desired world of one service, in so much detail that whoever carries it out has no choice
//! left to make.

use crate::{Generation, Millis, RevisionId, RunSpec, ServiceName, Weight};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, net::SocketAddr};

/// What one service's world shall be. Immutable; a newer generation replaces it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Whose world.
    pub service: ServiceName,
    /// Its place in order.
    pub generation: Generation,
    /// Address of the load balancer.
    pub listen: SocketAddr,
    /// Time a request may take until its answer starts; zero for no limit.
    pub request_timeout: Millis,
    /// Requests on instances that have been ready for less than this are no evidence.
    pub warm_up: Millis,
    /// Revisions that shall exist. One that is not named here shall be drained and stopped.
    pub revisions: BTreeMap<RevisionId, RevisionPlan>,
}

/// What one revision shall be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RevisionPlan {
    /// Its part in the rollout.
    pub role: Role,
    /// Instances that shall run.
    pub replicas: u32,
    /// Its share of requests.
    pub weight: Weight,
    /// How its instances run.
    pub run: RunSpec,
}

/// A revision's part in its service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Role {
    /// Trusted.
    Stable,
    /// On trial.
    Candidate,
}

impl Role {
    /// The word for `$(ROLE)` and labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stable => "stable",
            Self::Candidate => "candidate",
        }
    }
}

impl Plan {
    /// The share of `revision`; nothing when the plan does not name it.
    pub fn weight(&self, revision: &RevisionId) -> Weight {
        self.revisions.get(revision).map_or(Weight::NONE, |r| r.weight)
    }

    /// The revision in `role`, if the plan has one.
    pub fn in_role(&self, role: Role) -> Option<(&RevisionId, &RevisionPlan)> {
        self.revisions.iter().find(|(_, r)| r.role == role)
    }

    /// Whether it wants the same world as `other`, whatever their generations.
    pub fn same_world(&self, other: &Self) -> bool {
        Self { generation: other.generation, ..self.clone() } == *other
    }
}
