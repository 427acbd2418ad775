//! What a rule found.

use serde::Serialize;
use std::ops::Range;

/// How much a finding weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Probably a mistake.
    Warn,
    /// Not run until it is changed, or allowed with a reason.
    Block,
}

/// One thing that a rule found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The rule's name, as it stands behind `serin:allow`.
    pub rule: String,
    /// How much it weighs.
    pub severity: Severity,
    /// Where the SQL or value stands in the migration: `operations[0].sql.up`; empty for a file of
    /// SQL.
    pub path: String,
    /// Where in that SQL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// The statement it is in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sql: Option<String>,
    /// What was found, and why it matters.
    pub message: String,
    /// One thing to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The reason it is allowed, as its author wrote it; it blocks nothing then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed: Option<String>,
}

/// A place in SQL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Place {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// Bytes of the SQL.
    pub span: Range<usize>,
}

impl Finding {
    /// A finding about the whole of what was looked at.
    pub fn new(rule: &str, severity: Severity, message: impl Into<String>) -> Self {
        Self {
            rule: rule.into(),
            severity,
            path: String::new(),
            place: None,
            sql: None,
            message: message.into(),
            hint: None,
            allowed: None,
        }
    }

    /// With one thing to do.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// At a place in the document.
    #[must_use]
    pub fn path(self, path: impl Into<String>) -> Self {
        Self { path: path.into(), ..self }
    }

    /// In a statement.
    #[must_use]
    pub(crate) fn of(self, sql: &str) -> Self {
        Self { sql: Some(sql.to_owned()), ..self }
    }

    /// At bytes of `text`.
    #[must_use]
    pub(crate) fn at(self, text: &str, span: &Range<usize>) -> Self {
        Self { place: Some(Place::of(text, span)), ..self }
    }

    /// Whether it stands in the way.
    pub fn blocks(&self) -> bool {
        self.severity == Severity::Block && self.allowed.is_none()
    }
}

impl Place {
    fn of(text: &str, span: &Range<usize>) -> Self {
        let start = (0..=span.start.min(text.len())).rev().find(|&at| text.is_char_boundary(at));
        let before = &text[..start.unwrap_or(0)];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Self {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            span: before.len()..span.end.clamp(before.len(), text.len()),
        }
    }
}
