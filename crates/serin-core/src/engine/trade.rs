//! The candidate takes stable's places: what is ordered of both sides next, and the share that goes
//! with it. Level-triggered: the same in every step, in a pause and on the way back.

use super::Turn;
use super::advance::Reach;
use super::convict;
use super::scale::{Fleet, Side, Sizes};
use crate::{
    Cause, Fact, FailedPlaces, Millis, OnInstanceFailure, PauseReason, Phase, Places, Role,
    Rollout, RolloutKind, Scale, Service, Timestamp, Weight,
};

/// Failed places of one rollout that are tried again; with one more, everything goes back.
const FAILURES_MAX: u32 = 3;

/// How long a failed place is stable's before it is tried again.
const RETRY_AFTER: Millis = Millis::secs(10);

/// Both sides as ordered and as seen, and where they shall come to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Trade {
    fleet: Fleet,
    /// The candidate.
    pub(crate) candidate: Side,
    /// Stable.
    pub(crate) stable: Side,
    /// Instances to come to.
    pub(crate) target: Sizes,
    /// The candidate's share with them.
    pub(crate) goal: Weight,
}

impl Trade {
    /// None where both sides stand beside each other.
    pub(crate) fn of(service: &Service, rollout: &Rollout) -> Option<Self> {
        let places = rollout.places.as_ref()?;
        let fleet = Fleet::of(rollout.schedule.capacity, service.spec.replicas)?;
        let (target, goal) = aim(fleet, rollout, places);
        let stable = rollout.baseline.as_ref().map(|id| side(service, id, places.stable));
        let mut candidate = side(service, &rollout.candidate, places.candidate);
        candidate.leaving += others(service, rollout);
        Some(Self { fleet, candidate, stable: stable?, target, goal })
    }

    /// Whether everything is ordered, ready and gone as it shall be.
    pub(crate) fn is_settled(&self) -> bool {
        let Self { candidate, stable, target, .. } = self;
        candidate.planned == target.candidate
            && stable.planned == target.stable
            && candidate.ready >= target.candidate
            && candidate.leaving == 0
            && stable.leaving == 0
            && stable.alive <= stable.planned
    }

    /// The side that gets places, and the one that gives them.
    pub(crate) fn rising(&self, back: bool) -> (&Side, &Side) {
        if back { (&self.stable, &self.candidate) } else { (&self.candidate, &self.stable) }
    }

    /// Instances that the side which gets places shall have.
    pub(crate) fn wanted(&self, back: bool) -> u32 {
        if back { self.target.stable } else { self.target.candidate }
    }

    fn sizes(&self) -> Sizes {
        Sizes { candidate: self.candidate.planned, stable: self.stable.planned }
    }

    fn next_sizes(&self) -> Sizes {
        self.fleet.sizes(self.target, self.goal, &self.candidate, &self.stable)
    }

    fn with(mut self, sizes: Sizes) -> Self {
        self.candidate.planned = sizes.candidate;
        self.stable.planned = sizes.stable;
        self
    }

    fn raised(&self, now: Weight) -> Weight {
        let wanted = self.target.candidate;
        self.fleet.raised(self.goal, now, wanted, &self.candidate, &self.stable)
    }

    fn lowered(&self, now: Weight) -> Weight {
        self.fleet.lowered(self.goal, now, &self.candidate, &self.stable)
    }
}

/// Where both sides shall come to, and the share that goes with it.
fn aim(fleet: Fleet, rollout: &Rollout, places: &Places) -> (Sizes, Weight) {
    let replicas = fleet.replicas;
    if matches!(rollout.phase, Phase::Reverting { .. }) {
        return (Sizes { candidate: 0, stable: replicas }, Weight::NONE);
    }
    let goal = rollout.size_for;
    let mut to = fleet.places(goal);
    let room = fleet.most().saturating_sub(to.stable);
    // Two where a judge compares and there is room: a bad instance is not a bad version.
    let judged = rollout.is_analysed() && rollout.schedule.rungs() > 0 && goal > Weight::NONE;
    let by_share = if judged { to.candidate.max(2.min(replicas)) } else { to.candidate };
    to.candidate = size(rollout, goal, by_share, replicas).min(room);
    let mut share = fleet.share(goal);
    let held = rollout.paused.as_ref().map(|_| places.candidate);
    let failed = places.failed.map(|failed| failed.keeps);
    if let Some(most) = held.into_iter().chain(failed).min().filter(|most| *most < to.candidate) {
        to.candidate = most;
        share = share.min(fleet.carried_by(most));
        to.stable = to.stable.max(replicas.saturating_sub(most));
    }
    if held.is_some() {
        to.stable = to.stable.max(places.stable.min(replicas));
        share = share.max(rollout.weight.min(fleet.carried_by(to.candidate)));
    }
    (to, share)
}

/// Instances of the candidate with the share `goal`, of which `by_share` are needed for it.
pub(crate) fn size(rollout: &Rollout, goal: Weight, by_share: u32, replicas: u32) -> u32 {
    scaled(rollout.scale, goal, by_share, replicas)
}

/// The same of a scale that a step would set.
pub(crate) fn scaled(scale: Scale, goal: Weight, by_share: u32, replicas: u32) -> u32 {
    let least = u32::from(goal > Weight::NONE);
    match scale {
        Scale::Instances(n) if goal < Weight::ALL => n.clamp(least, replicas),
        Scale::Share(share) if goal < Weight::ALL => {
            let exact = u64::from(replicas) * u64::from(share.parts());
            (exact.div_ceil(100_000) as u32).clamp(least, replicas)
        }
        _ => by_share,
    }
}

fn side(service: &Service, id: &crate::RevisionId, planned: u32) -> Side {
    let seen = service.observed.revisions.get(id);
    let (starting, ready, leaving) = seen.map_or((0, 0, 0), |s| (s.starting, s.ready, s.stopping));
    let share = service.plan.as_deref().map_or(Weight::NONE, |plan| plan.weight(id));
    Side { planned, ready, alive: starting + ready, leaving, share }
}

/// Processes of revisions that are neither of the two and on their way out.
fn others(service: &Service, rollout: &Rollout) -> u32 {
    let role = |id| {
        let planned = service.plan.as_deref().and_then(|plan| plan.revisions.get(id));
        planned.map(|r| r.role)
    };
    let seen = service.observed.revisions.iter();
    let others = seen.filter(|(id, _)| !rollout.involves(id) && role(id) != Some(Role::Variant));
    others.map(|(_, seen)| seen.starting + seen.ready + seen.stopping).sum()
}

/// The places a rollout to `to` begins with.
pub(super) fn at_start(
    service: &Service,
    to: &crate::RevisionId,
    now: Timestamp,
) -> Option<Places> {
    let stable = service.stable.as_ref()?;
    Fleet::of(service.spec.schedule.capacity, service.spec.replicas)?;
    let planned = |id| service.plan.as_deref()?.revisions.get(id).map(|r| r.replicas);
    let keeps = planned(stable).unwrap_or(service.spec.replicas);
    Some(Places::new(planned(to).unwrap_or(0), keeps, now))
}

/// Whether the rollout under way holds places that have to go back before another begins.
pub(super) fn must_give_back(service: &Service) -> bool {
    let Some(rollout) = service.rollout.as_ref() else { return false };
    let Some(places) = rollout.places.as_ref() else { return false };
    let begun = places.candidate > 0 || places.stable < service.spec.replicas;
    let done = match rollout.phase {
        Phase::Retiring => true,
        Phase::Warm { .. } => rollout.paused.is_none(),
        Phase::Stepping | Phase::Reverting { .. } => false,
    };
    begun && !done
}

/// Whether stable gave places to a candidate that is left for something older: they have to go back
/// first, also from one that has them all, as it does not become stable.
pub(super) fn gave_places(service: &Service) -> bool {
    let tried = |r: &&Rollout| r.is_on_trial() && r.kind != RolloutKind::Rollback;
    let rollout = service.rollout.as_ref().filter(tried);
    let places = rollout.and_then(|rollout| rollout.places.as_ref());
    places.is_some_and(|places| places.candidate > 0 || places.stable < service.spec.replicas)
}

impl Rollout {
    /// Whether stable has all its places and users are answered; needed before a way back ends.
    pub(crate) fn has_places_back(&self, service: &Service) -> bool {
        let back = matches!(self.phase, Phase::Reverting { .. });
        let full = |places: &Places| places.stable >= service.spec.replicas;
        let whole = !back || self.places.as_ref().is_none_or(full);
        service.removing || (whole && self.downtime.since.is_none())
    }
}

impl Turn {
    /// Brings sizes and share nearer to where they shall be; true when something was decided.
    pub(super) fn fit(&mut self) -> bool {
        self.note_arrival();
        if self.retry_place() {
            return true;
        }
        let Some(rollout) = self.service.rollout.as_ref() else { return false };
        if matches!(rollout.phase, Phase::Retiring) {
            return false;
        }
        let Some(trade) = Trade::of(&self.service, rollout) else { return false };
        let sizes = if self.may_resize(rollout) { trade.next_sizes() } else { trade.sizes() };
        let weight = self.next_share(rollout, &trade.with(sizes));
        let resized = sizes != trade.sizes();
        if resized {
            self.order(sizes);
        }
        let moved = self.service.rollout.as_ref().is_some_and(|r| r.weight != weight);
        if moved {
            self.give_share(weight);
        }
        resized || moved
    }

    /// One order after the other: what is seen has to be seen of the last one.
    fn may_resize(&self, rollout: &Rollout) -> bool {
        let Some(places) = rollout.places.as_ref() else { return false };
        let planned = |id| {
            let plan = self.service.plan.as_deref().and_then(|plan| plan.revisions.get(id));
            plan.map_or(0, |r| r.replicas)
        };
        let stable = rollout.baseline.as_ref().map_or(0, planned);
        self.service.is_applied()
            && planned(&rollout.candidate) == places.candidate
            && stable == places.stable
    }

    fn next_share(&self, rollout: &Rollout, trade: &Trade) -> Weight {
        let now = rollout.weight;
        if !self.service.is_seen() {
            return now;
        }
        if trade.goal < now {
            // Only to instances that stay: those seen may be of an order before the last.
            let stays = trade.stable.planned > 0 && self.service.is_applied();
            let given_up = self.now >= give_up_at(rollout) && stays && trade.stable.ready > 0;
            return if given_up { trade.goal } else { trade.lowered(now) };
        }
        let cold = self.service.ready_for(&rollout.candidate, self.now) < rollout.schedule.warm_up;
        let unread = convict::check_unreadable(rollout, self.now).is_some();
        // Anybody is better than nobody.
        let cold = cold && rollout.downtime.since.is_none();
        let held = rollout.paused.is_some() || unread || cold;
        if held { now } else { trade.raised(now) }
    }

    fn order(&mut self, sizes: Sizes) {
        let (now, of) = (self.now, self.service.spec.replicas);
        let Some(rollout) = self.service.rollout.as_mut() else { return };
        let Some(places) = rollout.places.as_mut() else { return };
        if sizes.candidate > places.candidate {
            (places.rising_at, places.arrived) = (now, false);
        }
        (places.candidate, places.stable) = (sizes.candidate, sizes.stable);
        let (candidate, stable) = (rollout.candidate.clone(), rollout.baseline.clone());
        let Some(stable) = stable else { return };
        let (has, keeps) = (sizes.candidate, sizes.stable);
        self.tell(Fact::Places { candidate, has, stable, keeps, of });
    }

    fn give_share(&mut self, weight: Weight) {
        let Some(rollout) = self.service.rollout.as_mut() else { return };
        rollout.weight = weight;
        let back = matches!(rollout.phase, Phase::Reverting { .. });
        let revision = rollout.candidate.clone();
        // That everything is back is told when the data plane has confirmed it.
        if !back || weight > Weight::NONE {
            self.tell(Fact::Weight { revision, weight });
        }
    }

    /// All that were ordered are there: what happens to them from now on is not their start.
    fn note_arrival(&mut self) {
        let now = self.now;
        let Some(rollout) = self.service.rollout.as_ref() else { return };
        let ready = self.service.ready(&rollout.candidate);
        let warm = self.service.ready_for(&rollout.candidate, now) >= rollout.schedule.warm_up;
        let failing = self.service.observed.revisions.get(&rollout.candidate);
        let failing = failing.is_some_and(|seen| seen.failure.is_some());
        let rollout = self.service.rollout.as_mut();
        let Some(places) = rollout.and_then(|r| r.places.as_mut()) else { return };
        places.arrived |= ready >= places.candidate && warm;
        if !failing {
            places.known = None;
        }
    }

    /// A failed place is tried again when its time has come or a person went on.
    fn retry_place(&mut self) -> bool {
        let now = self.now;
        let Some(rollout) = self.service.rollout.as_mut() else { return false };
        let waits = matches!(rollout.paused, Some(PauseReason::Instance(_)));
        let failed = rollout.places.as_mut().and_then(|places| places.failed.take());
        let Some(failed) = failed else { return false };
        let again = failed.until.map_or(!waits, |until| now >= until);
        if !again && let Some(places) = rollout.places.as_mut() {
            places.failed = Some(failed);
        }
        again
    }

    /// Follows a verdict on an instance by giving its place back alone, where that is asked for and
    /// enough others are there to go on. False when everything has to go back.
    pub(super) fn give_place_back(&mut self, cause: &Cause) -> bool {
        let Some(rollout) = self.service.rollout.as_ref() else { return false };
        let asked = rollout.schedule.on_instance_failure;
        let ready = self.service.ready(&rollout.candidate);
        let mute = rollout.weight > Weight::NONE && ready == 0;
        let stepping = matches!(rollout.phase, Phase::Stepping) && rollout.kind.is_tried();
        let Some(places) = rollout.places.as_ref() else { return false };
        let spent = places.failures >= FAILURES_MAX;
        if asked == OnInstanceFailure::Back || mute || !stepping || spent || places.candidate == 0 {
            return false;
        }
        let failed = places.candidate.saturating_sub(ready).max(1);
        let keeps = places.candidate.saturating_sub(failed);
        let again = asked == OnInstanceFailure::Forward;
        let until = again.then(|| self.now.plus(RETRY_AFTER));
        self.note_failure(cause, FailedPlaces { places: failed, keeps, until });
        true
    }

    fn note_failure(&mut self, cause: &Cause, failed: FailedPlaces) {
        let (now, again) = (self.now, failed.until.is_some());
        let Some(rollout) = self.service.rollout.as_mut() else { return };
        let seen = self.service.observed.revisions.get(&rollout.candidate);
        rollout.restarts_before = seen.map_or(0, |seen| seen.restarts);
        let Some(places) = rollout.places.as_mut() else { return };
        places.failed = Some(failed);
        places.failures += 1;
        places.known = seen.and_then(|seen| seen.failure.clone());
        (places.rising_at, places.arrived) = (now, true);
        let (revision, text) = (rollout.candidate.clone(), cause.text.clone());
        let retry = again.then_some(RETRY_AFTER);
        self.tell(Fact::PlaceBack { revision, text: text.clone(), retry });
        if !again {
            self.hold(PauseReason::Instance(text.clone()), text);
        }
    }

    /// Where the candidate takes stable's places: the share is there when its instances are, and
    /// those that made room are gone.
    pub(super) fn reach_places(&mut self, weight: Weight) -> Reach {
        let Some(rollout) = self.service.rollout.as_mut() else { return Reach::Waiting };
        if rollout.paused.is_some() {
            return Reach::Waiting;
        }
        if rollout.size_for != weight {
            rollout.size_for = weight;
            return Reach::Moved;
        }
        let Some(rollout) = self.service.rollout.as_ref() else { return Reach::Waiting };
        let Some(trade) = Trade::of(&self.service, rollout) else { return Reach::Waiting };
        let whole = rollout.places.as_ref().is_some_and(|places| places.failed.is_none());
        let there = whole
            && trade.is_settled()
            && rollout.weight == trade.goal
            && self.is_confirmed(rollout, trade.goal);
        if there { Reach::There } else { Reach::Waiting }
    }

    /// Sizes the candidate apart from its share; done when its instances are there.
    pub(super) fn set_scale(&mut self, scale: Scale) -> bool {
        let now = self.now;
        let Some(rollout) = self.service.rollout.as_mut() else { return false };
        if rollout.paused.is_some() {
            return false;
        }
        if rollout.scale != scale {
            rollout.scale = scale;
            return true;
        }
        let Some(rollout) = self.service.rollout.as_ref() else { return false };
        let done = self.service.is_applied()
            && match Trade::of(&self.service, rollout) {
                Some(trade) => trade.is_settled(),
                None => is_scaled(&self.service, rollout, now),
            };
        if done {
            self.next_step(now);
        }
        done
    }
}

/// Whether the candidate's instances beside stable are as many as ordered, ready and warm.
fn is_scaled(service: &Service, rollout: &Rollout, now: Timestamp) -> bool {
    let planned = service.plan.as_deref().and_then(|plan| plan.revisions.get(&rollout.candidate));
    let wanted = service.wanted_size(rollout);
    let warm = service.ready_for(&rollout.candidate, now) >= rollout.schedule.warm_up;
    planned.is_some_and(|r| r.replicas == wanted)
        && service.ready(&rollout.candidate) >= wanted
        && (warm || wanted == 0 || rollout.kind == RolloutKind::First)
}

/// From when on stable has all traffic on a way back, even if it is not at full size yet.
fn give_up_at(rollout: &Rollout) -> Timestamp {
    let since = rollout.verdict_at.unwrap_or(rollout.started_at);
    match rollout.phase {
        Phase::Reverting { .. } => since.plus(rollout.schedule.progress_deadline),
        _ => Timestamp(i64::MAX),
    }
}

/// When sizes or shares change although nothing happened.
pub(super) fn wakes(rollout: &Rollout) -> Vec<Timestamp> {
    let Some(places) = rollout.places.as_ref() else { return vec![] };
    let retry = places.failed.and_then(|failed| failed.until);
    let late = (!places.arrived).then(|| convict::ready_by(rollout));
    let back = matches!(rollout.phase, Phase::Reverting { .. }).then(|| give_up_at(rollout));
    retry.into_iter().chain(late).chain(back).collect()
}
