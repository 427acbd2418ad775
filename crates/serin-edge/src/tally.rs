//! What was evaluated, how often.
//!
//! Answers count in cells of their own, without a lock; what clients report counts in one bounded
//! list.

use crate::outcome::Taken;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// Most entries of what clients report, and of flags that do not exist.
const MAX_REPORTED: usize = 20_000;
/// Most keys that are remembered though no flag has them.
const MAX_UNKNOWN: usize = 1_000;
/// Longest name that is remembered, in bytes.
const MAX_NAME: usize = 200;

/// How an evaluation came to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// One flag over OFREP.
    Ofrep,
    /// All flags at once over OFREP: says that a client exists, not that it looks at a flag.
    OfrepBulk,
    /// One flag over flagd's gRPC.
    Flagd,
    /// All flags at once over flagd's gRPC.
    FlagdBulk,
    /// All flags at once over Unleash's frontend API.
    UnleashFrontend,
    /// Evaluated in a client, reported by Unleash's metrics.
    UnleashMetrics,
    /// Evaluated in a client, reported by OpenTelemetry.
    Otlp,
}

impl Protocol {
    const COUNTED: usize = 5;

    /// Its name in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ofrep => "ofrep",
            Self::OfrepBulk => "ofrep-bulk",
            Self::Flagd => "flagd",
            Self::FlagdBulk => "flagd-bulk",
            Self::UnleashFrontend => "unleash-frontend",
            Self::UnleashMetrics => "unleash-metrics",
            Self::Otlp => "otlp",
        }
    }

    const ALL: [Self; Self::COUNTED] =
        [Self::Ofrep, Self::OfrepBulk, Self::Flagd, Self::FlagdBulk, Self::UnleashFrontend];
}

/// One answer of one flag.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Answer {
    /// The set.
    pub set: String,
    /// The flag.
    pub flag: String,
    /// The variant; empty when there was none.
    #[serde(default)]
    pub variant: String,
    /// `STATIC`, `TARGETING_MATCH`, `DEFAULT`, `DISABLED`, or an error's code.
    pub reason: String,
    /// How it was asked.
    pub protocol: Protocol,
    /// `true` or `false` of a boolean flag, `default` without a value, `error`, else the variant.
    pub result: String,
    /// What the flag decides by: `all`, `none`, `user_list`, `attribute`, `percentage`, or several
    /// of these joined by `+`; empty when not known.
    #[serde(default)]
    pub strategy: String,
}

/// How often an answer was given. Cumulative since the process began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evaluations {
    /// The answer.
    #[serde(flatten)]
    pub answer: Answer,
    /// How often.
    pub count: u64,
}

/// A key that clients ask for and no flag has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unknown {
    /// The set.
    pub set: String,
    /// The key.
    pub key: String,
    /// How often it was asked for.
    pub count: u64,
}

/// What was done with the outcomes of a flag that apps report. Cumulative since the process began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcomes {
    /// The set.
    pub set: String,
    /// The flag.
    pub flag: String,
    /// What was done with them.
    pub taken: Taken,
    /// With how many.
    pub count: u64,
}

/// Everything counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Evaluations, without what never happened.
    pub evaluations: Vec<Evaluations>,
    /// Keys without a flag, at most 1 000.
    pub unknown: Vec<Unknown>,
    /// Outcomes that apps reported.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outcomes: Vec<Outcomes>,
    /// Reports and unknown keys for which there was no more room.
    pub forgotten: u64,
    /// Open event streams.
    pub streams: u64,
}

impl Counts {
    /// Leaves only what is another than it was when this was asked with the same `seen` before.
    pub fn keep_news(&mut self, seen: &mut BTreeMap<Answer, u64>) {
        self.evaluations.retain(|one| match seen.get_mut(&one.answer) {
            Some(count) => std::mem::replace(count, one.count) != one.count,
            None => seen.insert(one.answer.clone(), one.count).is_none(),
        });
    }
}

/// The answers of one flag, counted.
#[derive(Debug)]
pub struct Cells {
    outcomes: usize,
    cells: OnceLock<Box<[AtomicU64]>>,
}

impl Cells {
    /// Cells for so many different answers.
    pub fn new(outcomes: usize) -> Self {
        Self { outcomes, cells: OnceLock::new() }
    }

    /// Counts an answer.
    pub fn count(&self, outcome: usize, protocol: Protocol) {
        self.add(outcome, protocol, 1);
    }

    /// Counts so many answers.
    pub fn add(&self, outcome: usize, protocol: Protocol, count: u64) {
        let new = || (0..self.outcomes * Protocol::COUNTED).map(|_| AtomicU64::new(0)).collect();
        let at = outcome * Protocol::COUNTED + protocol as usize;
        if let Some(cell) = self.cells.get_or_init(new).get(at) {
            cell.fetch_add(count, Ordering::Relaxed);
        }
    }

    /// Every (answer, protocol, count) that happened.
    pub fn counted(&self) -> impl Iterator<Item = (usize, Protocol, u64)> {
        let cells = self.cells.get().into_iter().flatten().enumerate();
        let read = |(at, cell): (usize, &AtomicU64)| {
            let protocol = Protocol::ALL[at % Protocol::COUNTED];
            (at / Protocol::COUNTED, protocol, cell.load(Ordering::Relaxed))
        };
        cells.map(read).filter(|(.., count)| *count > 0)
    }
}

/// What one flag is called and what its answers mean.
#[derive(Debug)]
pub struct Named {
    pub set: String,
    pub flag: String,
    pub strategy: String,
    /// Variant, reason and result of each answer.
    pub outcomes: Vec<(String, &'static str, String)>,
    pub cells: Cells,
}

impl Named {
    fn read(&self) -> impl Iterator<Item = (Answer, u64)> {
        self.cells.counted().map(|(outcome, protocol, count)| {
            let (variant, reason, result) = &self.outcomes[outcome];
            let answer = Answer {
                set: self.set.clone(),
                flag: self.flag.clone(),
                variant: variant.clone(),
                reason: (*reason).to_owned(),
                protocol,
                result: result.clone(),
                strategy: self.strategy.clone(),
            };
            (answer, count)
        })
    }
}

#[derive(Default)]
struct Kept {
    /// Flags whose answers count, by set and key; also those of before the last change.
    named: BTreeMap<(String, String), Vec<Arc<Named>>>,
    reported: BTreeMap<Answer, u64>,
    unknown: BTreeMap<(String, String), u64>,
    outcomes: BTreeMap<(String, String, Taken), u64>,
    forgotten: u64,
}

/// All counts.
#[derive(Default)]
pub struct Tally {
    kept: Mutex<Kept>,
}

impl Tally {
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The cells for these answers: those that are there already if the flag still means the same.
    pub fn named(&self, new: Named) -> Arc<Named> {
        let mut kept = self.lock();
        let all = kept.named.entry((new.set.clone(), new.flag.clone())).or_default();
        let same =
            |held: &&Arc<Named>| held.outcomes == new.outcomes && held.strategy == new.strategy;
        if let Some(held) = all.iter().find(same) {
            return held.clone();
        }
        let new = Arc::new(new);
        all.push(new.clone());
        new
    }

    /// Puts what flags of before counted into the list of reports, so that only what is served
    /// keeps cells.
    pub fn retire(&self) {
        let mut kept = self.lock();
        let kept = &mut *kept;
        let mut over = Vec::new();
        kept.named.retain(|_, all| {
            over.extend(all.extract_if(.., |named| Arc::strong_count(named) == 1));
            !all.is_empty()
        });
        for (answer, count) in over.iter().flat_map(|named| named.read()) {
            add(&mut kept.reported, MAX_REPORTED, &mut kept.forgotten, answer, count);
        }
    }

    /// Counts what a client reports.
    pub fn report(&self, answer: Answer, count: u64) {
        let names = [&answer.flag, &answer.variant, &answer.reason, &answer.result];
        let mut kept = self.lock();
        if count == 0 {
            return;
        }
        if names.into_iter().any(|name| name.len() > MAX_NAME) {
            kept.forgotten = kept.forgotten.saturating_add(count);
            return;
        }
        let kept = &mut *kept;
        add(&mut kept.reported, MAX_REPORTED, &mut kept.forgotten, answer, count);
    }

    /// Counts a key that no flag has.
    pub fn unknown(&self, set: &str, key: &str, count: u64) {
        let mut kept = self.lock();
        if key.len() > MAX_NAME {
            kept.forgotten = kept.forgotten.saturating_add(count);
            return;
        }
        let (kept, name) = (&mut *kept, (set.to_owned(), key.to_owned()));
        add(&mut kept.unknown, MAX_UNKNOWN, &mut kept.forgotten, name, count);
    }

    /// Counts what was done with an outcome of a flag that is known.
    pub fn outcome(&self, set: &str, flag: &str, taken: Taken) {
        let mut kept = self.lock();
        let (kept, name) = (&mut *kept, (set.to_owned(), flag.to_owned(), taken));
        add(&mut kept.outcomes, MAX_REPORTED, &mut kept.forgotten, name, 1);
    }

    /// Everything counted so far; the streams are not known here.
    pub fn read(&self) -> Counts {
        let kept = self.lock();
        // What a flag counted before it was changed and changed back goes on.
        let mut all = kept.reported.clone();
        for (answer, count) in kept.named.values().flatten().flat_map(|named| named.read()) {
            *all.entry(answer).or_default() += count;
        }
        let unknown = kept.unknown.iter().map(|((set, key), count)| Unknown {
            set: set.clone(),
            key: key.clone(),
            count: *count,
        });
        let outcomes = kept.outcomes.iter().map(|((set, flag, taken), count)| Outcomes {
            set: set.clone(),
            flag: flag.clone(),
            taken: *taken,
            count: *count,
        });
        Counts {
            outcomes: outcomes.collect(),
            evaluations: all
                .into_iter()
                .map(|(answer, count)| Evaluations { answer, count })
                .collect(),
            unknown: unknown.collect(),
            forgotten: kept.forgotten,
            streams: 0,
        }
    }
}

fn add<K: Ord>(map: &mut BTreeMap<K, u64>, most: usize, over: &mut u64, key: K, count: u64) {
    if let Some(held) = map.get_mut(&key) {
        *held = held.saturating_add(count);
    } else if map.len() < most {
        map.insert(key, count);
    } else {
        *over = over.saturating_add(count);
    }
}

#[cfg(test)]
mod tests;
