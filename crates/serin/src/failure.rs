//! Why a command did not do its work: what happened, why, and one thing to do.

use crate::exit::Exit;
use serde::Serialize;
use serin_core::RefusalCode;

/// A command that failed. Printed once, by `main`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// For programs: `unknown-service`, `unreachable`, ...
    pub code: String,
    /// What happened, one line.
    pub message: String,
    /// Drawn errors of a file, or other lines of detail, as they are.
    pub detail: Option<String>,
    /// One thing to do.
    pub hint: Option<String>,
    /// Of what was refused: why, for programs.
    pub refusal: Option<RefusalCode>,
}

/// The same as a document, for `--json`.
#[derive(Debug, Serialize)]
pub struct FailureDocument<'a> {
    schema: &'static str,
    exit: u8,
    code: &'a str,
    message: &'a str,
    detail: Option<&'a str>,
    hint: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<RefusalCode>,
}

impl Failure {
    /// A failure with its message.
    pub fn new(exit: Exit, code: &str, message: impl Into<String>) -> Self {
        Self {
            exit,
            code: code.into(),
            message: message.into(),
            detail: None,
            hint: None,
            refusal: None,
        }
    }

    /// Wrong usage: exit code 2.
    pub fn usage(code: &str, message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, code, message)
    }

    /// An error of Serin or the system: exit code 1.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(Exit::Internal, "internal", message)
    }

    /// With one thing to do.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// As a document.
    pub fn document(&self) -> FailureDocument<'_> {
        FailureDocument {
            schema: "serin.error/v1",
            exit: self.exit.code(),
            code: &self.code,
            message: &self.message,
            detail: self.detail.as_deref(),
            hint: self.hint.as_deref(),
            refusal: self.refusal,
        }
    }
}
