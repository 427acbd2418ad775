//! Many seeds, spread over the processors.

use crate::script::play;
use crate::tally::Tally;
use crate::world::Mode;
use crate::{seed, shrink};
use std::fmt::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Of so many seeds one runs on the shipped store.
const STORE_EVERY: u64 = 50;

/// Of so many seeds one has its log played again, and every rule checked at every event.
const THOROUGH_EVERY: u64 = 8;

/// Seeds with broken rules that are told with the rule.
const TOLD: usize = 10;

/// Seeds with broken rules of which at least the number is told.
const NUMBERED: usize = 1000;

/// A false rollback in so many judged good revisions is what the judge promises at most.
const ALPHA: f64 = 0.01;

/// Seeds to be played.
#[derive(Debug, Clone, Copy)]
pub struct Campaign {
    /// The first.
    pub from: u64,
    /// How many.
    pub seeds: u64,
    /// Whether the first that breaks a rule ends it, as it is.
    pub until_broken: bool,
}

/// A seed that broke a rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Broken {
    /// Which.
    pub seed: u64,
    /// The line of its script.
    pub line: usize,
    /// The rule.
    pub what: String,
}

/// What a campaign came to.
#[derive(Debug)]
pub struct Report {
    campaign: Campaign,
    /// The numbers of all seeds.
    pub tally: Tally,
    /// Seeds that broke a rule, in order.
    pub broken: Vec<Broken>,
    /// Processor time over all workers.
    spent: Duration,
    took: Duration,
}

/// How a seed is played; the same wherever it is played.
pub fn mode(seed: u64) -> Mode {
    let store = seed % STORE_EVERY == STORE_EVERY - 1;
    Mode { told: false, store, thorough: store || seed.is_multiple_of(THOROUGH_EVERY) }
}

/// What a seed broke, and its numbers.
pub fn play_seed(seed: u64) -> (Tally, Option<Broken>) {
    let played = play(&seed::script(seed), mode(seed));
    let broken = played.failed.map(|error| Broken { seed, line: error.line, what: error.what });
    (played.tally, broken)
}

impl Campaign {
    /// Plays all of them. The sum does not depend on how they are spread.
    pub fn run(self) -> Report {
        let started = Instant::now();
        let next = AtomicU64::new(self.from);
        let total = Mutex::new((Tally::default(), Vec::new(), Duration::ZERO));
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        std::thread::scope(|scope| {
            for _ in 0..workers {
                scope.spawn(|| self.work(&next, &total));
            }
        });
        let (tally, mut broken, spent) = total.into_inner().unwrap_or_default();
        broken.sort();
        Report { campaign: self, tally, broken, spent, took: started.elapsed() }
    }

    fn work(self, next: &AtomicU64, total: &Mutex<(Tally, Vec<Broken>, Duration)>) {
        let started = Instant::now();
        let (mut tally, mut broken) = (Tally::default(), Vec::new());
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= self.from.saturating_add(self.seeds) {
                break;
            }
            let (numbers, wrong) = play_seed(seed);
            tally.add(&numbers);
            if self.until_broken && wrong.is_some() {
                next.store(self.from.saturating_add(self.seeds), Ordering::Relaxed);
            }
            broken.extend(wrong);
        }
        if let Ok(mut total) = total.lock() {
            total.0.add(&tally);
            total.1.extend(broken);
            total.2 += processor_time().unwrap_or_else(|| started.elapsed());
        }
    }
}

/// What this thread used of a processor so far, where the system tells it; other programs on the
/// machine are not in it.
fn processor_time() -> Option<Duration> {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    told.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}

impl Report {
    /// For people; the first broken seed as short as it can be made.
    pub fn text(&self) -> String {
        let mut out = self.broken_text();
        if let Some(first) = self.broken.first().filter(|_| !self.campaign.until_broken) {
            let short = shrink::shrink(&seed::script(first.seed), mode(first.seed));
            let _ = writeln!(out, "\nseed {} made short:\n{short}", first.seed);
        }
        let (tally, spent) = (&self.tally, self.spent.as_secs_f64().max(1e-9));
        let rollouts = tally.rollouts();
        let _ = writeln!(
            out,
            "{} seeds from {} in {:.1} s: {rollouts} rollouts {:?}, {:.0} a second a core; \
             {} events, {} faults, {} controllers ended; false rollbacks {} of {} ({:.2} %, \
             promised {:.0} %); {} seeds broke a rule",
            self.campaign.seeds,
            self.campaign.from,
            self.took.as_secs_f64(),
            tally.outcomes,
            rollouts as f64 / spent,
            tally.events,
            tally.faults,
            tally.crashes,
            tally.false_rollbacks,
            tally.good_trials,
            100.0 * tally.false_rollbacks as f64 / (tally.good_trials.max(1)) as f64,
            100.0 * ALPHA,
            self.broken.len()
        );
        out
    }

    /// What some of them broke, and the numbers of all, to be played again one by one.
    fn broken_text(&self) -> String {
        let mut out = String::new();
        for broken in self.broken.iter().take(TOLD) {
            let _ = writeln!(out, "seed {} line {}: {}", broken.seed, broken.line, broken.what);
        }
        if self.broken.len() > TOLD {
            out.push_str("all that broke a rule:");
            for broken in self.broken.iter().take(NUMBERED) {
                let _ = write!(out, " {}", broken.seed);
            }
            let left = self.broken.len().saturating_sub(NUMBERED);
            if left > 0 {
                let _ = write!(out, " and {left} more");
            }
            out.push('\n');
        }
        out
    }
}
