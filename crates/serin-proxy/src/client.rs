//! The controller's side of the control socket.

use crate::wire::{Counters, FlagsReply, Generation, Held, Reply, Request, Route};
use serin_edge::{Counts, Table, Upsert};
use std::io;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

/// How long a reply may take, unless [`Client::with_timeout`] says otherwise.
pub const TIMEOUT: Duration = Duration::from_secs(5);

/// Why a conversation with the data plane failed. After [`ClientError::Io`] and
/// [`ClientError::Timeout`] the outcome is unknown and the connection must be made anew.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The socket.
    #[error("the data plane cannot be reached: {0}")]
    Io(#[from] io::Error),
    /// No reply in time.
    #[error("the data plane did not answer within {} ms; is it running?", .0.as_millis())]
    Timeout(Duration),
    /// The data plane refused the request.
    #[error("the data plane refused: {0}")]
    Refused(String),
    /// Something else than a reply.
    #[error("the data plane answered something else: {0}")]
    Protocol(String),
}

/// What an order has done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Applied {
    /// It holds for every request from now on.
    Done {
        /// Whether it is on the data plane's disk.
        durable: bool,
        /// What kept it from the disk, or the listener from opening.
        error: Option<String>,
    },
    /// Something newer is held; nothing has changed.
    Stale(crate::wire::Order),
}

/// A connection to the data plane.
pub struct Client {
    stream: BufReader<UnixStream>,
    timeout: Duration,
}

impl Client {
    /// Connects to a control socket.
    ///
    /// # Errors
    /// [`ClientError::Io`], [`ClientError::Timeout`].
    pub async fn connect(path: &Path) -> Result<Self, ClientError> {
        let stream = limit(TIMEOUT, UnixStream::connect(path)).await?;
        Ok(Self { stream: BufReader::new(stream), timeout: TIMEOUT })
    }

    /// Waits this long for each reply.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sends a request and waits for its reply.
    ///
    /// # Errors
    /// [`ClientError::Io`], [`ClientError::Timeout`], [`ClientError::Protocol`].
    pub async fn ask(&mut self, request: &Request) -> Result<Reply, ClientError> {
        let mut line = serde_json::to_vec(request).map_err(io::Error::other)?;
        line.push(b'\n');
        let stream = &mut self.stream;
        let answer = limit(self.timeout, async {
            stream.get_mut().write_all(&line).await?;
            let mut answer = String::new();
            match stream.read_line(&mut answer).await? {
                0 => Err(io::ErrorKind::UnexpectedEof.into()),
                _ => Ok(answer),
            }
        });
        let answer = answer.await?;
        serde_json::from_str(&answer).map_err(|error| ClientError::Protocol(error.to_string()))
    }

    /// Makes a route true.
    ///
    /// # Errors
    /// [`ClientError`]; a stale order is not one.
    pub async fn apply(&mut self, route: &Route) -> Result<Applied, ClientError> {
        match self.ask(&Request::Apply(route.clone())).await? {
            Reply::Applied { durable, error, .. } => Ok(Applied::Done { durable, error }),
            Reply::Stale { have } => Ok(Applied::Stale(have)),
            other => Err(unexpected(other)),
        }
    }

    /// Forgets a service; with a generation, its orders up to that one stay refused.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn remove(
        &mut self,
        service: &str,
        generation: Option<Generation>,
    ) -> Result<bool, ClientError> {
        let request = Request::Remove { service: service.to_owned(), generation };
        match self.ask(&request).await? {
            Reply::Removed { durable, .. } => Ok(durable),
            other => Err(unexpected(other)),
        }
    }

    /// Everything counted so far.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn counters(&mut self) -> Result<Counters, ClientError> {
        match self.ask(&Request::Counters).await? {
            Reply::Counters(counters) => Ok(*counters),
            other => Err(unexpected(other)),
        }
    }

    /// Has the data plane serve these flags.
    ///
    /// # Errors
    /// [`ClientError`]; a stale table is not one.
    pub async fn flags(&mut self, table: &Table) -> Result<FlagsReply, ClientError> {
        self.ask_flags(&Request::Flags(table.clone())).await
    }

    /// Changes one flag.
    ///
    /// # Errors
    /// [`ClientError`]; a change for another table is not one.
    pub async fn flag_upsert(&mut self, change: &Upsert) -> Result<FlagsReply, ClientError> {
        self.ask_flags(&Request::FlagUpsert(change.clone())).await
    }

    async fn ask_flags(&mut self, request: &Request) -> Result<FlagsReply, ClientError> {
        match self.ask(request).await? {
            Reply::Flags(reply) => Ok(reply),
            other => Err(unexpected(other)),
        }
    }

    /// Every evaluation of a flag counted so far.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn flag_counts(&mut self) -> Result<Counts, ClientError> {
        match self.ask(&Request::FlagCounts).await? {
            Reply::FlagCounts(counts) => Ok(*counts),
            other => Err(unexpected(other)),
        }
    }

    /// The orders held.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn table(&mut self) -> Result<Vec<Held>, ClientError> {
        match self.ask(&Request::Table).await? {
            Reply::Table(held) => Ok(held),
            other => Err(unexpected(other)),
        }
    }
}

fn unexpected(reply: Reply) -> ClientError {
    match reply {
        Reply::Error(why) => ClientError::Refused(why),
        other => ClientError::Protocol(format!("{other:?}")),
    }
}

async fn limit<T>(
    timeout: Duration,
    work: impl Future<Output = io::Result<T>>,
) -> Result<T, ClientError> {
    match tokio::time::timeout(timeout, work).await {
        Ok(result) => result.map_err(ClientError::Io),
        Err(_) => Err(ClientError::Timeout(timeout)),
    }
}
