//! How many instances of each side, and how much traffic, while the candidate takes stable's
//! places: pure functions of what is ordered and what is seen.
//!
//! Two promises hold at every instant, as far as instances do not die by themselves: never more
//! processes than [`Fleet::most`], never fewer ready instances in traffic than [`Fleet::least`].
//! Going back is the same with the roles exchanged.

use crate::{Amount, Capacity, Weight};

/// Parts of the whole.
const WHOLE: u64 = 100_000;

/// What a service promises while its instances trade places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fleet {
    /// Instances it has when nothing is under way.
    pub(crate) replicas: u32,
    /// Processes that may be there beyond them.
    pub(crate) surge: u32,
    /// Ready instances that may be missing of them.
    pub(crate) unavailable: u32,
}

/// One revision, as ordered and as seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Side {
    /// Instances ordered.
    pub(crate) planned: u32,
    /// Ready instances.
    pub(crate) ready: u32,
    /// Instances that start or are ready.
    pub(crate) alive: u32,
    /// Instances that drain or stop.
    pub(crate) leaving: u32,
    /// The share that the data plane has confirmed.
    pub(crate) share: Weight,
}

/// Instances of both sides: ordered, or to be come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sizes {
    /// Of the candidate.
    pub(crate) candidate: u32,
    /// Of stable.
    pub(crate) stable: u32,
}

impl Fleet {
    /// None where both sides stand beside each other.
    pub(crate) fn of(capacity: Capacity, replicas: u32) -> Option<Self> {
        let Capacity::Replace { max_surge, max_unavailable } = capacity else { return None };
        let surge = max_surge.up(replicas);
        let unavailable = max_unavailable.down(replicas).min(replicas);
        // A share that comes to nothing must not keep everything where it is.
        let (surge, unavailable) = match (surge, unavailable, max_unavailable) {
            (0, 0, Amount::Percent(1..)) => (0, 1.min(replicas)),
            (0, 0, _) => (1, 0),
            _ => (surge, unavailable),
        };
        Some(Self { replicas, surge, unavailable })
    }

    /// Most processes at any instant.
    pub(crate) fn most(&self) -> u32 {
        self.replicas + self.surge
    }

    /// Least ready instances in traffic at any instant.
    pub(crate) fn least(&self) -> u32 {
        self.replicas - self.unavailable
    }

    /// Whether nobody has to be there meanwhile.
    pub(crate) fn may_be_down(&self) -> bool {
        self.least() == 0
    }

    /// Instances of both sides where the candidate has `goal`. Together at least the replicas, at
    /// most what may be there.
    pub(crate) fn places(&self, goal: Weight) -> Sizes {
        let candidate = match goal {
            Weight::NONE => 0,
            Weight::ALL => self.replicas,
            // Both sides keep an instance, where there is room for two.
            _ if self.surge == 0 => self.part(goal).min(self.replicas.saturating_sub(1)).max(1),
            _ => self.part(goal).max(1),
        };
        let room = self.most().saturating_sub(candidate);
        Sizes { candidate, stable: self.part(goal.rest()).min(room) }
    }

    /// The share that those instances carry: `goal`, unless places are too few for it.
    pub(crate) fn share(&self, goal: Weight) -> Weight {
        let places = self.places(goal);
        match (goal, places.stable) {
            (Weight::NONE | Weight::ALL, _) => goal,
            (_, 0) => Weight::ALL,
            _ => goal.min(share_of(places.candidate, self.replicas)),
        }
    }

    /// The share that so many instances carry.
    pub(crate) fn carried_by(&self, instances: u32) -> Weight {
        share_of(instances, self.replicas)
    }

    /// Instances for a share, rounded up.
    fn part(&self, share: Weight) -> u32 {
        (u64::from(self.replicas) * u64::from(share.parts())).div_ceil(WHOLE) as u32
    }

    /// The sizes to order next on the way to `target`, where `goal` is the candidate's share then.
    pub(crate) fn sizes(&self, target: Sizes, goal: Weight, c: &Side, s: &Side) -> Sizes {
        let room = self.most().saturating_sub(c.occupied() + s.leaving);
        let least = self.least().saturating_sub(self.carried(c, self.share(goal)));
        let stable = self.last_one(c.share, resize(s.planned, target.stable, room, least), s);
        let taken = s.occupied().max(stable + s.leaving);
        let room = self.most().saturating_sub(taken + c.leaving);
        let carried = self.carried(s, self.share(goal).rest()).min(stable);
        let least = self.least().saturating_sub(carried);
        let size = resize(c.planned, target.candidate, room, least);
        let candidate = self.last_one(c.share.rest(), size, c);
        Sizes { candidate, stable }
    }

    /// The last instance of a side goes only when the `other` side has all traffic; or, where nobody
    /// has to be there, none: with a part of it the rest would be for nobody.
    fn last_one(&self, other: Weight, size: u32, side: &Side) -> u32 {
        let down = self.may_be_down() && other == Weight::NONE;
        let early = other < Weight::ALL && !down;
        if early { size.max(side.planned.min(1)) } else { size }
    }

    /// Ready instances that carry traffic: all of them once the side has the share it is meant to
    /// have, before that as many as its share is for.
    fn carried(&self, side: &Side, full: Weight) -> u32 {
        let ready = side.ready.min(side.planned);
        match side.share {
            Weight::NONE => 0,
            share if share >= full => ready,
            share => {
                // One part more: the other side's share was rounded up.
                let parts = u64::from(share.parts()) + 1;
                let whole = u64::from(self.replicas) * parts / WHOLE;
                ready.min(whole as u32)
            }
        }
    }

    /// The candidate's share on its way up to `goal`, with `ready` warm instances of `wanted`.
    pub(crate) fn raised(
        &self,
        goal: Weight,
        now: Weight,
        wanted: u32,
        c: &Side,
        s: &Side,
    ) -> Weight {
        let ready = c.ready.min(c.planned);
        let enough = self.least().max(1);
        if ready == 0 {
            return now;
        }
        if ready >= wanted || (goal == Weight::ALL && ready >= enough) {
            return now.max(goal);
        }
        let among = self.replicas.min(ready + s.planned);
        now.max(goal.min(share_of(ready, among)))
    }

    /// The candidate's share on its way down to `goal`: at once as far as stable's ready instances
    /// can take the rest, all of it when the candidate answers nobody.
    pub(crate) fn lowered(&self, goal: Weight, now: Weight, c: &Side, s: &Side) -> Weight {
        let (from, to) = (c.ready.min(c.planned), s.ready.min(s.planned));
        if s.planned == 0 {
            return if c.planned == 0 { Weight::NONE } else { now };
        }
        let enough = self.places(goal).stable.saturating_sub(self.unavailable).max(1);
        if from == 0 || to >= enough {
            return now.min(goal);
        }
        let rest = share_of(self.replicas.saturating_sub(to), self.replicas);
        now.min(goal.max(rest.min(share_of(from, from + to))))
    }
}

impl Side {
    /// Processes that may be there: what is seen, or what is ordered, and what is leaving.
    fn occupied(&self) -> u32 {
        self.alive.max(self.planned) + self.leaving
    }
}

/// `part` of `whole`, rounded up.
fn share_of(part: u32, whole: u32) -> Weight {
    let parts = (u64::from(part) * WHOLE).div_ceil(u64::from(whole.max(1)));
    Weight::try_from(parts.min(WHOLE)).unwrap_or(Weight::ALL)
}

/// A size on its way to `target`: up as far as there is `room`, down as far as `least` allows.
fn resize(now: u32, target: u32, room: u32, least: u32) -> u32 {
    if target > now { target.min(room).max(now) } else { target.max(least).min(now) }
}

#[cfg(test)]
mod tests;
