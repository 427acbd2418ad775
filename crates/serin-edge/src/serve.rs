//! One connection: which protocol it speaks, and when it has been idle for too long.

use crate::body::Body;
use crate::edge::Edge;
use crate::io::Socket;
use crate::routes;
use crate::world::World;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, Sleep};

const MAX_HEAD: usize = 16 * 1024;
/// A client that has said nothing for so long is not there any more.
const IDLE: Duration = Duration::from_secs(75);
/// A request that has not been answered by then never will be: its client does not send it.
const UNFINISHED: Duration = Duration::from_secs(30);
/// Clients of gRPC are asked so often whether they are there.
const PING: Duration = Duration::from_secs(30);
/// From the start of a close, what runs has this long.
const LINGER: Duration = Duration::from_secs(5);

/// One thread's part of an edge. It serves connections on the thread's own runtime (a
/// `LocalSet`, or a current-thread runtime built with `build_local`).
pub struct Worker {
    /// The edge.
    pub(crate) edge: Arc<Edge>,
    news: RefCell<watch::Receiver<Arc<World>>>,
    world: RefCell<Arc<World>>,
}

impl Worker {
    /// This thread's part.
    pub fn new(edge: Arc<Edge>) -> Rc<Self> {
        let news = RefCell::new(edge.watch());
        let world = RefCell::new(edge.world());
        Rc::new(Self { edge, news, world })
    }

    /// What holds now; costs one load when nothing has changed.
    pub(crate) fn world(&self) -> Arc<World> {
        let mut news = self.news.borrow_mut();
        if news.has_changed().unwrap_or(false) {
            *self.world.borrow_mut() = news.borrow_and_update().clone();
        }
        self.world.borrow().clone()
    }

    /// Lets go of what does not hold any more.
    pub fn catch_up(&self) {
        self.world();
    }
}

/// What the connection's requests tell its guard.
#[derive(Default)]
pub struct Life {
    running: Cell<usize>,
    streams: Cell<usize>,
    heard: Cell<Option<Instant>>,
}

impl Life {
    fn begin(&self) {
        self.running.set(self.running.get() + 1);
        self.heard.set(Some(Instant::now()));
    }

    fn end(&self) {
        self.running.set(self.running.get() - 1);
        self.heard.set(Some(Instant::now()));
    }

    /// When to look again; none: it is over.
    fn next(&self, now: Instant, opened: Instant) -> Option<Instant> {
        let heard = self.heard.get().unwrap_or(opened);
        let limit = match (self.streams.get(), self.running.get()) {
            (1.., _) => return Some(now + IDLE),
            (_, 1..) => UNFINISHED,
            _ => IDLE,
        };
        Some(heard + limit).filter(|until| *until > now)
    }
}

/// Held by a stream for as long as it runs.
pub struct Streaming(Rc<Life>);

impl Streaming {
    /// A stream begins on this connection.
    pub fn begin(life: &Rc<Life>) -> Self {
        life.streams.set(life.streams.get() + 1);
        Self(life.clone())
    }
}

impl Drop for Streaming {
    fn drop(&mut self) {
        self.0.streams.set(self.0.streams.get() - 1);
        self.0.heard.set(Some(Instant::now()));
    }
}

/// Runs what HTTP/2 spawns on this thread.
#[derive(Clone)]
struct Here;

impl<F: Future<Output = ()> + 'static> hyper::rt::Executor<F> for Here {
    fn execute(&self, future: F) {
        tokio::task::spawn_local(future);
    }
}

/// Serves one client until either side has had enough.
pub async fn serve(worker: Rc<Worker>, stream: TcpStream) {
    let Ok(Ok((socket, is_http2))) = tokio::time::timeout(IDLE, Socket::open(stream)).await else {
        return;
    };
    let life = Rc::new(Life::default());
    let service = {
        let (worker, life) = (worker.clone(), life.clone());
        service_fn(move |request| answer(worker.clone(), life.clone(), request))
    };
    let io = TokioIo::new(socket);
    if is_http2 {
        let mut builder = http2::Builder::new(Here);
        builder
            .timer(TokioTimer::new())
            .keep_alive_interval(PING)
            .max_header_list_size(MAX_HEAD as u32);
        builder.max_send_buf_size(64 * 1024);
        // Apart: it is large, and most connections are of the other kind.
        Box::pin(guarded(&worker, &life, builder.serve_connection(io, service))).await;
    } else {
        let mut builder = http1::Builder::new();
        builder.max_header_size(MAX_HEAD).half_close(false);
        guarded(&worker, &life, builder.serve_connection(io, service)).await;
    }
}

async fn answer(
    worker: Rc<Worker>,
    life: Rc<Life>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    life.begin();
    // Apart, so that an idle stream does not keep the room of a request.
    let response = Box::pin(routes::answer(&worker, &life, request)).await;
    life.end();
    Ok(response)
}

/// A connection that can be asked to end in order.
trait Connection: Future {
    fn end(self: Pin<&mut Self>);
}

impl<S, B> Connection for http1::Connection<TokioIo<Socket>, S>
where
    S: hyper::service::HttpService<Incoming, ResBody = B>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    B: http_body::Body + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    fn end(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

impl<S, B> Connection for http2::Connection<TokioIo<Socket>, S, Here>
where
    S: hyper::service::HttpService<Incoming, ResBody = B>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    S::Future: 'static,
    B: http_body::Body + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    Here: hyper::rt::bounds::Http2ServerConnExec<S::Future, B>,
{
    fn end(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

/// Runs a connection until it ends, is idle for too long, or the edge closes.
async fn guarded(worker: &Worker, life: &Life, connection: impl Connection) {
    let opened = Instant::now();
    let mut connection = pin!(connection);
    let mut closing_edge = worker.edge.closing();
    let mut closed = pin!(closing_edge.wait_for(|closing| *closing));
    let mut alarm: Pin<&mut Sleep> = pin!(tokio::time::sleep(IDLE));
    let mut closing = false;
    std::future::poll_fn(|cx| {
        loop {
            if connection.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
            if !closing && closed.as_mut().poll(cx).is_ready() {
                closing = true;
                connection.as_mut().end();
                alarm.as_mut().reset(Instant::now() + LINGER);
                continue;
            }
            if alarm.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            match life.next(Instant::now(), opened) {
                Some(next) if !closing => alarm.as_mut().reset(next),
                _ => return Poll::Ready(()),
            }
        }
    })
    .await;
}
