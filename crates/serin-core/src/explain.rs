//! Sentences for people, the same in command line, API, dashboard and audit.

mod places;
mod steps;

use crate::engine::{convict, fresh, keep};
use crate::outlook::units;
use crate::{
    FlagEvidence, Generation, Millis, PauseReason, Phase, RevisionId, Rollout, Service, Step,
    Timestamp, Weight,
};
use serde::{Deserialize, Serialize};
use serin_stats::Assessment;
use std::fmt;

/// Why a service is not moving, as data. `Display` is the sentence.
#[allow(missing_docs)] // the variants' own lines say what their fields are
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum WaitingOn {
    /// Nothing: no rollout, and the world is as planned.
    Nothing,
    /// The platform cannot act.
    Platform { trouble: String },
    /// The data plane has not confirmed the plan.
    Acknowledgement { generation: Generation },
    /// Instances that are not ready.
    Instances { revision: RevisionId, ready: u32, wanted: u32 },
    /// Instances of stable to compare with that are not ready.
    FreshBaseline { revision: RevisionId, ready: u32, wanted: u32 },
    /// A check that holds the rollout, and what it says.
    Check { why: String },
    /// Instances that have not been ready long enough to be judged fairly.
    WarmUp { revision: RevisionId, left: Millis },
    /// A time that has not come.
    Time { left: Millis, what: String },
    /// A person.
    Person { why: String },
    /// A person's word on going back; without it that is done when the time is over.
    Confirmation { why: String, left: Millis },
    /// Errors to come back to where they were before.
    Recovery { requests: u64, left: Millis },
    /// More requests on the candidate.
    Requests { have: u64, wanted: u64 },
    /// Evidence: of this metric the least is there.
    Evidence {
        metric: String,
        percent: u32,
        requests_missing: Option<u64>,
        #[serde(default)]
        users: bool,
    },
    /// Any traffic that can be judged.
    Traffic,
    /// Any outcome of a user that the app reports.
    Outcomes,
    /// Requests that still run on a revision that is leaving.
    Drain { revision: RevisionId, in_flight: u64 },
    /// Instances of this revision that give their places away and are not gone.
    Room { revision: RevisionId, leaving: u32, in_flight: u64 },
    /// Instances, and nobody answers users meanwhile: for so long now.
    Down { revision: RevisionId, ready: u32, wanted: u32, so_far: Millis },
    /// Tests against the candidate.
    Tests { running: Vec<String>, passed: u32, of: u32 },
    /// People who have to agree; `missing` is empty when anybody may.
    Approval { given: Vec<String>, wanted: u32, missing: Vec<String>, left: Option<Millis> },
    /// A flag that a step changes, and what is in the way.
    Flag { key: String, why: String },
    /// A migration of the database, how far it is, and what is in the way.
    Migration { name: String, what: String },
    /// The train that takes a deploy.
    Train { revision: RevisionId, departs: Timestamp, left: Millis },
    /// A winner among the arms of an experiment.
    Experiment { standing: String, missing: String, left: Millis },
}

/// Where the evidence of a flag comes from when no request says anything.
const NO_OUTCOMES: &str = "outcomes: none of a user with the new variant was reported yet; the app \
     sends them to $FEATURE_FLAGS_URL/v1/flag-outcomes, or spans to /v1/traces";

impl fmt::Display for WaitingOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("nothing"),
            Self::Platform { trouble } => f.write_str(trouble),
            Self::Acknowledgement { .. } => f.write_str("the data plane to confirm the plan"),
            Self::Instances { revision, ready, wanted } => {
                write!(f, "instances of {}: {ready} of {wanted} ready", revision.version)
            }
            Self::FreshBaseline { revision, ready, wanted } => write!(
                f,
                "fresh instances of {} to compare with: {ready} of {wanted} ready",
                revision.version
            ),
            Self::Check { why } => write!(f, "a check: {why}"),
            Self::WarmUp { revision, left } => {
                write!(f, "instances of {} to warm up ({left} left)", revision.version)
            }
            Self::Time { left, what } => write!(f, "{what} ({left} left)"),
            Self::Person { why } => f.write_str(why),
            Self::Confirmation { why, left } => write!(
                f,
                "a person: {why}; `serin abort` goes back now, `serin promote` keeps it; without \
                 an answer it goes back in {left}"
            ),
            Self::Recovery { requests, left } => {
                write!(f, "errors to come back ({requests} requests since, {left} left)")
            }
            Self::Requests { have, wanted } => {
                write!(f, "more requests on the candidate ({have} of {wanted})")
            }
            Self::Evidence { metric, percent, requests_missing, users } => {
                write!(f, "evidence on {metric}: {percent} % of what is needed")?;
                requests_missing
                    .map_or(Ok(()), |n| write!(f, ", about {n} more candidate {}", units(*users)))
            }
            Self::Traffic => {
                f.write_str("traffic: no request on the candidate could be judged yet")
            }
            Self::Outcomes => f.write_str(NO_OUTCOMES),
            Self::Drain { revision, in_flight: 0 } => {
                write!(f, "instances of {} to stop", revision.version)
            }
            Self::Drain { revision, in_flight } => {
                write!(f, "{in_flight} requests still running on {}", revision.version)
            }
            Self::Room { revision, leaving, in_flight } => {
                fmt_room(f, revision, *leaving, *in_flight)
            }
            Self::Down { revision, ready, wanted, so_far } => write!(
                f,
                "instances of {}: {ready} of {wanted} ready; nobody has answered users for {so_far}",
                revision.version
            ),
            Self::Train { revision, left, .. } => fmt_train(f, revision, *left),
            Self::Flag { key, why } => write!(f, "flag {key}: {why}"),
            Self::Migration { name, what } => write!(f, "migration {name}: {what}"),
            Self::Tests { running, passed, of } => {
                write!(f, "tests: {passed} of {of} passed")?;
                if running.is_empty() { Ok(()) } else { write!(f, ", {} run", running.join(", ")) }
            }
            Self::Approval { given, wanted, missing, left } => {
                fmt_approval(f, given, *wanted, missing, *left)
            }
            Self::Experiment { standing, missing, left } => {
                let needed = if missing.is_empty() { "requests on all arms" } else { missing };
                write!(f, "a winner of the experiment: {needed} ({left} left)")?;
                if standing.is_empty() { Ok(()) } else { write!(f, "; {standing}") }
            }
        }
    }
}

fn fmt_train(f: &mut fmt::Formatter<'_>, revision: &RevisionId, left: Millis) -> fmt::Result {
    write!(f, "the train that takes {} ({left} left)", revision.version)
}

fn fmt_room(
    f: &mut fmt::Formatter<'_>,
    revision: &RevisionId,
    leaving: u32,
    in_flight: u64,
) -> fmt::Result {
    let instances = if leaving == 1 { "instance" } else { "instances" };
    write!(f, "{leaving} {instances} of {} to stop", revision.version)?;
    if in_flight > 0 { write!(f, " ({in_flight} requests still running)") } else { Ok(()) }
}

fn fmt_approval(
    f: &mut fmt::Formatter<'_>,
    given: &[String],
    wanted: u32,
    missing: &[String],
    left: Option<Millis>,
) -> fmt::Result {
    write!(f, "approval with `serin approve`: {} of {wanted} given", given.len())?;
    if !given.is_empty() {
        write!(f, " by {}", given.join(", "))?;
    }
    if !missing.is_empty() {
        write!(f, "; {} may", missing.join(", "))?;
    }
    left.map_or(Ok(()), |left| write!(f, " ({left} left)"))
}

/// What `service` waits for at `now`.
pub fn waiting_on(service: &Service, now: Timestamp) -> WaitingOn {
    if let Some(trouble) = &service.observed.trouble {
        return WaitingOn::Platform { trouble: trouble.clone() };
    }
    match &service.rollout {
        Some(rollout) => of_kind(service, rollout_waits(service, rollout, now)),
        None if service.is_applied() => train(service, now),
        None => acknowledgement(service),
    }
}

fn train(service: &Service, now: Timestamp) -> WaitingOn {
    let Some(first) = service.boarded.first() else { return WaitingOn::Nothing };
    let (revision, departs) = (first.deploy.revision.clone(), first.departs);
    WaitingOn::Train { revision, departs, left: departs.since(now) }
}

/// A flag has no instances: what they would be waited for is the data plane's word.
fn of_kind(service: &Service, waits: WaitingOn) -> WaitingOn {
    match waits {
        WaitingOn::Instances { .. }
        | WaitingOn::FreshBaseline { .. }
        | WaitingOn::WarmUp { .. }
        | WaitingOn::Drain { .. }
        | WaitingOn::Room { .. }
        | WaitingOn::Down { .. }
            if service.spec.flag.is_some() =>
        {
            acknowledgement(service)
        }
        WaitingOn::Traffic if is_reported(service) => WaitingOn::Outcomes,
        waits => waits,
    }
}

/// Whether users are judged by what the app reports.
fn is_reported(service: &Service) -> bool {
    service.spec.flag.as_ref().is_some_and(|flag| flag.evidence == FlagEvidence::Reported)
}

fn acknowledgement(service: &Service) -> WaitingOn {
    WaitingOn::Acknowledgement { generation: service.generation }
}

fn rollout_waits(service: &Service, rollout: &Rollout, now: Timestamp) -> WaitingOn {
    match &rollout.phase {
        _ if rollout.paused.is_some() => paused(rollout, now),
        Phase::Reverting { .. } if rollout.places.is_some() => places::waits(service, rollout, now),
        Phase::Stepping => step_waits(service, rollout, now),
        Phase::Warm { since } => warm_waits(rollout, *since, now),
        Phase::Retiring => leaving(service, rollout, rollout.baseline.as_ref(), now),
        Phase::Reverting { .. } => leaving(service, rollout, Some(&rollout.candidate), now),
    }
}

fn warm_waits(rollout: &Rollout, since: Timestamp, now: Timestamp) -> WaitingOn {
    let left = left(since, rollout.schedule.watch(), now);
    let watched = rollout.schedule.watch() > rollout.schedule.keep_warm;
    if let Some(why) = convict::check_unreadable(rollout, now) {
        return WaitingOn::Check { why };
    }
    if watched {
        let version = &rollout.candidate.version;
        return WaitingOn::Time { left, what: format!("{version} watched for late regressions") };
    }
    let kept = rollout.baseline.as_ref().map_or("the old revision", |id| id.version.as_str());
    WaitingOn::Time { left, what: format!("{kept} kept warm for a fast way back") }
}

fn paused(rollout: &Rollout, now: Timestamp) -> WaitingOn {
    let why = match &rollout.paused {
        Some(PauseReason::Confirm { cause, until }) => {
            return WaitingOn::Confirmation { why: cause.text.clone(), left: until.since(now) };
        }
        Some(PauseReason::Failed(cause)) => format!(
            "a person: {} (onFailure: hold); `serin abort` goes back, `serin promote --reason` \
             keeps it",
            cause.text
        ),
        Some(PauseReason::Inconclusive) => {
            "a person: no decision by the deadline; promote, abort or resume".to_owned()
        }
        Some(PauseReason::Guard(why) | PauseReason::Check(why)) => {
            format!("a person: {why}; resume, promote or abort")
        }
        Some(PauseReason::Instance(why)) => {
            format!("a person: {why}; resume to try it again, or abort")
        }
        Some(PauseReason::Person(who)) => format!("a person: paused by {}", who.0),
        None => "a person".to_owned(),
    };
    WaitingOn::Person { why }
}

fn leaving(
    service: &Service,
    rollout: &Rollout,
    revision: Option<&RevisionId>,
    now: Timestamp,
) -> WaitingOn {
    let leaves = revision.filter(|id| !keep::is_kept(service, id));
    let seen = leaves.and_then(|id| Some((id, service.observed.revisions.get(id)?)));
    match seen {
        _ if !service.is_applied() => acknowledgement(service),
        Some((id, seen)) => WaitingOn::Drain { revision: id.clone(), in_flight: seen.in_flight },
        None => fresh_leaves(service)
            .or_else(|| proof(service, rollout, now))
            .or_else(|| places_come_back(service, rollout))
            .unwrap_or(WaitingOn::Nothing),
    }
}

/// Stable, which gave places away and is not up again in all of them.
fn places_come_back(service: &Service, rollout: &Rollout) -> Option<WaitingOn> {
    let revision = service.stable.clone().filter(|_| !rollout.has_places_back(service))?;
    let (ready, wanted) = (service.ready(&revision), service.spec.replicas);
    Some(WaitingOn::Instances { revision, ready, wanted })
}

/// The fresh baseline, which ends with the comparison.
fn fresh_leaves(service: &Service) -> Option<WaitingOn> {
    let (seen, revision) = service.observed.fresh.as_ref().zip(service.stable.clone())?;
    Some(WaitingOn::Drain { revision, in_flight: seen.in_flight })
}

/// What a way back still waits for when all of it that is left is gone.
fn proof(service: &Service, rollout: &Rollout, now: Timestamp) -> Option<WaitingOn> {
    let open = rollout.back.as_ref().filter(|back| back.recovered.is_none())?;
    let left = left(open.routed_at?, service.spec.rollback.verify.within, now);
    Some(WaitingOn::Recovery { requests: open.requests, left })
}

fn step_waits(service: &Service, rollout: &Rollout, now: Timestamp) -> WaitingOn {
    if let Some(why) = convict::check_unreadable(rollout, now) {
        return WaitingOn::Check { why };
    }
    match rollout.schedule.step(rollout.step.index) {
        Some(Step::SetWeight(weight)) => weight_waits(service, rollout, *weight, now),
        Some(Step::Pause(None)) => {
            WaitingOn::Person { why: "a person: this step waits for `serin promote`".into() }
        }
        Some(Step::Pause(Some(span))) => WaitingOn::Time {
            left: left(rollout.step.entered_at, *span, now),
            what: "the pause".into(),
        },
        Some(Step::Bake(bake)) => bake_waits(rollout, bake, now),
        Some(Step::Expose(_)) => expose_waits(service, rollout, now),
        Some(Step::SetScale(_)) => places::scale_waits(service, rollout, now),
        Some(step) => steps::waits(service, rollout, step, now),
        None => acknowledgement(service),
    }
}

fn weight_waits(service: &Service, r: &Rollout, weight: Weight, now: Timestamp) -> WaitingOn {
    if r.places.is_some() {
        return places::waits(service, r, now);
    }
    places::instances_wait(service, r, service.needed_size(r, weight), now)
        .or_else(|| fresh_waits(service, r, weight, now))
        .unwrap_or_else(|| acknowledgement(service))
}

fn fresh_waits(service: &Service, r: &Rollout, goal: Weight, now: Timestamp) -> Option<WaitingOn> {
    let missing = fresh::is_missing(service, r, goal, now);
    let wanted = fresh::wanted(service, r).filter(|_| missing)?.replicas;
    let revision = r.baseline.clone()?;
    let ready = service.observed.fresh.as_ref().map_or(0, |seen| seen.ready);
    if ready < wanted {
        return Some(WaitingOn::FreshBaseline { revision, ready, wanted });
    }
    Some(WaitingOn::WarmUp { revision, left: fresh::warm_left(service, r, now) })
}

fn expose_waits(service: &Service, rollout: &Rollout, now: Timestamp) -> WaitingOn {
    match (rollout.step.aim, &rollout.assessment) {
        (Some(aim), _) => weight_waits(service, rollout, aim.weight, now),
        (None, Some(a)) if a.outcome != serin_stats::Outcome::Pass => evidence(a),
        (None, _) => check_or_traffic(rollout, now),
    }
}

fn check_or_traffic(rollout: &Rollout, now: Timestamp) -> WaitingOn {
    let missing = convict::check_missing(rollout, now);
    missing.map_or(WaitingOn::Traffic, |why| WaitingOn::Check { why })
}

fn bake_waits(rollout: &Rollout, bake: &crate::Bake, now: Timestamp) -> WaitingOn {
    let have = rollout.judged_here();
    let time = left(rollout.step.entered_at, bake.at_least, now);
    if bake.until_evidence {
        match &rollout.assessment {
            Some(a) if a.outcome != serin_stats::Outcome::Pass => return evidence(a),
            None if rollout.judge.is_some() => return WaitingOn::Traffic,
            _ => {}
        }
        if let Some(why) = convict::check_missing(rollout, now) {
            return WaitingOn::Check { why };
        }
    }
    if have < bake.requests {
        return WaitingOn::Requests { have, wanted: bake.requests };
    }
    WaitingOn::Time { left: time, what: "the bake".into() }
}

fn evidence(assessment: &Assessment) -> WaitingOn {
    let share = |m: &serin_stats::MetricAssessment| {
        (m.pass_evidence.max(0.0) / m.pass_needed * 100.0).clamp(0.0, 99.0)
    };
    let waited_for = assessment.metrics.iter().filter(|m| m.role == serin_stats::Role::Critical);
    let slowest = waited_for.min_by(|a, b| share(a).total_cmp(&share(b)));
    match slowest {
        Some(m) if assessment.canary_n > 0 => WaitingOn::Evidence {
            metric: m.metric.to_string(),
            percent: share(m) as u32,
            requests_missing: m.requests_missing,
            users: assessment.users,
        },
        _ => WaitingOn::Traffic,
    }
}

fn left(since: Timestamp, span: Millis, now: Timestamp) -> Millis {
    Millis(span.0.saturating_sub(now.since(since).0))
}
