//! What comes out of an evaluation.

use crate::{FlagType, FlagValue, Metadata};
use serde_json::Value;
use std::fmt;

/// A flag's answer for one context.
///
/// `value` and `variant` are missing together: then the caller uses the default in its code, and
/// that is a success, not an error.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Resolution<'a> {
    /// The value to use; without one, the code's own default holds.
    pub value: Option<&'a FlagValue>,
    /// The name of the variant.
    pub variant: Option<&'a str>,
    /// Why it is this one.
    pub reason: Reason,
    /// The set's metadata, overlaid with the flag's.
    pub metadata: &'a Metadata,
    /// The side of a guarded release this user is on. Only there if the user is in its exposure
    /// pool, which is whom its statistics count.
    pub arm: Option<Arm>,
}

impl<'a> Resolution<'a> {
    /// The value as true or false; `None` means the code's default.
    pub fn boolean(&self) -> Result<Option<bool>, EvalError> {
        self.typed(FlagType::Boolean, FlagValue::as_bool)
    }

    /// The value as text; `None` means the code's default.
    pub fn string(&self) -> Result<Option<&'a str>, EvalError> {
        self.typed(FlagType::String, FlagValue::as_str)
    }

    /// The value as a whole number, if nothing is lost; `None` means the code's default.
    pub fn integer(&self) -> Result<Option<i64>, EvalError> {
        self.typed(FlagType::Number, FlagValue::as_i64)
    }

    /// The value as a fraction, if nothing is lost; `None` means the code's default.
    pub fn float(&self) -> Result<Option<f64>, EvalError> {
        self.typed(FlagType::Number, FlagValue::as_f64)
    }

    /// The value as an object or a list; `None` means the code's default.
    pub fn object(&self) -> Result<Option<&'a Value>, EvalError> {
        self.typed(FlagType::Object, FlagValue::as_object)
    }

    fn typed<T>(
        &self,
        wanted: FlagType,
        read: impl Fn(&'a FlagValue) -> Option<T>,
    ) -> Result<Option<T>, EvalError> {
        let Some(value) = self.value else { return Ok(None) };
        read(value).map(Some).ok_or_else(|| {
            let details = format!("the value {} is not of type {wanted}", value.json());
            EvalError::new(ErrorCode::TypeMismatch, details)
        })
    }
}

/// Why a flag has its value, in the words of OpenFeature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// The flag has no rules.
    Static,
    /// The rules matched nothing, or there is no default variant.
    Default,
    /// A rule named the variant.
    TargetingMatch,
    /// The flag is switched off; the code's default holds.
    Disabled,
}

impl Reason {
    /// The word of the protocols.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Static => "STATIC",
            Self::Default => "DEFAULT",
            Self::TargetingMatch => "TARGETING_MATCH",
            Self::Disabled => "DISABLED",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A side of a guarded release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Arm {
    /// Exposed and given the new variant.
    Treatment,
    /// Exposed and kept on the old variant, to compare with.
    Control,
}

impl Arm {
    /// The one that it is compared with.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Treatment => Self::Control,
            Self::Control => Self::Treatment,
        }
    }
}

/// Why a flag could not be evaluated. The caller uses the default in its code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {details}")]
pub struct EvalError {
    /// The kind of failure.
    pub code: ErrorCode,
    /// What happened and what to do, for people.
    pub details: String,
}

impl EvalError {
    /// An error of a kind.
    pub fn new(code: ErrorCode, details: impl Into<String>) -> Self {
        Self { code, details: details.into() }
    }
}

/// The kinds of failure of OpenFeature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ErrorCode {
    /// No flag of this name in the set.
    FlagNotFound,
    /// The flag's rules cannot be run.
    ParseError,
    /// The value is of another type than was asked for.
    TypeMismatch,
    /// The set demands a targeting key and the context has none.
    TargetingKeyMissing,
    /// The context is not an object, too large or too deep.
    InvalidContext,
    /// The rules named a variant that does not exist.
    General,
}

impl ErrorCode {
    /// The word of the protocols.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::FlagNotFound => "FLAG_NOT_FOUND",
            Self::ParseError => "PARSE_ERROR",
            Self::TypeMismatch => "TYPE_MISMATCH",
            Self::TargetingKeyMissing => "TARGETING_KEY_MISSING",
            Self::InvalidContext => "INVALID_CONTEXT",
            Self::General => "GENERAL",
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
