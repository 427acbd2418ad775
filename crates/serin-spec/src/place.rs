//! Where things stand in the text: byte spans, lines and columns.

use serde::Serialize;

/// Byte range in the file's text.
pub type Span = std::ops::Range<usize>;

/// A place in the file, as people count: line and column from 1, columns in characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mark {
    /// Byte range.
    pub span: Span,
    /// Line of its start, from 1.
    pub line: usize,
    /// Column of its start in characters, from 1.
    pub column: usize,
}

/// Starts of all lines, to turn offsets into lines and columns.
#[derive(Debug)]
pub(crate) struct Lines<'s> {
    text: &'s str,
    starts: Vec<usize>,
}

impl<'s> Lines<'s> {
    pub(crate) fn new(text: &'s str) -> Self {
        let after_newlines = text.match_indices('\n').map(|(at, _)| at + 1);
        Self { text, starts: std::iter::once(0).chain(after_newlines).collect() }
    }

    /// The place of `span`, cut at the end of its first line.
    pub(crate) fn mark(&self, span: &Span) -> Mark {
        let start = floor(self.text, span.start);
        let line = self.starts.partition_point(|&s| s <= start);
        let column = self.text[self.starts[line - 1]..start].chars().count() + 1;
        let rest = self.text[start..].lines().next().unwrap_or("");
        let longest = start + rest.trim_end().len();
        let end = floor(self.text, span.end).min(longest).max(start);
        Mark { span: start..end, line, column }
    }

    /// Text of a line, from 1, without its end, and the offset of its start.
    pub(crate) fn line(&self, line: usize) -> (&'s str, usize) {
        let start = self.starts[line - 1];
        (self.text[start..].lines().next().unwrap_or(""), start)
    }
}

/// The nearest character boundary at or before `at`.
fn floor(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}
