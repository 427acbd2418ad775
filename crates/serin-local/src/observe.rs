//! What is told about a fleet: to the engine as an [`Observation`], to people as
//! [`InstanceView`]s.

use crate::crew::{Crew, crews};
use crate::kept;
use crate::published::sum;
use crate::route::address;
use crate::usage::Usage;
use crate::world::{Fleet, Instance, Phase, PhaseName};
use serde::Serialize;
use serin_core::{ExitCause, Observation, Plan, RevisionId, RevisionObservation, Role, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// One instance, for people and the API.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InstanceView {
    /// Its name.
    pub id: String,
    /// What it runs.
    pub revision: RevisionId,
    /// Its revision's role now.
    pub role: Role,
    /// Whether it belongs to the fresh baseline, beside its revision's own instances.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub baseline: bool,
    /// Where it is in its life.
    pub phase: PhaseName,
    /// Its port on 127.0.0.1.
    pub port: u16,
    /// Its process id.
    pub pid: Option<i32>,
    /// When it was started.
    pub started_at: Timestamp,
    /// Since when it is ready.
    pub ready_since: Option<Timestamp>,
    /// Instances of its crew lost so far: of its revision's own, or of the baseline.
    pub restarts: u32,
    /// Requests and upgraded connections on it.
    pub in_flight: u64,
    /// What it used when last looked at.
    pub usage: Option<Usage>,
    /// Digest of what it runs.
    pub artefact: Option<String>,
    /// The last readiness probe in words.
    pub last_probe: Option<String>,
    /// How it ended.
    pub exit: Option<ExitCause>,
}

/// Moves times of the steady clock to the wall clock, in milliseconds.
pub(crate) type Shift = i64;

/// What the engine is told: ready is an instance that is ready and that the data plane knows as
/// such. `seq` is for the caller to fill in.
pub fn observation(plan: Option<&Plan>, fleet: &Fleet, shift: Shift) -> Observation {
    let planned = plan.into_iter().flat_map(crews).map(|(crew, _)| crew);
    let alive = fleet.instances.values().filter(|i| i.is_alive()).map(|i| i.crew.clone());
    let (baselines, own): (BTreeSet<Crew>, BTreeSet<Crew>) =
        planned.chain(alive).partition(|crew| crew.baseline);
    // One that a former plan wanted may still be on its way out: the planned one is told of.
    let wanted = |crew: &&Crew| plan.is_some_and(|plan| crew.wanted(plan).is_some());
    let baseline = baselines.iter().find(wanted).or(baselines.first());
    let fresh = baseline.map(|crew| {
        let seen = seen_of(plan, fleet, crew, shift);
        complete(seen, fleet, crew)
    });
    let told = |crew: Crew| (crew.revision.clone(), seen_of(plan, fleet, &crew, shift));
    Observation {
        seq: (0, 0),
        applied: fleet.table.applied(plan),
        revisions: own.into_iter().map(told).collect(),
        fresh,
        trouble: fleet.table.trouble.clone(),
    }
}

/// The baseline as seen, with what is left of those of other revisions. It drifts also when it
/// runs something else than the revision's own instances: then it compares with nothing.
fn complete(seen: RevisionObservation, fleet: &Fleet, crew: &Crew) -> RevisionObservation {
    let others = || {
        let others = fleet.instances.values().filter(|i| i.crew.baseline && i.crew != *crew);
        others.filter(|i| i.is_alive())
    };
    let revision = fleet.instances.values().filter(|i| i.crew.revision == crew.revision);
    RevisionObservation {
        drift: drift(revision),
        stopping: seen.stopping + others().count() as u32,
        in_flight: seen.in_flight + others().map(|i| i.load.in_flight).sum::<u64>(),
        ..seen
    }
}

fn seen_of(plan: Option<&Plan>, fleet: &Fleet, crew: &Crew, shift: Shift) -> RevisionObservation {
    let of = || fleet.instances.values().filter(|i| i.crew == *crew);
    let serving = || of().filter(|i| i.is_serving(&fleet.table));
    let leaving =
        |i: &&Instance| matches!(i.phase, Phase::Draining { .. } | Phase::Stopping { .. });
    let ready = serving().count() as u32;
    let tally = fleet.tally(crew);
    let wanted = plan.and_then(|plan| crew.wanted(plan));
    let slots = wanted.map_or(u32::MAX, |w| w.replicas);
    RevisionObservation {
        addresses: serving().map(|i| address(i.port)).collect(),
        published: sum(serving()),
        measured: BTreeMap::new(),
        starting: of().filter(|i| i.holds_slot()).count() as u32 - ready,
        ready,
        stopping: of().filter(leaving).count() as u32,
        youngest_ready_at: serving()
            .filter_map(Instance::ready_since)
            .max()
            .map(|t| shifted(t, shift)),
        restarts: tally.restarts,
        in_flight: of().filter(|i| i.is_alive()).map(|i| i.load.in_flight).sum(),
        lost: tally.lost,
        failure: tally.failure.filter(|(slot, _)| *slot < slots).map(|(_, failure)| failure),
        drift: drift(of()),
    }
}

/// Whether living instances run different artefacts, or another one than was deployed.
fn drift<'a>(instances: impl Iterator<Item = &'a Instance>) -> bool {
    let living = instances.filter(|i| i.is_alive());
    let artefacts: BTreeSet<_> = living.filter_map(|i| i.artefact.as_deref()).collect();
    artefacts.len() > 1 || artefacts.iter().any(|artefact| artefact.starts_with(kept::CHANGED))
}

fn shifted(at: Timestamp, shift: Shift) -> Timestamp {
    Timestamp(at.0 + shift)
}

/// All instances known, the ended ones last. What they use is for the caller to fill in.
pub fn views(plan: Option<&Plan>, fleet: &Fleet, shift: Shift) -> Vec<InstanceView> {
    let mut all: Vec<_> = fleet.instances.iter().collect();
    all.sort_by_key(|(_, i)| (!i.is_alive(), &i.crew, i.started));
    all.into_iter().map(|(id, i)| view(plan, fleet, (id, i), shift)).collect()
}

fn view(
    plan: Option<&Plan>,
    fleet: &Fleet,
    (id, instance): (&String, &Instance),
    shift: Shift,
) -> InstanceView {
    let planned = plan.and_then(|plan| instance.crew.wanted(plan));
    InstanceView {
        id: id.clone(),
        revision: instance.crew.revision.clone(),
        role: planned.map_or(instance.role, |p| p.role),
        baseline: instance.crew.baseline,
        phase: instance.phase.name(),
        port: instance.port,
        pid: instance.pid.filter(|_| instance.is_alive()),
        started_at: shifted(instance.started, shift),
        ready_since: instance.ready_since().map(|t| shifted(t, shift)),
        restarts: fleet.tallies.get(&instance.crew).map_or(0, |t| t.restarts),
        in_flight: instance.load.in_flight,
        usage: None,
        artefact: instance.artefact.clone(),
        last_probe: instance.readiness.last.clone(),
        exit: match &instance.phase {
            Phase::Exited { cause, .. } => Some(cause.clone()),
            _ => None,
        },
    }
}
