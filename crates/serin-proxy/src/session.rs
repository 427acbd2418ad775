//! One client connection: what the request in progress needs from it, and its deadlines.
//!
//! Deadlines are kept as plain times; the `alarm` looks at them.

use crate::affinity;
use crate::alarm::Alarm;
use crate::body::{Downloading, Uploading};
use crate::count::Turn;
use crate::forward;
use crate::io::Down;
use crate::pool::MAX_BUFFER;
use crate::worker::{Live, Port, Worker};
use http::HeaderValue;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::cell::Cell;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;

const MAX_HEAD: usize = 64 * 1024;
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
const IDLE_TIMEOUT: Duration = Duration::from_secs(75);
/// Stands for "never".
const FAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// A client's connection.
pub struct Session {
    pub worker: Rc<Worker>,
    pub port: Rc<Port>,
    /// The client's address, as `X-Forwarded-For` wants it.
    pub client: HeaderValue,
    /// What counts of it, where it tells users apart.
    pub network: [u8; 16],
    /// The request timeout ran out.
    pub expired: Cell<bool>,
    pub upload: Cell<Uploading>,
    pub download: Cell<Downloading>,
    /// The instance's socket has not taken all of the request that has come.
    pub choked: Cell<bool>,
    /// Whose turn it is in the request in progress.
    pub turn: Rc<Turn>,
    /// Dropped when the connection, and what it became, has ended.
    _live: Live,
    busy: Cell<bool>,
    timeout: Cell<Duration>,
    deadline: Cell<Instant>,
    heard: Arc<AtomicBool>,
    heard_at: Cell<Option<Instant>>,
}

impl Session {
    fn new(worker: Rc<Worker>, port: Rc<Port>, peer: SocketAddr, live: Live) -> Self {
        let client = HeaderValue::from_str(&peer.ip().to_canonical().to_string());
        let network = affinity::network(peer.ip());
        Self {
            worker,
            port,
            client: client.unwrap_or_else(|_| HeaderValue::from_static("unknown")),
            network,
            expired: Cell::new(false),
            upload: Cell::new(Uploading::Done),
            download: Cell::new(Downloading::No),
            choked: Cell::new(false),
            turn: Rc::default(),
            _live: live,
            busy: Cell::new(false),
            timeout: Cell::new(FAR),
            deadline: Cell::new(Instant::now() + IDLE_TIMEOUT),
            heard: Arc::default(),
            heard_at: Cell::new(None),
        }
    }

    /// A request has arrived.
    pub fn begin(&self, now: Instant, timeout: Option<Duration>) {
        self.busy.set(true);
        self.expired.set(false);
        self.upload.set(Uploading::Done);
        self.download.set(Downloading::No);
        self.choked.set(false);
        self.timeout.set(timeout.unwrap_or(FAR));
        self.deadline.set(now + self.timeout.get());
    }

    /// The request has moved on.
    pub fn progress(&self, now: Instant) {
        self.deadline.set(now + self.timeout.get());
    }

    /// The response is complete.
    pub fn rest(&self, now: Instant) {
        self.busy.set(false);
        self.download.set(Downloading::No);
        self.heard.store(false, Ordering::Relaxed);
        self.heard_at.set(None);
        self.deadline.set(now + IDLE_TIMEOUT);
    }

    /// The request body's state has changed.
    pub fn uploading(&self, state: Uploading) {
        self.upload.set(state);
        if state == Uploading::Moves {
            self.progress(Instant::now());
        }
    }

    /// Whether nothing can move on before the client does. Until the response begins: it owes a
    /// part of its request, and the instance has been given all that came. From then on: it does
    /// not take what the instance has sent; what is still missing of the request excuses no
    /// instance that has begun to answer.
    pub fn waits_for_client(&self) -> bool {
        is_clients_turn(self.download.get(), self.upload.get(), self.choked.get())
    }

    fn next_deadline(&self) -> Instant {
        if !self.busy.get() && self.heard.load(Ordering::Relaxed) && self.heard_at.get().is_none() {
            let now = Instant::now();
            self.heard_at.set(Some(now));
            self.deadline.set(now + HEAD_TIMEOUT);
        }
        self.deadline.get()
    }

    /// A deadline has passed. Whether the connection shall get one more chance: a request that
    /// is told of its timeout can still answer.
    fn overdue(&self) -> bool {
        self.busy.get() && !self.expired.replace(true)
    }
}

fn is_clients_turn(download: Downloading, upload: Uploading, choked: bool) -> bool {
    match download {
        Downloading::No => upload == Uploading::Waits && !choked,
        Downloading::Offered => true,
        Downloading::Waits => false,
    }
}

/// Serves one client until either side has had enough.
pub async fn serve(
    worker: Rc<Worker>,
    port: Rc<Port>,
    stream: TcpStream,
    peer: SocketAddr,
    live: Live,
) {
    let id = live.id();
    let session = Rc::new(Session::new(worker, port, peer, live));
    let worker = session.worker.clone();
    let service = {
        let session = session.clone();
        service_fn(move |request| forward::handle(session.clone(), request))
    };
    let io = TokioIo::new(Down::new(stream, session.heard.clone()));
    let connection = http1::Builder::new()
        .max_buf_size(MAX_BUFFER)
        .max_header_size(MAX_HEAD)
        .serve_connection(io, service)
        .with_upgrades();
    let mut connection = pin!(connection);
    let mut alarm = pin!(Alarm::new(session.next_deadline()));
    let (mut known, mut closing) = (false, false);
    std::future::poll_fn(|cx| {
        if !closing && worker.closing.get() {
            closing = true;
            connection.as_mut().graceful_shutdown();
        }
        if !std::mem::replace(&mut known, true) {
            worker.remember(id, cx.waker());
        }
        loop {
            if connection.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
            session.turn.pass(session.waits_for_client(), || worker.clock.now_ms());
            if !alarm.as_mut().rings(cx, || session.next_deadline()) {
                return Poll::Pending;
            }
            if !session.overdue() {
                return Poll::Ready(());
            }
            // Time for the request to say so, and for the client to read it.
            session.progress(Instant::now());
        }
    })
    .await;
    worker.forget(id);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_keeps_a_willing_instance_waiting_has_the_turn() {
        let uploads = [Uploading::Done, Uploading::Waits, Uploading::Moves, Uploading::Broke];
        for (upload, choked) in uploads.map(|upload| [(upload, false), (upload, true)]).concat() {
            let owes = upload == Uploading::Waits && !choked;
            for (download, wanted) in
                [(Downloading::No, owes), (Downloading::Offered, true), (Downloading::Waits, false)]
            {
                let found = is_clients_turn(download, upload, choked);
                assert_eq!(found, wanted, "{download:?}, {upload:?}, {choked}");
            }
        }
    }
}
