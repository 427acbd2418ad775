//! Exit codes: one meaning each, the same for every command.

use serin_core::Outcome;
use std::process::ExitCode;

/// How a command ended, as its caller's scripts see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// The wanted state was reached.
    Reached,
    /// Something inside Serin failed, or a way back did not help.
    Internal,
    /// Wrong usage or an invalid file; nothing was changed.
    Usage,
    /// Evidence or health decided against the version.
    RolledBack,
    /// A person stopped it, or a newer rollout took its place.
    Aborted,
    /// Still running when `--timeout` ended.
    TimedOut,
    /// Refused in the present state; nothing was changed.
    Refused,
    /// The server cannot be reached or does not let us in: the outcome is not known.
    Unreachable,
    /// Ctrl-C: detached; what runs goes on.
    Detached,
}

/// What `serin help exit-codes` prints.
pub const TABLE: &str = "\
code  meaning                                              what a pipeline should do
0     reached the wanted state                             go on
1     internal error, or a way back that did not help      alert
2     wrong usage or an invalid file                       fix it
3     rolled back by analysis or health                    fail: the version is bad
4     aborted by a person, or superseded by a newer one    stop quietly
5     still running when --timeout ended                   wait again with `serin wait`
6     refused: not possible in the present state           read the reason, try later
7     server unreachable or not authorised                 ask again: the outcome is not known
130   Ctrl-C: detached, the rollout goes on                nothing";

impl Exit {
    /// The number.
    pub fn code(self) -> u8 {
        match self {
            Self::Reached => 0,
            Self::Internal => 1,
            Self::Usage => 2,
            Self::RolledBack => 3,
            Self::Aborted => 4,
            Self::TimedOut => 5,
            Self::Refused => 6,
            Self::Unreachable => 7,
            Self::Detached => 130,
        }
    }

    /// What the end of a rollout means for someone who wanted it promoted.
    pub fn of_outcome(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Promoted => Self::Reached,
            Outcome::RolledBack => Self::RolledBack,
            Outcome::Aborted | Outcome::Superseded => Self::Aborted,
        }
    }

    /// What an HTTP status of the API means.
    pub fn of_status(status: u16) -> Self {
        match status {
            401 | 403 => Self::Unreachable,
            409 | 412 => Self::Refused,
            400..=499 => Self::Usage,
            _ => Self::Internal,
        }
    }

    /// The one to report when several services ended differently: what needs the most attention.
    #[must_use]
    pub fn worse(self, other: Self) -> Self {
        let weight = |exit: Self| match exit {
            Self::Reached => 0,
            Self::Aborted => 1,
            Self::TimedOut => 2,
            Self::Refused => 3,
            Self::Usage => 4,
            Self::RolledBack => 5,
            Self::Unreachable => 6,
            Self::Internal => 7,
            Self::Detached => 8,
        };
        if weight(other) > weight(self) { other } else { self }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_in_the_table() {
        let all = [
            Exit::Reached,
            Exit::Internal,
            Exit::Usage,
            Exit::RolledBack,
            Exit::Aborted,
            Exit::TimedOut,
            Exit::Refused,
            Exit::Unreachable,
            Exit::Detached,
        ];
        for exit in all {
            let start = format!("{} ", exit.code());
            assert!(TABLE.lines().any(|line| line.starts_with(&start)), "{exit:?}");
        }
    }

    #[test]
    fn statuses_of_the_api() {
        let codes = [401, 403, 404, 409, 422, 500, 503].map(|s| Exit::of_status(s).code());
        assert_eq!(codes, [7, 7, 2, 6, 2, 1, 1]);
    }

    #[test]
    fn the_worse_end_of_two_services_counts() {
        assert_eq!(Exit::Reached.worse(Exit::RolledBack), Exit::RolledBack);
        assert_eq!(Exit::RolledBack.worse(Exit::Aborted), Exit::RolledBack);
    }
}
