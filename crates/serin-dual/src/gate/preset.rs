//! Schedules with a name.

use super::{BacklogLimit, Needs, ReadLimit, Rules};
use crate::phase::Phase;
use serde::Serialize;
use std::time::Duration;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// The backlog a store may have when it takes over: what is brought over while writers wait.
const SMALL: BacklogLimit = BacklogLimit { waiting: 100, oldest: Duration::from_secs(1) };

/// The backlog of a store that nobody depends on yet.
const MODERATE: BacklogLimit = BacklogLimit { waiting: 10_000, oldest: Duration::from_mins(1) };

/// The names, in the order of their caution.
pub const PRESETS: [&str; 4] = ["weeks", "split", "days", "rehearsal"];

/// A schedule and what its moves ask for.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Preset {
    /// Its name.
    pub name: &'static str,
    /// What it is for.
    pub about: &'static str,
    /// Which share of the reads has which phase for how long, in order.
    pub shares: Vec<Share>,
    /// What the moves ask for. The soak of a phase is the sum of its shares' times.
    pub rules: Rules,
}

/// A share of the reads has this phase, the rest has the one before. Writes are alike for all:
/// the stores say who holds them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Share {
    /// The phase.
    pub phase: Phase,
    /// Per cent of the reads, 1 to 100.
    pub percent: u8,
    /// How long at least.
    pub soak: Duration,
}

/// The preset of a name.
pub fn preset(name: &str) -> Option<Preset> {
    match name {
        "weeks" => Some(weeks()),
        "split" => Some(split()),
        "days" => Some(days()),
        "rehearsal" => Some(rehearsal()),
        _ => None,
    }
}

/// Compares outputs for weeks, then keeps the old store as a fallback for as long.
fn weeks() -> Preset {
    let shares = [
        (Phase::DualWriteReadOld, 100, DAY),
        (Phase::DualWriteShadowRead, 1, HOUR),
        (Phase::DualWriteShadowRead, 10, 23 * HOUR),
        (Phase::DualWriteShadowRead, 100, 13 * DAY),
        (Phase::ReadNewDualWrite, 1, HOUR),
        (Phase::ReadNewDualWrite, 10, 23 * HOUR),
        (Phase::ReadNewDualWrite, 50, DAY),
        (Phase::ReadNewDualWrite, 100, 12 * DAY),
    ];
    let reads = ReadLimit { compared: 100_000, rate: 0.0002, alpha: 0.01 };
    let about = "a new kind of store: weeks of comparing, weeks with the old one as a fallback";
    made("weeks", about, &shares, reads, DAY)
}

/// The store is the same kind and a copy exists: all reads are compared at once.
fn split() -> Preset {
    let shares = [
        (Phase::DualWriteReadOld, 100, HOUR),
        (Phase::DualWriteShadowRead, 100, 7 * DAY),
        (Phase::ReadNewDualWrite, 100, 7 * DAY),
    ];
    let reads = ReadLimit { compared: 100_000, rate: 0.0002, alpha: 0.01 };
    let about = "read-write splitting: all reads compared, then all from the new store; the old one stays as an archive";
    made("split", about, &shares, reads, DAY)
}

/// Dual write, dual read, switch, cleanup, each long enough for one day's shape of traffic.
fn days() -> Preset {
    let shares = [
        (Phase::DualWriteReadOld, 100, HOUR),
        (Phase::DualWriteShadowRead, 10, HOUR),
        (Phase::DualWriteShadowRead, 100, DAY),
        (Phase::ReadNewDualWrite, 10, HOUR),
        (Phase::ReadNewDualWrite, 100, DAY),
    ];
    let reads = ReadLimit { compared: 20_000, rate: 0.001, alpha: 0.01 };
    made(
        "days",
        "the four steps with a day for each of the two that matter",
        &shares,
        reads,
        6 * HOUR,
    )
}

/// For a test environment.
fn rehearsal() -> Preset {
    let shares = [
        (Phase::DualWriteReadOld, 100, MINUTE),
        (Phase::DualWriteShadowRead, 100, 5 * MINUTE),
        (Phase::ReadNewDualWrite, 100, 5 * MINUTE),
    ];
    let reads = ReadLimit { compared: 1_000, rate: 0.02, alpha: 0.05 };
    let preset =
        made("rehearsal", "every step in minutes; not for production", &shares, reads, HOUR);
    let to_new_only = Needs { approval: false, ..preset.rules.to_new_only };
    Preset { rules: Rules { to_new_only, ..preset.rules }, ..preset }
}

fn made(
    name: &'static str,
    about: &'static str,
    shares: &[(Phase, u8, u64)],
    reads: ReadLimit,
    checked_within: u64,
) -> Preset {
    let share = |&(phase, percent, secs)| Share { phase, percent, soak: Duration::from_secs(secs) };
    let shares: Vec<Share> = shares.iter().map(share).collect();
    let soak = |phase| shares.iter().filter(|s| s.phase == phase).map(|s| s.soak).sum();
    let checksum = Some(Duration::from_secs(checked_within));
    let to_new_only = Needs {
        soak: soak(Phase::ReadNewDualWrite),
        backlog: Some(SMALL),
        reads: Some(reads),
        checksum,
        approval: true,
    };
    let rules = Rules {
        // The outbox must be there; what is in it does not matter yet.
        to_dual_write: Needs {
            backlog: Some(BacklogLimit { waiting: u64::MAX, oldest: Duration::MAX }),
            ..Needs::default()
        },
        to_shadow_read: Needs {
            soak: soak(Phase::DualWriteReadOld),
            backlog: Some(MODERATE),
            ..Needs::default()
        },
        to_read_new: Needs {
            soak: soak(Phase::DualWriteShadowRead),
            approval: false,
            ..to_new_only.clone()
        },
        to_new_only,
        back: SMALL,
    };
    Preset { name, about, shares, rules }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_has_its_preset_and_no_other() {
        for name in PRESETS {
            assert_eq!(preset(name).unwrap().name, name);
        }
        assert_eq!(preset("Weeks"), None);
    }

    #[test]
    fn shares_only_grow_within_a_phase_and_end_at_all() {
        for preset in PRESETS.map(|name| preset(name).unwrap()) {
            for pair in preset.shares.windows(2) {
                let (one, next) = (pair[0], pair[1]);
                let grows = one.phase == next.phase && one.percent < next.percent;
                let moves = one.phase.next() == Some(next.phase) && one.percent == 100;
                assert!(grows || moves, "{}: {one:?} then {next:?}", preset.name);
            }
            let last = preset.shares.last().unwrap();
            assert_eq!((last.phase, last.percent), (Phase::ReadNewDualWrite, 100));
        }
    }

    #[test]
    fn enough_reads_without_a_difference_meet_the_limit() {
        for preset in PRESETS.map(|name| preset(name).unwrap()) {
            let limit = preset.rules.to_read_new.reads.unwrap();
            let upper = crate::gate::upper_rate(0, limit.compared, limit.alpha);
            assert!(upper <= limit.rate, "{}: {upper}", preset.name);
        }
    }

    #[test]
    fn soaks_are_the_sums_of_the_shares() {
        let weeks = preset("weeks").unwrap().rules;
        assert_eq!(weeks.to_read_new.soak, Duration::from_secs(14 * DAY));
        assert_eq!(weeks.to_new_only.soak, Duration::from_secs(14 * DAY));
    }
}
