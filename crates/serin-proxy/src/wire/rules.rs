//! Which requests are led, copied or counted as success.

use super::{Route, WEIGHT_TOTAL};
use http::HeaderName;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// Requests led to one revision because of their headers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Its name.
    pub name: String,
    /// Any of these.
    pub matches: Vec<HeaderMatch>,
    /// The revision. Without a ready instance of it, requests go to stable.
    pub to: String,
}

/// A header, and what one of its values must be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeaderMatch {
    /// Name of the header.
    pub header: String,
    /// What a value must be.
    pub value: TextMatch,
}

/// What a text must be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TextMatch {
    /// This, to the letter.
    Exact(String),
    /// Something that begins with this.
    Prefix(String),
    /// Something in which this is found, in the syntax of the `regex` crate without Unicode
    /// classes. Time is linear in the text; one longer than 4 KiB never fits.
    Regex(String),
    /// Anything.
    Present,
}

/// A request; everything that is said must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestMatch {
    /// Any of these methods; empty for the safe ones (GET, HEAD, OPTIONS).
    #[serde(default)]
    pub methods: Vec<String>,
    /// What its path must be, without the query.
    #[serde(default)]
    pub path: Option<TextMatch>,
    /// All of these.
    #[serde(default)]
    pub headers: Vec<HeaderMatch>,
}

/// Copies of requests that were dealt to other revisions. A copy carries `X-Serin-Mirror: 1`, its
/// answer is thrown away, and what became of it is evidence on the revision it went to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mirror {
    /// The revision they go to.
    pub to: String,
    /// Any of these; empty for every request with a safe method.
    pub matches: Vec<RequestMatch>,
    /// Share of those that match, in parts per [`WEIGHT_TOTAL`]; with affinity, of their users.
    pub share: u32,
}

/// An address that leads to one revision alone: 503 while no instance of it is ready. What comes
/// in there is no evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preview {
    /// The address.
    pub listen: SocketAddr,
    /// The revision.
    pub to: String,
}

/// A request that counts as success when it is answered below 400.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Goal {
    /// Its method; any when `None`.
    #[serde(default)]
    pub method: Option<String>,
    /// Its path, without the query.
    pub path: TextMatch,
}

/// Why a rule cannot be followed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// The name of a header.
    #[error("`{0}` cannot be the name of a header; use letters, digits and `-`")]
    Header(String),
    /// A regular expression.
    #[error("`{text}` is no regular expression: {why}; mend it, or use `exact` or `prefix`")]
    Regex {
        /// As it was given.
        text: String,
        /// What the engine said.
        why: String,
    },
    /// A share beyond the whole.
    #[error("a mirror share of {0}; give it 0 to 100000")]
    Share(u32),
    /// Users and preview in one place.
    #[error("{0} is the address of users and of the preview; give the preview one of its own")]
    Preview(SocketAddr),
}

/// Checks everything that the worker will make of a route.
pub(super) fn check(route: &Route) -> Result<(), RuleError> {
    if let Some(header) = &route.override_header {
        check_name(header)?;
    }
    let led = route.rules.iter().flat_map(|rule| &rule.matches).chain(&route.only);
    led.into_iter().try_for_each(check_header)?;
    route.clients.values().try_for_each(|clients| check_name(&clients.header))?;
    if let Some(mirror) = &route.mirror {
        check_mirror(mirror)?;
    }
    if let Some(preview) = route.preview.as_ref().filter(|one| one.listen == route.listen) {
        return Err(RuleError::Preview(preview.listen));
    }
    route.goal.as_ref().map_or(Ok(()), |goal| check_text(&goal.path))
}

fn check_mirror(mirror: &Mirror) -> Result<(), RuleError> {
    if mirror.share > WEIGHT_TOTAL {
        return Err(RuleError::Share(mirror.share));
    }
    for one in &mirror.matches {
        one.path.as_ref().map_or(Ok(()), check_text)?;
        one.headers.iter().try_for_each(check_header)?;
    }
    Ok(())
}

fn check_header(one: &HeaderMatch) -> Result<(), RuleError> {
    check_name(&one.header)?;
    check_text(&one.value)
}

fn check_name(name: &str) -> Result<(), RuleError> {
    name.parse::<HeaderName>().map(drop).map_err(|_| RuleError::Header(name.to_owned()))
}

fn check_text(text: &TextMatch) -> Result<(), RuleError> {
    let TextMatch::Regex(text) = text else { return Ok(()) };
    let wrong =
        |why: regex_lite::Error| RuleError::Regex { text: text.clone(), why: why.to_string() };
    regex_lite::Regex::new(text).map(drop).map_err(wrong)
}
