//! What is missing and what it costs, in sentences.

use super::{Cost, Never, Unmet};
use std::fmt;

impl fmt::Display for Unmet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Soak { held, needs } => {
                write!(f, "{} s in this phase, {} s are asked for", held.as_secs(), needs.as_secs())
            }
            Self::BacklogUnknown => {
                f.write_str("the outbox was not measured; is its database reachable?")
            }
            Self::Backlog { found, limit } => write!(
                f,
                "{} writes wait in the outbox, the oldest for {} ms; at most {} and {} ms are allowed",
                found.waiting,
                found.oldest.as_millis(),
                limit.waiting,
                limit.oldest.as_millis()
            ),
            Self::Dead { dead } => {
                write!(
                    f,
                    "{dead} writes were given up; read their reasons, then requeue or discard them"
                )
            }
            Self::ReadsUnknown => f.write_str("no reads were compared; sample some"),
            Self::TooFewReads { compared, needs } => {
                write!(f, "{compared} reads were compared, {needs} are asked for")
            }
            Self::ReadsDiffer { found, upper, limit } => write!(
                f,
                "{} of {} compared reads differed, so up to {:.4} % may; below {:.4} % is asked for",
                found.differed,
                found.compared,
                upper * 100.0,
                limit * 100.0
            ),
            Self::ChecksumUnknown => {
                f.write_str("the stores were not compared; run `serin migrate compare`")
            }
            Self::ChecksumDiffers => {
                f.write_str("the stores differ; `serin migrate compare` names the rows")
            }
            Self::ChecksumOld { age, limit } => write!(
                f,
                "the stores were compared {} s ago, at most {} s are allowed; compare again",
                age.as_secs(),
                limit.as_secs()
            ),
            Self::Approval => f.write_str("a person has to agree"),
        }
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WritersWait { waiting } => {
                write!(f, "writers wait while {waiting} writes are brought over")
            }
            Self::CopyAgain => f.write_str("the new store must be copied again before the next try"),
            Self::ReadsCountAnew => f.write_str("reads compared so far count no more"),
            Self::NoWayBack => {
                f.write_str("the old store gets no more writes: there is no way back")
            }
            Self::Loses { writes: Some(writes) } => {
                write!(f, "{writes} writes are only in the new store and not seen any more")
            }
            Self::Loses { writes: None } => {
                f.write_str("writes that are only in the new store are not seen any more; how many is not known")
            }
        }
    }
}

impl fmt::Display for Never {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Skips { next } => {
                write!(f, "forward is one phase at a time; set the flag to `{next}` first")
            }
            Self::OldIsStale => f.write_str(
                "the old store no longer has what was written; begin a new move, from the new store to the old one",
            ),
        }
    }
}
