//! Listening sockets, held so that connections queue while no data plane accepts.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_reuseaddr, set_socket_timeout, socket_peercred};
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, connect, getsockname, listen,
    socket_with,
};
use rustix::process::Pid;

use crate::fdpass;
use crate::protocol::{ErrorCode, HeldListeners};

/// Connections the kernel queues for one socket (its own limit, `somaxconn`, may be lower).
const BACKLOG: i32 = 4096;

/// How long a data plane may take to hand its sockets back.
const PATIENCE: Duration = Duration::from_secs(2);

/// Why a socket could not be bound.
pub(crate) struct BindError {
    pub(crate) code: ErrorCode,
    pub(crate) message: String,
}

/// The sockets held, by address.
#[derive(Default)]
pub(crate) struct Listeners {
    held: BTreeMap<String, OwnedFd>,
    /// Ordered, but not held now.
    missing: BTreeSet<String>,
}

impl Listeners {
    /// All addresses ordered.
    pub(crate) fn addrs(&self) -> Vec<String> {
        self.held.keys().chain(&self.missing).cloned().collect()
    }

    /// The socket for an address, bound if it is not held yet, and its real address.
    pub(crate) fn get(&mut self, addr: &str) -> Result<(String, BorrowedFd<'_>), BindError> {
        let parsed: SocketAddr = addr.parse().map_err(|_| BindError {
            code: ErrorCode::AddrInvalid,
            message: format!("{addr} is not a numeric address; write it as 127.0.0.1:8080"),
        })?;
        let mut key = parsed.to_string();
        if !self.held.contains_key(&key) {
            let socket = open(parsed).map_err(|e| explain(parsed, e))?;
            key = local_addr(&socket).unwrap_or(key);
            self.keep(key.clone(), socket);
        }
        let socket = &self.held[&key];
        Ok((key, std::os::fd::AsFd::as_fd(socket)))
    }

    /// Lets go of one; false when it was not known.
    pub(crate) fn forget(&mut self, addr: &str) -> bool {
        let key = addr.parse::<SocketAddr>().map_or(addr.to_owned(), |a| a.to_string());
        self.held.remove(&key).is_some() | self.missing.remove(&key)
    }

    /// Lets go of all.
    pub(crate) fn clear(&mut self) {
        self.held.clear();
        self.missing.clear();
    }

    /// Notes an address that is to be held again.
    pub(crate) fn miss(&mut self, addr: String) {
        if !self.held.contains_key(&addr) {
            self.missing.insert(addr);
        }
    }

    /// Ordered, but not held.
    pub(crate) fn is_missing(&self, addr: &str) -> bool {
        self.missing.contains(addr)
    }

    pub(crate) fn has_missing(&self) -> bool {
        !self.missing.is_empty()
    }

    /// Takes back what the data plane holds, returns how many. Blocks for [`PATIENCE`] at most.
    pub(crate) fn take_back(&mut self, proxy_socket: &Path) -> io::Result<usize> {
        let listeners = ask_for_listeners(proxy_socket)?;
        let count = listeners.len();
        for (addr, socket) in listeners {
            self.keep(addr, socket);
        }
        Ok(count)
    }

    /// Binds what is missing; returns what could not be bound.
    pub(crate) fn bind_missing(&mut self) -> Vec<BindError> {
        let missing: Vec<String> = self.missing.iter().cloned().collect();
        missing.iter().filter_map(|addr| self.get(addr).err()).collect()
    }

    fn keep(&mut self, addr: String, socket: OwnedFd) {
        self.missing.remove(&addr);
        self.held.insert(addr, socket);
    }
}

fn open(addr: SocketAddr) -> Result<OwnedFd, Errno> {
    let family = if addr.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(family, SocketType::STREAM, flags, None)?;
    set_socket_reuseaddr(&socket, true)?;
    bind(&socket, &addr)?;
    listen(&socket, BACKLOG)?;
    Ok(socket)
}

fn local_addr(socket: &OwnedFd) -> Option<String> {
    SocketAddr::try_from(getsockname(socket).ok()?).ok().map(|addr| addr.to_string())
}

fn explain(addr: SocketAddr, error: Errno) -> BindError {
    let port = addr.port();
    let (code, message) = match error {
        Errno::ADDRINUSE => (
            ErrorCode::AddrInUse,
            format!(
                "{addr} is in use by another process; find it with \
                 `ss -ltnp 'sport = :{port}'` and stop it, or choose another address"
            ),
        ),
        Errno::ADDRNOTAVAIL => (
            ErrorCode::AddrInvalid,
            format!("{addr} is no address of this machine; `ip addr` lists them"),
        ),
        Errno::ACCESS | Errno::PERM => (
            ErrorCode::AddrDenied,
            format!(
                "port {port} of {addr} may not be bound by this user; choose one from 1024 on \
                 or give the binary cap_net_bind_service"
            ),
        ),
        other => (ErrorCode::Internal, format!("cannot listen on {addr}: {other}")),
    };
    BindError { code, message }
}

fn ask_for_listeners(path: &Path) -> io::Result<Vec<(String, OwnedFd)>> {
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    set_socket_timeout(&socket, Timeout::Send, Some(PATIENCE))?;
    set_socket_timeout(&socket, Timeout::Recv, Some(PATIENCE))?;
    connect(&socket, &SocketAddrUnix::new(path)?)?;
    fdpass::send(&socket, b"{\"listeners\":null}\n", None)?;
    let (line, fds) = fdpass::receive_line(&socket)?;
    let listeners: HeldListeners = serde_json::from_slice(&line)?;
    if listeners.addrs.len() != fds.len() {
        let (named, came) = (listeners.addrs.len(), fds.len());
        return Err(io::Error::other(format!("{named} listeners named, {came} received")));
    }
    Ok(listeners.addrs.into_iter().zip(fds).collect())
}

/// The process that listens on a unix socket, if one answers at once.
pub(crate) fn owner(path: &Path) -> Option<Pid> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None).ok()?;
    connect(&socket, &SocketAddrUnix::new(path).ok()?).ok()?;
    Some(socket_peercred(&socket).ok()?.pid)
}
