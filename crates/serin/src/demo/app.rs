//! The demo's web app: a small real HTTP server whose latency and errors are set by its
//! environment, so that a version can be made bad on purpose.
//!
//! `PORT` (needed), `VERSION`, `INSTANCE`, `COMMIT`, `BUILD_TIME`, `LATENCY_MS` (median, 25),
//! `LATENCY_SIGMA` (0.5), `ERROR_RATE` (0), `SLOW_RATE` (0), `SLOW_MS` (200), `START_DELAY_MS` (0),
//! `CRASH_AFTER` (requests; 0 = at start), `LEAK_AFTER` (requests, 0), `LEAK_ERRORS` and `LEAK_MS`
//! (what each further request adds to the error rate and the latency, 0), `SEED` (1), `SESSION_KEY`
//! (signs sessions into the cookie; without it they are in the memory of the instance).
//!
//! `/buy` is answered with 200, or with 402 where `BUYS_FLAG` names a flag and its variant
//! (`button=green`) and the request carries another.
//!
//! `/login?user=ada` begins a session and `/whoami` says whose it is, or 401.

mod sessions;
mod settings;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use sessions::{COOKIE, Sessions};
use settings::{Dice, Settings};
use std::{
    cell::{Cell, RefCell},
    convert::Infallible,
    future::Future,
    io::{self, Write as _},
    net::{Ipv4Addr, SocketAddr},
    pin::pin,
    process::ExitCode,
    rc::Rc,
    time::Duration,
};
use tokio::{
    net::{TcpListener, TcpStream},
    signal::unix::{SignalKind, signal},
    sync::{Notify, watch},
    task::{JoinSet, LocalSet},
    time::Instant,
};

/// Requests that are not done this long after SIGTERM are given up.
const GRACE: Duration = Duration::from_secs(30);

/// Exit code of a crash on purpose: "internal software error" of `sysexits.h`.
const CRASHED: u8 = 70;

/// Header that names the version which answered.
pub(super) const VERSION_HEADER: &str = "x-version";

/// Runs the app until SIGTERM or SIGINT.
pub(super) fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            say(format_args!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run() -> anyhow::Result<ExitCode> {
    let settings = Settings::read(|name| std::env::var(name).ok())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let stop = async move {
            tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, settings.port)).await?;
        Ok(serve(listener, settings, stop).await)
    })
}

fn say(line: std::fmt::Arguments<'_>) {
    // A log that nobody reads any more is no reason to stop serving.
    let _ = writeln!(io::stderr(), "{line}");
}

/// What the connections share.
struct App {
    settings: Settings,
    dice: RefCell<Dice>,
    ready_at: Instant,
    stopping: Cell<bool>,
    served: Cell<u64>,
    crash: Notify,
    sessions: Sessions,
}

/// Serves until `stop`, then finishes what it has begun.
async fn serve(listener: TcpListener, settings: Settings, stop: impl Future) -> ExitCode {
    let app = Rc::new(App::new(settings));
    say(format_args!("shop {} listens on port {}", app.settings.version, app.settings.port));
    app.count(0);
    tokio::select! {
        biased;
        () = app.crash.notified() => ExitCode::from(CRASHED),
        () = Connections::new(listener, &app).run(stop) => ExitCode::SUCCESS,
    }
}

/// The open connections and where they come from.
struct Connections {
    app: Rc<App>,
    listener: TcpListener,
    open: JoinSet<()>,
    stopping: watch::Sender<bool>,
}

impl Connections {
    fn new(listener: TcpListener, app: &Rc<App>) -> Self {
        let stopping = watch::channel(false).0;
        Self { app: app.clone(), listener, open: JoinSet::new(), stopping }
    }

    async fn run(mut self, stop: impl Future) {
        tokio::select! { () = self.accept() => {}, _ = stop => {} }
        self.app.stopping.set(true);
        self.stopping.send_replace(true);
        if tokio::time::timeout(GRACE, self.finish()).await.is_err() {
            say(format_args!("{} connections are given up after {GRACE:?}", self.open.len()));
        }
    }

    async fn accept(&mut self) {
        loop {
            tokio::select! {
                accepted = self.listener.accept() => self.take(accepted).await,
                Some(_) = self.open.join_next() => {}
            }
        }
    }

    /// Who still comes is served too, and told not to come again.
    async fn finish(&mut self) {
        loop {
            tokio::select! {
                biased;
                accepted = self.listener.accept() => self.take(accepted).await,
                () = std::future::ready(()), if self.open.is_empty() => return,
                Some(_) = self.open.join_next() => {}
            }
        }
    }

    async fn take(&mut self, accepted: io::Result<(TcpStream, SocketAddr)>) {
        match accepted {
            Ok((stream, _)) => {
                let task = converse(stream, self.app.clone(), self.stopping.subscribe());
                self.open.spawn_local(task);
            }
            // No descriptor is free; a moment later one may be.
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

/// One connection, until either side closes it.
async fn converse(stream: TcpStream, app: Rc<App>, mut stopping: watch::Receiver<bool>) {
    // Only a matter of speed.
    let _ = stream.set_nodelay(true);
    let begun = Cell::new(false);
    let service = service_fn(|request| {
        begun.set(true);
        let app = app.clone();
        async move { Ok::<_, Infallible>(app.answer(&request).await) }
    });
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    // How a connection ends is the client's business.
    tokio::select! {
        biased;
        _ = connection.as_mut() => return,
        _ = stopping.wait_for(|stopping| *stopping) => {}
    }
    // One that is new may have its first request on the way: its answer will close it.
    if begun.get() {
        connection.as_mut().graceful_shutdown();
    }
    let _ = connection.await;
}

impl App {
    fn new(settings: Settings) -> Self {
        Self {
            dice: RefCell::new(Dice::new(&settings)),
            ready_at: Instant::now() + settings.start_delay,
            sessions: Sessions::new(settings.sessions.clone(), settings.own_seed()),
            settings,
            stopping: Cell::new(false),
            served: Cell::new(0),
            crash: Notify::new(),
        }
    }

    async fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return self.text(StatusCode::METHOD_NOT_ALLOWED, "only GET is understood");
        }
        match request.uri().path() {
            "/" => self.shop(request).await,
            "/health" => self.state(!self.stopping.get(), "stopping"),
            "/ready" if self.stopping.get() => self.state(false, "stopping"),
            "/ready" => self.state(Instant::now() >= self.ready_at, "warming up"),
            "/version" => self.version(),
            "/buy" => self.buy(request),
            "/login" => self.login(request),
            "/whoami" => self.whoami(request),
            _ => self.text(StatusCode::NOT_FOUND, "nothing here; try /"),
        }
    }

    async fn shop(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let roll = self.dice.borrow_mut().roll(self.served.get());
        tokio::time::sleep(roll.delay).await;
        self.count(1);
        if roll.fails || self.settings.bad_flag.as_ref().is_some_and(|one| carries(request, one)) {
            return self.text(StatusCode::INTERNAL_SERVER_ERROR, "the till is broken");
        }
        self.text(StatusCode::OK, &format!("welcome to shop {}", self.settings.version))
    }

    fn buy(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        self.count(1);
        match &self.settings.buys_flag {
            Some(one) if !carries(request, one) => self.text(StatusCode::PAYMENT_REQUIRED, "no"),
            _ => self.text(StatusCode::OK, "sold"),
        }
    }

    /// Counts requests, and crashes when there were enough.
    fn count(&self, requests: u64) {
        let served = self.served.get() + requests;
        self.served.set(served);
        if self.settings.crash_after.is_some_and(|limit| served >= limit) {
            say(format_args!("fatal: crash after {served} requests, as CRASH_AFTER asks"));
            self.crash.notify_one();
        }
    }

    fn state(&self, good: bool, else_because: &str) -> Response<Full<Bytes>> {
        if good {
            self.text(StatusCode::OK, "ok")
        } else {
            self.text(StatusCode::SERVICE_UNAVAILABLE, else_because)
        }
    }

    fn version(&self) -> Response<Full<Bytes>> {
        let s = &self.settings;
        let document = serde_json::json!({
            "version": s.version,
            "commit": s.commit,
            "buildTime": s.build_time,
            "instance": s.instance,
        });
        let mut response = self.text(StatusCode::OK, &document.to_string());
        let json = HeaderValue::from_static("application/json");
        response.headers_mut().insert(header::CONTENT_TYPE, json);
        response
    }

    fn login(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let user = request.uri().query().and_then(|query| query.strip_prefix("user="));
        let plain = |user: &&str| user.bytes().all(|b| b.is_ascii_alphanumeric());
        let Some(user) = user.filter(plain).filter(|user| !user.is_empty()) else {
            return self.text(StatusCode::BAD_REQUEST, "log in with /login?user=ada");
        };
        let cookie = format!("{COOKIE}={}; Path=/; HttpOnly", self.sessions.begin(user));
        let mut response = self.text(StatusCode::OK, &format!("welcome {user}"));
        if let Ok(cookie) = HeaderValue::from_str(&cookie) {
            response.headers_mut().insert(header::SET_COOKIE, cookie);
        }
        response
    }

    fn whoami(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let lines =
            request.headers().get_all(header::COOKIE).iter().filter_map(|v| v.to_str().ok());
        let mut pairs =
            lines.flat_map(|line| line.split(';')).filter_map(|p| p.trim().split_once('='));
        let value = pairs.find(|(name, _)| *name == COOKIE).map(|(_, value)| value);
        match value.and_then(|value| self.sessions.user(value)) {
            Some(user) => self.text(StatusCode::OK, &user),
            None => self.text(StatusCode::UNAUTHORIZED, "who are you? no session found"),
        }
    }

    fn text(&self, status: StatusCode, line: &str) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::from(format!("{line}\n")));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        if let Ok(version) = HeaderValue::from_str(&self.settings.version) {
            headers.insert(VERSION_HEADER, version);
        }
        if self.stopping.get() {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

/// Whether a request carries this variant in this header.
fn carries(request: &Request<Incoming>, (header, variant): &(String, String)) -> bool {
    request.headers().get(header).is_some_and(|told| told == variant.as_str())
}
