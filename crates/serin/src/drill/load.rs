//! The drill's users: a few connections that ask again and again, so that the bad version has
//! somebody to fail and the way back somebody to be gone for.

use super::app::HEADER;
use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serin_core::Timestamp;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// Connections.
const USERS: usize = 4;
/// A user's pause between two requests.
const PAUSE: Duration = Duration::from_millis(20);
/// A user does not wait longer for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Users at work; they stop with their owner.
#[derive(Debug)]
pub(super) struct Load {
    seen: Arc<Mutex<Vec<Visit>>>,
    _users: JoinSet<()>,
}

/// One request: when it was sent, and whether it failed (no whole answer, or a 5xx).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Visit {
    pub(super) sent_at: Timestamp,
    pub(super) failed: bool,
}

impl Load {
    /// Requests for `path` at `target`.
    pub(super) fn start(target: SocketAddr, path: &str) -> Self {
        let seen = Arc::<Mutex<Vec<Visit>>>::default();
        let mut users = JoinSet::new();
        for _ in 0..USERS {
            users.spawn(visit(target, path.to_owned(), seen.clone()));
        }
        Self { seen, _users: users }
    }

    /// Requests and failures among those sent since `since`.
    pub(super) fn since(&self, since: Timestamp) -> (u64, u64) {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let counted = seen.iter().filter(|visit| visit.sent_at >= since);
        counted.fold((0, 0), |(n, failed), visit| (n + 1, failed + u64::from(visit.failed)))
    }
}

async fn visit(target: SocketAddr, path: String, seen: Arc<Mutex<Vec<Visit>>>) {
    let mut line = None;
    loop {
        let sent_at = crate::render::now();
        let answer = timeout(PATIENCE, ask(&mut line, target, &path)).await;
        let failed = !matches!(answer, Ok(Some(status)) if status < 500);
        if failed {
            line = None;
        }
        seen.lock().unwrap_or_else(PoisonError::into_inner).push(Visit { sent_at, failed });
        sleep(PAUSE).await;
    }
}

type Connection = SendRequest<Empty<Bytes>>;

/// The status of a whole answer.
async fn ask(line: &mut Option<Connection>, target: SocketAddr, path: &str) -> Option<u16> {
    let mut connection = match line.take().filter(|line| !line.is_closed()) {
        Some(connection) => connection,
        None => connect(target).await?,
    };
    let request = Request::get(path).header(header::HOST, target.to_string()).header(HEADER, "1");
    connection.ready().await.ok()?;
    let answer = connection.send_request(request.body(Empty::new()).ok()?).await.ok()?;
    let status = answer.status().as_u16();
    answer.into_body().collect().await.ok()?;
    *line = Some(connection);
    Some(status)
}

async fn connect(target: SocketAddr) -> Option<Connection> {
    let stream = TcpStream::connect(target).await.ok()?;
    let (connection, driver) = handshake(TokioIo::new(stream)).await.ok()?;
    tokio::spawn(driver);
    Some(connection)
}
