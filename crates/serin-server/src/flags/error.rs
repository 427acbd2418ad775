//! Why a wish about flags came to nothing. Then nothing was changed.

use super::edit::Refused;
use crate::api::error::ApiError;
use axum::http::StatusCode;
use serin_flags::Problem;

/// Why.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FlagError {
    /// There is no such set.
    #[error("there is no set of flags `{name}`")]
    UnknownSet {
        /// What was asked for.
        name: String,
        /// The sets there are.
        known: Vec<String>,
    },
    /// There is no such flag.
    #[error("there is no flag `{key}` in {set}")]
    UnknownFlag {
        /// Where it was looked for.
        set: String,
        /// What was asked for.
        key: String,
        /// Flags whose keys are near.
        near: Vec<String>,
    },
    /// It does not fit what the flag is.
    #[error("{}", .0.why)]
    Refused(Refused),
    /// A text or a number that cannot be.
    #[error("{0}")]
    Unreadable(String),
    /// What it would become is not valid.
    #[error("{}", summary(.0))]
    Invalid(Vec<Problem>),
    /// Somebody else changed it meanwhile.
    #[error("the flag was changed meanwhile: this is for change {wanted}, it is at {have}")]
    Changed {
        /// The change it was meant for.
        wanted: u64,
        /// The change it is at.
        have: u64,
    },
    /// Others must agree first: it is remembered as the request of this number.
    #[error("it waits for approval: request {0}")]
    Waits(u64),
    /// It could not be stored.
    #[error(transparent)]
    Store(#[from] serin_store::Error),
}

impl From<Refused> for FlagError {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

fn summary(problems: &[Problem]) -> String {
    match problems {
        [one] => one.to_string(),
        all => format!("{} things are wrong with it", all.len()),
    }
}

impl From<FlagError> for ApiError {
    fn from(error: FlagError) -> Self {
        let title = error.to_string();
        match error {
            FlagError::UnknownSet { known, .. } => {
                let hint = format!(
                    "sets: {}; make one with `serin flag sets --create NAME`",
                    known.join(", ")
                );
                Self::new(StatusCode::NOT_FOUND, "unknown-set", title).hint(hint)
            }
            FlagError::UnknownFlag { near, .. } => {
                let hint = match near.as_slice() {
                    [] => "`serin flag list` lists them".to_owned(),
                    near => format!("did you mean {}?", near.join(" or ")),
                };
                Self::new(StatusCode::NOT_FOUND, "unknown-flag", title).hint(hint)
            }
            FlagError::Refused(refused) => {
                let status = if refused.never {
                    StatusCode::UNPROCESSABLE_ENTITY
                } else {
                    StatusCode::CONFLICT
                };
                Self::new(status, "refused", title).hint(refused.hint)
            }
            FlagError::Unreadable(_) => Self::invalid(title),
            FlagError::Invalid(problems) => {
                let error = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid-flag", title);
                let error = error.hint("nothing was changed; fix it and try again");
                // One alone is the title already.
                if problems.len() < 2 {
                    return error;
                }
                let lines: Vec<_> = problems.iter().map(ToString::to_string).collect();
                error.detail(lines.join("\n"))
            }
            FlagError::Changed { .. } => {
                let error = Self::new(StatusCode::PRECONDITION_FAILED, "changed", title);
                error.hint("look at it with `serin flag get` and try again")
            }
            FlagError::Waits(id) => Self::new(StatusCode::CONFLICT, "waits-for-approval", title)
                .hint(format!("somebody else says `serin flag approve {id}`")),
            FlagError::Store(error) => error.into(),
        }
    }
}
