//! `traffic.affinity`: what keeps a user with one revision.

use crate::{field::Field, yaml::shown};
use serin_core::{AffinityKey, AffinitySpec, Millis};

/// A user is evidence once in this time unless said.
const WINDOW: Millis = Millis::secs(60);
const WINDOWS: std::ops::RangeInclusive<Millis> = Millis::secs(1)..=Millis::secs(300);

pub(crate) fn read(field: &Field<'_>) -> Option<AffinitySpec> {
    let mut reader = field.map()?;
    let cookie = reader.maybe("cookie", |f| cookie(&f));
    let header = reader.maybe("header", |f| header(&f));
    let address = reader.maybe("address", |f| address(&f));
    let named = ["cookie", "header", "address"].into_iter().filter(|key| reader.has(key)).count();
    if named != 1 {
        let message = "`affinity` has one of `cookie`, `header` and `address`";
        let hint = "write `affinity: { cookie: serin }`, or the header your gateway sets";
        reader.report(reader.key_problem("wrong-choice", message).hint(hint));
    }
    let window = reader.or("window", WINDOW, |f| f.duration(WINDOWS));
    reader.finish();
    let key = cookie.map(AffinityKey::Cookie).or(header.map(AffinityKey::Header)).or(address)?;
    (named == 1).then_some(AffinitySpec { key, window })
}

/// `true` is all there is to say: the address that is seen.
fn address(field: &Field<'_>) -> Option<AffinityKey> {
    if field.truth()? {
        return Some(AffinityKey::Address);
    }
    let hint = "leave it out, or write `address: true`";
    field.report(field.problem("wrong-choice", "`address` is chosen with `true`").hint(hint));
    None
}

/// Characters of a token (RFC 9110, section 5.6.2).
pub(crate) fn is_token(text: &str) -> bool {
    let mark = |c: u8| b"!#$%&'*+-.^_`|~".contains(&c);
    text.len() <= 64 && text.bytes().all(|c| c.is_ascii_alphanumeric() || mark(c))
}

fn cookie(field: &Field<'_>) -> Option<String> {
    let name = field.word()?;
    if is_token(name) {
        return Some(name.into());
    }
    let message = format!("`{}` cannot be the name of a cookie", shown(name));
    let hint = "use 1 to 64 of A-Z, a-z, 0-9, `-`, `_` and `.`";
    field.report(field.problem("bad-name", message).hint(hint));
    None
}

fn header(field: &Field<'_>) -> Option<String> {
    let name = field.word()?;
    if !is_token(name) {
        let message = format!("`{}` cannot be the name of a header", shown(name));
        let hint = "use 1 to 64 of A-Z, a-z, 0-9 and `-`: `x-user-id`";
        field.report(field.problem("bad-name", message).hint(hint));
        return None;
    }
    if name.eq_ignore_ascii_case("cookie") {
        let message = "a whole `cookie` header changes with each cookie, the user does not";
        let hint = "name the one cookie: `affinity: { cookie: session }`";
        field.report(field.problem("bad-name", message).hint(hint));
        return None;
    }
    Some(name.into())
}
