//! The desired world of one service, in so much detail that whoever carries it out has no choice
//! left to make.

use crate::{AffinityKey, Generation, Millis, RevisionId, RunSpec, ServiceName, Weight};
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
    /// Users stay with the arm they were dealt to; `None` deals each request anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub affinity: Option<Affinity>,
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
    /// Further instances of it, started beside the candidate to be compared with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fresh: Option<FreshBaseline>,
}

/// A baseline as young as the candidate: as many instances, started at the same time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FreshBaseline {
    /// Its instances, beside the revision's own.
    pub replicas: u32,
    /// Its share of requests, beside the revision's own.
    pub weight: Weight,
}

/// How users are kept with their arm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Affinity {
    /// What tells users apart.
    pub key: AffinityKey,
    /// Each user is counted once in each window of this length.
    pub window: Millis,
    /// Mixed into the key, so that each rollout deals users anew.
    pub salt: String,
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
