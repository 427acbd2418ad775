//! Header hygiene: what belongs to one connection does not travel to the next.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};

/// `X-Forwarded-For`.
pub const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// `X-Forwarded-Proto`.
pub const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// `X-Forwarded-Host`.
pub const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");

/// Headers of flags begin with it.
const FLAG_PREFIX: &str = "x-serin-flag-";

/// Headers that need a second look, found in one pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen(u16);

impl Seen {
    /// `Connection`.
    pub const CONNECTION: u16 = 1;
    /// Any other header of one connection.
    pub const HOP: u16 = 1 << 1;
    /// `TE`.
    pub const TE: u16 = 1 << 2;
    /// `Transfer-Encoding`.
    pub const TRANSFER_ENCODING: u16 = 1 << 3;
    /// `Upgrade`.
    pub const UPGRADE: u16 = 1 << 4;
    /// `Expect`.
    pub const EXPECT: u16 = 1 << 5;
    /// `Host`.
    pub const HOST: u16 = 1 << 6;
    /// `Host`, again.
    pub const HOST_TWICE: u16 = 1 << 7;
    /// `X-Forwarded-For`.
    pub const FOR: u16 = 1 << 8;
    /// `X-Forwarded-Proto`.
    pub const PROTO: u16 = 1 << 9;
    /// `X-Forwarded-Host`.
    pub const FORWARDED_HOST: u16 = 1 << 10;
    /// What only Serin says: the variant of a flag.
    pub const FLAG: u16 = 1 << 11;
    /// `Trailer`.
    pub const TRAILER: u16 = 1 << 12;

    /// Everything that [`strip`] acts on.
    const STRIP: u16 = Self::CONNECTION
        | Self::HOP
        | Self::TE
        | Self::TRANSFER_ENCODING
        | Self::UPGRADE
        | Self::EXPECT;

    /// Whether any of these was seen.
    pub fn any(self, flags: u16) -> bool {
        self.0 & flags != 0
    }

    /// Whether all of these were seen.
    pub fn all(self, flags: u16) -> bool {
        self.0 & flags == flags
    }
}

/// Looks at every header once.
pub fn scan(headers: &HeaderMap) -> Seen {
    let mut seen = 0;
    for (name, _) in headers {
        seen |= match name.as_str() {
            "host" if seen & Seen::HOST != 0 => Seen::HOST_TWICE,
            "host" => Seen::HOST,
            "connection" => Seen::CONNECTION,
            "keep-alive" | "proxy-connection" | "proxy-authenticate" | "proxy-authorization" => {
                Seen::HOP
            }
            "te" => Seen::TE,
            "transfer-encoding" => Seen::TRANSFER_ENCODING,
            "upgrade" => Seen::UPGRADE,
            "expect" => Seen::EXPECT,
            "x-forwarded-for" => Seen::FOR,
            "x-forwarded-proto" => Seen::PROTO,
            "x-forwarded-host" => Seen::FORWARDED_HOST,
            "trailer" => Seen::TRAILER,
            name if is_of_flag(name) => Seen::FLAG,
            _ => 0,
        };
    }
    Seen(seen)
}

/// Removes what belongs to the connection it came on. `Trailer` stays: the codec sends only
/// trailers that it announces. `Expect: 100-continue` was met by this side.
pub fn strip(headers: &mut HeaderMap, seen: Seen) {
    if !seen.any(Seen::STRIP) {
        return;
    }
    if seen.any(Seen::CONNECTION) {
        strip_named(headers);
        headers.remove(header::CONNECTION);
    }
    if seen.any(Seen::HOP) {
        for name in [KEEP_ALIVE, PROXY_CONNECTION] {
            headers.remove(name);
        }
        headers.remove(header::PROXY_AUTHENTICATE);
        headers.remove(header::PROXY_AUTHORIZATION);
    }
    if seen.any(Seen::TE) && !keeps_trailers(headers) {
        headers.remove(header::TE);
    }
    if seen.any(Seen::TRANSFER_ENCODING) {
        headers.remove(header::TRANSFER_ENCODING);
        headers.remove(header::CONTENT_LENGTH);
    }
    headers.remove(header::UPGRADE);
    headers.remove(header::EXPECT);
}

/// A header's name as apps may see it: CGI, WSGI and what came after them write every other
/// character as `_`, so that `X_A` and `X-A` are one name to them.
pub fn folded(name: &str) -> impl Iterator<Item = u8> {
    name.bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() { byte.to_ascii_lowercase() } else { b'-' })
}

/// Whether an app may read it as the variant of a flag.
fn is_of_flag(name: &str) -> bool {
    name.len() >= FLAG_PREFIX.len() && folded(name).zip(FLAG_PREFIX.bytes()).all(|(a, b)| a == b)
}

/// Removes what a client says about flags: the app believes it. Trailers that would say it are not
/// announced, so that the codec drops them.
pub fn strip_flags(headers: &mut HeaderMap, seen: Seen) {
    if seen.any(Seen::FLAG) {
        let said = headers.keys().filter(|name| is_of_flag(name.as_str()));
        for name in said.cloned().collect::<Vec<_>>() {
            headers.remove(name);
        }
    }
    if seen.any(Seen::TRAILER) && tokens(headers, &header::TRAILER).any(is_of_flag) {
        headers.remove(header::TRAILER);
    }
}

fn keeps_trailers(headers: &mut HeaderMap) -> bool {
    let wanted = tokens(headers, &header::TE).any(|token| token.eq_ignore_ascii_case("trailers"));
    if wanted {
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
    }
    wanted
}

/// Whether the body's only coding is `chunked`, which the codec undoes. Another one would be lost
/// with its header.
pub fn is_plain_chunked(headers: &HeaderMap) -> bool {
    let mut codings = tokens(headers, &header::TRANSFER_ENCODING);
    codings.all(|coding| coding.eq_ignore_ascii_case("chunked"))
}

/// Whether the connection speaks in WebSocket frames from here on.
pub fn is_websocket(headers: &HeaderMap) -> bool {
    tokens(headers, &header::UPGRADE).any(|name| name.eq_ignore_ascii_case("websocket"))
}

fn tokens<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim)
}

/// Removes the headers that `Connection` names. `Host` and the framing are not the client's to
/// take away, and `TE` has its own rule.
fn strip_named(headers: &mut HeaderMap) {
    let kept = [header::HOST, header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::TE];
    let named: Vec<HeaderName> = tokens(headers, &header::CONNECTION)
        .filter_map(|token| token.parse().ok())
        .filter(|name| !kept.contains(name))
        .collect();
    for name in named {
        headers.remove(name);
    }
}

/// Whether `Connection` asks for an upgrade.
pub fn asks_upgrade(headers: &HeaderMap, seen: Seen) -> bool {
    seen.all(Seen::CONNECTION | Seen::UPGRADE)
        && tokens(headers, &header::CONNECTION).any(|token| token.eq_ignore_ascii_case("upgrade"))
}

/// Tells the app whom it is talking to.
pub fn forward(headers: &mut HeaderMap, seen: Seen, client: &HeaderValue) {
    if seen.any(Seen::FOR) {
        append_for(headers, client);
    } else {
        headers.insert(FORWARDED_FOR, client.clone());
    }
    if !seen.any(Seen::PROTO) {
        headers.insert(FORWARDED_PROTO, HeaderValue::from_static("http"));
    }
    if !seen.any(Seen::FORWARDED_HOST)
        && let Some(host) = headers.get(header::HOST).cloned()
    {
        headers.insert(FORWARDED_HOST, host);
    }
}

fn append_for(headers: &mut HeaderMap, client: &HeaderValue) {
    let mut joined: Vec<u8> = Vec::new();
    for value in headers.get_all(FORWARDED_FOR) {
        joined.extend_from_slice(value.as_bytes());
        joined.extend_from_slice(b", ");
    }
    joined.extend_from_slice(client.as_bytes());
    if let Ok(value) = HeaderValue::from_bytes(&joined) {
        headers.insert(FORWARDED_FOR, value);
    }
}

#[cfg(test)]
mod tests;
