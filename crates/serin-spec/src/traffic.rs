//! `traffic`: where users come in, and what of their requests matters.

use crate::{affinity, field::Field, flags, steps, yaml::shown};
use serin_core::{Millis, TrafficSpec};
use std::net::SocketAddr;

const HOUR: Millis = Millis::secs(3600);

/// Where users come in; `traffic: none` is a worker.
pub(crate) fn read(field: &Field<'_>) -> Option<TrafficSpec> {
    if field.scalar().is_some() && !field.node.is_null() {
        return field.choice(&[("none", TrafficSpec::worker())]);
    }
    let mut reader = field.map()?;
    let listen = reader.need("listen", "\"127.0.0.1:8080\"", |f| listen(&f));
    let usual = TrafficSpec::worker();
    let request_timeout =
        reader.or("requestTimeout", usual.request_timeout, |f| f.duration(Millis(0)..=HOUR));
    let affinity = reader.maybe("affinity", |f| affinity::read(&f));
    let override_header = reader.maybe("override", |f| override_header(&f));
    let preview = reader.maybe("preview", |f| listen_beside(&f, listen));
    let flags = reader.maybe("flags", |f| flags::read(&f));
    let drain = reader.or("drain", usual.drain, |f| f.duration(Millis(0)..=HOUR));
    reader.finish();
    Some(TrafficSpec {
        request_timeout,
        affinity,
        override_header,
        preview,
        drain,
        flags,
        ..TrafficSpec::at(listen?)
    })
}

/// `override: { header: x-serin }`.
fn override_header(field: &Field<'_>) -> Option<String> {
    let mut reader = field.map()?;
    let header = reader.need("header", "x-serin-revision", |f| {
        steps::header_name(&f).filter(|name| {
            let whole_cookie = name == "cookie" || name == "host";
            if whole_cookie {
                let message = format!("the header `{name}` has a meaning of its own");
                f.report(f.problem("bad-name", message).hint("write `header: x-serin-revision`"));
            }
            !whole_cookie
        })
    });
    reader.finish();
    header
}

/// An address for the candidate, which is not that of the users.
fn listen_beside(field: &Field<'_>, users: Option<SocketAddr>) -> Option<SocketAddr> {
    if users.is_some() && field.scalar().and_then(|text| text.parse().ok()) == users {
        let message = "`preview` is the address of the users: the candidate needs one of its own";
        field.report(field.problem("duplicate-address", message).hint("choose another port"));
        return None;
    }
    listen(field)
}

fn listen(field: &Field<'_>) -> Option<SocketAddr> {
    let text = field.word()?;
    let refuse = |code, message: &str, hint: String| {
        field.report(field.problem(code, format!("`{}` {message}", shown(text))).hint(hint));
    };
    let Ok(address) = text.parse::<SocketAddr>() else {
        refuse("bad-address", "is not an address with a port", address_hint(text));
        return None;
    };
    if address.port() == 0 {
        let hint = "users must know the port: write one from 1 to 65535";
        refuse("bad-address", "has port 0", hint.into());
        return None;
    }
    field.cx.claim(|claims| claims.address(address, &field.node.span));
    if !address.ip().is_loopback() {
        let message = format!("`{address}` can be reached from other machines");
        let hint = "Serin speaks plain HTTP here; keep it behind a TLS proxy or a firewall";
        field.report(field.problem("open-address", message).warning().hint(hint));
    }
    Some(address)
}

/// What was probably meant: `localhost:80`, `:80`, `127.0.0.1`.
fn address_hint(text: &str) -> String {
    let port = text.rsplit(':').next().and_then(|port| port.parse::<u16>().ok());
    format!("write IP and port: `127.0.0.1:{}`", port.filter(|&port| port != 0).unwrap_or(8080))
}
