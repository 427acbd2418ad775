//! Rules about several services: one name, one address each.

use crate::{
    Located,
    place::Mark,
    problem::{Problem, Severity},
    reader::Context,
};
use serin_core::ServiceSpec;
use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
};

type Service = Located<ServiceSpec>;

pub(crate) fn check(cx: &Context<'_>, services: &[Service]) {
    let mut names = BTreeMap::new();
    let mut ports: BTreeMap<u16, Vec<&Service>> = BTreeMap::new();
    for service in services {
        if let Some(first) = names.insert(&service.value.name, service) {
            cx.report(same_name(service, first));
        }
        let listen = service.value.traffic.listen;
        let others = ports.entry(listen.port()).or_default();
        if let Some(first) = others.iter().find(|other| clash(other.value.traffic.listen, listen)) {
            cx.report(same_address(service, first));
        }
        others.push(service);
    }
}

fn same_name(service: &Service, first: &Service) -> Problem {
    let message = format!("two services are called `{}`", service.value.name);
    twice(&service.mark, &first.mark, "duplicate-name", message)
        .hint("rename one, or remove the document")
}

fn same_address(service: &Service, first: &Service) -> Problem {
    let (a, b) = (service.value.traffic.listen, first.value.traffic.listen);
    let (name, other) = (&service.value.name, &first.value.name);
    let message = match a == b {
        true => format!("`{name}` and `{other}` both listen on {a}"),
        false => format!("`{name}` on {a} takes the address of `{other}` on {b}"),
    };
    let path = "spec.traffic.listen";
    twice(service.mark_of(path), first.mark_of(path), "duplicate-address", message)
        .hint("give each service a port of its own")
}

fn twice(second: &Mark, first: &Mark, code: &'static str, message: String) -> Problem {
    Problem::at(second, Severity::Error, code, message)
        .also(first.span.clone(), format!("first in line {}", first.line))
}

/// Whether two listeners cannot both exist: `0.0.0.0` takes every address of its port, and `[::]`
/// those of IPv4 too.
fn clash(a: SocketAddr, b: SocketAddr) -> bool {
    let takes = |all: IpAddr, ip: IpAddr| all.is_unspecified() && (all.is_ipv6() || ip.is_ipv4());
    a.port() == b.port() && (a.ip() == b.ip() || takes(a.ip(), b.ip()) || takes(b.ip(), a.ip()))
}
