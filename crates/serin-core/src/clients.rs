//! Which versions of client programs a revision serves: mobile apps in the field cannot be moved
//! together with the service, so two revisions may serve different ones.

use crate::{RevisionId, Service, ServiceSpec};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Longest text of a range, in bytes.
const MAX_TEXT: usize = 200;

/// Largest part of a version.
const MAX_PART: u64 = u32::MAX as u64;

/// A version of a client: major, minor, patch. What follows (`-beta.2`, `+17`) is left out, so a
/// pre-release counts as the release it leads to.
pub type ClientVersion = [u64; 3];

/// The clients one revision serves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clients {
    /// The header in which a client says its version.
    pub header: String,
    /// The versions served.
    pub serves: ClientRange,
    /// What a request counts as that says no version; without it such a request is dealt as any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assume: Option<ClientVersion>,
}

/// Versions of clients, as a user writes them: `>=3.2 <5`, `^3.2 || 5.x`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ClientRange {
    text: String,
    spans: Vec<ClientSpan>,
}

/// Versions from one to before another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClientSpan {
    /// The first.
    pub from: ClientVersion,
    /// The first that does not belong to it any more; `None` where it has no end.
    pub below: Option<ClientVersion>,
}

/// Why a text is no range of versions.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no range of versions: {why}; write one like `>=3.2 <5` or `^3.2 || 5.x`")]
pub struct ClientRangeError {
    text: String,
    why: String,
}

impl ClientRange {
    /// What it is made of, in order, without gaps that are none.
    pub fn spans(&self) -> &[ClientSpan] {
        &self.spans
    }

    /// Whether `version` is one of them.
    pub fn contains(&self, version: ClientVersion) -> bool {
        self.spans.iter().any(|span| span.contains(version))
    }

    /// What belongs to it and not to `other`.
    pub fn without(&self, other: &Self) -> Vec<ClientSpan> {
        let mut left = self.spans.clone();
        for taken in &other.spans {
            left = left.iter().flat_map(|span| span.without(taken)).collect();
        }
        left
    }
}

impl ClientSpan {
    const ALL: Self = Self { from: [0; 3], below: None };

    fn contains(&self, version: ClientVersion) -> bool {
        self.from <= version && self.below.is_none_or(|below| version < below)
    }

    fn and(self, other: Self) -> Self {
        let below = match (self.below, other.below) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        Self { from: self.from.max(other.from), below }
    }

    fn is_empty(&self) -> bool {
        self.below.is_some_and(|below| below <= self.from)
    }

    /// What is left of it on both sides of `taken`.
    fn without(self, taken: &Self) -> Vec<Self> {
        let before = self.and(Self { from: [0; 3], below: Some(taken.from) });
        let after = taken.below.map(|below| self.and(Self { from: below, below: None }));
        [Some(before), after].into_iter().flatten().filter(|span| !span.is_empty()).collect()
    }
}

impl fmt::Display for ClientSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = |[major, minor, patch]: ClientVersion| format!("{major}.{minor}.{patch}");
        match (self.from, self.below) {
            ([0, 0, 0], None) => f.write_str("all"),
            ([0, 0, 0], Some(below)) => write!(f, "below {}", words(below)),
            (from, None) => write!(f, "from {}", words(from)),
            (from, Some(below)) => write!(f, "{} to below {}", words(from), words(below)),
        }
    }
}

impl fmt::Display for ClientRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<ClientRange> for String {
    fn from(range: ClientRange) -> Self {
        range.text
    }
}

impl TryFrom<String> for ClientRange {
    type Error = ClientRangeError;

    fn try_from(text: String) -> Result<Self, ClientRangeError> {
        text.parse()
    }
}

impl FromStr for ClientRange {
    type Err = ClientRangeError;

    fn from_str(text: &str) -> Result<Self, ClientRangeError> {
        let wrong = |why: String| ClientRangeError { text: text.chars().take(60).collect(), why };
        if text.len() > MAX_TEXT {
            return Err(wrong(format!("it has {} bytes, at most {MAX_TEXT} are read", text.len())));
        }
        let spans = text.split("||").map(alternative).collect::<Result<Vec<_>, _>>();
        Ok(Self { text: text.trim().to_owned(), spans: joined(spans.map_err(wrong)?) })
    }
}

/// Clients that the revision `service` runs serves and `revision`, as `spec` describes it, does not;
/// a sentence for people.
pub fn clients_left_out(
    service: &Service,
    spec: &ServiceSpec,
    revision: &RevisionId,
) -> Option<String> {
    let stable = service.stable.as_ref().filter(|stable| *stable != revision)?;
    let known = service.revisions.get(revision).and_then(|r| r.clients.as_ref());
    let new = spec.clients.as_ref().or(known)?;
    let everybody = ClientRange { text: "*".into(), spans: vec![ClientSpan::ALL] };
    let old = service.revisions.get(stable)?.clients.as_ref();
    let left = old.map_or(&everybody, |old| &old.serves).without(&new.serves);
    let words: Vec<_> = left.iter().map(ToString::to_string).collect();
    let (to, from, header) = (&revision.version, &stable.version, &new.header);
    let words = (!words.is_empty()).then(|| words.join(", "))?;
    Some(format!(
        "{to} does not serve clients with {header} {words}: they stay with {from} as long as that \
         runs, and are no evidence; after that nobody serves them"
    ))
}

/// A version that is written out: `3`, `3.2`, `3.2.1`.
pub fn client_version(text: &str) -> Option<ClientVersion> {
    let (parts, said) = parts(text).ok()?;
    (said > 0).then_some(parts)
}

/// Conditions that must all hold.
fn alternative(text: &str) -> Result<ClientSpan, String> {
    let mut words = text.split([' ', ',']).filter(|word| !word.is_empty()).peekable();
    if words.peek().is_none() {
        return Err("a part of it is empty; `*` is every version".into());
    }
    let mut span = ClientSpan::ALL;
    while let Some(word) = words.next() {
        // `>= 3` with a space says the same as without.
        let whole = match words.peek().filter(|_| word.chars().all(|c| "<>=^~".contains(c))) {
            Some(version) => format!("{word}{version}"),
            None => word.to_owned(),
        };
        if whole.len() > word.len() {
            words.next();
        }
        span = span.and(condition(&whole)?);
    }
    if span.is_empty() { Err("no version fits it".into()) } else { Ok(span) }
}

/// One condition: a comparison, or a version in part (`3`, `3.x`, `*`).
fn condition(word: &str) -> Result<ClientSpan, String> {
    let operators = [">=", "<=", ">", "<", "=", "^", "~"];
    let operator = operators.into_iter().find(|operator| word.starts_with(operator)).unwrap_or("");
    let (version, said) = parts(&word[operator.len()..])?;
    let after = next(version, said);
    let (from, below) = match operator {
        ">=" => (version, None),
        ">" => (after.ok_or("nothing comes after every version")?, None),
        "<" => ([0; 3], Some(version)),
        "<=" => ([0; 3], after),
        "~" => (version, next(version, said.min(2))),
        "^" => (version, next(version, caret(version, said))),
        _ => (version, after),
    };
    Ok(ClientSpan { from, below })
}

/// How many parts `^` holds still: up to the first that is not 0.
fn caret(version: ClientVersion, said: usize) -> usize {
    let first = version.iter().take(said).position(|part| *part > 0);
    first.map_or(said, |at| at + 1)
}

/// The first version whose first `said` parts are others; nothing when none were said.
fn next(version: ClientVersion, said: usize) -> Option<ClientVersion> {
    let last = said.checked_sub(1)?;
    let part = |at: usize| match at.cmp(&last) {
        std::cmp::Ordering::Less => version[at],
        std::cmp::Ordering::Equal => version[at] + 1,
        std::cmp::Ordering::Greater => 0,
    };
    Some([part(0), part(1), part(2)])
}

/// The parts of a version, and how many were said.
fn parts(text: &str) -> Result<(ClientVersion, usize), String> {
    let (mut version, mut said) = ([0; 3], 0);
    let all: Vec<_> = text.split('.').collect();
    if all.len() > 3 {
        return Err(format!("`{text}` has more than three parts"));
    }
    for (at, part) in all.into_iter().enumerate() {
        if matches!(part, "x" | "X" | "*") {
            continue;
        }
        let number = part.bytes().all(|b| b.is_ascii_digit()).then(|| part.parse::<u64>().ok());
        let number = number.flatten().filter(|number| *number <= MAX_PART);
        let number = number.ok_or_else(|| format!("`{part}` is no number"))?;
        if at > said {
            return Err(format!("`{text}` says more after `x`"));
        }
        (version[at], said) = (number, at + 1);
    }
    Ok((version, said))
}

/// In order, and those that touch made one.
fn joined(mut spans: Vec<ClientSpan>) -> Vec<ClientSpan> {
    spans.sort();
    let mut all: Vec<ClientSpan> = Vec::new();
    for span in spans {
        match all.last_mut().filter(|last| last.below.is_none_or(|below| below >= span.from)) {
            Some(last) => {
                let further = |below: ClientVersion| span.below.map(|other| other.max(below));
                last.below = last.below.and_then(further);
            }
            None => all.push(span),
        }
    }
    all
}

#[cfg(test)]
mod tests;
