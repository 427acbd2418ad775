//! An instance: a small HTTP server with scripted behaviour.

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serin_calibration::rng::Rng;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// A request with this header fails wherever it goes.
pub const POISON: &str = "x-poison";
/// A path whose answer does not fit into the buffers on its way.
pub const BIG: &str = "/big";
/// A request with this header fails as often as its value says, in percent, if that is more.
pub const ODDS: &str = "x-odds";

static PAGE: [u8; 600_000] = [b'x'; 600_000];

/// How an instance answers.
#[derive(Clone, Debug, PartialEq)]
pub struct Behaviour {
    /// Share of requests that fail with 500, after [`Behaviour::error_ms`].
    pub errors: f64,
    /// Milliseconds until an error.
    pub error_ms: f64,
    /// Share of requests that get no answer at all.
    pub hangs: f64,
    /// Median of the time to a good answer, in milliseconds ...
    pub median_ms: f64,
    /// ... and standard deviation of its logarithm.
    pub spread: f64,
}

enum Fate {
    Hang,
    Fail(Duration),
    Answer(Duration),
}

impl Behaviour {
    /// Quick, with this share of errors.
    pub fn failing(errors: f64) -> Self {
        Self { errors, error_ms: 3.0, hangs: 0.0, median_ms: 15.0, spread: 0.5 }
    }

    fn fate(&self, rng: &mut Rng, odds: f64) -> Fate {
        if rng.happens(self.hangs) {
            return Fate::Hang;
        }
        if rng.happens(self.errors.max(odds)) {
            return Fate::Fail(millis(self.error_ms));
        }
        Fate::Answer(millis(self.median_ms * libm::exp(self.spread * rng.normal())))
    }
}

fn millis(ms: f64) -> Duration {
    Duration::from_secs_f64(ms / 1000.0)
}

/// A running instance; dropped, it is gone at once like a killed process.
pub struct App {
    /// Where it listens.
    pub addr: SocketAddr,
    task: JoinHandle<()>,
}

impl App {
    /// Starts one on a free port.
    ///
    /// # Errors
    /// No port.
    pub async fn start(behaviour: Behaviour, rng: Rng) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let addr = listener.local_addr()?;
        let script = Arc::new(Script { behaviour, rng: Mutex::new(rng) });
        Ok(Self { addr, task: tokio::spawn(serve(listener, script)) })
    }
}

impl Drop for App {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Script {
    behaviour: Behaviour,
    rng: Mutex<Rng>,
}

async fn serve(listener: TcpListener, script: Arc<Script>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    connections.spawn(converse(stream, script.clone()));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn converse(stream: TcpStream, script: Arc<Script>) {
    let _ = stream.set_nodelay(true);
    let answer = service_fn(move |request| answer(request, script.clone()));
    // A client that goes away is no concern of the server.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
}

async fn answer(
    request: Request<Incoming>,
    script: Arc<Script>,
) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
    let odds = header(ODDS).and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0) / 100.0;
    let odds = if header(POISON).is_some() { 1.0 } else { odds };
    let big = request.uri().path() == BIG;
    let fate = {
        let mut rng = script.rng.lock().unwrap_or_else(PoisonError::into_inner);
        script.behaviour.fate(&mut rng, odds)
    };
    request.into_body().collect().await?;
    let (status, page): (_, &'static [u8]) = match fate {
        Fate::Hang => std::future::pending().await,
        Fate::Fail(after) => {
            tokio::time::sleep(after).await;
            (StatusCode::INTERNAL_SERVER_ERROR, b"failed\n")
        }
        Fate::Answer(after) => {
            tokio::time::sleep(after).await;
            (StatusCode::OK, if big { &PAGE } else { b"fine\n" })
        }
    };
    let mut response = Response::new(Full::new(Bytes::from_static(page)));
    *response.status_mut() = status;
    Ok(response)
}
