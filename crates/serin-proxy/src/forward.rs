//! The life of a request: admitted, assigned to an arm, carried to an instance, answered.

mod assign;

use crate::affinity::User;
use crate::body::{Download, Downloading, Stream, Upload, Uploading};
use crate::count::Ticket;
use crate::flags::Part;
use crate::headers::{self, Seen};
use crate::mirror;
use crate::pool::{Exchange, Line, STALE};
use crate::route::{Arm, Held, Route};
use crate::session::Session;
use crate::tunnel;
use crate::websocket::Frames;
use assign::{Assigned, NotReady};
use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, Request, Response, StatusCode, Uri, Version};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::Poll;
use std::time::Instant;

/// Attempts for one request.
const ATTEMPTS: usize = 3;

type Answer = Response<Download>;

/// Answers one request.
pub async fn handle(
    session: Rc<Session>,
    mut request: Request<Incoming>,
) -> Result<Answer, Infallible> {
    let now = Instant::now();
    let route = session.worker.route(&session.port);
    session.begin(now, route.as_ref().and_then(|route| route.timeout));
    let mut answer = match route {
        None => own(&session, StatusCode::SERVICE_UNAVAILABLE, "serin: no service here\n"),
        Some(route) => match admit(&mut request, &session) {
            Ok(upgrade) => {
                let request = request.map(|body| upload(body, &session));
                let mut request = request;
                let mut carry = Carry::new(session.clone(), route, now, upgrade);
                carry.recognise(&request);
                carry.evaluate(request.headers_mut());
                let answer = carry.run(request).await;
                carry.remembered(answer)
            }
            Err((status, line)) => {
                let mut answer = own(&session, status, line);
                close(&mut answer);
                answer
            }
        },
    };
    if session.worker.draining.get() {
        close(&mut answer);
    }
    Ok(answer)
}

fn close(answer: &mut Answer) {
    if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
        answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
}

fn upload(body: Incoming, session: &Rc<Session>) -> Upload {
    if http_body::Body::is_end_stream(&body) {
        return Upload::Empty;
    }
    session.upload.set(Uploading::Moves);
    Upload::Stream(body, session.clone(), None)
}

/// A response of Serin's own: one line of text.
fn own(session: &Session, status: StatusCode, line: &'static str) -> Answer {
    session.rest(Instant::now());
    let mut answer = Response::new(Download::Text(line));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    if status == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    answer
}

type Refusal = (StatusCode, &'static str);

/// Makes a request fit to travel, or says what is wrong with it.
fn admit(request: &mut Request<Incoming>, session: &Session) -> Result<Option<OnUpgrade>, Refusal> {
    let seen = headers::scan(request.headers());
    if request.method() == Method::CONNECT {
        return Err((StatusCode::METHOD_NOT_ALLOWED, "serin: no CONNECT here\n"));
    }
    if seen.any(Seen::TRANSFER_ENCODING) && !headers::is_plain_chunked(request.headers()) {
        return Err((StatusCode::NOT_IMPLEMENTED, "serin: no transfer coding but chunked\n"));
    }
    settle_host(request, seen, session)?;
    let upgrade = headers::asks_upgrade(request.headers(), seen).then(|| take_upgrade(request));
    headers::strip(request.headers_mut(), seen);
    headers::strip_flags(request.headers_mut(), seen);
    headers::forward(request.headers_mut(), seen, &session.client);
    if seen.any(Seen::TRANSFER_ENCODING) {
        // Said explicitly, or the codec would leave out the body of a GET.
        let chunked = HeaderValue::from_static("chunked");
        request.headers_mut().insert(header::TRANSFER_ENCODING, chunked);
    }
    *request.version_mut() = Version::HTTP_11;
    let Some((upgrade, protocol)) = upgrade.and_then(|(up, name)| Some((up, name?))) else {
        return Ok(None);
    };
    request.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    request.headers_mut().insert(header::UPGRADE, protocol);
    Ok(Some(upgrade))
}

fn take_upgrade(request: &mut Request<Incoming>) -> (OnUpgrade, Option<HeaderValue>) {
    let protocol = request.headers().get(header::UPGRADE).cloned();
    // Prior knowledge or nothing: an upgrade to h2c would hide requests from the counters.
    let protocol = protocol.filter(|name| !name.as_bytes().eq_ignore_ascii_case(b"h2c"));
    (hyper::upgrade::on(request), protocol)
}

/// One `Host`, and the target in the form an origin expects.
fn settle_host(
    request: &mut Request<Incoming>,
    seen: Seen,
    session: &Session,
) -> Result<(), Refusal> {
    if seen.any(Seen::HOST_TWICE) {
        return Err((StatusCode::BAD_REQUEST, "serin: more than one Host\n"));
    }
    if let Some(authority) = request.uri().authority() {
        let host = authority.as_str().rsplit('@').next().unwrap_or_default();
        let host = HeaderValue::from_str(host);
        let host = host.map_err(|_| (StatusCode::BAD_REQUEST, "serin: bad target\n"))?;
        let path = request.uri().path_and_query().cloned();
        *request.uri_mut() = path.map_or_else(|| Uri::from_static("/"), Uri::from);
        request.headers_mut().insert(header::HOST, host);
        return Ok(());
    }
    if !seen.any(Seen::HOST) {
        if request.version() == Version::HTTP_11 {
            return Err((StatusCode::BAD_REQUEST, "serin: no Host\n"));
        }
        if let Ok(host) = HeaderValue::from_str(&session.port.addr.to_string()) {
            request.headers_mut().insert(header::HOST, host);
        }
    }
    Ok(())
}

/// One request on its way through one arm's instances.
struct Carry {
    session: Rc<Session>,
    route: Rc<Route>,
    arrived: Instant,
    upgrade: Option<OnUpgrade>,
    /// With affinity: whose request it is.
    user: Option<User>,
    /// The cookie by which a newcomer is known from now on.
    cookie: Option<HeaderValue>,
    /// The same, where only flags ask who it is.
    welcome: Option<HeaderValue>,
    /// Its places in the releases of flags.
    parts: Vec<Part>,
    /// Answered well, it counts as success.
    aims: bool,
}

/// Where a request stands between attempts.
struct Tries {
    seen: [SocketAddr; ATTEMPTS],
    failed: usize,
    /// A pooled connection turned out to be closed: open a new one.
    fresh: bool,
    /// An instance was lost while it held the request. That is repeated once: a request that
    /// kills whoever gets it must not go through all instances.
    repeated: bool,
}

enum Next {
    Answer(Answer),
    Again(Request<Upload>),
}

impl Carry {
    fn new(
        session: Rc<Session>,
        route: Rc<Route>,
        arrived: Instant,
        upgrade: Option<OnUpgrade>,
    ) -> Self {
        let (user, cookie, welcome, parts, aims) = Default::default();
        Self { session, route, arrived, upgrade, user, cookie, welcome, parts, aims }
    }

    fn recognise(&mut self, request: &Request<Upload>) {
        if let Some(affinity) = &self.route.affinity {
            let mut rng = self.session.worker.rng.borrow_mut();
            let (user, cookie) =
                affinity.identify(request.headers(), &self.session.network, &mut rng);
            (self.user, self.cookie) = (Some(user), cookie);
        }
        self.aims = self.route.goal.as_ref().is_some_and(|goal| goal.fits(request));
    }

    /// Evaluates the flags that the service's requests carry.
    fn evaluate(&mut self, headers: &mut HeaderMap) {
        let Some(flags) = &self.route.flags else { return };
        let mut rng = self.session.worker.rng.borrow_mut();
        self.welcome = flags.welcome(headers, self.cookie.as_ref(), &mut rng);
        let newcomer = self.welcome.as_ref().or(self.cookie.as_ref());
        let now_s = self.session.worker.clock.ms(self.arrived) / 1_000;
        self.parts = flags.evaluate(headers, newcomer, now_s as i64);
    }

    /// The answer with the newcomer's cookie: also one that says that things went wrong, so that
    /// whoever tries again is still the same user.
    fn remembered(self, mut answer: Answer) -> Answer {
        if let (Some(affinity), Some(cookie)) = (&self.route.affinity, self.cookie) {
            affinity.give(cookie, answer.headers_mut());
        }
        if let (Some(flags), Some(cookie)) = (&self.route.flags, self.welcome) {
            flags.give(cookie, answer.headers_mut());
        }
        answer
    }

    /// Assigns the request and tries instances of its arm until one answers.
    async fn run(&mut self, mut request: Request<Upload>) -> Answer {
        let route = self.route.clone();
        let Assigned { mut ticket, arm, dealt } = match self.assign(&route, request.headers()) {
            Ok(assigned) => assigned,
            Err(NotReady) => return self.not_ready(),
        };
        if self.aims {
            ticket.aim();
        }
        for part in std::mem::take(&mut self.parts) {
            let aims = part.goal.as_ref().is_some_and(|goal| goal.fits(&request));
            ticket.takes_part(part, aims);
        }
        // Copies are compared with their like: what fails among the others says nothing of them.
        if route.mirror.as_ref().is_some_and(|m| self.upgrade.is_some() || !m.fits(&request)) {
            ticket.set_apart();
        }
        if let Some(at) = dealt.filter(|_| route.mirror.is_some() && self.upgrade.is_none()) {
            mirror::copy(&self.session.worker, &route, at, &mut request, self.user);
        }
        let none = SocketAddr::from(([0, 0, 0, 0], 0));
        let mut tries = Tries { seen: [none; ATTEMPTS], failed: 0, fresh: false, repeated: false };
        while tries.failed < ATTEMPTS {
            let Some(held) = self.hold(arm, &tries, &mut ticket) else { break };
            request = match self.attempt(held, request, &mut ticket, &mut tries).await {
                Ok(Sent { line, held, response }) => {
                    return self.respond(line, held, ticket, response).await;
                }
                Err(Next::Answer(answer)) => return answer,
                Err(Next::Again(request)) => request,
            };
        }
        ticket.failed();
        self.bad_gateway()
    }

    fn bad_gateway(&self) -> Answer {
        self.route.service.failed.set(self.route.service.failed.get() + 1);
        own(&self.session, StatusCode::BAD_GATEWAY, "serin: no instance could be reached\n")
    }

    /// Takes a place on an instance. The first choice decides whether the request is evidence.
    fn hold(&self, arm: &Arm, tries: &Tries, ticket: &mut Ticket) -> Option<Held> {
        let worker = &self.session.worker;
        let now_ms = ticket.arrived_ms();
        let tried = &tries.seen[..tries.failed];
        let backend = arm.pick(&mut worker.rng.borrow_mut(), now_ms, tried)?;
        if tries.failed == 0 && !tries.fresh && !backend.warming(now_ms, self.route.warmup_ms) {
            ticket.judge(arm.slot(backend));
        }
        Some(Held::new(backend.clone()))
    }

    async fn attempt(
        &self,
        held: Held,
        request: Request<Upload>,
        ticket: &mut Ticket,
        tries: &mut Tries,
    ) -> Result<Sent, Next> {
        let replayable = self.upgrade.is_none() && replayable(&request);
        let pooled = !tries.fresh && self.upgrade.is_none();
        let line = pooled.then(|| held.0.pool.take(!replayable)).flatten();
        let mut line = if let Some(line) = line {
            line
        } else if let Ok(line) = Box::pin(Line::open(held.0.addr)).await {
            line
        } else {
            held.0.skip(self.session.worker.clock.now_ms());
            ticket.connect_failed();
            return Err(tries.next(&held, ticket, request));
        };
        let spare = (replayable && !tries.repeated).then(|| copy(&request));
        let (expired, choked) = (&self.session.expired, &self.session.choked);
        match line.exchange(request, expired, choked).await {
            Exchange::Response(response) => Ok(Sent { line, held, response }),
            Exchange::Expired => Err(Next::Answer(self.timed_out(ticket))),
            Exchange::Unsent(request) if line.reused => {
                tries.fresh = true;
                Err(Next::Again(request))
            }
            Exchange::Unsent(request) => {
                ticket.reset();
                Err(tries.next(&held, ticket, request))
            }
            Exchange::Lost { heard } => {
                let spare = spare.filter(|_| !heard);
                Err(self.lost(&line, &held, spare, ticket, tries))
            }
        }
    }

    fn lost(
        &self,
        line: &Line,
        held: &Held,
        spare: Option<Request<Upload>>,
        ticket: &mut Ticket,
        tries: &mut Tries,
    ) -> Next {
        if self.session.upload.get() == Uploading::Broke {
            ticket.aborted();
            let mut answer =
                own(&self.session, StatusCode::BAD_REQUEST, "serin: broken request body\n");
            close(&mut answer);
            return Next::Answer(answer);
        }
        tries.repeated = spare.is_some();
        match spare {
            Some(request) if line.idled(self.arrived) > STALE => {
                tries.fresh = true;
                Next::Again(request)
            }
            Some(request) => {
                ticket.reset();
                tries.next(held, ticket, request)
            }
            None => {
                ticket.reset();
                ticket.failed();
                Next::Answer(self.bad_gateway())
            }
        }
    }

    fn timed_out(&self, ticket: &mut Ticket) -> Answer {
        let (status, line) = if self.session.waits_for_client() {
            ticket.aborted();
            (StatusCode::REQUEST_TIMEOUT, "serin: the request body stopped coming\n")
        } else {
            ticket.timed_out();
            self.route.service.timeout.set(self.route.service.timeout.get() + 1);
            (StatusCode::GATEWAY_TIMEOUT, "serin: no answer within the request timeout\n")
        };
        let mut answer = own(&self.session, status, line);
        close(&mut answer);
        answer
    }

    async fn respond(
        &mut self,
        line: Box<Line>,
        held: Held,
        mut ticket: Ticket,
        response: Response<Incoming>,
    ) -> Answer {
        let (mut parts, incoming) = response.into_parts();
        parts.version = Version::HTTP_11;
        if parts.status == StatusCode::SWITCHING_PROTOCOLS {
            let Some(upgrade) = self.upgrade.take() else {
                ticket.reset();
                ticket.failed();
                return self.bad_gateway();
            };
            ticket.upgraded();
            let frames = headers::is_websocket(&parts.headers).then(Frames::default);
            tunnel::spawn(self.session.clone(), upgrade, line, held, frames);
            return Response::from_parts(parts, Download::Empty);
        }
        let seen = headers::scan(&parts.headers);
        if seen.any(Seen::TRANSFER_ENCODING) && !headers::is_plain_chunked(&parts.headers) {
            ticket.reset();
            ticket.failed();
            return self.bad_gateway();
        }
        headers::strip(&mut parts.headers, seen);
        let server_error = parts.status.is_server_error();
        if server_error {
            ticket.first_attempt_failed();
        }
        if parts.status.as_u16() >= 400 {
            ticket.miss();
        }
        let mut stream = Stream {
            incoming,
            line: Some(line),
            held,
            ticket,
            server_error,
            service: self.route.service.clone(),
            session: self.session.clone(),
            moved: true,
        };
        if !http_body::Body::is_end_stream(&stream.incoming) {
            self.session.download.set(Downloading::Offered);
            return Response::from_parts(parts, Download::Stream(stream));
        }
        std::future::poll_fn(|cx| {
            stream.whole(cx);
            Poll::Ready(())
        })
        .await;
        Response::from_parts(parts, Download::Empty)
    }
}

/// An attempt that brought a response's head.
struct Sent {
    line: Box<Line>,
    held: Held,
    response: Response<Incoming>,
}

impl Tries {
    fn next(&mut self, held: &Held, ticket: &mut Ticket, request: Request<Upload>) -> Next {
        ticket.first_attempt_failed();
        self.seen[self.failed] = held.0.addr;
        self.failed += 1;
        self.fresh = false;
        if self.failed < ATTEMPTS {
            ticket.retry();
        }
        Next::Again(request)
    }
}

/// Whether a request may be sent a second time after the first may have reached the app.
fn replayable(request: &Request<Upload>) -> bool {
    matches!(request.body(), Upload::Empty) && request.method().is_idempotent()
}

fn copy(request: &Request<Upload>) -> Request<Upload> {
    let mut copy = Request::new(Upload::Empty);
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.version_mut() = request.version();
    copy.headers_mut().clone_from(request.headers());
    copy
}
