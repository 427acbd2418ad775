//! What is wrong with a file, and how it is shown.

use crate::{
    Source,
    place::{Lines, Mark, Span},
};
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use serde::Serialize;

/// More problems than this are counted, not shown.
const MAX_SHOWN: usize = 100;

/// Whether a problem stops the file from being used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The file is refused.
    Error,
    /// The file is used; its author should know.
    Warning,
}

/// One thing that is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Whether the file is refused for it.
    pub severity: Severity,
    /// Stable name of the rule: `unknown-key`, `out-of-range`, ...
    pub code: &'static str,
    /// What was found and what is allowed, in one lower-case sentence.
    pub message: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// Byte range in the file.
    pub span: Span,
    /// A few words at the marked place.
    pub label: Option<String>,
    /// One thing to do.
    pub hint: Option<String>,
    /// Other places that belong to it, each with a few words.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<Also>,
}

/// A second place of a problem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Also {
    /// Byte range in the file.
    pub span: Span,
    /// What is there.
    pub label: String,
}

impl Problem {
    /// A problem at bytes whose line is not known yet; see [`Self::placed`].
    pub(crate) fn error(code: &'static str, span: Span, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            code,
            message: message.into(),
            line: 1,
            column: 1,
            span,
            label: None,
            hint: None,
            also: Vec::new(),
        }
    }

    /// A problem at a known place.
    pub(crate) fn at(mark: &Mark, severity: Severity, code: &'static str, message: String) -> Self {
        let Mark { span, line, column } = mark.clone();
        Self { severity, line, column, ..Self::error(code, span, message) }
    }

    /// The same problem, as a warning.
    pub(crate) fn warning(self) -> Self {
        Self { severity: Severity::Warning, ..self }
    }

    /// With a few words at the marked place.
    #[must_use]
    pub fn label(self, label: impl Into<String>) -> Self {
        Self { label: Some(label.into()), ..self }
    }

    /// With one thing to do.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// With a second place.
    pub(crate) fn also(mut self, span: Span, label: impl Into<String>) -> Self {
        self.also.push(Also { span, label: label.into() });
        self
    }

    /// With its line and column filled in.
    pub(crate) fn placed(self, lines: &Lines<'_>) -> Self {
        let Mark { span, line, column } = lines.mark(&self.span);
        Self { line, column, span, ..self }
    }
}

/// Everything found in one file, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{}", self.summary())]
#[serde(transparent)]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    /// Whether any of them refuses the file.
    pub fn has_errors(&self) -> bool {
        self.0.iter().any(|problem| problem.severity == Severity::Error)
    }

    /// All problems, each with its line of `source`, for a terminal (`color`) or a log. Values of
    /// keys that look like secrets are shown as `*`.
    pub fn render(&self, source: &Source<'_>, color: bool) -> String {
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        let lines = Lines::new(source.text);
        let mut blocks: Vec<String> =
            self.0.iter().take(MAX_SHOWN).map(|p| drawn(p, source, &lines, &renderer)).collect();
        if let Some(more) = self.0.len().checked_sub(MAX_SHOWN).filter(|&more| more > 0) {
            blocks.push(format!("... and {more} more problems in {}", source.name));
        }
        blocks.join("\n\n")
    }

    fn summary(&self) -> String {
        let Some(first) = self.0.first() else { return "no problems".into() };
        let Problem { line, column, message, .. } = first;
        match self.0.len() - 1 {
            0 => format!("line {line}, column {column}: {message}"),
            more => format!("line {line}, column {column}: {message} (and {more} more problems)"),
        }
    }
}

/// One problem in the look of rustc.
fn drawn(problem: &Problem, source: &Source<'_>, lines: &Lines<'_>, renderer: &Renderer) -> String {
    let level = match problem.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let mut group = level
        .primary_title(problem.message.as_str())
        .id(problem.code)
        .element(snippet(problem, source, lines));
    for also in &problem.also {
        group = group.element(second_snippet(also, source, lines));
    }
    renderer.render(&[with_hint(group, problem)])
}

fn with_hint<'a>(group: Group<'a>, problem: &'a Problem) -> Group<'a> {
    match &problem.hint {
        Some(hint) => group.element(Level::HELP.message(hint.as_str())),
        None => group,
    }
}

type Drawing<'a> = Snippet<'a, annotate_snippets::Annotation<'a>>;

fn snippet<'a>(problem: &'a Problem, source: &'a Source<'_>, lines: &Lines<'_>) -> Drawing<'a> {
    let mark = lines.mark(&problem.span);
    let label = problem.label.as_deref();
    one_line(source, lines, &mark, label, AnnotationKind::Primary)
}

fn second_snippet<'a>(also: &'a Also, source: &'a Source<'_>, lines: &Lines<'_>) -> Drawing<'a> {
    let mark = lines.mark(&also.span);
    one_line(source, lines, &mark, Some(&also.label), AnnotationKind::Context)
}

/// Only the one line is given to the renderer, so that a large file costs nothing.
fn one_line<'a>(
    source: &'a Source<'_>,
    lines: &Lines<'_>,
    mark: &Mark,
    label: Option<&'a str>,
    kind: AnnotationKind,
) -> Drawing<'a> {
    let (line, start) = lines.line(mark.line);
    let span = mark.span.start - start..mark.span.end - start;
    let text =
        if continues_secret(lines, mark.line) { "*".repeat(line.len()) } else { masked(line) };
    Snippet::source(text)
        .line_start(mark.line)
        .path(source.name)
        .annotation(kind.span(span).label(label))
}

/// The line with the values of keys that look like secrets replaced by `*`, byte for byte, so that
/// a file checked in CI does not leave them in the log.
fn masked(line: &str) -> String {
    let (mut masked, mut done) = (String::new(), 0);
    for (colon, _) in
        line.match_indices(':').filter(|(at, _)| looks_secret(last_word(&line[..*at])))
    {
        if colon < done {
            continue;
        }
        let value = secret_value(line, colon + 1);
        masked.push_str(&line[done..value.start]);
        masked.push_str(&"*".repeat(value.len()));
        done = value.end;
    }
    without_passwords(&(masked + &line[done..]))
}

/// Passwords inside addresses, `postgres://ann:secret@host`, replaced by `*`, byte for byte.
fn without_passwords(line: &str) -> String {
    let mut text = line.to_owned();
    for (at, _) in line.match_indices("://") {
        if let Some((from, to)) = password(&line[at + 3..]) {
            let place = at + 3 + from + 1..at + 3 + to;
            text.replace_range(place.clone(), &"*".repeat(place.len()));
        }
    }
    text
}

/// Where a password stands in what follows `://`: from the first `:` to the last `@`. Nothing says
/// where one with an unescaped `/` ends, so what may be one is as long as it can be; a port is none.
fn password(rest: &str) -> Option<(usize, usize)> {
    let end = rest.find(|c: char| c.is_whitespace() || "\"'".contains(c)).unwrap_or(rest.len());
    let rest = &rest[..end];
    let host = rest.find('/').unwrap_or(rest.len());
    let from = rest.find(':').filter(|from| *from < host)?;
    let is_port = rest[from + 1..host].bytes().all(|byte| byte.is_ascii_digit());
    let to = if is_port { None } else { rest.rfind('@') };
    to.filter(|to| from < *to).map(|to| (from, to))
}

/// Where the value after a key's colon stands; empty for a map, whose keys are no secrets.
fn secret_value(line: &str, after: usize) -> Span {
    let start = line.len() - line[after..].trim_start().len();
    let value = &line[start..];
    let in_braces = line[..after].contains('{');
    let length = match value.chars().next() {
        Some('{') | None => 0,
        Some(quote @ ('"' | '\'')) => quoted_length(value, quote),
        Some(_) if in_braces => value.find([',', '}']).unwrap_or(value.len()),
        Some(_) => value.len(),
    };
    start..start + length
}

/// Bytes up to the closing quote; all when there is none.
fn quoted_length(value: &str, quote: char) -> usize {
    let mut chars = value.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        if c == '\\' && quote == '"' {
            chars.next();
        } else if c == quote {
            // A doubled single quote stands for one.
            let doubled = quote == '\'' && chars.next_if(|(_, next)| *next == quote).is_some();
            if !doubled {
                return at + 1;
            }
        }
    }
    value.len()
}

/// Whether a line has no key of its own and the last key before it looks like a secret: a value
/// over several lines.
fn continues_secret(lines: &Lines<'_>, line: usize) -> bool {
    let key = |line: usize| lines.line(line).0.rsplit_once(':').map(|(key, _)| last_word(key));
    key(line).is_none() && (1..line).rev().find_map(key).is_some_and(looks_secret)
}

/// The word at the end of a text: the name of the key before a colon.
fn last_word(text: &str) -> &str {
    let text = text.trim_end_matches(['"', '\'', ' ']);
    let inside = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let word = text.trim_end_matches(inside);
    &text[word.len()..]
}

/// Whether a variable's name says that its value is a secret.
pub(crate) fn looks_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    ["PASSWORD", "PASSWD", "SECRET", "TOKEN", "PRIVATE_KEY", "API_KEY", "APIKEY", "CREDENTIAL"]
        .iter()
        .any(|word| name.contains(word))
}
