//! Connections of askers.

use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::event::PollFlags;
use serde::Serialize;

use super::Keeper;
use crate::outbox::Outbox;
use crate::protocol::{MAX_LINE, Reply, ReplyLine};

/// Bytes waiting for a slow reader at which its watch rests.
const WATCH_AHEAD: usize = 64 << 10;

/// Bytes waiting for a slow reader at which no more of its requests are read.
const REPLY_AHEAD: usize = 1 << 20;

pub(super) struct Connection {
    stream: UnixStream,
    input: Vec<u8>,
    /// The input up to here has no newline.
    searched: usize,
    out: Outbox,
    /// Replies owed for requests taken on.
    owed: usize,
    watch: Option<Watch>,
    /// The asker sends nothing more, but may still read.
    ended: bool,
}

struct Watch {
    id: u64,
    /// Entries up to here are sent.
    after: u64,
}

impl Connection {
    pub(super) fn socket(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }

    pub(super) fn interest(&self) -> PollFlags {
        let mut flags = PollFlags::empty();
        flags.set(PollFlags::IN, !self.ended && self.out.len() < REPLY_AHEAD);
        flags.set(PollFlags::OUT, !self.out.is_empty());
        flags
    }

    pub(super) fn watch(&mut self, id: u64, after: u64) {
        self.watch = Some(Watch { id, after });
    }

    fn send(&mut self, line: &impl Serialize, fd: Option<OwnedFd>) {
        if let Ok(mut bytes) = serde_json::to_vec(line) {
            bytes.push(b'\n');
            self.out.push(bytes, fd);
        }
    }

    fn is_finished(&self) -> bool {
        self.ended && self.out.is_empty() && self.owed == 0 && self.watch.is_none()
    }

    /// Reads once; an error means that the connection is over.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        match self.stream.read(buffer) {
            Ok(0) => self.ended = true,
            Ok(count) => self.input.extend_from_slice(&buffer[..count]),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
        Ok(())
    }

    /// Takes the complete lines out of the input. An error: a line without end.
    fn lines(&mut self) -> io::Result<Vec<u8>> {
        let last = self.input[self.searched..].iter().rposition(|b| *b == b'\n');
        let Some(last) = last else {
            self.searched = self.input.len();
            let too_long = self.searched > MAX_LINE;
            return if too_long { Err(io::ErrorKind::InvalidData.into()) } else { Ok(Vec::new()) };
        };
        let rest = self.input.split_off(self.searched + last + 1);
        self.searched = 0;
        Ok(std::mem::replace(&mut self.input, rest))
    }
}

impl Keeper {
    pub(super) fn connected(&mut self, stream: UnixStream) {
        if stream.set_nonblocking(true).is_err() {
            return;
        }
        self.last_connection += 1;
        let connection = Connection {
            stream,
            input: Vec::new(),
            searched: 0,
            out: Outbox::default(),
            owed: 0,
            watch: None,
            ended: false,
        };
        self.connections.insert(self.last_connection, connection);
    }

    pub(super) fn connection_ready(&mut self, id: u64, ready: PollFlags) {
        if self.serve(id, ready).is_err() {
            self.connections.remove(&id);
        }
    }

    fn serve(&mut self, id: u64, ready: PollFlags) -> io::Result<()> {
        let Some(connection) = self.connections.get_mut(&id) else { return Ok(()) };
        if ready.contains(PollFlags::OUT) {
            connection.out.flush(&connection.stream)?;
        }
        if ready.contains(PollFlags::IN) {
            connection.read(&mut self.buffer)?;
            let lines = connection.lines()?;
            for line in lines.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
                self.request(id, line);
            }
        } else if ready.intersects(PollFlags::HUP | PollFlags::ERR) {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        match self.connections.get(&id) {
            Some(connection) if connection.is_finished() => {
                Err(io::ErrorKind::UnexpectedEof.into())
            }
            _ => Ok(()),
        }
    }

    pub(super) fn connection(&mut self, id: u64) -> Option<&mut Connection> {
        self.connections.get_mut(&id)
    }

    /// Notes that a reply will follow later.
    pub(super) fn owe(&mut self, connection: u64) {
        if let Some(connection) = self.connections.get_mut(&connection) {
            connection.owed += 1;
        }
    }

    /// Sends a reply that was owed.
    pub(super) fn pay(&mut self, asker: (u64, u64), reply: Reply) {
        if let Some(connection) = self.connections.get_mut(&asker.0) {
            connection.owed -= 1;
        }
        self.reply(asker, reply);
    }

    /// Queues a reply; it leaves after the state is saved.
    pub(super) fn reply(&mut self, (connection, id): (u64, u64), reply: Reply) {
        self.send_line(connection, &ReplyLine { id, reply }, None);
    }

    pub(super) fn send_line(&mut self, id: u64, line: &impl Serialize, fd: Option<OwnedFd>) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.send(line, fd);
        }
    }

    /// Gives watches what is new, as far as their readers keep up.
    pub(super) fn feed_watches(&mut self) {
        for connection in self.connections.values_mut() {
            while connection.out.len() < WATCH_AHEAD {
                let Some(watch) = &mut connection.watch else { break };
                let Some(entry) = self.journal.after(watch.after) else { break };
                watch.after = entry.seq;
                let line = ReplyLine { id: watch.id, reply: Reply::Entry(entry.clone()) };
                connection.send(&line, None);
            }
        }
    }

    /// Sends what can be sent without waiting, at the very end.
    pub(super) fn flush_connections(&mut self) {
        self.feed_watches();
        for connection in self.connections.values_mut() {
            let _ = connection.out.flush(&connection.stream);
        }
    }
}
