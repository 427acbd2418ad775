//! Everything a judge was given, so that it can be judged again.

use crate::Timestamp;
use serde::{Deserialize, Serialize};
use serin_stats::{Judge, JudgeConfig, JudgeSettings, Rung, Tick};

/// One thing the judge of a rollout was given. In order they lead to its verdict, bit by bit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RecordedTick {
    /// The rollout's number within the service.
    pub rollout: u64,
    /// When.
    pub at: Timestamp,
    /// The rung that was asked for then.
    pub rung: Rung,
    /// What.
    pub given: Given,
}

impl RecordedTick {
    /// Most that are kept of one rollout; the rollout goes on without.
    pub const MOST: u64 = 200_000;
}

/// What a judge can be given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Given {
    /// The beginning of a rollout.
    Start {
        /// What is asked of the judge.
        settings: Box<JudgeSettings>,
        /// Rungs of the ladder.
        rungs: u32,
        /// The judge of an earlier try of the same pair, whose evidence counts.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        inherited: Option<Box<Judge>>,
    },
    /// Counts of both arms.
    Tick(Tick),
    /// Counts of a candidate that has all traffic.
    Alone(Tick),
    /// A person looked at a tripped guard.
    Cleared,
}

impl Given {
    /// Gives it to `judge`.
    pub(crate) fn to(&self, judge: &mut Judge) {
        match self {
            Self::Start { inherited: None, .. } => {}
            // Another revision took the candidate's place.
            Self::Start { inherited: Some(other), .. } => judge.clone_from(other),
            Self::Tick(tick) => judge.observe(tick),
            Self::Alone(tick) => judge.observe_alone(tick.seconds, &tick.canary),
            Self::Cleared => judge.clear_guards(),
        }
    }
}

/// The judge that `ticks` lead to, oldest first. `None` when they do not begin with a sound start.
pub fn judge_again<'a>(ticks: impl IntoIterator<Item = &'a RecordedTick>) -> Option<Judge> {
    let mut ticks = ticks.into_iter();
    let mut judge = match &ticks.next()?.given {
        Given::Start { inherited: Some(judge), .. } => (**judge).clone(),
        Given::Start { settings, .. } => Judge::new(JudgeConfig::new((**settings).clone()).ok()?),
        _ => return None,
    };
    ticks.for_each(|tick| tick.given.to(&mut judge));
    Some(judge)
}
