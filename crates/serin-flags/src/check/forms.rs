//! Texts with a form of their own.

use crate::{Scalar, timestamp};
use std::net::IpAddr;

/// `10.0.0.0/8`, `2001:db8::/32`, or a bare address.
pub(super) fn is_network(text: &str) -> bool {
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address, Some(bits)),
        None => (text, None),
    };
    let Ok(address) = address.parse::<IpAddr>() else { return false };
    let most = if address.is_ipv4() { 32 } else { 128 };
    bits.is_none_or(|bits| bits.parse::<u8>().is_ok_and(|bits| bits <= most))
}

/// A semantic version; `v` before it and missing parts are allowed, as clients of flagd allow them.
pub(super) fn is_version(text: &str) -> bool {
    let text = text.strip_prefix(['v', 'V']).unwrap_or(text);
    let (text, build) = text.split_once('+').unwrap_or((text, "0"));
    let (numbers, before) = text.split_once('-').unwrap_or((text, "0"));
    let number = |part: &str| {
        let digits = !part.is_empty() && part.bytes().all(|c| c.is_ascii_digit());
        digits && part.parse::<u64>().is_ok() && (part == "0" || !part.starts_with('0'))
    };
    let word = |part: &str| {
        !part.is_empty() && part.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-')
    };
    let parts = numbers.split('.');
    parts.clone().count() <= 3
        && parts.clone().all(number)
        && before.split('.').all(word)
        && build.split('.').all(word)
}

/// Seconds since 1970 of a time: RFC 3339 text or a whole number of seconds.
pub(crate) fn seconds(value: &Scalar) -> Option<i64> {
    match value {
        Scalar::Text(text) => timestamp::parse(text),
        Scalar::Number(number) => number.as_i64(),
        Scalar::Bool(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{is_network, is_version};

    #[test]
    fn networks() {
        for good in ["10.0.0.0/8", "10.1.2.3", "::1", "2001:db8::/32", "0.0.0.0/0", "::/128"] {
            assert!(is_network(good), "{good}");
        }
        for bad in ["", "10.0.0.0/33", "10.0.0/8", "10.0.0.0/", "10.0.0.0/-1", "::/129", "a/8"] {
            assert!(!is_network(bad), "{bad}");
        }
    }

    #[test]
    fn versions() {
        for good in ["1.2.3", "v1.2", "V2", "1.0.0-rc.1", "1.0.0-rc-1+build.5", "0.0.0", "10.20.30"]
        {
            assert!(is_version(good), "{good}");
        }
        for bad in ["", "v", "1.2.3.4", "1..2", "1.a", "01.2", "1.0-", "1.0+", "x1", "1.0.0-ä"] {
            assert!(!is_version(bad), "{bad}");
        }
    }
}
