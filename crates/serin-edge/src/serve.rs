//! One connection: which protocol it speaks, and when it has been idle for too long.

use crate::body::{Body, Frames, Handover};
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
use tokio::io::{AsyncReadExt, AsyncWriteExt};
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
    lead: RefCell<Option<Rc<Handover>>>,
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

    /// The stream that this connection ends with.
    fn lead(&self) -> Option<Rc<Handover>> {
        self.lead.borrow().clone()
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
        let mut connection = builder.serve_connection(io, service);
        Box::pin(guarded(&worker, &life, &mut connection, || false)).await;
    } else {
        let mut builder = http1::Builder::new();
        builder.max_header_size(MAX_HEAD).half_close(false);
        let full = io.inner().full();
        let mut connection = builder.serve_connection(io, service);
        let lead = || life.lead().filter(|lead| lead.is_ready() && !full.get());
        guarded(&worker, &life, &mut connection, || lead().is_some()).await;
        if let Some(frames) = lead().and_then(|lead| lead.take()) {
            let socket = connection.into_parts().io.into_inner();
            Box::pin(carry(socket, frames)).await;
        }
    }
}

/// Carries a stream on without the codec, whose buffers are larger than all that an idle stream
/// has. The head went out with chunks announced.
async fn carry(mut socket: Socket, mut frames: Pin<Box<dyn Frames>>) {
    loop {
        let mut heard = [0; 32];
        let frame = tokio::select! {
            frame = std::future::poll_fn(|cx| frames.as_mut().poll_next(cx)) => frame,
            read = socket.read(&mut heard) => match read {
                // There is nothing a client could say here.
                Ok(1..) => continue,
                _ => return,
            },
        };
        let data = frame.map(|frame| frame.into_data().unwrap_or_default());
        let is_last = data.is_none();
        let chunk = match data {
            Some(data) if data.is_empty() => continue,
            Some(data) => {
                let head = format!("{:x}\r\n", data.len());
                [head.as_bytes(), &data, b"\r\n"].concat()
            }
            None => b"0\r\n\r\n".to_vec(),
        };
        let written = tokio::time::timeout(UNFINISHED, socket.write_all(&chunk)).await;
        if is_last || !matches!(written, Ok(Ok(()))) {
            let _ = socket.shutdown().await;
            return;
        }
    }
}

async fn answer(
    worker: Rc<Worker>,
    life: Rc<Life>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    life.begin();
    // Apart, so that an idle stream does not keep the room of a request.
    let is_http11 = request.version() == http::Version::HTTP_11;
    let mut response = Box::pin(routes::answer(&worker, &life, request)).await;
    life.end();
    if is_http11 && matches!(response.body(), Body::Stream(_)) {
        let body = std::mem::replace(response.body_mut(), Body::empty());
        if let Body::Stream(frames) = body {
            let lead = Handover::new(frames);
            life.lead.replace(Some(lead.clone()));
            *response.body_mut() = Body::Lead(lead);
        }
    }
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
async fn guarded<C: Connection + Unpin>(
    worker: &Worker,
    life: &Life,
    connection: &mut C,
    is_handed_over: impl Fn() -> bool,
) {
    let opened = Instant::now();
    let mut closing_edge = worker.edge.closing();
    let mut closed = pin!(closing_edge.wait_for(|closing| *closing));
    let mut alarm: Pin<&mut Sleep> = pin!(tokio::time::sleep(IDLE));
    let mut closing = false;
    std::future::poll_fn(|cx| {
        loop {
            if Pin::new(&mut *connection).poll(cx).is_ready() || is_handed_over() {
                return Poll::Ready(());
            }
            if !closing && closed.as_mut().poll(cx).is_ready() {
                closing = true;
                Pin::new(&mut *connection).end();
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
