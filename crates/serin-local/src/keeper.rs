//! The keeper's client: one connection that is made again for ever. Orders given while the keeper
//! is away wait for it; each of them may be repeated without harm.

use crate::error::Error;
use serin_keeper::protocol::{
    JournalEntry, JournalEvent, ProcessInfo, Reply, ReplyLine, Request, RequestLine, SOCKET,
};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep, timeout};

/// Time the keeper has for its part of the greeting.
const GREETING: Duration = Duration::from_secs(10);
/// Time between two tries to connect: doubled from the first to the last.
const RETRY: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));

/// What the keeper says unasked.
#[derive(Debug)]
pub(crate) enum KeeperFact {
    /// It is there, and this is all it has.
    Up(Listing),
    /// One thing that happened since.
    Entry(JournalEntry),
    /// It went away.
    Down,
}

/// The keeper's list with what its journal adds.
#[derive(Debug)]
pub(crate) struct Listing {
    /// All processes.
    pub(crate) processes: Vec<ProcessInfo>,
    /// Instances that were ordered to stop at some time.
    pub(crate) asked: BTreeSet<String>,
}

/// A handle for orders; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Keeper {
    calls: mpsc::UnboundedSender<Call>,
    socket: PathBuf,
}

#[derive(Debug)]
struct Call {
    request: Request,
    reply: oneshot::Sender<Reply>,
}

impl Keeper {
    /// Begins to connect to the keeper of `data`; `tell` gets what it says. Ends when `tell` says
    /// that nobody listens any more.
    pub(crate) fn start(
        data: &Path,
        tell: impl Fn(KeeperFact) -> bool + Send + Sync + 'static,
    ) -> Self {
        let (calls, orders) = mpsc::unbounded_channel();
        let socket = data.join(SOCKET);
        let mut task = Task { socket: socket.clone(), orders, cursor: 0, asked: BTreeSet::new() };
        tokio::spawn(async move { task.run(tell).await });
        Self { calls, socket }
    }

    /// Asks; an error means that the connection broke and nobody knows whether it was done.
    pub(crate) async fn call(&self, request: Request) -> Result<Reply, Error> {
        let (reply, answer) = oneshot::channel();
        let away = || Error::Away { who: "the keeper", socket: self.socket.clone() };
        self.calls.send(Call { request, reply }).map_err(|_| Error::Ended)?;
        answer.await.map_err(|_| away())
    }

    /// Asks again until the keeper has answered.
    pub(crate) async fn insist(&self, request: Request) -> Result<Reply, Error> {
        loop {
            match self.call(request.clone()).await {
                Err(Error::Away { .. }) => sleep(RETRY.0).await,
                answer => return answer,
            }
        }
    }

    /// The error for a keeper that did not answer in time.
    pub(crate) fn away(&self) -> Error {
        Error::Away { who: "the keeper", socket: self.socket.clone() }
    }
}

/// One connection.
struct Connection {
    lines: Lines<BufReader<OwnedReadHalf>>,
    writer: OwnedWriteHalf,
    last_id: u64,
    pending: BTreeMap<u64, oneshot::Sender<Reply>>,
}

struct Task {
    socket: PathBuf,
    orders: mpsc::UnboundedReceiver<Call>,
    /// Last journal entry seen.
    cursor: u64,
    /// Instances the journal says were ordered to stop.
    asked: BTreeSet<String>,
}

impl Task {
    async fn run(&mut self, tell: impl Fn(KeeperFact) -> bool + Sync) {
        let mut wait = RETRY.0;
        while !self.orders.is_closed() {
            match self.connect().await {
                Ok((mut connection, listing, later)) => {
                    wait = RETRY.0;
                    let mut facts = vec![KeeperFact::Up(listing)];
                    facts.extend(later.into_iter().map(KeeperFact::Entry));
                    if !facts.into_iter().all(&tell) {
                        return;
                    }
                    let over = self.serve(&mut connection, &tell).await;
                    if over || !tell(KeeperFact::Down) {
                        return;
                    }
                }
                Err(_) => sleep(wait).await,
            }
            wait = (wait * 2).min(RETRY.1);
        }
    }

    /// Connects, watches from where we were, and reads the list: everything in it is at least as
    /// new as the journal up to the entries returned.
    async fn connect(&mut self) -> io::Result<(Connection, Listing, Vec<JournalEntry>)> {
        let stream = UnixStream::connect(&self.socket).await?;
        let (reader, writer) = stream.into_split();
        let lines = BufReader::new(reader).lines();
        let mut connection = Connection { lines, writer, last_id: 0, pending: BTreeMap::new() };
        let greeting = timeout(GREETING, self.greet(&mut connection)).await;
        let (processes, later) = greeting.map_err(|_| io::ErrorKind::TimedOut)??;
        Ok((connection, Listing { processes, asked: self.asked.clone() }, later))
    }

    async fn greet(
        &mut self,
        connection: &mut Connection,
    ) -> io::Result<(Vec<ProcessInfo>, Vec<JournalEntry>)> {
        let newest = loop {
            connection.send(Request::Watch { after: self.cursor }).await?;
            match connection.read().await?.reply {
                Reply::Watching { newest, .. } if newest < self.cursor => self.cursor = 0,
                Reply::Watching { newest, .. } => break newest,
                _ => return Err(io::ErrorKind::InvalidData.into()),
            }
        };
        while self.cursor < newest {
            if let Reply::Entry(entry) = connection.read().await?.reply {
                self.remember(&entry);
            }
        }
        connection.send(Request::List).await?;
        let mut later = Vec::new();
        loop {
            match connection.read().await?.reply {
                Reply::Processes { processes } => {
                    let known: BTreeSet<&str> = processes.iter().map(|p| &*p.instance).collect();
                    self.asked.retain(|instance| known.contains(instance.as_str()));
                    return Ok((processes, later));
                }
                Reply::Entry(entry) => {
                    self.remember(&entry);
                    later.push(entry);
                }
                _ => return Err(io::ErrorKind::InvalidData.into()),
            }
        }
    }

    fn remember(&mut self, entry: &JournalEntry) {
        self.cursor = self.cursor.max(entry.seq);
        if matches!(entry.event, JournalEvent::Stopping { .. }) {
            self.asked.insert(entry.instance.clone());
        }
    }

    /// Serves until the connection breaks; true when nobody has orders any more.
    async fn serve(
        &mut self,
        connection: &mut Connection,
        tell: &(impl Fn(KeeperFact) -> bool + Sync),
    ) -> bool {
        loop {
            tokio::select! {
                order = self.orders.recv() => {
                    let Some(call) = order else { return true };
                    if connection.order(call).await.is_err() {
                        return false;
                    }
                }
                line = connection.read() => match line {
                    Ok(ReplyLine { reply: Reply::Entry(entry), .. }) => {
                        self.remember(&entry);
                        if !tell(KeeperFact::Entry(entry)) {
                            return true;
                        }
                    }
                    Ok(line) => connection.answer(line),
                    Err(_) => return false,
                },
            }
        }
    }
}

impl Connection {
    async fn order(&mut self, call: Call) -> io::Result<()> {
        let id = self.last_id + 1;
        self.pending.insert(id, call.reply);
        self.send(call.request).await
    }

    async fn send(&mut self, request: Request) -> io::Result<()> {
        self.last_id += 1;
        let mut line = serde_json::to_vec(&RequestLine { id: self.last_id, request })?;
        line.push(b'\n');
        self.writer.write_all(&line).await
    }

    /// The next line. May be dropped while it waits without losing anything.
    async fn read(&mut self) -> io::Result<ReplyLine> {
        let line = self.lines.next_line().await?.ok_or(io::ErrorKind::UnexpectedEof)?;
        Ok(serde_json::from_str(&line)?)
    }

    fn answer(&mut self, line: ReplyLine) {
        if let Some(asker) = self.pending.remove(&line.id) {
            // The asker may have given up; the keeper's work is done all the same.
            let _ = asker.send(line.reply);
        }
    }
}
