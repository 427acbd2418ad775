//! Semantic versions (semver.org 2.0.0), read as leniently as flagd does.

use std::cmp::Ordering;

/// A version; what comes after `+` is not kept, for it never decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Version<'t> {
    numbers: [u64; 3],
    pre: &'t str,
}

/// The longest text that is read as a version.
const LENGTH_MAX: usize = 256;

impl<'t> Version<'t> {
    /// Reads `1.2.3-rc.1+build`, with or without a `v` before it; `1` and `1.2` are filled with
    /// zeros.
    pub fn parse(text: &'t str) -> Option<Self> {
        if text.len() > LENGTH_MAX {
            return None;
        }
        let text = text.strip_prefix(['v', 'V']).unwrap_or(text);
        let (text, build) = text.split_once('+').map_or((text, None), |(a, b)| (a, Some(b)));
        let (core, pre) = text.split_once('-').map_or((text, None), |(a, b)| (a, Some(b)));
        let mut parts = core.split('.');
        let numbers = [parts.next(), parts.next(), parts.next()];
        let whole = numbers[2].is_some() || pre.is_none() && build.is_none();
        let tail = pre.is_none_or(is_pre_release) && build.is_none_or(is_build);
        if !whole || !tail || parts.next().is_some() {
            return None;
        }
        let [major, minor, patch] = numbers;
        let rest = |part: Option<&str>| part.map_or(Some(0), number);
        let numbers = [number(major?)?, rest(minor)?, rest(patch)?];
        Some(Self { numbers, pre: pre.unwrap_or("") })
    }

    /// Whether `self op other`, for one of flagd's eight operators; `None` for any other.
    pub fn matches(&self, op: &str, other: &Version) -> Option<bool> {
        let order = self.order(other);
        let [major, minor, _] = self.numbers;
        Some(match op {
            "=" => order.is_eq(),
            "!=" => order.is_ne(),
            "<" => order.is_lt(),
            "<=" => order.is_le(),
            ">" => order.is_gt(),
            ">=" => order.is_ge(),
            "^" => major == other.numbers[0],
            "~" => [major, minor] == other.numbers[..2],
            _ => return None,
        })
    }

    fn order(&self, other: &Version) -> Ordering {
        let pre = match (self.pre.is_empty(), other.pre.is_empty()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Greater,
            (false, true) => Ordering::Less,
            (false, false) => order_pre(self.pre, other.pre),
        };
        self.numbers.cmp(&other.numbers).then(pre)
    }
}

/// Digits without a leading zero, up to the largest whole number of a double, as in JavaScript.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit());
    let plain = digits && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|number| plain && *number < 1 << 53)
}

fn is_pre_release(text: &str) -> bool {
    is_build(text)
        && text.split('.').all(|part| {
            part == "0" || !part.starts_with('0') || part.bytes().any(|c| !c.is_ascii_digit())
        })
}

fn is_build(text: &str) -> bool {
    let word = |part: &str| {
        !part.is_empty() && part.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-')
    };
    text.split('.').all(word)
}

/// Part by part; numbers come before words, and fewer parts before more (semver.org, rule 11.4).
fn order_pre(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.split('.'), b.split('.'));
    loop {
        let order = match (a.next(), b.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => Ordering::Less,
            (Some(_), None) => Ordering::Greater,
            (Some(a), Some(b)) => order_part(a, b),
        };
        if order.is_ne() {
            return order;
        }
    }
}

fn order_part(a: &str, b: &str) -> Ordering {
    let is_number = |part: &str| part.bytes().all(|c| c.is_ascii_digit());
    match (is_number(a), is_number(b)) {
        // Without leading zeros, the longer number is the larger one.
        (true, true) => (a.len(), a).cmp(&(b.len(), b)),
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
        (false, false) => a.cmp(b),
    }
}
