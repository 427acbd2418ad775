//! Rules every plan must obey before it may be applied.

mod capacity;

use crate::{
    Mirror, Phase, Plan, Preview, RevisionId, RevisionPlan, Role, RolloutKind, Rule, Service,
    Weight,
};
use std::fmt;

/// A rule a plan breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// Shares that are neither nothing nor the whole.
    WeightSum(u64),
    /// More traffic on a revision of which no instance is ready.
    NotReady(String),
    /// More traffic on a fresh baseline of which no instance is ready.
    FreshNotReady(String),
    /// A share for a revision without instances.
    NoInstances(String),
    /// The stable revision would go while the candidate is on trial.
    StableGone(String),
    /// Stable would shrink before the candidate was promoted.
    StableShrunk(u32),
    /// Requests or copies would be led to a revision that the plan does not name.
    RouteUnknown(String),
    /// Requests or copies would be led to a revision of which no instance is ready.
    RouteNotReady(String),
    /// Fewer instances would be in traffic than are promised.
    TooFew {
        /// As many.
        have: u32,
        /// Promised.
        least: u32,
    },
    /// More instances would run than may.
    TooMany {
        /// As many.
        have: u32,
        /// Allowed.
        most: u32,
    },
    /// Instances would start before the schema of their database is there.
    NoSchema(String),
    /// Users would be led nowhere.
    NobodyServes,
    /// More than one revision in the same role.
    TwoInRole(Role),
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WeightSum(sum) => write!(f, "weights sum to {sum} of 100000"),
            Self::NotReady(id) => write!(f, "{id} would get traffic without a ready instance"),
            Self::FreshNotReady(id) => {
                write!(f, "the fresh baseline of {id} would get traffic without a ready instance")
            }
            Self::NoInstances(id) => write!(f, "{id} would get traffic without instances"),
            Self::StableGone(id) => write!(f, "stable {id} would stop during the trial"),
            Self::StableShrunk(n) => write!(f, "stable would shrink to {n} during the trial"),
            Self::RouteUnknown(id) => {
                write!(f, "requests would be led to {id}, which is not planned")
            }
            Self::RouteNotReady(id) => {
                write!(f, "requests would be led to {id} without a ready instance")
            }
            Self::TooFew { have, least } => {
                write!(f, "{have} instances would be in traffic, {least} are promised")
            }
            Self::TooMany { have, most } => write!(f, "{have} instances would run, {most} may"),
            Self::NoSchema(id) => write!(f, "{id} would start without its schema"),
            Self::NobodyServes => f.write_str("users would be led nowhere"),
            Self::TwoInRole(role) => write!(f, "two revisions are {}", role.as_str()),
        }
    }
}

/// What is wrong with `plan` for `service`, whose present plan is the one before it.
pub fn lint(plan: &Plan, service: &Service) -> Vec<Note> {
    let mut notes = Vec::new();
    notes.extend(weight_sum(plan));
    notes.extend(weight_without_instances(plan));
    notes.extend(weight_before_ready(plan, service));
    notes.extend(fresh_before_ready(plan, service));
    notes.extend(stable_kept(plan, service));
    notes.extend(routes(plan, service));
    notes.extend(capacity::kept(plan, service));
    notes.extend(capacity::led_nowhere(plan, service));
    notes.extend(roles(plan));
    notes.extend(without_schema(plan, service));
    notes
}

/// Whether `plan` changes nothing but to move traffic to stable: always allowed.
pub fn moves_only_to_stable(plan: &Plan, before: Option<&Plan>) -> bool {
    let grows =
        |id: &RevisionId, weight: Weight| weight > before.map_or(Weight::NONE, |b| b.weight(id));
    let fresh_before = before.map_or(Weight::NONE, fresh_weight);
    plan.revisions.iter().all(|(id, r)| r.role == Role::Stable || !grows(id, r.weight))
        && fresh_weight(plan) <= fresh_before
        && before.is_some_and(|b| leads_no_more(plan, b))
        && before.is_some_and(|b| keeps_stable(plan, b))
}

/// Whether stable is the same and loses no instance.
fn keeps_stable(plan: &Plan, before: &Plan) -> bool {
    match (before.in_role(Role::Stable), plan.in_role(Role::Stable)) {
        (Some((old, had)), Some((new, has))) => old == new && has.replicas >= had.replicas,
        (old, new) => old.is_none() && new.is_none(),
    }
}

/// Share of the fresh baseline.
fn fresh_weight(plan: &Plan) -> Weight {
    let fresh = plan.revisions.values().find_map(|r| r.fresh.as_ref());
    fresh.map_or(Weight::NONE, |fresh| fresh.weight)
}

fn weight_sum(plan: &Plan) -> Option<Note> {
    let own: u64 = plan.revisions.values().map(|r| u64::from(r.weight.parts())).sum();
    let fresh = plan.revisions.values().filter_map(|r| r.fresh.as_ref());
    let sum = own + fresh.map(|f| u64::from(f.weight.parts())).sum::<u64>();
    (sum != 0 && sum != 100_000).then_some(Note::WeightSum(sum))
}

fn weight_without_instances(plan: &Plan) -> Vec<Note> {
    let fresh = |r: &RevisionPlan| {
        r.fresh.as_ref().is_some_and(|f| f.weight > Weight::NONE && f.replicas == 0)
    };
    let empty = |r: &RevisionPlan| (r.weight > Weight::NONE && r.replicas == 0) || fresh(r);
    let empty = plan.revisions.iter().filter(|(_, r)| empty(r));
    empty.map(|(id, _)| Note::NoInstances(id.to_string())).collect()
}

fn weight_before_ready(plan: &Plan, service: &Service) -> Vec<Note> {
    let before = |id| service.plan.as_deref().map_or(Weight::NONE, |p| p.weight(id));
    let early = plan.revisions.iter().filter(|(id, r)| {
        let trusted = service.stable.as_ref() == Some(*id);
        r.weight > before(id) && service.ready(id) == 0 && !trusted
    });
    early.map(|(id, _)| Note::NotReady(id.to_string())).collect()
}

fn fresh_before_ready(plan: &Plan, service: &Service) -> Option<Note> {
    let (id, _) = plan.revisions.iter().find(|(_, r)| r.fresh.is_some())?;
    let before = service.plan.as_deref().map_or(Weight::NONE, fresh_weight);
    let ready = service.observed.fresh.as_ref().map_or(0, |seen| seen.ready);
    let early = fresh_weight(plan) > before && ready == 0;
    early.then(|| Note::FreshNotReady(id.to_string()))
}

fn stable_kept(plan: &Plan, service: &Service) -> Option<Note> {
    let rollout = service.rollout.as_ref().filter(|r| r.kind != RolloutKind::First)?;
    if matches!(rollout.phase, Phase::Retiring) || service.removing {
        return None;
    }
    let stable = service.stable.as_ref()?;
    match plan.revisions.get(stable) {
        None => Some(Note::StableGone(stable.to_string())),
        Some(r) if rollout.places.is_none() && r.replicas < service.spec.replicas => {
            Some(Note::StableShrunk(r.replicas))
        }
        Some(_) => None,
    }
}

/// Whether every rule, copy and address of `plan` was in `before` already; the preview may come to
/// stable.
fn leads_no_more(plan: &Plan, before: &Plan) -> bool {
    let known = |m: &Mirror| {
        before
            .mirror
            .as_ref()
            .is_some_and(|b| Mirror { share: m.share, ..b.clone() } == *m && m.share <= b.share)
    };
    let is_stable = |p: &Preview| plan.in_role(Role::Stable).is_some_and(|(id, _)| *id == p.to);
    let shown = |p: &Preview| before.preview.as_ref() == Some(p) || is_stable(p);
    plan.rules.iter().all(|rule| before.rules.contains(rule))
        && plan.mirror.as_ref().is_none_or(known)
        && plan.preview.as_ref().is_none_or(shown)
}

/// Nothing is led where nobody answers.
fn routes(plan: &Plan, service: &Service) -> Vec<Note> {
    let before = service.plan.as_deref();
    let old_rule = |rule: &Rule| before.is_some_and(|b| b.rules.contains(rule));
    let old_mirror = |to: &RevisionId| {
        before.and_then(|b| b.mirror.as_ref()).is_some_and(|mirror| mirror.to == *to)
    };
    let old_preview = |to: &RevisionId| {
        before.and_then(|b| b.preview.as_ref()).is_some_and(|preview| preview.to == *to)
    };
    let rules = plan.rules.iter().map(|rule| (&rule.to, old_rule(rule)));
    let mirror = plan.mirror.iter().map(|m| (&m.to, old_mirror(&m.to)));
    let preview = plan.preview.iter().map(|p| (&p.to, old_preview(&p.to)));
    let note = |(to, known): (&RevisionId, bool)| {
        let named = plan.revisions.get(to).is_some_and(|r| r.replicas > 0);
        let ready = known || service.ready(to) > 0;
        match (named, ready) {
            (false, _) => Some(Note::RouteUnknown(to.to_string())),
            (_, false) => Some(Note::RouteNotReady(to.to_string())),
            _ => None,
        }
    };
    rules.chain(mirror).chain(preview).filter_map(note).collect()
}

/// No instance starts before its schema is ready; what runs already is not stopped by this rule.
fn without_schema(plan: &Plan, service: &Service) -> Vec<Note> {
    let before = service.plan.as_deref();
    let ran = |id: &RevisionId| before.and_then(|b| b.revisions.get(id)).map_or(0, |r| r.replicas);
    let early = plan.revisions.iter().filter(|(id, r)| {
        r.role == Role::Candidate && r.replicas > ran(id) && service.misfit(id).is_some()
    });
    early.map(|(id, _)| Note::NoSchema(id.to_string())).collect()
}

fn roles(plan: &Plan) -> Vec<Note> {
    let count = |role| plan.revisions.values().filter(|r| r.role == role).count();
    let twice = [Role::Stable, Role::Candidate].into_iter().filter(|role| count(*role) > 1);
    twice.map(Note::TwoInRole).collect()
}
