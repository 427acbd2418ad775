//! What a JSON Web Token (RFC 7519) claims. Its signature is not looked at: claims may choose a
//! variant and never grant a right.

use http::HeaderValue;
use serde_json::Value;

/// Longest token that is read, in bytes.
const MAX_TOKEN: usize = 16 * 1024;

/// The claims of the token in a header, with or without `Bearer` before it. `None` when it is no
/// token.
pub fn claims(header: &HeaderValue) -> Option<Value> {
    let text = header.to_str().ok().filter(|text| text.len() <= MAX_TOKEN)?.trim();
    let token = match text.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
        Some(_) => return None,
        None => text,
    };
    let mut parts = token.split('.');
    let (_, payload, _) = (parts.next()?, parts.next()?, parts.next()?);
    let claims: Value = serde_json::from_slice(&decode(payload)?).ok()?;
    claims.is_object().then_some(claims)
}

/// Base64 as RFC 4648 section 5 has it, with or without padding.
fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    let (mut held, mut bits) = (0u32, 0);
    for digit in text.trim_end_matches('=').bytes() {
        held = held << 6 | u32::from(sextet(digit)?);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((held >> bits) as u8);
            held &= (1 << bits) - 1;
        }
    }
    // A last digit that is no whole byte, or bits that belong to none, are a broken text.
    (bits < 6 && held == 0).then_some(bytes)
}

fn sextet(digit: u8) -> Option<u8> {
    match digit {
        b'A'..=b'Z' => Some(digit - b'A'),
        b'a'..=b'z' => Some(digit - b'a' + 26),
        b'0'..=b'9' => Some(digit - b'0' + 52),
        b'-' => Some(62),
        b'_' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(text: &str) -> HeaderValue {
        HeaderValue::from_str(text).unwrap()
    }

    #[test]
    fn claims_are_read_and_what_is_no_token_is_none() {
        // {"sub":"ada","plan":"pro"}
        let payload = "eyJzdWIiOiJhZGEiLCJwbGFuIjoicHJvIn0";
        for good in [format!("Bearer h.{payload}.s"), format!("h.{payload}=.s")] {
            assert_eq!(claims(&header(&good)).unwrap()["plan"], "pro", "{good}");
        }
        for bad in [
            "Basic YTpi".to_owned(),
            format!("Bearer {payload}"),
            format!("Bearer h.{payload}"),
            "Bearer h.!!.s".to_owned(),
            "Bearer h.WzFd.s".to_owned(), // a list
            "Bearer h.e.s".to_owned(),
            format!("Bearer h.{}.s", "A".repeat(MAX_TOKEN)),
        ] {
            assert_eq!(claims(&header(&bad)), None, "{bad:.40}");
        }
    }
}
