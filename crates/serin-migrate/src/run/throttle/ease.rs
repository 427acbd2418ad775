//! How much work the service that uses the database leaves to the backfill.
//!
//! It works less as soon as the service is slower than it was before the migration began, then
//! slowly more again. If it is slow although hardly anything is done, the backfill rests and looks how
//! the service fares without it: what is slow then is slow by itself, perhaps at another time of the
//! day, and is not held against the backfill.

use super::super::world::Health;
use super::{LOOK_MS, RELEASE};

/// Smallest share of its duty to which the service's trouble brings it, and with which it begins
/// where a service is watched. Whoever meets a batch waits for it: of a service that answers within
/// 1 ms less than one request in a hundred may meet one, or it shows in its 99th percentile.
pub(super) const LEAST: f64 = 1.0 / 256.0;

/// Time between two steps to more work, ms: a 99th percentile tells what was seconds ago.
const STEP_MS: f64 = 500.0;

/// Most work a step adds.
const STEP: f64 = 1.2;

/// By so much a 99th percentile moves by itself, ms: it makes the backfill work less and does not stop
/// it. A quick service would hold it for ever with a jitter that nobody feels.
const JITTER_MS: f64 = 1.0;

/// A slowdown below this is none, ms: no 99th percentile is known better.
const NOISE_MS: f64 = 0.1;

/// Share of failures above what is usual that makes it work less.
const MORE_ERRORS: f64 = 0.01;

/// Time at the least work after which it rests to see whether the slowness is its own, ms.
const DOUBT_MS: f64 = 15_000.0;

/// That rest, ms: the 99th percentile is of the last 5 s, and known 1 s later.
const ALONE_MS: f64 = 7_000.0;

/// Time after which what was seen in a rest is looked at again, ms.
const KNOWN_MS: f64 = 60_000.0;

/// Weight of the last rest against those before.
const LATEST: f64 = 0.5;

/// Time in which trouble stops it altogether, ms; what lasts longer is not of its making.
const HELD_MS: f64 = 60_000.0;

const TROUBLE: &str = "the service answers more slowly or fails more often than usual";
const RESTS: &str = "it rests to see how fast the service answers without it";

/// What the service leaves it.
#[derive(Debug, Clone)]
pub(super) struct Ease {
    /// The 99th percentile it keeps to, as a multiple of what is usual.
    factor: f64,
    /// Share of its duty that is left; `None` until a service is seen.
    share: Option<f64>,
    state: State,
    /// Time since the share changed, ms.
    since_ms: f64,
    alone: Option<Alone>,
}

/// How the service fares without it.
#[derive(Debug, Clone, Copy)]
struct Alone {
    p99_ms: f64,
    error_rate: f64,
    /// How long ago that was seen, ms.
    ago_ms: f64,
}

/// What it does, each with the time it has done so, ms.
#[derive(Debug, Clone, Copy)]
enum State {
    Works,
    /// The least, and the service is slow nevertheless.
    Doubts(f64),
    /// Nothing, to see how the service fares.
    Rests(f64),
    /// Nothing, for the service's trouble.
    Held(f64),
}

impl Ease {
    /// With no service seen yet.
    pub fn new(factor: f64) -> Self {
        Self { factor, share: None, state: State::Works, since_ms: 0.0, alone: None }
    }

    /// Share of its duty that is left, 0 to 1.
    pub fn share(&self) -> f64 {
        self.share.unwrap_or(1.0)
    }

    /// So much time has passed, ms.
    pub fn passed(&mut self, ms: f64) {
        self.since_ms += ms;
        if let Some(alone) = &mut self.alone {
            alone.ago_ms += ms;
        }
        match &mut self.state {
            State::Works => {}
            State::Doubts(time) | State::Rests(time) | State::Held(time) => *time += ms,
        }
    }

    /// Takes in how the service fares; why nothing may be done for [`LOOK_MS`], if so.
    pub fn look(&mut self, health: Option<Health>) -> Option<&'static str> {
        let health = health?;
        match self.state {
            State::Rests(time) if time < ALONE_MS => return Some(self.hold(RESTS)),
            State::Rests(_) => {
                self.learn(health);
                self.state = State::Works;
            }
            State::Held(time) if time >= HELD_MS => self.learn(health),
            _ if is_new(health) && self.alone.is_none() => {
                self.state = State::Rests(0.0);
                return Some(self.hold(RESTS));
            }
            _ => {}
        }
        if self.is_held(health) {
            self.share = Some(LEAST);
            if !matches!(self.state, State::Held(_)) {
                self.state = State::Held(0.0);
            }
            return Some(self.hold(TROUBLE));
        }
        self.follow(health);
        if self.has_to_look() {
            self.state = State::Rests(0.0);
            return Some(self.hold(RESTS));
        }
        None
    }

    fn hold(&mut self, why: &'static str) -> &'static str {
        self.passed(LOOK_MS as f64);
        why
    }

    /// How it is without the backfill, as seen now.
    fn learn(&mut self, health: Health) {
        let (now, before) = (health.p99_ms, self.alone.map(|alone| alone.p99_ms));
        let p99_ms = before.map_or(now, |before| before + (now - before) * LATEST);
        let alone = Alone { p99_ms, error_rate: health.error_rate, ago_ms: 0.0 };
        self.alone = (now > health.usual_p99_ms).then_some(alone);
    }

    /// What is usual, as a 99th percentile in ms and a share of failures: as before the migration,
    /// or where it is slower now by itself, as it is now. Failures are held against what was before,
    /// where that is known.
    fn usual(&self, health: Health) -> (f64, f64) {
        match self.alone {
            None => (health.usual_p99_ms, health.usual_error_rate),
            Some(alone) if is_new(health) => (alone.p99_ms, alone.error_rate),
            Some(alone) => (alone.p99_ms.max(health.usual_p99_ms), health.usual_error_rate),
        }
    }

    /// The share of its margin, at least `noise` ms, that the service has used up.
    fn used(&self, health: Health, noise: f64) -> f64 {
        let (usual_ms, usual_errors) = self.usual(health);
        let slow = (health.p99_ms - usual_ms) / (usual_ms * (self.factor - 1.0)).max(noise);
        let more = (health.error_rate - usual_errors) / MORE_ERRORS;
        slow.max(more).max(0.0)
    }

    /// Whether the service has used up twice its margin; until well below, once it has.
    fn is_held(&self, health: Health) -> bool {
        let limit = if matches!(self.state, State::Held(_)) { RELEASE } else { 1.0 };
        self.used(health, JITTER_MS) / 2.0 > limit
    }

    /// Works less while the service has trouble, then slowly more again.
    fn follow(&mut self, health: Health) {
        let (used, share) = (self.used(health, NOISE_MS), self.share.unwrap_or(LEAST));
        let is_time = self.since_ms >= STEP_MS;
        let next = match used {
            used if used > 1.0 => (share / 2.0).max(LEAST),
            used if used < RELEASE && is_time => (share * STEP).min(1.0),
            _ => share,
        };
        if self.share.is_none_or(|share| (share - next).abs() > f64::EPSILON) {
            self.since_ms = 0.0;
        }
        self.share = Some(next);
        let is_least = used > 1.0 && next <= LEAST;
        self.state = match self.state {
            State::Doubts(time) if is_least => State::Doubts(time),
            _ if is_least => State::Doubts(0.0),
            _ => State::Works,
        };
    }

    /// Whether it is time to rest: the slowness may be the service's own, or what was seen of it
    /// in the last rest is old.
    fn has_to_look(&self) -> bool {
        let doubts = matches!(self.state, State::Doubts(time) if time >= DOUBT_MS);
        doubts || self.alone.is_some_and(|alone| alone.ago_ms >= KNOWN_MS)
    }
}

/// Nobody knows how it was before the migration: the one who watches has just begun.
fn is_new(health: Health) -> bool {
    health.usual_p99_ms <= 0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slow(p99_ms: f64, usual_p99_ms: f64) -> Health {
        Health { p99_ms, usual_p99_ms, error_rate: 0.0, usual_error_rate: 0.0 }
    }

    /// Goes on for so many ms, a look every 250; what the service's 99th percentile is follows from
    /// the share of the work. Gives the time held and the shares of the second half.
    fn play(ease: &mut Ease, ms: u32, p99_of: impl Fn(f64) -> f64) -> (u32, Vec<f64>) {
        let (mut held, mut works, mut shares) = (0, 0.0, Vec::new());
        for _ in 0..ms / 250 {
            if ease.look(Some(slow(p99_of(works), 100.0))).is_some() {
                (held, works) = (held + 250, 0.0);
            } else {
                works = ease.share();
                shares.push(works);
                ease.passed(250.0);
            }
        }
        (held, shares.split_off(shares.len() / 2))
    }

    fn between(shares: &[f64], low: f64, high: f64) {
        let out = shares.iter().find(|share| !(low..=high).contains(*share));
        assert_eq!(out, None, "{shares:?}");
    }

    #[test]
    fn a_service_that_is_as_ever_leaves_all_of_it() {
        let mut ease = Ease::new(1.3);
        assert_eq!(ease.share().to_string(), "1");
        let (held, shares) = play(&mut ease, 40_000, |_| 100.0);
        assert_eq!(held, 0);
        between(&shares, 1.0, 1.0);
    }

    #[test]
    fn what_is_slow_without_it_too_is_not_held_against_it() {
        let mut ease = Ease::new(1.3);
        let (held, shares) = play(&mut ease, 50_000, |_| 150.0);
        assert_eq!(held, 7_000, "one rest");
        assert!(shares.last().is_some_and(|share| *share > 0.9), "{shares:?}");
        // A rest a minute from then on, until it is as before.
        let (held, shares) = play(&mut ease, 670_000, |_| 150.0);
        assert_eq!(held, 70_000);
        between(&shares, 1.0, 1.0);
        let (held, _) = play(&mut ease, 670_000, |_| 100.0);
        assert!(held <= 7_000, "{held}");
    }

    #[test]
    fn what_is_slow_because_of_it_keeps_it_low() {
        let mut ease = Ease::new(1.3);
        // 30 ms more are allowed: a share of 0.075.
        let (_, shares) = play(&mut ease, 200_000, |share| 100.0 + 400.0 * share);
        between(&shares, LEAST, 0.09);
        assert!(shares.iter().sum::<f64>() / shares.len() as f64 > 0.03, "{shares:?}");
    }

    #[test]
    fn both_together_are_told_apart() {
        let mut ease = Ease::new(1.3);
        // 45 ms more than the 150 that it has by itself.
        let (_, shares) = play(&mut ease, 300_000, |share| 150.0 + 600.0 * share);
        between(&shares, LEAST, 0.09);
        assert!(shares.iter().sum::<f64>() / shares.len() as f64 > 0.03, "{shares:?}");
    }

    #[test]
    fn trouble_stops_it_and_trouble_that_lasts_is_not_its_own() {
        let mut ease = Ease::new(1.3);
        let (held, _) = play(&mut ease, 60_000, |_| 300.0);
        assert_eq!(held, 60_000);
        let (held, shares) = play(&mut ease, 60_000, |_| 300.0);
        assert!(held < 15_000, "{held}");
        between(&shares, 0.05, 1.0);
    }

    #[test]
    fn who_does_not_know_what_is_usual_looks_first() {
        let mut ease = Ease::new(1.3);
        let now = Health { error_rate: 0.05, ..slow(80.0, 0.0) };
        let mut held = 0;
        while ease.look(Some(now)).is_some() {
            held += 250;
        }
        assert_eq!(held, 7_000);
        ease.passed(500.0);
        assert_eq!(ease.look(Some(now)), None, "its failures are its own");
        assert!(ease.share() > LEAST);
        let slower = Health { p99_ms: 120.0, ..now };
        assert_eq!(ease.look(Some(slower)), None);
        assert_eq!(ease.look(Some(Health { p99_ms: 150.0, ..now })), Some(TROUBLE));
        let mut ease = Ease::new(1.3);
        assert_eq!((ease.look(None), ease.share().to_string()), (None, "1".into()));
    }

    #[test]
    fn failures_are_never_usual() {
        let mut ease = Ease::new(1.3);
        let fails = Health { error_rate: 0.05, ..slow(100.0, 100.0) };
        let holds = (0..4_000).filter(|_| ease.look(Some(fails)).is_some()).count();
        assert_eq!(holds, 4_000);
    }
}
