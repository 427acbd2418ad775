use super::*;
use crate::demo::app::VERSION_HEADER;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use hyper::{body::Bytes, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use std::{
    cell::{Cell, RefCell},
    net::Ipv4Addr,
};
use tokio::{net::TcpListener, sync::Notify};

/// What the fake server does with its `n`-th request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Deed {
    Good(&'static str),
    AppError,
    SerinError,
    Cut,
    CloseAfter,
    Never,
}

fn mixture(n: u64) -> Deed {
    match n {
        n if n % 50 == 7 => Deed::Cut,
        n if n % 25 == 3 => Deed::SerinError,
        n if n % 10 == 4 => Deed::AppError,
        n if n % 9 == 5 => Deed::CloseAfter,
        n if n % 3 == 0 => Deed::Good("v2"),
        _ => Deed::Good("v1"),
    }
}

struct Server {
    deed: fn(u64) -> Deed,
    seen: Cell<u64>,
    deeds: RefCell<Vec<Deed>>,
    open: Cell<usize>,
    most_open: Cell<usize>,
    enough: u64,
    reached: Notify,
}

impl Server {
    fn new(deed: fn(u64) -> Deed, enough: u64) -> Rc<Self> {
        let reached = Notify::new();
        let (seen, deeds, open, most_open) = Default::default();
        Rc::new(Self { deed, seen, deeds, open, most_open, enough, reached })
    }

    async fn listen(self: Rc<Self>, listener: TcpListener) {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::task::spawn_local(self.clone().converse(stream));
        }
    }

    async fn converse(self: Rc<Self>, stream: tokio::net::TcpStream) {
        self.open.set(self.open.get() + 1);
        self.most_open.set(self.most_open.get().max(self.open.get()));
        let service = service_fn(|_| self.answer());
        let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        self.open.set(self.open.get() - 1);
    }

    /// An error cuts the connection without a response.
    async fn answer(&self) -> Result<Response<Full<Bytes>>, &'static str> {
        let n = self.seen.get();
        self.seen.set(n + 1);
        let deed = (self.deed)(n);
        self.deeds.borrow_mut().push(deed);
        if n + 1 >= self.enough {
            self.reached.notify_one();
        }
        match deed {
            Deed::Never => std::future::pending().await,
            Deed::Cut => Err("cut"),
            deed => Ok(response(deed)),
        }
    }

    fn count(&self, deed: Deed) -> u64 {
        self.deeds.borrow().iter().filter(|d| **d == deed).count() as u64
    }
}

fn response(deed: Deed) -> Response<Full<Bytes>> {
    let (status, version) = match deed {
        Deed::Good(version) => (StatusCode::OK, Some(version)),
        Deed::AppError => (StatusCode::INTERNAL_SERVER_ERROR, Some("v1")),
        Deed::SerinError => (StatusCode::BAD_GATEWAY, None),
        _ => (StatusCode::OK, Some("v3")),
    };
    let mut response = Response::new(Full::from("hello\n"));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    if let Some(version) = version {
        headers.insert(VERSION_HEADER, HeaderValue::from_static(version));
    }
    if deed == Deed::CloseAfter {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

fn local<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, test)
}

/// Starts the server and its users; back when the server has seen `enough` requests.
async fn run(server: &Rc<Server>, connections: usize) -> Load {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let target = listener.local_addr().unwrap();
    tokio::task::spawn_local(server.clone().listen(listener));
    let load = Load::start(Visitors { target, rate: 2000.0, seed: 1, connections }).unwrap();
    server.reached.notified().await;
    load
}

#[test]
fn counts_are_those_of_the_server() {
    local(async {
        let server = Server::new(mixture, 1500);
        let load = run(&server, CONNECTIONS).await;
        let tally = tokio::task::spawn_blocking(|| load.finish()).await.unwrap();
        let v1 = tally.version("v1");
        assert_eq!(tally.sent, server.seen.get());
        assert_eq!(tally.done(), tally.sent);
        assert_eq!(v1.errors, server.count(Deed::AppError));
        assert_eq!(v1.requests, server.count(Deed::Good("v1")) + v1.errors);
        assert_eq!(tally.version("v2").requests, server.count(Deed::Good("v2")));
        assert_eq!(tally.version("v3").requests, server.count(Deed::CloseAfter));
        assert_eq!(tally.lost[&Loss::Broken], server.count(Deed::Cut));
        assert_eq!(tally.lost[&Loss::NotTheApp], server.count(Deed::SerinError));
        assert_eq!(tally.dropped(), server.count(Deed::Cut) + server.count(Deed::SerinError));
        assert_eq!(tally.errors(), v1.errors + server.count(Deed::SerinError));
        assert!(v1.first_at >= v1.first_sent_at && v1.first_at < v1.last_at, "{v1:?}");
    });
}

#[test]
fn a_server_that_hangs_gets_no_more_connections_than_allowed() {
    local(async {
        let server = Server::new(|_| Deed::Never, 7);
        let load = run(&server, 7).await;
        // Far more requests are due by then than there are connections.
        while load.tally().sent < 200 {
            tokio::task::yield_now().await;
        }
        assert_eq!((server.seen.get(), server.most_open.get()), (7, 7));
        assert_eq!(load.tally().done(), 0);
    });
}

#[test]
fn nobody_listening_is_a_loss() {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let target = listener.local_addr().unwrap();
    drop(listener);
    let visitors = Visitors { target, rate: 2000.0, seed: 1, connections: 5 };
    let load = Load::start(visitors).unwrap();
    while load.tally().done() < 20 {
        thread::yield_now();
    }
    let tally = load.finish();
    assert_eq!(tally.lost[&Loss::Connect], tally.sent);
}

fn gaps(rate: f64, seed: u64, n: usize) -> Vec<Duration> {
    let mut arrivals = Arrivals::new(rate, seed);
    (0..n).map(|_| arrivals.gap()).collect()
}

#[test]
fn arrivals_are_reproducible_and_exponential() {
    assert_eq!(gaps(400.0, 1, 100), gaps(400.0, 1, 100));
    assert_ne!(gaps(400.0, 1, 100), gaps(400.0, 2, 100));
    let gaps = gaps(400.0, 3, 40_000);
    let mean = gaps.iter().sum::<Duration>().as_secs_f64() / 40_000.0;
    assert!((mean * 400.0 - 1.0).abs() < 0.02, "{mean}");
    let above = gaps.iter().filter(|gap| gap.as_secs_f64() > 1.0 / 400.0).count() as f64;
    assert!((above / 40_000.0 - (-1f64).exp()).abs() < 0.01, "{above}");
}

#[test]
fn latency_quantiles_are_within_their_step() {
    let mut tally = Tally::default();
    for ms in 1..=1000 {
        let at = Timestamp(ms);
        let answer = pool::Answer { status: 200, version: Some("v1".into()) };
        let latency = Duration::from_millis(ms as u64);
        tally.add(&Visit { due_at: at, done_at: at, latency, result: Ok(answer) });
    }
    let v1 = tally.version("v1");
    for (q, ms) in [(0.5, 500.0), (0.99, 990.0), (1.0, 1000.0)] {
        let got = v1.quantile_ms(q).unwrap();
        assert!((ms..ms * 1.05).contains(&got), "{q}: {got}");
    }
    assert_eq!(tally.version("v9").quantile_ms(0.5), None);
}
