//! `clients`: which versions of client programs a revision serves.

use crate::{affinity::is_token, field::Field, yaml::shown};
use serin_core::{ClientRange, Clients, client_version};

pub(crate) fn read(field: &Field<'_>) -> Option<Clients> {
    let mut reader = field.map()?;
    let header = reader.need("header", "X-Client-Version", |f| header(&f));
    let serves = reader.need("serves", "\">=3.2 <5\"", |f| range(&f));
    let assume = reader.maybe("assume", |f| version(&f));
    reader.finish();
    Some(Clients { header: header?, serves: serves?, assume })
}

fn header(field: &Field<'_>) -> Option<String> {
    let name = field.word()?;
    if is_token(name) {
        return Some(name.into());
    }
    let message = format!("`{}` cannot be the name of a header", shown(name));
    let hint = "use 1 to 64 of A-Z, a-z, 0-9 and `-`: `X-Client-Version`";
    field.report(field.problem("bad-name", message).hint(hint));
    None
}

fn range(field: &Field<'_>) -> Option<ClientRange> {
    let read = field.word()?.parse();
    read.map_err(|why: serin_core::ClientRangeError| {
        field.report(field.problem("bad-range", why.to_string()));
    })
    .ok()
}

fn version(field: &Field<'_>) -> Option<serin_core::ClientVersion> {
    let text = field.word()?;
    let read = client_version(text);
    if read.is_none() {
        let message = format!("`{}` is no version", shown(text));
        field.report(field.problem("bad-version", message).hint("write it like `\"1.0\"`"));
    }
    read
}
