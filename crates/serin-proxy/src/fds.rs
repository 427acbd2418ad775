//! Listeners: opened here, fetched from the keeper, handed to it. One line of text travels with
//! the descriptors (`SCM_RIGHTS`).

use crate::wire::MAX_FDS;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};
use std::io::{self, IoSlice, IoSliceMut, Write};
use std::mem::MaybeUninit;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// Clients that may wait for an accept.
const BACKLOG: i32 = 4096;
const KEEPER_TIMEOUT: Duration = Duration::from_secs(5);
const MAX_LINE: usize = 64 * 1024;

/// Opens a listener.
///
/// # Errors
/// Whatever the system says, for example that the port is in use.
pub fn bind(addr: SocketAddr) -> io::Result<TcpListener> {
    let family = if addr.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
    rustix::net::sockopt::set_socket_reuseaddr(&socket, true)?;
    rustix::net::bind(&socket, &addr)?;
    rustix::net::listen(&socket, BACKLOG)?;
    Ok(TcpListener::from(socket))
}

/// Asks the keeper for a duplicate of its listener on `addr`.
///
/// # Errors
/// The keeper is not there, refuses, or sends something else.
pub fn fetch(keeper: &Path, addr: SocketAddr) -> io::Result<TcpListener> {
    let mut stream = UnixStream::connect(keeper)?;
    stream.set_read_timeout(Some(KEEPER_TIMEOUT))?;
    stream.set_write_timeout(Some(KEEPER_TIMEOUT))?;
    let line = format!("{}\n", serde_json::json!({ "listener": { "addr": addr } }));
    stream.write_all(line.as_bytes())?;
    let (answer, fds) = receive(&stream)?;
    let Some(fd) = fds.into_iter().next() else {
        return Err(io::Error::other(format!("the keeper sent no listener: {}", answer.trim())));
    };
    let listener = TcpListener::from(fd);
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Sends a line with descriptors, at most [`MAX_FDS`]. Returns how much of the line has gone;
/// the descriptors go with the first byte.
///
/// # Errors
/// Whatever the socket says, `WouldBlock` included.
pub fn send(socket: impl AsFd, line: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(io::Error::other(format!("{} descriptors exceed {MAX_FDS}", fds.len())));
    }
    let parts = [IoSlice::new(line)];
    Ok(rustix::net::sendmsg(socket, &parts, &mut ancillary, SendFlags::NOSIGNAL)?)
}

/// Receives one line and the descriptors that come with it.
///
/// # Errors
/// The other side closes before the line ends, or the line is longer than 64 KiB.
pub fn receive(socket: impl AsFd) -> io::Result<(String, Vec<OwnedFd>)> {
    let (mut line, mut fds) = (Vec::new(), Vec::new());
    while line.last() != Some(&b'\n') {
        let mut bytes = [0; 4096];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let mut parts = [IoSliceMut::new(&mut bytes)];
        let flags = RecvFlags::CMSG_CLOEXEC;
        let got = rustix::net::recvmsg(&socket, &mut parts, &mut ancillary, flags)?.bytes;
        for message in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = message {
                fds.extend(rights);
            }
        }
        if got == 0 || line.len() > MAX_LINE {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        line.extend_from_slice(&bytes[..got]);
    }
    Ok((String::from_utf8_lossy(&line).into_owned(), fds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_travels_with_its_line() {
        let (here, there) = UnixStream::pair().unwrap();
        let listener = bind(([127, 0, 0, 1], 0).into()).unwrap();
        let addr = listener.local_addr().unwrap();
        assert_eq!(send(&here, b"{\"ok\":true}\n", &[listener.as_fd()]).unwrap(), 12);
        drop(listener);
        let (line, fds) = receive(&there).unwrap();
        assert_eq!((line.as_str(), fds.len()), ("{\"ok\":true}\n", 1));
        let copy = TcpListener::from(fds.into_iter().next().unwrap());
        assert_eq!(copy.local_addr().unwrap(), addr);
        std::net::TcpStream::connect(addr).unwrap();
    }

    #[test]
    fn a_keeper_that_refuses_is_quoted() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keeper.sock");
        let keeper = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let answer = std::thread::spawn(move || {
            let (mut stream, _) = keeper.accept().unwrap();
            let asked = receive(&stream).unwrap().0;
            stream.write_all(b"{\"error\":\"port in use\"}\n").unwrap();
            asked
        });
        let error = fetch(&path, ([127, 0, 0, 1], 8080).into()).unwrap_err().to_string();
        assert_eq!(answer.join().unwrap(), "{\"listener\":{\"addr\":\"127.0.0.1:8080\"}}\n");
        assert!(error.contains("port in use"), "{error}");
    }
}
