//! A small blocking client, for tests and tools.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;

use crate::fdpass;
use crate::protocol::{
    JournalEntry, ListenerAddr, ListenerLine, ListenerReply, Reply, ReplyLine, Request, RequestLine,
};

/// One connection to a keeper.
pub struct Client {
    stream: UnixStream,
    reader: BufReader<UnixStream>,
    last_id: u64,
}

impl Client {
    /// Connects to the keeper's socket.
    pub fn connect(socket: &Path) -> io::Result<Self> {
        let stream = UnixStream::connect(socket)?;
        Ok(Self { reader: BufReader::new(stream.try_clone()?), stream, last_id: 0 })
    }

    /// Asks and waits for the answer. [`Reply::Error`] is an answer, not an `Err`.
    pub fn call(&mut self, request: Request) -> io::Result<Reply> {
        self.last_id += 1;
        let mut line = serde_json::to_vec(&RequestLine { id: self.last_id, request })?;
        line.push(b'\n');
        self.stream.write_all(&line)?;
        loop {
            let reply = self.read()?;
            if reply.id == self.last_id {
                return Ok(reply.reply);
            }
        }
    }

    /// The journal after `after`, then live, until the keeper ends.
    pub fn watch(mut self, after: u64) -> io::Result<impl Iterator<Item = JournalEntry>> {
        self.call(Request::Watch { after })?;
        Ok(std::iter::from_fn(move || match self.read().ok()?.reply {
            Reply::Entry(entry) => Some(entry),
            _ => None,
        }))
    }

    fn read(&mut self) -> io::Result<ReplyLine> {
        let mut line = String::new();
        if self.reader.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(serde_json::from_str(&line)?)
    }
}

/// Asks the keeper for a listening socket, as the data plane does. Returns its real address and
/// the socket, which is non-blocking.
pub fn listener(socket: &Path, addr: &str) -> io::Result<(String, OwnedFd)> {
    let mut stream = UnixStream::connect(socket)?;
    let line = ListenerLine { listener: ListenerAddr { addr: addr.to_owned() } };
    let mut line = serde_json::to_vec(&line)?;
    line.push(b'\n');
    stream.write_all(&line)?;
    let (line, mut fds) = fdpass::receive_line(&stream)?;
    match serde_json::from_slice(&line)? {
        ListenerReply::Error { error } => Err(io::Error::other(error)),
        ListenerReply::Ok { addr, .. } => {
            let fd = fds.pop().ok_or_else(|| io::Error::other("no descriptor came"))?;
            Ok((addr, fd))
        }
    }
}
