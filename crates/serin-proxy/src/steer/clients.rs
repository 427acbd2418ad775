//! Requests of clients that not every arm serves.

use super::stable;
use crate::route::Arm;
use crate::wire::{self, ClientSpan, ClientVersion, Role};
use http::header::{HeaderMap, HeaderName};

/// Who serves which clients, where that differs.
pub struct Clients {
    /// Arms that do not serve everybody, by index.
    tests: Vec<(usize, ClientTest)>,
    /// Arms that requests may be given for this: stable, and what has a share.
    open: Vec<usize>,
    /// Those of them with a ready instance, stable first.
    ready: Vec<usize>,
}

struct ClientTest {
    header: HeaderName,
    serves: Vec<ClientSpan>,
    assume: Option<ClientVersion>,
}

impl Clients {
    /// `None` when every arm serves everybody.
    pub fn new(wire: &wire::Route, arms: &[Arm]) -> Option<Self> {
        let test = |(at, arm): (usize, &Arm)| {
            Some((at, ClientTest::new(wire.clients.get(arm.count.revision())?)?))
        };
        let tests: Vec<_> = arms.iter().enumerate().filter_map(test).collect();
        let stable = stable(arms);
        let shares = |at: &usize| arms[*at].role != Role::Baseline && arms[*at].weight > 0;
        let others = (0..arms.len()).filter(|at| shares(at) && Some(*at) != stable);
        let open: Vec<_> = stable.into_iter().chain(others).collect();
        let ready = open.iter().copied().filter(|at| !arms[*at].backends.is_empty()).collect();
        (!tests.is_empty()).then_some(Self { tests, open, ready })
    }

    /// Whether arm `at` serves the client of this request.
    pub fn serves(&self, at: usize, headers: &HeaderMap) -> bool {
        let test = self.tests.iter().find(|(arm, _)| *arm == at);
        test.is_none_or(|(_, test)| test.serves(headers))
    }

    /// Whether all arms that may get it serve it.
    pub fn all_serve(&self, headers: &HeaderMap) -> bool {
        self.open.iter().all(|at| self.serves(*at, headers))
    }

    /// A ready arm that serves it, stable before the others.
    pub fn who_serves(&self, headers: &HeaderMap) -> Option<usize> {
        self.ready.iter().copied().find(|at| self.serves(*at, headers))
    }
}

impl ClientTest {
    /// What cannot be compiled was refused when the order came.
    fn new(wire: &wire::Clients) -> Option<Self> {
        let header = wire.header.parse().ok()?;
        Some(Self { header, serves: wire.serves.clone(), assume: wire.assume })
    }

    /// A request that says no version, or none that can be read, is served by everybody unless
    /// something is assumed of it.
    fn serves(&self, headers: &HeaderMap) -> bool {
        let said = headers.get(&self.header).and_then(|value| version(value.as_bytes()));
        let Some(version) = said.or(self.assume) else { return true };
        let within = |span: &ClientSpan| {
            span.from <= version && span.below.is_none_or(|below| version < below)
        };
        self.serves.iter().any(within)
    }
}

/// The version at the start of a text: up to three numbers, `v` before them and anything behind
/// them left out. Numbers of more than 18 digits are none.
fn version(text: &[u8]) -> Option<ClientVersion> {
    let text = text.trim_ascii();
    let mut rest = text.strip_prefix(b"v").unwrap_or(text);
    let mut version = [0; 3];
    for (at, number) in version.iter_mut().enumerate() {
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits == 0 || digits > 18 {
            return None;
        }
        *number = rest[..digits].iter().fold(0, |n, byte| n * 10 + u64::from(byte - b'0'));
        match rest[digits..].strip_prefix(b".") {
            Some(more) if at < 2 && more.first().is_some_and(u8::is_ascii_digit) => rest = more,
            _ => break,
        }
    }
    Some(version)
}

#[cfg(test)]
mod tests {
    use super::version;

    #[test]
    fn a_version_is_read_from_the_start_of_a_text() {
        for (text, read) in [
            ("3.2.1", Some([3, 2, 1])),
            (" v3.2 ", Some([3, 2, 0])),
            ("3", Some([3, 0, 0])),
            ("3.2.1-beta.4+17", Some([3, 2, 1])),
            ("3.x", Some([3, 0, 0])),
            ("3.2.1.9", Some([3, 2, 1])),
            ("999999999999999999", Some([999_999_999_999_999_999, 0, 0])),
            ("9999999999999999999", None),
            ("", None),
            ("shop/3.2", None),
            ("-1", None),
        ] {
            assert_eq!(version(text.as_bytes()), read, "{text}");
        }
    }
}
