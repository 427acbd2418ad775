//! Connections to one instance: opened here, kept while idle, polled by whoever uses them.
//!
//! A connection's codec is not a task of its own. The request that holds the connection polls it
//! in its own task, so one wake-up carries a request through.

use crate::body::Upload;
use crate::io::{Up, Wire};
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, Connection, Parts, SendRequest};
use hyper_util::rt::TokioIo;
use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;

/// Idle connections are closed after this long; servers commonly close theirs after 5 s.
const IDLE: Duration = Duration::from_secs(4);
/// Idle connections kept for one instance by one worker.
const MAX_IDLE: usize = 256;
/// A port that neither accepts nor refuses is given up after this long.
const CONNECT: Duration = Duration::from_secs(3);
/// A connection that was idle for longer than this and closes without a byte was closed by the
/// app's own idle timeout: no error of the app.
pub const STALE: Duration = Duration::from_secs(1);
/// Most a connection buffers of one direction.
pub const MAX_BUFFER: usize = 128 * 1024;

/// Idle connections, the last used first.
#[derive(Default)]
#[expect(clippy::vec_box, reason = "a connection is big, and moves with each request")]
pub struct Pool {
    idle: RefCell<Vec<Box<Line>>>,
    closed: Cell<bool>,
}

impl Pool {
    /// The connection used last, if any; a `strict` caller, who cannot send twice, gets one that
    /// the kernel says is open.
    pub fn take(&self, strict: bool) -> Option<Box<Line>> {
        let mut idle = self.idle.borrow_mut();
        loop {
            let mut line = idle.pop()?;
            if !strict || line.wire.is_open() {
                line.reused = true;
                return Some(line);
            }
        }
    }

    /// Keeps a connection for the next request, when it can carry one.
    pub fn put(&self, mut line: Box<Line>, cx: &mut Context<'_>, now: Instant) {
        if self.closed.get() || !line.rests(cx) {
            return;
        }
        let mut idle = self.idle.borrow_mut();
        if idle.len() < MAX_IDLE {
            line.idle_since = now;
            idle.push(line);
        }
    }

    /// Closes what has been idle for too long.
    pub fn sweep(&self, now: Instant) {
        self.idle.borrow_mut().retain(|line| now.duration_since(line.idle_since) < IDLE);
    }

    /// The instance is in the table (again): connections are kept.
    pub fn open(&self) {
        self.closed.set(false);
    }

    /// The instance has left the table: nothing is kept from now on.
    pub fn close(&self) {
        self.closed.set(true);
        self.idle.borrow_mut().clear();
    }
}

type Codec = Connection<TokioIo<Up>, Upload>;

/// One connection to an instance.
pub struct Line {
    sender: SendRequest<Upload>,
    codec: Option<Codec>,
    ended: bool,
    wire: Rc<Wire>,
    /// Whether it carried a request before this one.
    pub reused: bool,
    idle_since: Instant,
}

/// How an exchange went, up to the response's head.
pub enum Exchange {
    /// The response has begun.
    Response(Response<Incoming>),
    /// Nothing of the request was written; here it is again.
    Unsent(Request<Upload>),
    /// The connection broke.
    Lost {
        /// Whether part of a response had come.
        heard: bool,
    },
    /// The request timeout ran out.
    Expired,
}

impl Line {
    /// Opens a connection.
    pub async fn open(addr: SocketAddr) -> io::Result<Box<Self>> {
        let stream = tokio::time::timeout(CONNECT, TcpStream::connect(addr)).await??;
        stream.set_nodelay(true)?;
        let wire = Wire::new(stream);
        let (sender, codec) = http1::Builder::new()
            .max_buf_size(MAX_BUFFER)
            .handshake(TokioIo::new(Up(wire.clone())))
            .await
            .map_err(io::Error::other)?;
        let idle_since = Instant::now();
        let codec = Some(codec);
        Ok(Box::new(Self { sender, codec, ended: false, wire, reused: false, idle_since }))
    }

    /// How long the connection had been idle before this use.
    pub fn idled(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.idle_since)
    }

    /// Moves bytes both ways. The codec stays here after its end, for [`Self::into_parts`].
    /// Whether it has ended.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> bool {
        if let Some(codec) = self.codec.as_mut().filter(|_| !self.ended) {
            self.ended = codec.poll_without_shutdown(cx).is_ready();
        }
        self.ended
    }

    fn rests(&mut self, cx: &mut Context<'_>) -> bool {
        if !self.ended && !self.sender.is_ready() {
            self.poll(cx);
        }
        !self.ended && self.sender.is_ready()
    }

    /// Sends a request and waits for the response's head, or until its time has `expired`. The
    /// instance that does not read leaves it `choked`.
    pub async fn exchange(
        &mut self,
        request: Request<Upload>,
        expired: &Cell<bool>,
        choked: &Cell<bool>,
    ) -> Exchange {
        self.wire.listen_anew();
        let mut response = pin!(self.sender.try_send_request(request));
        std::future::poll_fn(|cx| {
            if expired.get() {
                return Poll::Ready(Exchange::Expired);
            }
            if let Some(codec) = self.codec.as_mut().filter(|_| !self.ended) {
                self.ended = codec.poll_without_shutdown(cx).is_ready();
                choked.set(self.wire.is_full());
            }
            let mut poll = response.as_mut().poll(cx);
            if poll.is_pending() && self.ended {
                // What the codec had not taken yet comes back when it goes.
                self.codec = None;
                poll = response.as_mut().poll(cx);
            }
            poll.map(|result| match result {
                Ok(response) => Exchange::Response(response),
                Err(mut error) => match error.take_message() {
                    Some(request) => Exchange::Unsent(request),
                    None => Exchange::Lost { heard: self.wire.heard() },
                },
            })
        })
        .await
    }

    /// The socket and what was read beyond the head, once the codec has ended with an upgrade.
    pub fn into_parts(self) -> Option<Parts<TokioIo<Up>>> {
        self.codec.filter(|_| self.ended).map(Codec::into_parts)
    }
}
