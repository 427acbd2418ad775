//! Why a task failed, in words for a person.

use std::fmt;

/// The result of a task.
pub type Result<T> = std::result::Result<T, Failure>;

/// A failed task.
#[derive(Debug)]
pub struct Failure {
    message: String,
    code: u8,
    said: bool,
}

impl Failure {
    /// Something did not work.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: 1, said: false }
    }

    /// The command line was wrong.
    pub fn usage(message: impl Into<String>) -> Self {
        Self { code: 2, ..Self::new(message) }
    }

    /// The person has already read why, so that the last line printed can be another.
    pub fn said(self) -> Self {
        Self { said: true, ..self }
    }

    /// Whether nothing more must be printed.
    pub fn is_said(&self) -> bool {
        self.said
    }

    /// The exit code.
    pub fn code(&self) -> u8 {
        self.code
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// Says what was being done when an error came.
pub trait Doing<T> {
    /// `error while doing what`, as a [`Failure`].
    fn doing(self, what: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: fmt::Display> Doing<T> for std::result::Result<T, E> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|error| Failure::new(format!("{}: {error}", what())))
    }
}
