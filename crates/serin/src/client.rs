//! The API's client: HTTP/1.1 over the server's socket, one connection a request.

mod connect;
mod document;
mod endpoint;
mod events;
#[cfg(test)]
mod tests;

pub use document::Document;
pub use endpoint::{Endpoint, SOCKET, default_data_dir};
pub use events::Events;

use crate::cli::Global;
use crate::exit::Exit;
use crate::failure::Failure;
use bytes::Bytes;
use connect::{Stream, connect};
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serin_server::api::view::Problem;
use std::fmt::Write as _;
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// Longest wait for the whole answer.
const ANSWER: Duration = Duration::from_secs(30);
/// Largest answer that is read, in bytes.
const LARGEST: usize = 64 << 20;
/// Times a question is asked when the connection breaks.
const TRIES: u32 = 3;
/// Code of a failure after the request was sent: it may have been carried out.
const BROKEN: &str = "connection-lost";
/// What every command says when there is nobody to ask.
const START_HINT: &str = "start it with `serin serve`, or name it with --server or --data-dir";

/// The request may have been carried out all the same.
const LOST_HINT: &str = "see with `serin status` and `serin history` whether it was carried out";

/// Asks the server. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Client(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    endpoint: Endpoint,
    token: Option<String>,
}

/// The data directory that was named, or the usual one.
pub fn data_dir(global: &Global) -> Result<PathBuf, Failure> {
    global.data_dir.clone().map_or_else(default_data_dir, Ok)
}

impl Client {
    /// For the server that was named, or the one of the data directory.
    pub fn new(global: &Global) -> Result<Self, Failure> {
        let endpoint = match &global.server {
            Some(text) => Endpoint::parse(text)?,
            None => Endpoint::Unix(data_dir(global)?.join(SOCKET)),
        };
        let given = |text: String| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let token = std::env::var("SERIN_TOKEN").ok().and_then(given);
        let token = token.or_else(|| stored_token(&endpoint, global).and_then(given));
        Ok(Self::at(endpoint, token))
    }

    /// For a server at a known place.
    pub fn at(endpoint: Endpoint, token: Option<String>) -> Self {
        Self(Arc::new(Inner { endpoint, token }))
    }

    /// Where it asks.
    pub fn endpoint(&self) -> &Endpoint {
        &self.0.endpoint
    }

    /// `GET path`, read.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.document(path).await?.read()
    }

    /// `GET path`. Asked again when the connection breaks: a server that is being replaced breaks
    /// those it has, and looking twice does no harm.
    pub async fn document(&self, path: &str) -> Result<Document, Failure> {
        let mut tries = 1;
        loop {
            let answer = self.in_time(self.ask(Method::GET, path, Bytes::new())).await;
            match answer {
                Err(failure) if failure.code == BROKEN && tries < TRIES => tries += 1,
                other => return other,
            }
        }
    }

    /// `POST path` with a document, read.
    pub async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        request: &impl Serialize,
    ) -> Result<T, Failure> {
        self.submit(path, request).await?.read()
    }

    /// `POST path` with a document.
    pub async fn submit(&self, path: &str, request: &impl Serialize) -> Result<Document, Failure> {
        let body = serde_json::to_vec(request)
            .map_err(|error| Failure::internal(format!("cannot write the request: {error}")))?;
        self.in_time(self.ask(Method::POST, path, body.into())).await
    }

    /// `method path` with a document; with `at`, only if the thing's last change is still that one.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        request: &impl Serialize,
        at: Option<u64>,
    ) -> Result<Document, Failure> {
        let body = serde_json::to_vec(request)
            .map_err(|error| Failure::internal(format!("cannot write the request: {error}")))?;
        let mut request = self.request(method, path, body.into())?;
        if let Some(n) = at {
            let tag = http::HeaderValue::from_str(&format!("\"{n}\""));
            request.headers_mut().extend(tag.ok().map(|tag| (header::IF_MATCH, tag)));
        }
        self.in_time(self.answered(request)).await
    }

    /// `GET path` as a stream of events.
    pub async fn events(&self, path: &str) -> Result<Events, Failure> {
        let answer = self.in_time(self.got(path)).await?;
        if answer.status() == StatusCode::OK {
            return Ok(Events::new(answer.into_body()));
        }
        let status = answer.status().as_u16();
        let body = self.collect(answer.into_body()).await?;
        Err(self.refused(status, &body))
    }

    /// `GET path` piece by piece, however long it is.
    pub async fn pieces(&self, path: &str) -> Result<Pieces, Failure> {
        let answer = self.in_time(self.got(path)).await?;
        if answer.status() == StatusCode::OK {
            return Ok(Pieces { client: self.clone(), body: answer.into_body() });
        }
        let status = answer.status().as_u16();
        let body = self.collect(answer.into_body()).await?;
        Err(self.refused(status, &body))
    }

    async fn ask(&self, method: Method, path: &str, body: Bytes) -> Result<Document, Failure> {
        self.answered(self.request(method, path, body)?).await
    }

    async fn answered(&self, request: Request<Full<Bytes>>) -> Result<Document, Failure> {
        let answer = self.exchanged(request).await?;
        let status = answer.status();
        let body = self.collect(answer.into_body()).await?;
        if status.is_success() {
            Ok(Document(body))
        } else {
            Err(self.refused(status.as_u16(), &body))
        }
    }

    async fn got(&self, path: &str) -> Result<Response<Incoming>, Failure> {
        self.exchanged(self.request(Method::GET, path, Bytes::new())?).await
    }

    async fn exchanged(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, Failure> {
        let stream = connect(self.endpoint()).await.map_err(|error| self.unreachable(&error))?;
        let answer = match stream {
            Stream::Unix(stream) => exchange(TokioIo::new(stream), request).await,
            Stream::Tcp(stream) => exchange(TokioIo::new(stream), request).await,
        };
        answer.map_err(|error| self.broken(&error))
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<Request<Full<Bytes>>, Failure> {
        let host = match self.endpoint() {
            Endpoint::Unix(_) => "localhost",
            Endpoint::Tcp(host) => host,
        };
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, host)
            .header(header::USER_AGENT, concat!("serin/", env!("CARGO_PKG_VERSION")));
        if !body.is_empty() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        if let Some(token) = &self.0.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        // The token is not in the message: it may be what is wrong.
        request.body(Full::new(body)).map_err(|_| {
            let message = "a part of the request has characters that HTTP does not allow";
            Failure::usage("bad-request", message).hint("check SERIN_TOKEN and --server")
        })
    }

    async fn in_time<T>(
        &self,
        answer: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        timeout(ANSWER, answer).await.unwrap_or_else(|_| Err(self.late()))
    }

    fn late(&self) -> Failure {
        let (endpoint, seconds) = (self.endpoint(), ANSWER.as_secs());
        let message = format!("the server at {endpoint} did not answer within {seconds} s");
        Failure::new(Exit::Unreachable, "no-answer", message).hint(LOST_HINT)
    }

    async fn collect(&self, body: Incoming) -> Result<Bytes, Failure> {
        let all = Limited::new(body, LARGEST).collect().await;
        all.map(http_body_util::Collected::to_bytes).map_err(|error| self.broken(&*error))
    }

    fn unreachable(&self, error: &io::Error) -> Failure {
        let message = format!("the server at {} cannot be reached: {error}", self.endpoint());
        let hint = match self.endpoint() {
            Endpoint::Unix(socket) if error.kind() == ErrorKind::PermissionDenied => owned(socket),
            _ => START_HINT.into(),
        };
        Failure::new(Exit::Unreachable, "unreachable", message).hint(hint)
    }

    /// The request was sent, and the answer did not come whole.
    fn broken(&self, error: &(dyn std::error::Error + 'static)) -> Failure {
        let causes = std::iter::successors(Some(error), |error| error.source());
        let causes: Vec<_> = causes.map(ToString::to_string).collect();
        let message =
            format!("the connection to {} was lost: {}", self.endpoint(), causes.join(": "));
        Failure::new(Exit::Unreachable, BROKEN, message).hint(LOST_HINT)
    }

    fn refused(&self, status: u16, body: &[u8]) -> Failure {
        let exit = Exit::of_status(status);
        let failure = serde_json::from_slice::<Problem>(body).map_or_else(
            |_| {
                let message = format!("the server at {} answered {status}", self.endpoint());
                Failure::new(exit, "unexpected-answer", message)
            },
            |problem| of_problem(exit, problem),
        );
        let hinted = failure.hint.is_some() || exit != Exit::Unreachable;
        if hinted { failure } else { failure.hint("set SERIN_TOKEN to the server's token") }
    }
}

/// An answer that is too long to be held.
#[derive(Debug)]
pub struct Pieces {
    client: Client,
    body: Incoming,
}

impl Pieces {
    /// The next piece; `None` at the end.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        loop {
            let frame = timeout(ANSWER, self.body.frame()).await;
            match frame.map_err(|_| self.client.late())? {
                None => return Ok(None),
                Some(Err(error)) => return Err(self.client.broken(&error)),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }
}

fn of_problem(exit: Exit, problem: Problem) -> Failure {
    let Problem { title, code, hint, detail, refusal, .. } = problem;
    Failure { exit, code, message: title, detail, hint, refusal }
}

/// What to do about a socket that this user may not use. The first directory above it that can be
/// looked at tells whose it is.
fn owned(socket: &Path) -> String {
    let owner = socket.ancestors().find_map(|path| std::fs::metadata(path).ok());
    let owner = crate::who::user(owner.map_or(0, |meta| meta.uid()));
    format!(
        "it belongs to {owner}: run this as {owner}, or name a server of your own with \
         --server or --data-dir"
    )
}

/// The token the server of this machine wrote, if this user may read it. It goes to no other one.
fn stored_token(endpoint: &Endpoint, global: &Global) -> Option<String> {
    let directory = match endpoint {
        Endpoint::Unix(socket) => socket.parent()?.to_path_buf(),
        Endpoint::Tcp(_) if endpoint.is_local() => data_dir(global).ok()?,
        Endpoint::Tcp(_) => return None,
    };
    std::fs::read_to_string(directory.join("token")).ok()
}

async fn exchange<S>(
    io: TokioIo<S>,
    request: Request<Full<Bytes>>,
) -> Result<Response<Incoming>, hyper::Error>
where
    TokioIo<S>: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(io).await?;
    // Ends by itself with the answer; its errors reach the reader of the answer too.
    tokio::spawn(connection);
    sender.send_request(request).await
}

/// A piece of a path or query with everything escaped that has a meaning there.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~@".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}
