//! The aggregate: one service with everything the engine knows of it.

use crate::engine::trade;
use crate::flag::old_variant;
use crate::{
    Actor, Boarded, Clients, Colour, DataFormats, Generation, Hold, Kept, Millis, Observation,
    Phase, Plan, Queued, RevisionId, Rollout, RolloutRecord, RunSpec, Schemas, ServiceName,
    ServiceSpec, Shared, Switched, Timestamp,
};
use serde::{Deserialize, Serialize};
use serin_stats::Judge;
use std::collections::BTreeMap;

/// Everything the engine knows of one service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Service {
    /// Its name.
    pub name: ServiceName,
    /// What its owner wants, as of the last deploy.
    pub spec: ServiceSpec,
    /// The trusted revision; `None` until the first one is up.
    pub stable: Option<RevisionId>,
    /// Revisions known; at most [`ServiceSpec::history_limit`] besides those in use.
    pub revisions: BTreeMap<RevisionId, Revision>,
    /// The move under way.
    pub rollout: Option<Rollout>,
    /// The last move that ended.
    pub last: Option<RolloutRecord>,
    /// The world that is owed, with or without a rollout.
    pub plan: Option<Shared<Plan>>,
    /// The newest look at the world.
    pub observed: Observation,
    /// Evidence of rollouts that ended without promotion, by candidate: a revision tried again
    /// goes on from there.
    pub evidence: BTreeMap<RevisionId, Shared<Inherited>>,
    /// Generation of the newest plan.
    pub generation: Generation,
    /// Number of the next rollout, from 1.
    pub next_rollout: u64,
    /// The service is being taken away.
    pub removing: bool,
    /// The deploy that waits for the rollout under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queued: Option<Queued>,
    /// Deploys that wait for their train, in the order they leave; at most two.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub boarded: Vec<Boarded>,
    /// The revision whose instances stay without traffic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<Kept>,
    /// What is not deployed again by itself since the last way back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Hold>,
    /// Flags that rollouts changed, oldest first; they go back with the code.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub switched: Vec<Switched>,
    /// The shapes of its database.
    #[serde(default, skip_serializing_if = "Schemas::is_plain")]
    pub schemas: Schemas,
}

/// Evidence that a later rollout of the same pair takes up again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Inherited {
    /// The stable revision it was compared with.
    pub baseline: RevisionId,
    /// Where the judge stood.
    pub judge: Judge,
}

/// One revision that was deployed at some time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Revision {
    /// How its instances run.
    pub run: Shared<RunSpec>,
    /// What came of it.
    pub standing: RevisionStanding,
    /// When it was first asked for.
    pub created_at: Timestamp,
    /// When it last became stable.
    pub promoted_at: Option<Timestamp>,
    /// In which rollout it last became stable: an order that holds when clocks are turned back; 0
    /// when that is not known.
    #[serde(default)]
    pub promoted_in: u64,
    /// Which of the two sets of resources is its own; never that of the revision it replaces.
    #[serde(default)]
    pub colour: Colour,
    /// Data formats it understands; `None` when nobody said.
    #[serde(default)]
    pub data: Option<DataFormats>,
    /// Clients it serves; `None` when nobody said: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clients: Option<Clients>,
    /// Since when it counts as good if nothing brings it down before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub good_at: Option<Timestamp>,
    /// Its error rate as stable in the last comparison, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usual: Option<f64>,
    /// A person called it bad.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub marked: Option<Marked>,
}

/// A person called a revision bad.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marked {
    /// Who.
    pub by: Actor,
    /// When.
    pub at: Timestamp,
    /// Why, in their words.
    pub reason: Option<String>,
    /// What it was before.
    pub was: RevisionStanding,
}

/// What is known of a revision's worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RevisionStanding {
    /// Not finished yet, or ended by a person.
    Untried,
    /// It was promoted, and the time in which a way back is easy has not passed.
    Promoted,
    /// It was promoted and stayed.
    Good,
    /// It was rolled back by evidence or health.
    Bad,
    /// It was good until a person rolled back from it.
    Left,
}

impl RevisionStanding {
    /// How much a revision of this standing is worth keeping.
    fn worth(self) -> u8 {
        match self {
            Self::Untried => 0,
            Self::Bad => 1,
            Self::Left => 2,
            Self::Promoted => 3,
            Self::Good => 4,
        }
    }
}

impl Service {
    /// A service nobody has deployed to yet. Of a flag the old variant is there already: nothing
    /// has to be started for it.
    pub fn new(spec: ServiceSpec) -> Self {
        let old = spec.flag.as_ref().map(|flag| (flag.off.clone(), old_variant()));
        Self {
            name: spec.name.clone(),
            stable: old.as_ref().map(|(id, _)| id.clone()),
            revisions: old.into_iter().collect(),
            spec,
            rollout: None,
            last: None,
            plan: None,
            observed: Observation::default(),
            evidence: BTreeMap::new(),
            generation: Generation::default(),
            next_rollout: 1,
            removing: false,
            queued: None,
            boarded: vec![],
            kept: None,
            switched: vec![],
            schemas: Schemas::default(),
            hold: None,
        }
    }

    /// Whether the data plane has the newest plan on its disk.
    pub fn is_applied(&self) -> bool {
        match (&self.plan, self.observed.applied) {
            (Some(plan), Some(applied)) => applied >= plan.generation,
            (None, _) => true,
            _ => false,
        }
    }

    /// Whether anything was seen since this controller took over. Shares follow what is seen, not
    /// what the one before saw.
    pub(crate) fn is_seen(&self) -> bool {
        self.observed.applied.is_some()
    }

    /// Whether counts are wanted now: a candidate is on trial, or a way back is to be proven.
    pub fn wants_counts(&self) -> bool {
        let wanted = |r: &Rollout| {
            let proving = r.back.as_ref().is_some_and(|back| !back.is_measured());
            (r.kind.is_tried() && r.is_on_trial()) || proving
        };
        self.rollout.as_ref().is_some_and(wanted)
    }

    /// The state in one word: `stable`, `starting`, `rolling-out`, `paused`, `rolling-back`,
    /// `finishing`, `removing` or `down`.
    pub fn state(&self) -> &'static str {
        match &self.rollout {
            _ if self.removing => "removing",
            None if self.stable.is_some() => "stable",
            None => "down",
            Some(r) if matches!(r.phase, Phase::Reverting { .. }) => "rolling-back",
            Some(r) if matches!(r.phase, Phase::Retiring) => "finishing",
            Some(r) if r.paused.is_some() => "paused",
            Some(r) if r.baseline.is_none() => "starting",
            Some(_) => "rolling-out",
        }
    }

    /// Whether it was removed and nothing of it is left.
    pub fn is_gone(&self) -> bool {
        let seen = &self.observed;
        let empty = seen.revisions.is_empty() && seen.fresh.is_none() && self.rollout.is_none();
        self.removing && self.is_applied() && empty && !self.owes_schema_back()
    }

    /// Instances the candidate needs for a share: the share of the replicas rounded up, at least
    /// two when it is analysed, never more than the replicas.
    pub fn candidate_size(&self, share: crate::Weight, analysed: bool) -> u32 {
        let replicas = self.spec.replicas;
        let exact = u64::from(replicas) * u64::from(share.parts());
        let by_share = exact.div_ceil(100_000) as u32;
        by_share.max(if analysed { 2 } else { 1 }).min(replicas)
    }

    /// Instances of the candidate beside stable now: by its share, or as a step said.
    pub(crate) fn wanted_size(&self, rollout: &Rollout) -> u32 {
        let by_share = self.candidate_size(rollout.size_for, rollout.is_analysed());
        trade::size(rollout, rollout.size_for, by_share, self.spec.replicas)
    }

    /// Instances of the candidate that must be ready before it gets `goal`: what its share needs,
    /// or fewer where a step said so.
    pub(crate) fn needed_size(&self, rollout: &Rollout, goal: crate::Weight) -> u32 {
        let by_share = self.candidate_size(goal, rollout.is_analysed());
        trade::size(rollout, goal, by_share, self.spec.replicas).clamp(1, by_share.max(1))
    }

    /// `id` as it is called here: the known one that is the same, or with the next number when
    /// something else has its name.
    pub fn called(&self, id: RevisionId) -> RevisionId {
        let queued = self.queued.iter().map(|queued| &queued.deploy.revision);
        let boarded = self.boarded.iter().map(|boarded| &boarded.deploy.revision);
        let known = self.revisions.keys().chain(queued).chain(boarded);
        let namesakes = known.filter(|known| known.version.name() == id.version.name());
        let namesakes: Vec<_> = namesakes.collect();
        if let Some(same) = namesakes.iter().find(|known| known.digest == id.digest) {
            return (*same).clone();
        }
        let last = namesakes.iter().map(|known| known.version.make()).max().unwrap_or(0);
        RevisionId { version: id.version.with_make(last + 1), ..id }
    }

    pub(crate) fn forget_old_revisions(&mut self) {
        while self.free().count() > self.spec.history_limit.max(1) as usize {
            let Some(least) = self.least_wanted().cloned() else { return };
            self.revisions.remove(&least);
            self.evidence.remove(&least);
        }
    }

    /// Revisions that nothing needs: what is in use and the way back are left out.
    fn free(&self) -> impl Iterator<Item = (&RevisionId, &Revision)> {
        let last_good = self.last_good();
        let in_use = move |id: &RevisionId| {
            self.stable.as_ref() == Some(id)
                || self.rollout.as_ref().is_some_and(|r| r.involves(id))
                || last_good == Some(id)
                || self.kept.as_ref().is_some_and(|kept| kept.revision == *id)
                || self.hold.as_ref().is_some_and(|hold| hold.left == *id)
                || self.schemas.open.as_ref().is_some_and(|open| open.revision == *id)
        };
        self.revisions.iter().filter(move |(id, _)| !in_use(id))
    }

    /// What is forgotten first: what never was good, then the oldest.
    fn least_wanted(&self) -> Option<&RevisionId> {
        let least = self.free().min_by_key(|(id, r)| (r.standing.worth(), r.created_at, *id));
        least.map(|(id, _)| id)
    }

    /// How long the ready instances of `revision` have all been ready.
    pub(crate) fn ready_for(&self, revision: &RevisionId, now: Timestamp) -> Millis {
        let seen = self.observed.revisions.get(revision);
        seen.and_then(|r| r.youngest_ready_at).map_or(Millis(0), |at| now.since(at))
    }

    pub(crate) fn ready(&self, revision: &RevisionId) -> u32 {
        self.observed.revisions.get(revision).map_or(0, |r| r.ready)
    }
}
