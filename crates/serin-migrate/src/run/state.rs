//! The states of a migration, and what may be asked of it in each.

use crate::Stage;
use serde::{Deserialize, Serialize};

/// How far a migration is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum State {
    /// Its plan is kept; nothing is done.
    Planned,
    /// New columns and triggers come beside what is there.
    Expanding,
    /// Rows that are there are filled in.
    Backfilling,
    /// What must hold is looked at, then the new views appear.
    Verifying,
    /// Both shapes are in use.
    Dual,
    /// The old shape is going.
    Contracting,
    /// Only the new shape is left.
    Done,
    /// The new shape is going.
    Reverting,
    /// Only the old shape is left.
    Reverted,
}

/// What is asked of a migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// On to both shapes.
    Forward,
    /// On to the new shape alone.
    Contract,
    /// Back to the old shape.
    Revert,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Planned,
        Self::Expanding,
        Self::Backfilling,
        Self::Verifying,
        Self::Dual,
        Self::Contracting,
        Self::Done,
        Self::Reverting,
        Self::Reverted,
    ];

    /// As it is kept in the database.
    pub fn word(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Expanding => "expanding",
            Self::Backfilling => "backfilling",
            Self::Verifying => "verifying",
            Self::Dual => "dual",
            Self::Contracting => "contracting",
            Self::Done => "done",
            Self::Reverting => "reverting",
            Self::Reverted => "reverted",
        }
    }

    /// From its word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.word() == word)
    }

    /// It has ended: another migration may start.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Done | Self::Reverted)
    }

    /// The state while a step of a stage is done.
    pub fn of(stage: Stage) -> Self {
        match stage {
            Stage::Expand => Self::Expanding,
            Stage::Backfill => Self::Backfilling,
            Stage::Verify | Stage::Publish => Self::Verifying,
            Stage::Validate | Stage::Swap => Self::Contracting,
            Stage::Grace => Self::Done,
            Stage::Unpublish | Stage::Salvage | Stage::Revert => Self::Reverting,
        }
    }

    /// What must be gone on with after a crash; `None` when it rests.
    pub fn open(self) -> Option<Wish> {
        match self {
            Self::Planned | Self::Expanding | Self::Backfilling | Self::Verifying => {
                Some(Wish::Forward)
            }
            Self::Contracting => Some(Wish::Contract),
            Self::Reverting => Some(Wish::Revert),
            Self::Dual | Self::Done | Self::Reverted => None,
        }
    }

    /// Whether it may be asked now; else why not.
    ///
    /// # Errors
    /// The reason, and what to do instead.
    pub fn may(self, wish: Wish) -> Result<(), &'static str> {
        match (wish, self) {
            (Wish::Revert, state) if state != Self::Done => Ok(()),
            (_, Self::Done) => Err(
                "it is done: the old shape is gone. Write a migration that brings back what is \
                 missing; what an operation dropped lies hidden as `_serin_gone_...` for the grace time",
            ),
            (_, Self::Reverted) => Err("it was taken back. Start it again"),
            (_, Self::Reverting) => Err("it is being taken back. Let that end, then start again"),
            (Wish::Contract, Self::Dual | Self::Contracting)
            | (Wish::Forward | Wish::Revert, _) => Ok(()),
            (Wish::Contract, _) => Err("the new shape is not ready. Let it get there first"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_states_are_the_same() {
        for state in State::ALL {
            assert_eq!(State::from_word(state.word()), Some(state));
            assert_eq!(serde_json::json!(state), state.word());
        }
        assert_eq!(State::from_word("nothing"), None);
    }

    #[test]
    fn a_migration_can_be_taken_back_until_it_is_done() {
        for state in State::ALL {
            assert_eq!(state.may(Wish::Revert).is_ok(), state != State::Done, "{state:?}");
        }
    }

    #[test]
    fn only_both_shapes_can_be_contracted() {
        let may = |state: &State| state.may(Wish::Contract).is_ok();
        let those: Vec<State> = State::ALL.into_iter().filter(may).collect();
        assert_eq!(those, [State::Dual, State::Contracting]);
    }

    #[test]
    fn what_a_crash_leaves_open_may_be_gone_on_with() {
        for state in State::ALL {
            assert!(state.open().is_none_or(|wish| state.may(wish).is_ok()), "{state:?}");
            assert!(state.open().is_none() || !state.is_over());
        }
    }
}
