//! The desired world of one service, in so much detail that whoever carries it out has no choice
//! left to make.

use crate::{
    AffinityKey, CarriedFlags, Clients, Colour, FlagSpec, Generation, Goal, HeaderMatch, Millis,
    RequestMatch, RevisionId, RunSpec, ServiceName, Shared, Weight,
};
use serde::{Deserialize, Serialize};
use serin_stats::threshold::Signal;
use std::{collections::BTreeMap, net::SocketAddr};

/// What one service's world shall be. Immutable; a newer generation replaces it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Whose world.
    pub service: ServiceName,
    /// Its place in order.
    pub generation: Generation,
    /// Address of the load balancer; none for a worker.
    pub listen: Option<SocketAddr>,
    /// Time a request may take until its answer starts; zero for no limit.
    pub request_timeout: Millis,
    /// Requests on instances that have been ready for less than this are no evidence.
    pub warm_up: Millis,
    /// Users stay with the arm they were dealt to; `None` deals each request anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub affinity: Option<Affinity>,
    /// Revisions that shall exist. One that is not named here shall be drained and stopped.
    pub revisions: BTreeMap<RevisionId, RevisionPlan>,
    /// Requests with this header say themselves where they go. Before everything else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub override_header: Option<String>,
    /// Requests that go somewhere because of their headers, in order; before cookie and weight.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Rule>,
    /// Only requests with one of these headers are dealt by weight; the others go to stable.
    /// Empty: all are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub only: Vec<HeaderMatch>,
    /// Where copies of requests go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mirror: Option<Mirror>,
    /// An address of its own for one revision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preview: Option<Preview>,
    /// Requests that count as success.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub goal: Option<Goal>,
    /// Time that requests get to end on an instance that leaves.
    #[serde(default = "crate::spec::drain")]
    pub drain: Millis,
    /// Flags that requests carry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carries: Option<CarriedFlags>,
    /// Which clients revisions serve, where somebody said so and there is a choice.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub clients: BTreeMap<RevisionId, Clients>,
    /// Set where the revisions are variants of this flag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flag: Option<FlagSpec>,
    /// What is measured at the instances, each under the name of its check.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub measures: BTreeMap<String, Measure>,
}

/// Something that is measured at the instances of every revision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measure {
    /// What; one of those that [`Signal::is_measured`] says.
    pub signal: Signal,
    /// How far back it looks, where it looks back.
    pub window: Millis,
}

/// Requests led to one revision because of their headers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Its name within the rollout.
    pub name: String,
    /// Any of these.
    pub matches: Vec<HeaderMatch>,
    /// Where they go.
    pub to: RevisionId,
}

/// Copies of requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mirror {
    /// Where they go.
    pub to: RevisionId,
    /// Any of these; empty for all requests with a safe method.
    pub matches: Vec<RequestMatch>,
    /// Share of those that match.
    pub share: Weight,
}

/// An address that leads to one revision alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preview {
    /// The address.
    pub listen: SocketAddr,
    /// Where it leads.
    pub to: RevisionId,
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
    pub run: Shared<RunSpec>,
    /// Further instances of it, started beside the candidate to be compared with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fresh: Option<FreshBaseline>,
    /// Which of the two sets of resources is its own.
    #[serde(default)]
    pub colour: Colour,
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
    /// An arm of an experiment beside the two.
    Variant,
    /// Kept without traffic: for a way back, or to look at.
    Kept,
}

impl Role {
    /// The word for `$(ROLE)` and labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stable => "stable",
            Self::Candidate => "candidate",
            Self::Variant => "variant",
            Self::Kept => "kept",
        }
    }
}

impl Plan {
    /// The plan of a service of which nothing shall run.
    pub fn empty(service: ServiceName, generation: Generation) -> Self {
        Self {
            service,
            generation,
            listen: None,
            request_timeout: Millis(0),
            warm_up: Millis(0),
            affinity: None,
            revisions: BTreeMap::new(),
            override_header: None,
            rules: vec![],
            only: vec![],
            mirror: None,
            preview: None,
            goal: None,
            drain: crate::spec::drain(),
            carries: None,
            clients: BTreeMap::new(),
            flag: None,
            measures: BTreeMap::new(),
        }
    }

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
