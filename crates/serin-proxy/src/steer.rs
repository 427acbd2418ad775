//! Requests that go somewhere for what they say, and not by weight: override header, rules, and
//! those that take no part in the dealing. Compiled once for each order.

mod clients;

use crate::route::Arm;
use crate::wire::{self, Role, TextMatch};
use clients::Clients;
use http::header::{HeaderMap, HeaderName};
use http::{Method, Request};
use regex_lite::Regex;

/// Longest text that is tried with a regular expression, in bytes.
const MAX_TEXT: usize = 4096;

/// Where a request goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// By weight, or with its user.
    Dealt,
    /// To this arm; `None` is a revision that is not there.
    Led(Option<usize>),
}

/// What leads requests past the dealing.
pub struct Steer {
    override_header: Option<HeaderName>,
    rules: Vec<(Vec<HeaderTest>, Option<usize>)>,
    only: Vec<HeaderTest>,
    /// The arms by the words of the override header.
    words: Vec<(String, usize)>,
    stable: Option<usize>,
    clients: Option<Clients>,
}

impl Steer {
    /// `None` when every request is dealt. `arms` are in the order the route has them.
    pub fn new(wire: &wire::Route, arms: &[Arm]) -> Option<Self> {
        let clients = Clients::new(wire, arms);
        let plain = wire.override_header.is_none() && wire.rules.is_empty() && wire.only.is_empty();
        if plain && clients.is_none() {
            return None;
        }
        let rule = |rule: &wire::Rule| (HeaderTest::all(&rule.matches), find(arms, &rule.to));
        Some(Self {
            override_header: wire.override_header.as_ref().and_then(|name| name.parse().ok()),
            rules: wire.rules.iter().map(rule).collect(),
            only: HeaderTest::all(&wire.only),
            words: words(arms),
            stable: stable(arms),
            clients,
        })
    }

    /// Where a request with these headers goes: override, then rules, then whether it is dealt. Who
    /// overrides gets what was asked for; nobody else is given to an arm that does not serve its
    /// client while another does.
    pub fn way(&self, headers: &HeaderMap) -> Way {
        if let Some(arm) = self.overridden(headers) {
            return Way::Led(Some(arm));
        }
        let way = self.asked(headers);
        let Some(clients) = &self.clients else { return way };
        let served = match way {
            Way::Led(Some(arm)) => clients.serves(arm, headers),
            Way::Led(None) => false,
            Way::Dealt => clients.all_serve(headers),
        };
        let other = if served { None } else { clients.who_serves(headers) };
        other.map_or(way, |arm| Way::Led(Some(arm)))
    }

    fn asked(&self, headers: &HeaderMap) -> Way {
        let fits = |tests: &[HeaderTest]| tests.iter().any(|test| test.fits(headers));
        if let Some((_, arm)) = self.rules.iter().find(|(tests, _)| fits(tests)) {
            return Way::Led(*arm);
        }
        if self.only.is_empty() || fits(&self.only) { Way::Dealt } else { Way::Led(self.stable) }
    }

    /// Whether arm `at` serves the client of a request.
    pub fn serves(&self, at: usize, headers: &HeaderMap) -> bool {
        self.clients.as_ref().is_none_or(|clients| clients.serves(at, headers))
    }

    fn overridden(&self, headers: &HeaderMap) -> Option<usize> {
        let value = headers.get(self.override_header.as_ref()?)?.to_str().ok()?.trim();
        let same = |(word, _): &&(String, usize)| word.eq_ignore_ascii_case(value);
        self.words.iter().find(same).map(|(_, arm)| *arm)
    }
}

/// The arm of a revision's own instances.
pub fn find(arms: &[Arm], revision: &str) -> Option<usize> {
    let own = |arm: &Arm| arm.role != Role::Baseline && arm.count.revision() == revision;
    arms.iter().position(own)
}

/// The arm of stable's own instances.
pub fn stable(arms: &[Arm]) -> Option<usize> {
    arms.iter().position(|arm| arm.role == Role::Stable)
}

/// What an override may say: words of the roles first, then versions, then whole revisions.
fn words(arms: &[Arm]) -> Vec<(String, usize)> {
    let candidate = arms.iter().position(|arm| arm.role == Role::Candidate);
    let roles = [
        ("stable", stable(arms)),
        ("never", stable(arms)),
        ("candidate", candidate),
        ("always", candidate),
    ];
    let roles = roles.into_iter().filter_map(|(word, arm)| Some((word.to_owned(), arm?)));
    let own = || arms.iter().enumerate().filter(|(_, arm)| arm.role != Role::Baseline);
    let version = |revision: &str| revision.split('@').next().unwrap_or_default().to_owned();
    let versions = own().map(|(at, arm)| (version(arm.count.revision()), at));
    let revisions = own().map(|(at, arm)| (arm.count.revision().to_owned(), at));
    roles.chain(versions).chain(revisions).collect()
}

/// A header and what one of its values must be.
struct HeaderTest {
    name: HeaderName,
    value: TextTest,
}

impl HeaderTest {
    /// What cannot be compiled was refused when the order came, and fits nothing.
    fn all(wire: &[wire::HeaderMatch]) -> Vec<Self> {
        let one = |one: &wire::HeaderMatch| {
            Some(Self { name: one.header.parse().ok()?, value: TextTest::new(&one.value)? })
        };
        wire.iter().filter_map(one).collect()
    }

    fn fits(&self, headers: &HeaderMap) -> bool {
        headers.get_all(&self.name).iter().any(|value| self.value.fits(value.as_bytes()))
    }
}

enum TextTest {
    Exact(String),
    Prefix(String),
    Regex(Regex),
    Present,
}

impl TextTest {
    fn new(wire: &TextMatch) -> Option<Self> {
        Some(match wire {
            TextMatch::Exact(text) => Self::Exact(text.clone()),
            TextMatch::Prefix(text) => Self::Prefix(text.clone()),
            TextMatch::Regex(text) => Self::Regex(Regex::new(text).ok()?),
            TextMatch::Present => Self::Present,
        })
    }

    fn fits(&self, text: &[u8]) -> bool {
        match self {
            Self::Exact(wanted) => text == wanted.as_bytes(),
            Self::Prefix(wanted) => text.starts_with(wanted.as_bytes()),
            Self::Present => true,
            Self::Regex(regex) => {
                let short = Some(text).filter(|text| text.len() <= MAX_TEXT);
                let text = short.and_then(|text| std::str::from_utf8(text).ok());
                text.is_some_and(|text| regex.is_match(text))
            }
        }
    }
}

/// What a request must be like to be copied.
pub struct RequestTest {
    methods: Vec<Method>,
    path: Option<TextTest>,
    headers: Vec<HeaderTest>,
}

impl RequestTest {
    /// Any request with a safe method.
    pub fn safe() -> Self {
        let methods = vec![Method::GET, Method::HEAD, Method::OPTIONS];
        Self { methods, path: None, headers: Vec::new() }
    }

    /// The test that `wire` describes.
    pub fn new(wire: &wire::RequestMatch) -> Option<Self> {
        let methods: Vec<Method> =
            wire.methods.iter().filter_map(|name| name.parse().ok()).collect();
        Some(Self {
            methods: if wire.methods.is_empty() { Self::safe().methods } else { methods },
            path: match &wire.path {
                Some(path) => Some(TextTest::new(path)?),
                None => None,
            },
            headers: HeaderTest::all(&wire.headers),
        })
    }

    /// Whether a request is like that.
    pub fn fits<B>(&self, request: &Request<B>) -> bool {
        let path = || self.path.as_ref().is_none_or(|p| p.fits(request.uri().path().as_bytes()));
        self.methods.contains(request.method())
            && path()
            && self.headers.iter().all(|header| header.fits(request.headers()))
    }
}

/// What a request must be like to count as success.
pub struct Goal {
    method: Option<Method>,
    path: TextTest,
}

impl Goal {
    /// The goal that `wire` describes.
    pub fn new(wire: &wire::Goal) -> Option<Self> {
        let method = match &wire.method {
            Some(method) => Some(method.parse().ok()?),
            None => None,
        };
        Some(Self { method, path: TextTest::new(&wire.path)? })
    }

    /// Whether a request is like that.
    pub fn fits<B>(&self, request: &Request<B>) -> bool {
        self.method.as_ref().is_none_or(|method| method == request.method())
            && self.path.fits(request.uri().path().as_bytes())
    }
}

#[cfg(test)]
mod tests;
