//! How hard the backfill works: a controller that sees numbers and gives numbers.
//!
//! Batches have the size that takes the time they should take. Between batches it rests, so that
//! others have the rest of the time. Beyond a limit it holds, and lets go only well below it, so
//! that it does not flutter.

mod ease;

use super::world::Health;
use crate::BackfillSettings;
use ease::Ease;

/// Rows of the first batch.
const FIRST: u32 = 500;

/// Rows below which a batch does not go for its time alone: then it is the commit that takes the
/// time, and smaller batches would only commit more often.
const LEAST: u32 = 32;

/// Most rows of a batch.
const MOST: u32 = 50_000;

/// What a limit must be below, as a share, before a hold ends.
const RELEASE: f64 = 0.8;

/// Longest rest between two batches, ms.
const LONGEST_REST_MS: f64 = 10_000.0;

/// Time after which a hold looks again, ms.
const LOOK_MS: u64 = 250;

/// Shortest time of one batch while the service has trouble, ms: what a batch writes is what a
/// commit of the service waits for.
const SHORTEST_MS: f64 = 2.0;

/// Bytes.
const GIB: u64 = 1 << 30;

/// Of a disk so much stays free, or this share of it where that is less.
const FREE_BYTES: u64 = 2 * GIB;
const FREE_SHARE: f64 = 0.05;

/// A disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disk {
    /// Bytes free.
    pub free: u64,
    /// All its bytes.
    pub size: u64,
}

/// What it keeps to.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// Time one batch should take, ms.
    pub batch_ms: f64,
    /// Share of the time it works, 0 to 1.
    pub duty: f64,
    /// Lag of a replica, ms.
    pub lag_ms: u64,
    /// Bytes a replica is behind.
    pub lag_bytes: u64,
    /// Bytes of log that a slot keeps back.
    pub kept_bytes: u64,
    /// The service's 99th percentile, as a multiple of what is usual.
    pub p99_factor: f64,
    /// Bytes that stay free on the disk; by its size unless said.
    pub disk_bytes: Option<u64>,
    /// Share of the server's connections in use.
    pub connections: f64,
}

impl Limits {
    /// Those a migration sets, the others as they are usual.
    pub fn of(settings: &BackfillSettings) -> Self {
        Self {
            batch_ms: settings.batch_ms.max(1) as f64,
            duty: settings.duty.clamp(0.01, 1.0),
            lag_ms: settings.max_lag_ms,
            lag_bytes: GIB / 8,
            kept_bytes: settings.max_kept_wal,
            p99_factor: settings.max_p99_factor.max(1.0),
            disk_bytes: settings.min_free_disk,
            connections: 0.95,
        }
    }
}

/// What is seen before a batch.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Signals {
    /// Largest lag of a replica, ms.
    pub lag_ms: u64,
    /// Most bytes a replica is behind.
    pub lag_bytes: u64,
    /// Most bytes of log a slot keeps back.
    pub kept_bytes: u64,
    /// Share of the server's connections in use.
    pub connections: f64,
    /// How the service fares.
    pub health: Option<Health>,
    /// The disk of the database, where somebody knows it.
    pub disk: Option<Disk>,
    /// Somebody asked for a pause.
    pub paused: bool,
    /// The share of the time that somebody set.
    pub duty: Option<f64>,
    /// The hours are not those it may run in.
    pub is_outside_hours: bool,
}

/// What to do now.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// A batch of so many rows.
    Go(u32),
    /// Nothing for so many ms, for this reason.
    Hold(u64, String),
}

/// A number, its limit, and what is said when it is passed.
type Passed = (f64, f64, fn(f64, f64) -> String);

/// The controller.
#[derive(Debug, Clone)]
pub struct Throttle {
    limits: Limits,
    size: u32,
    is_growing_fast: bool,
    duty: f64,
    ease: Ease,
    /// Which limit it waits for, by its place.
    held: Option<usize>,
    /// How often what it does was halved, when that was last asked.
    told: u32,
}

impl Throttle {
    /// With nothing seen yet; `size` rows when it has worked before.
    pub fn new(limits: Limits, size: Option<u32>) -> Self {
        let is_growing_fast = size.is_none();
        let size = size.unwrap_or(FIRST).clamp(1, MOST);
        let (duty, ease) = (limits.duty, Ease::new(limits.p99_factor));
        Self { limits, size, is_growing_fast, duty, ease, held: None, told: 0 }
    }

    /// Rows of the next batch.
    pub fn size(&self) -> u32 {
        self.size
    }

    /// Whether it gives way to the service by another measure than when this was last asked.
    pub fn has_news(&mut self) -> bool {
        let halved = self.halved();
        std::mem::replace(&mut self.told, halved) != halved
    }

    /// How it gives way to the service, in a sentence; `None` when it does not.
    pub fn gives_way(&self) -> Option<String> {
        let percent = 100.0 / f64::from(1_u32 << self.halved());
        let digits = usize::from(percent < 1.0);
        let text =
            || format!("the service comes first: it does {percent:.digits$} % of what it may");
        (self.halved() > 0).then(text)
    }

    /// How often what it does is halved for the service.
    fn halved(&self) -> u32 {
        (1.0 / self.ease.share()).log2().round() as u32
    }

    /// What to do with what is seen.
    pub fn look(&mut self, signals: &Signals) -> Verdict {
        self.duty = signals.duty.unwrap_or(self.limits.duty).clamp(0.01, 1.0);
        let over = self.over(signals);
        self.held = over.as_ref().map(|(at, _)| *at);
        let asked = match signals {
            Signals { paused: true, .. } => Some("somebody paused it; `resume` lets it go on"),
            Signals { is_outside_hours: true, .. } => {
                Some("it runs only in the hours of `backfill.window`")
            }
            _ => None,
        };
        if let Some(why) = asked.map(str::to_owned).or(over.map(|(_, why)| why)) {
            self.ease.passed(LOOK_MS as f64);
            return Verdict::Hold(LOOK_MS, why);
        }
        match self.ease.look(signals.health) {
            Some(why) => Verdict::Hold(LOOK_MS, why.into()),
            None => Verdict::Go(self.size),
        }
    }

    /// The first limit that is passed; one that holds it already, until well below.
    fn over(&self, signals: &Signals) -> Option<(usize, String)> {
        let limits = &self.limits;
        let all: [Passed; 5] = [
            (signals.lag_ms as f64, limits.lag_ms as f64, |is, limit| {
                format!("a replica lags {is:.0} ms behind; {limit:.0} ms are allowed")
            }),
            (signals.lag_bytes as f64, limits.lag_bytes as f64, |is, limit| {
                format!("a replica is {} MB behind; {} MB are allowed", mib(is), mib(limit))
            }),
            (signals.kept_bytes as f64, limits.kept_bytes as f64, |is, limit| {
                format!(
                    "a replication slot keeps {} MB of log; {} MB are allowed",
                    mib(is),
                    mib(limit)
                )
            }),
            (signals.connections, limits.connections, |is, _| {
                format!("{:.0} % of the server's connections are in use", is * 100.0)
            }),
            (scarce(signals.disk, limits.disk_bytes), 1.0, |_, _| {
                "the disk of the database is nearly full: make room, or say `min_free_disk`".into()
            }),
        ];
        let passed = |at: usize, is: f64, limit: f64| {
            let limit = if self.held == Some(at) { limit * RELEASE } else { limit };
            is > limit
        };
        let first = all.iter().enumerate().find(|(at, (is, limit, _))| passed(*at, *is, *limit));
        first.map(|(at, (is, limit, text))| (at, text(*is, *limit)))
    }

    /// A batch of this size took so long, its rows so long of that (the rest is the commit, which
    /// smaller batches would not shorten), and so many others waited for its locks. Gives the rest
    /// before the next one, ms.
    pub fn took(&mut self, elapsed_ms: f64, rows_ms: f64, waiters: u32) -> u64 {
        let (elapsed, ease) = (elapsed_ms.max(0.1), self.ease.share());
        let batch_ms = (self.limits.batch_ms * ease).max(SHORTEST_MS.min(self.limits.batch_ms));
        let ratio = batch_ms / rows_ms.max(0.1);
        let growth = if self.is_growing_fast { 2.0 } else { 1.1 };
        if ratio < 1.0 || waiters > 0 {
            self.is_growing_fast = false;
        }
        let factor = if waiters > 0 { 0.5 } else { ratio.clamp(0.5, growth) };
        // Conflicts have made it smaller than that: it grows again from there.
        let least = if waiters > 0 { 1 } else { LEAST.min(self.size) };
        self.resize(factor, least);
        let duty = self.duty * ease;
        let rest = (elapsed * (1.0 - duty) / duty).min(LONGEST_REST_MS);
        self.ease.passed(elapsed + rest);
        rest as u64
    }

    /// A batch met somebody else's lock, or a row it cannot fill in: half as many next time.
    pub fn halve(&mut self) {
        self.is_growing_fast = false;
        self.size = (self.size / 2).max(1);
    }

    fn resize(&mut self, factor: f64, least: u32) {
        let size = f64::from(self.size) * factor;
        // From a single row, too, it grows.
        let size = if factor > 1.0 { size.ceil() } else { size.floor() };
        self.size = (size as u32).clamp(least, MOST);
    }
}

fn mib(bytes: f64) -> String {
    format!("{:.0}", bytes / 1_048_576.0)
}

/// Above 1 when less is free than must stay free.
fn scarce(disk: Option<Disk>, least: Option<u64>) -> f64 {
    let Some(disk) = disk else { return 0.0 };
    let least = least.unwrap_or_else(|| FREE_BYTES.min((disk.size as f64 * FREE_SHARE) as u64));
    least as f64 / disk.free.max(1) as f64
}

/// Whether a minute of the day, 0 to 1439, is within hours such as `22:00-06:00`. Hours that
/// cannot be read are none: reading the document refuses them.
pub(crate) fn is_within(hours: Option<&str>, minute: u32) -> bool {
    let minute_of = |text: &str| {
        let (hour, rest) = text.trim().split_once(':')?;
        Some(hour.parse::<u32>().ok()? * 60 + rest.parse::<u32>().ok()?)
    };
    let Some((from, to)) = hours.and_then(|hours| hours.split_once('-')) else { return true };
    let (Some(from), Some(to)) = (minute_of(from), minute_of(to)) else { return true };
    if from <= to {
        return (from..to).contains(&minute);
    }
    minute >= from || minute < to
}

#[cfg(test)]
mod tests {
    use super::*;

    fn throttle() -> Throttle {
        Throttle::new(Limits::of(&BackfillSettings::default()), None)
    }

    fn held(verdict: &Verdict) -> bool {
        matches!(verdict, Verdict::Hold(..))
    }

    #[test]
    fn batches_come_to_the_time_they_should_take() {
        for micros_a_row in [2.0, 17.0, 400.0, 30_000.0] {
            let mut throttle = throttle();
            for _ in 0..200 {
                let ms = f64::from(throttle.size()) * micros_a_row / 1_000.0;
                throttle.took(ms + 5.0, ms, 0);
            }
            let wanted = (20_000.0 / micros_a_row).clamp(f64::from(LEAST), f64::from(MOST));
            let share = f64::from(throttle.size()) / wanted;
            assert!((0.85..=1.15).contains(&share), "{micros_a_row}");
        }
    }

    #[test]
    fn it_rests_as_its_duty_says() {
        let mut throttle = throttle();
        assert_eq!(throttle.took(20.0, 20.0, 0), 20);
        throttle.look(&Signals { duty: Some(0.25), ..Signals::default() });
        assert_eq!(throttle.took(20.0, 20.0, 0), 60);
        throttle.look(&Signals { duty: Some(1.0), ..Signals::default() });
        assert_eq!(throttle.took(20.0, 20.0, 0), 0);
    }

    #[test]
    fn a_hold_ends_well_below_its_limit() {
        let mut throttle = throttle();
        let mut at = |lag_ms| held(&throttle.look(&Signals { lag_ms, ..Signals::default() }));
        let seen: Vec<bool> = [1_900, 2_100, 1_900, 1_700, 1_500, 1_900].map(&mut at).into();
        assert_eq!(seen, [false, true, true, true, false, false]);
    }

    #[test]
    fn each_limit_holds_and_says_why() {
        let health =
            Health { p99_ms: 200.0, usual_p99_ms: 100.0, error_rate: 0.0, usual_error_rate: 0.0 };
        let errors = Health { p99_ms: 100.0, error_rate: 0.05, ..health };
        let none = Signals::default;
        let cases = [
            (Signals { lag_bytes: GIB, ..none() }, "MB behind"),
            (Signals { kept_bytes: 9 * GIB, ..none() }, "slot"),
            (Signals { connections: 0.97, ..none() }, "97 %"),
            (Signals { health: Some(health), ..none() }, "the service"),
            (Signals { health: Some(errors), ..none() }, "the service"),
            (Signals { disk: Some(Disk { free: GIB, size: 100 * GIB }), ..none() }, "disk"),
            (Signals { paused: true, ..none() }, "paused"),
            (Signals { is_outside_hours: true, ..none() }, "hours"),
        ];
        for (signals, part) in cases {
            let verdict = throttle().look(&signals);
            assert!(matches!(&verdict, Verdict::Hold(_, why) if why.contains(part)), "{verdict:?}");
        }
        assert_eq!(throttle().look(&none()), Verdict::Go(FIRST));
    }

    #[test]
    fn of_a_small_disk_less_stays_free() {
        let disk = |free, size| Some(Disk { free, size });
        assert!(scarce(disk(GIB, 100 * GIB), None) > 1.0);
        assert!(scarce(disk(GIB, 10 * GIB), None) < 1.0);
        assert!(scarce(disk(GIB / 4, 10 * GIB), None) > 1.0);
        assert!(scarce(disk(GIB, 10 * GIB), Some(2 * GIB)) > 1.0);
        assert!(scarce(disk(0, 10 * GIB), Some(0)) < 1.0);
        assert!(scarce(None, None) < 1.0);
    }

    #[test]
    fn the_jitter_of_a_quick_service_does_not_stop_it() {
        let looks =
            [(2.0, 3.9, false), (2.0, 6.5, true), (100.0, 155.0, false), (100.0, 165.0, true)];
        for (usual_p99_ms, p99_ms, holds) in looks {
            let health = Health { p99_ms, usual_p99_ms, error_rate: 0.0, usual_error_rate: 0.0 };
            let signals = Signals { health: Some(health), ..Signals::default() };
            assert_eq!(held(&throttle().look(&signals)), holds, "{p99_ms} after {usual_p99_ms}");
        }
    }

    #[test]
    fn the_jitter_of_a_quick_service_makes_it_work_less() {
        let at = |p99_ms| {
            let health =
                Health { p99_ms, usual_p99_ms: 1.0, error_rate: 0.0, usual_error_rate: 0.0 };
            Signals { health: Some(health), ..Signals::default() }
        };
        for (p99_ms, share) in [(1.0, 0.02..0.6), (1.25, 0.001..0.003), (1.4, 0.001..0.003)] {
            let mut throttle = throttle();
            let (mut last, mut time) = (0.0, 0.0);
            while time < 12_000.0 {
                assert!(!held(&throttle.look(&at(p99_ms))));
                let rest = throttle.took(2.0, 2.0, 0) as f64;
                (last, time) = (2.0 / (2.0 + rest), time + 2.0 + rest);
            }
            assert!(share.contains(&last), "{p99_ms}: {last}");
        }
    }

    #[test]
    fn beside_a_service_it_begins_slowly_and_a_slower_one_makes_it_work_less() {
        let mut throttle = throttle();
        let slow = |p99_ms| {
            let health =
                Health { p99_ms, usual_p99_ms: 100.0, error_rate: 0.0, usual_error_rate: 0.0 };
            Signals { health: Some(health), ..Signals::default() }
        };
        let mut shares = Vec::new();
        for p99_ms in [100.0; 400].into_iter().chain([140.0]) {
            assert!(!held(&throttle.look(&slow(p99_ms))));
            let rest = throttle.took(20.0, 20.0, 0) as f64;
            shares.push(20.0 / (20.0 + rest));
        }
        assert!(shares[0] < 0.04, "{shares:?}");
        assert!(shares[399] > 0.49, "{shares:?}");
        // Half of it at once.
        assert!((0.24..0.26).contains(&shares[400]), "{shares:?}");
        // Batches of 20 ms were too long while it had a sixteenth of its duty.
        assert_eq!(throttle.size(), LEAST);
    }

    #[test]
    fn how_it_gives_way_is_told_when_it_changes() {
        let mut throttle = throttle();
        assert!(!throttle.has_news() && throttle.gives_way().is_none());
        let health =
            Health { p99_ms: 100.0, usual_p99_ms: 100.0, error_rate: 0.0, usual_error_rate: 0.0 };
        let mut told = Vec::new();
        for _ in 0..400 {
            throttle.look(&Signals { health: Some(health), ..Signals::default() });
            throttle.took(20.0, 20.0, 0);
            if throttle.has_news() {
                told.extend(throttle.gives_way());
            }
        }
        assert_eq!(told[0], "the service comes first: it does 0.4 % of what it may");
        assert_eq!(told.last().unwrap(), "the service comes first: it does 50 % of what it may");
        assert_eq!((told.len(), throttle.gives_way()), (8, None));
    }

    #[test]
    fn whoever_waits_for_it_makes_it_smaller() {
        let mut throttle = throttle();
        throttle.took(1.0, 1.0, 3);
        assert_eq!(throttle.size(), FIRST / 2);
        for _ in 0..20 {
            throttle.halve();
        }
        assert_eq!(throttle.size(), 1);
        throttle.took(0.1, 0.1, 0);
        assert_eq!(throttle.size(), 2);
    }

    #[test]
    fn hours_can_go_past_midnight() {
        let cases = [
            (None, 0, true),
            (Some("22:00-06:00"), 23 * 60, true),
            (Some("22:00-06:00"), 5 * 60 + 59, true),
            (Some("22:00-06:00"), 6 * 60, false),
            (Some("01:30-02:00"), 95, true),
            (Some("01:30-02:00"), 120, false),
        ];
        for (hours, minute, within) in cases {
            assert_eq!(is_within(hours, minute), within, "{hours:?} {minute}");
        }
    }
}
