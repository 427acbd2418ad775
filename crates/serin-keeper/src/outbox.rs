//! Bytes and descriptors waiting to be sent on a non-blocking unix socket.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use crate::fdpass;

/// What is to be sent, in order.
#[derive(Default)]
pub(crate) struct Outbox {
    chunks: VecDeque<Chunk>,
    len: usize,
}

struct Chunk {
    bytes: Vec<u8>,
    sent: usize,
    fd: Option<OwnedFd>,
}

impl Outbox {
    /// Bytes not yet sent.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds bytes, and a descriptor to go with the first of them.
    pub(crate) fn push(&mut self, bytes: Vec<u8>, fd: Option<OwnedFd>) {
        if !bytes.is_empty() {
            self.len += bytes.len();
            self.chunks.push_back(Chunk { bytes, sent: 0, fd });
        }
    }

    /// Sends until everything is sent or the socket is full.
    pub(crate) fn flush(&mut self, socket: impl AsFd) -> io::Result<()> {
        while let Some(chunk) = self.chunks.front_mut() {
            let fd = chunk.fd.as_ref().map(AsFd::as_fd);
            let sent = match fdpass::send(&socket, &chunk.bytes[chunk.sent..], fd) {
                Ok(sent) => sent,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(e),
            };
            chunk.fd = None;
            chunk.sent += sent;
            self.len -= sent;
            if chunk.sent == chunk.bytes.len() {
                self.chunks.pop_front();
            }
        }
        Ok(())
    }
}
