//! Rules about several services: one name, one address each.

use crate::{place::Span, problem::Problem};
use serin_core::ServiceName;
use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
};

/// What the services so far took, whether or not something else is wrong with them.
#[derive(Default)]
pub(crate) struct Claims {
    names: BTreeMap<ServiceName, Span>,
    /// By port.
    addresses: BTreeMap<u16, Vec<(SocketAddr, Span)>>,
}

impl Claims {
    /// Takes a name; a problem when it is taken.
    pub(crate) fn name(&mut self, name: &ServiceName, at: &Span) -> Option<Problem> {
        let Some(first) = self.names.get(name) else {
            self.names.insert(name.clone(), at.clone());
            return None;
        };
        let message = format!("two services are called `{name}`");
        let problem = Problem::error("duplicate-name", at.clone(), message);
        Some(problem.also(first.clone(), "first here").hint("rename one, or remove the document"))
    }

    /// Takes an address; a problem when it cannot be had beside another.
    pub(crate) fn address(&mut self, address: SocketAddr, at: &Span) -> Option<Problem> {
        let others = self.addresses.entry(address.port()).or_default();
        let taken = others.iter().find(|(other, _)| clash(*other, address)).cloned();
        others.push((address, at.clone()));
        let (other, first) = taken?;
        let message = if other == address {
            format!("two services listen on {address}")
        } else {
            format!("one service listens on {address} and another on {other}, which overlap")
        };
        let problem = Problem::error("duplicate-address", at.clone(), message);
        Some(problem.also(first, "first here").hint("give each service a port of its own"))
    }
}

/// Whether two listeners cannot both exist: `0.0.0.0` takes every address of its port, and `[::]`
/// those of IPv4 too.
fn clash(a: SocketAddr, b: SocketAddr) -> bool {
    let takes = |all: IpAddr, ip: IpAddr| all.is_unspecified() && (all.is_ipv6() || ip.is_ipv4());
    a.port() == b.port() && (a.ip() == b.ip() || takes(a.ip(), b.ip()) || takes(b.ip(), a.ip()))
}
