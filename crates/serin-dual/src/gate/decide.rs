//! One move: may it be made?

use super::rate::upper_rate;
use super::{Backlog, BacklogLimit, Compared, Evidence, Needs, ReadLimit, Rules};
use crate::phase::Phase;
use serde::Serialize;
use std::time::Duration;

/// Whether a move may be made.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "decision", rename_all = "snake_case")]
pub enum Decision {
    /// It is there already.
    Stay,
    /// Yes, and it costs this.
    Go {
        /// What one pays; empty when nothing.
        costs: Vec<Cost>,
    },
    /// Not yet.
    Wait {
        /// All that is missing.
        unmet: Vec<Unmet>,
    },
    /// Not from here.
    Never {
        /// Why.
        why: Never,
    },
}

/// What a move costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "cost", rename_all = "snake_case")]
pub enum Cost {
    /// Writers wait while what is left in the outbox is brought over.
    WritersWait {
        /// Writes to bring over.
        waiting: u64,
    },
    /// The new store misses what is written from now on; coming again, it must be copied again.
    CopyAgain,
    /// Reads compared so far count no more.
    ReadsCountAnew,
    /// The old store misses what is written from now on: there is no way back.
    NoWayBack,
    /// Writes that are only in the new store are not seen any more.
    Loses {
        /// How many, where that can still be told.
        writes: Option<u64>,
    },
}

/// Why a move is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "never", rename_all = "snake_case")]
pub enum Never {
    /// Forward is one phase at a time.
    Skips {
        /// The one that comes next.
        next: Phase,
    },
    /// The old store no longer has what was written.
    OldIsStale,
}

/// What is missing.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(tag = "unmet", rename_all = "snake_case")]
pub enum Unmet {
    /// Not long enough in the phase.
    Soak {
        /// Time in it.
        held: Duration,
        /// Time asked for.
        needs: Duration,
    },
    /// Nobody measured the outbox.
    BacklogUnknown,
    /// Too much waits.
    Backlog {
        /// What waits.
        found: Backlog,
        /// What may.
        limit: BacklogLimit,
    },
    /// Some were given up.
    Dead {
        /// How many.
        dead: u64,
    },
    /// Nobody compared reads.
    ReadsUnknown,
    /// Too few reads were compared.
    TooFewReads {
        /// Compared.
        compared: u64,
        /// Asked for.
        needs: u64,
    },
    /// Reads differ, or too few were compared to exclude that they do.
    ReadsDiffer {
        /// What was compared.
        found: Compared,
        /// The rate that cannot be excluded.
        upper: f64,
        /// The rate that must be.
        limit: f64,
    },
    /// Nobody compared the stores.
    ChecksumUnknown,
    /// They differ.
    ChecksumDiffers,
    /// That was too long ago.
    ChecksumOld {
        /// Its age.
        age: Duration,
        /// The age it may have.
        limit: Duration,
    },
    /// Nobody agreed.
    Approval,
}

/// Whether the move `from` -> `to` may be made after `held` in `from`.
pub fn decide(
    from: Phase,
    to: Phase,
    held: Duration,
    evidence: &Evidence,
    rules: &Rules,
) -> Decision {
    if from == to {
        return Decision::Stay;
    }
    if to < from {
        return back(from, to, evidence, rules);
    }
    match (from.next(), rules.from(from)) {
        (Some(next), Some(needs)) if next == to => forward(from, held, evidence, needs),
        (Some(next), _) => Decision::Never { why: Never::Skips { next } },
        (None, _) => Decision::Stay,
    }
}

fn forward(from: Phase, held: Duration, evidence: &Evidence, needs: &Needs) -> Decision {
    let unmet = missing(held, evidence, needs);
    if unmet.is_empty() {
        Decision::Go { costs: forward_costs(from, evidence) }
    } else {
        Decision::Wait { unmet }
    }
}

fn forward_costs(from: Phase, evidence: &Evidence) -> Vec<Cost> {
    match from {
        Phase::DualWriteShadowRead => vec![writers_wait(evidence)],
        Phase::ReadNewDualWrite => vec![Cost::NoWayBack],
        _ => Vec::new(),
    }
}

fn writers_wait(evidence: &Evidence) -> Cost {
    Cost::WritersWait { waiting: evidence.backlog.map_or(0, |backlog| backlog.waiting) }
}

/// All that `needs` asks for and `evidence` does not have.
fn missing(held: Duration, evidence: &Evidence, needs: &Needs) -> Vec<Unmet> {
    let soak = (held < needs.soak).then_some(Unmet::Soak { held, needs: needs.soak });
    let reads = needs.reads.and_then(|limit| reads_missing(evidence.reads, limit));
    let checksum = needs.checksum.and_then(|limit| checksum_missing(evidence, limit));
    let approval = (needs.approval && !evidence.approved).then_some(Unmet::Approval);
    let mut unmet: Vec<Unmet> = soak.into_iter().collect();
    unmet.extend(needs.backlog.iter().flat_map(|limit| backlog_missing(evidence, *limit)));
    unmet.extend([reads, checksum, approval].into_iter().flatten());
    unmet
}

fn backlog_missing(evidence: &Evidence, limit: BacklogLimit) -> Vec<Unmet> {
    let Some(found) = evidence.backlog else { return vec![Unmet::BacklogUnknown] };
    let mut unmet = Vec::new();
    if found.waiting > limit.waiting || found.oldest > limit.oldest {
        unmet.push(Unmet::Backlog { found, limit });
    }
    if found.dead > 0 {
        unmet.push(Unmet::Dead { dead: found.dead });
    }
    unmet
}

fn reads_missing(reads: Option<Compared>, limit: ReadLimit) -> Option<Unmet> {
    let Some(found) = reads else { return Some(Unmet::ReadsUnknown) };
    let Compared { compared, differed } = found;
    if compared < limit.compared {
        return Some(Unmet::TooFewReads { compared, needs: limit.compared });
    }
    let upper = upper_rate(differed, compared, limit.alpha);
    // A limit that is not a number lets nothing through.
    let is_met = upper <= limit.rate;
    (!is_met).then_some(Unmet::ReadsDiffer { found, upper, limit: limit.rate })
}

fn checksum_missing(evidence: &Evidence, limit: Duration) -> Option<Unmet> {
    match evidence.checksum {
        None => Some(Unmet::ChecksumUnknown),
        Some(checksum) if !checksum.equal => Some(Unmet::ChecksumDiffers),
        Some(checksum) if checksum.age > limit => {
            Some(Unmet::ChecksumOld { age: checksum.age, limit })
        }
        Some(_) => None,
    }
}

/// Back is open as long as the old store has what was written, over any number of phases.
fn back(from: Phase, to: Phase, evidence: &Evidence, rules: &Rules) -> Decision {
    match from {
        Phase::NewOnly => Decision::Never { why: Never::OldIsStale },
        Phase::ReadNewDualWrite => hand_back(to, evidence, rules),
        _ => Decision::Go { costs: back_costs(to) },
    }
}

/// The old store takes over again. It must have everything, or a person says that what it lacks
/// may be lost: a broken new store must not close the way back.
fn hand_back(to: Phase, evidence: &Evidence, rules: &Rules) -> Decision {
    let unmet = backlog_missing(evidence, rules.back);
    let first = match (unmet.is_empty(), evidence.approved) {
        (true, _) => writers_wait(evidence),
        (false, true) => {
            let lacks = |backlog: Backlog| backlog.waiting.saturating_add(backlog.dead);
            Cost::Loses { writes: evidence.backlog.map(lacks) }
        }
        (false, false) => return Decision::Wait { unmet },
    };
    Decision::Go { costs: std::iter::once(first).chain(back_costs(to)).collect() }
}

fn back_costs(to: Phase) -> Vec<Cost> {
    match to {
        Phase::WriteOld => vec![Cost::CopyAgain, Cost::ReadsCountAnew],
        _ => vec![Cost::ReadsCountAnew],
    }
}

#[cfg(test)]
mod tests;
