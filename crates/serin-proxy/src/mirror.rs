//! Copies of requests for a revision on trial. Each is a task of its own beside the request it was
//! made from, which neither waits for it nor hears of it. Memory is bounded: so many copies at a
//! time, each with a body of at most [`MAX_COPY_BODY`].

use crate::affinity::{User, scale};
use crate::body::Upload;
use crate::count::{Dealt, Ticket, Turn};
use crate::pool::{Exchange, Line, STALE};
use crate::route::{Backend, Held, Route, Service};
use crate::steer::RequestTest;
use crate::wire::{self, MAX_COPIES, MAX_COPY_BODY, WEIGHT_TOTAL};
use crate::worker::Worker;
use bytes::Bytes;
use fastrand::Rng;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Response, Uri};
use http_body::Body as _;
use hyper::body::Incoming;
use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant};

/// Marks a copy, so that an app can leave out what must happen once.
pub const MIRROR: HeaderName = HeaderName::from_static("x-serin-mirror");
/// Time a copy has where requests have no limit.
const NO_LIMIT: Duration = Duration::from_secs(60);

/// Which requests are copied, and to which arm.
pub struct Mirror {
    tests: Vec<RequestTest>,
    share: u32,
    arm: usize,
}

impl Mirror {
    /// `arm` is the place of its revision in the route.
    pub fn new(wire: &wire::Mirror, arm: usize) -> Self {
        let tests = match wire.matches.as_slice() {
            [] => vec![RequestTest::safe()],
            some => some.iter().filter_map(RequestTest::new).collect(),
        };
        Self { tests, share: wire.share, arm }
    }

    /// Whether a request is of the kind that is copied.
    pub fn fits<B>(&self, request: &Request<B>) -> bool {
        self.tests.iter().any(|test| test.fits(request))
    }

    /// Whether a request is copied. A copy is not copied again.
    fn wants<B>(&self, request: &Request<B>, user: Option<User>, rng: &mut Rng) -> bool {
        let mut drawn = || match user {
            Some(user) => scale(user.second(), WEIGHT_TOTAL) < self.share,
            None => rng.u32(0..WEIGHT_TOTAL) < self.share,
        };
        self.fits(request) && !request.headers().contains_key(MIRROR) && drawn()
    }
}

/// One copy's place among those of its service.
struct Place(Rc<Service>);

impl Place {
    fn take(service: &Rc<Service>) -> Option<Self> {
        let held = service.copies.get();
        (held < MAX_COPIES).then(|| {
            service.copies.set(held + 1);
            Self(service.clone())
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.copies.set(self.0.copies.get() - 1);
    }
}

/// A copy that waits for its body.
pub struct Copy {
    worker: Rc<Worker>,
    route: Rc<Route>,
    arm: usize,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    user: Option<User>,
    _place: Place,
}

/// Gathers the body of a request that passes through, for its copy.
pub struct Tee {
    copy: Option<Copy>,
    body: Vec<u8>,
}

/// Copies a request that was dealt to arm `served`, if it is one to be copied: at once when it has
/// no body, else when its body has passed.
pub fn copy(
    worker: &Rc<Worker>,
    route: &Rc<Route>,
    served: usize,
    request: &mut Request<Upload>,
    user: Option<User>,
) {
    let Some(mirror) = route.mirror.as_ref().filter(|mirror| mirror.arm != served) else { return };
    // A client that the copy's revision does not serve would only look like its fault.
    if route.steer.as_ref().is_some_and(|steer| !steer.serves(mirror.arm, request.headers())) {
        return;
    }
    if !mirror.wants(request, user, &mut worker.rng.borrow_mut()) {
        return;
    }
    let count = &route.arms[mirror.arm].count;
    if request.body().size_hint().lower() > MAX_COPY_BODY as u64 {
        return count.copy_too_large();
    }
    let Some(place) = Place::take(&route.service) else { return count.copy_dropped() };
    let copy = Copy {
        worker: worker.clone(),
        route: route.clone(),
        arm: mirror.arm,
        method: request.method().clone(),
        uri: request.uri().clone(),
        headers: marked(request.headers()),
        user,
        _place: place,
    };
    match request.body_mut() {
        Upload::Stream(_, _, tee) => *tee = Some(Box::new(Tee { copy: Some(copy), body: vec![] })),
        _ => copy.send(Bytes::new()),
    }
}

/// The copy's body is whole: a length that was given holds, else the codec says it.
fn marked(headers: &HeaderMap) -> HeaderMap {
    let mut headers = headers.clone();
    headers.remove(header::TRANSFER_ENCODING);
    headers.remove(header::TRAILER);
    headers.insert(MIRROR, HeaderValue::from_static("1"));
    headers
}

impl Tee {
    /// A part of the body has passed.
    pub fn push(&mut self, part: &[u8]) {
        let Some(copy) = &self.copy else { return };
        if self.body.len() + part.len() > MAX_COPY_BODY {
            copy.route.arms[copy.arm].count.copy_too_large();
            (self.copy, self.body) = (None, Vec::new());
        } else {
            self.body.extend_from_slice(part);
        }
    }

    /// The whole body has passed.
    pub fn end(&mut self) {
        if let Some(copy) = self.copy.take() {
            copy.send(std::mem::take(&mut self.body).into());
        }
    }
}

impl Copy {
    fn send(self, body: Bytes) {
        tokio::task::spawn_local(self.run(body));
    }

    async fn run(self, body: Bytes) {
        let (worker, arm) = (&self.worker, &self.route.arms[self.arm]);
        let now = Instant::now();
        let now_ms = worker.clock.ms(now);
        let picked = arm.pick(&mut worker.rng.borrow_mut(), now_ms, &[]).cloned();
        let Some(backend) = picked else { return arm.count.copy_dropped() };
        let dealt = Dealt { clock: worker.clock, arrived: now, user: self.user };
        let mut ticket = Ticket::copy(arm.count.clone(), dealt, Rc::<Turn>::default());
        if !backend.warming(now_ms, self.route.warmup_ms) {
            ticket.judge(arm.slot(&backend));
        }
        let held = Held::new(backend);
        let limit = self.route.timeout.unwrap_or(NO_LIMIT);
        match tokio::time::timeout(limit, self.exchange(&held.0, &body)).await {
            Ok(Some(server_error)) => ticket.finish(Instant::now(), server_error),
            Ok(None) => ticket.failed(),
            Err(_) => ticket.timed_out(),
        }
    }

    /// Whether the answer is an error of the app's; `None` when there is no whole answer. A kept
    /// connection that turns out to be closed is no fault of the instance.
    async fn exchange(&self, backend: &Backend, body: &Bytes) -> Option<bool> {
        let mut kept = backend.pool.take(true);
        loop {
            let mut line = match kept.take() {
                Some(line) => line,
                None => Line::open(backend.addr).await.ok()?,
            };
            let (expired, choked) = (Cell::new(false), Cell::new(false));
            let idle = line.idled(Instant::now()) > STALE;
            match line.exchange(self.request(body), &expired, &choked).await {
                Exchange::Response(response) => return read(backend, line, response).await,
                Exchange::Unsent(_) if line.reused => {}
                Exchange::Lost { heard: false } if line.reused && idle => {}
                _ => return None,
            }
        }
    }

    fn request(&self, body: &Bytes) -> Request<Upload> {
        let body = if body.is_empty() { Upload::Empty } else { Upload::Whole(Some(body.clone())) };
        let mut request = Request::new(body);
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        request.headers_mut().clone_from(&self.headers);
        request
    }
}

/// Reads an answer to its end and throws it away.
async fn read(backend: &Backend, line: Box<Line>, response: Response<Incoming>) -> Option<bool> {
    let server_error = response.status().is_server_error();
    let mut body = response.into_body();
    let mut line = Some(line);
    let whole = std::future::poll_fn(|cx| {
        while !body.is_end_stream() {
            let mut poll = Pin::new(&mut body).poll_frame(cx);
            if let (Poll::Pending, Some(line)) = (&poll, &mut line) {
                line.poll(cx);
                poll = Pin::new(&mut body).poll_frame(cx);
            }
            match poll {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => break,
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(Some(Err(_))) => return Poll::Ready(false),
            }
        }
        if let Some(line) = line.take() {
            backend.pool.put(line, cx, Instant::now());
        }
        Poll::Ready(true)
    });
    whole.await.then_some(server_error)
}
