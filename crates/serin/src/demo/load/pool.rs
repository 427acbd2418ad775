//! Keep-alive connections of the load generator, never more than it was allowed.

use bytes::Bytes;
use http::{Request, Response, header};
use http_body_util::{BodyExt as _, Empty};
use hyper::{
    body::Incoming,
    client::conn::http1::{SendRequest, handshake},
};
use hyper_util::rt::TokioIo;
use std::{cell::RefCell, net::SocketAddr};
use tokio::{net::TcpStream, sync::Semaphore};

/// An open connection.
type Line = SendRequest<Empty<Bytes>>;

/// What came back, its body read to the end.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) version: Option<String>,
}

/// Why there was no complete response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Loss {
    /// No connection could be made.
    Connect,
    /// The connection ended before the response did.
    Broken,
    /// It took longer than a user waits.
    Timeout,
    /// Serin answered in the app's place, with a status of 500 or above.
    NotTheApp,
}

impl Loss {
    /// The words for it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "no connection",
            Self::Broken => "no complete response",
            Self::Timeout => "no response in time",
            Self::NotTheApp => "answered with an error by serin",
        }
    }
}

/// The connections to one address.
pub(super) struct Pool {
    target: SocketAddr,
    idle: RefCell<Vec<Line>>,
    /// One for each request under way, and so a bound on the connections.
    permits: Semaphore,
}

impl Pool {
    pub(super) fn new(target: SocketAddr, connections: usize) -> Self {
        Self { target, idle: RefCell::default(), permits: Semaphore::new(connections) }
    }

    /// Sends one GET, waiting for a free connection if all are in use.
    pub(super) async fn get(&self) -> Result<Answer, Loss> {
        let _permit = self.permits.acquire().await.map_err(|_| Loss::Connect)?;
        loop {
            let (mut line, request) = (self.line().await?, self.request());
            match line.try_send_request(request).await {
                Ok(response) => {
                    let answer = read(response).await?;
                    self.idle.borrow_mut().push(line);
                    return Ok(answer);
                }
                // The server closed an idle connection; not a byte of the request was sent.
                Err(error) if error.message().is_some() => {}
                Err(_) => return Err(Loss::Broken),
            }
        }
    }

    fn request(&self) -> Request<Empty<Bytes>> {
        let mut request = Request::new(Empty::new());
        if let Ok(host) = self.target.to_string().parse() {
            request.headers_mut().insert(header::HOST, host);
        }
        request
    }

    /// The connection used last, so that the others may rest.
    async fn line(&self) -> Result<Line, Loss> {
        loop {
            let idle = self.idle.borrow_mut().pop();
            let Some(mut line) = idle else { return self.connect().await };
            if line.ready().await.is_ok() {
                return Ok(line);
            }
        }
    }

    async fn connect(&self) -> Result<Line, Loss> {
        let stream = TcpStream::connect(self.target).await.map_err(|_| Loss::Connect)?;
        // Only a matter of speed.
        let _ = stream.set_nodelay(true);
        let (line, connection) =
            handshake(TokioIo::new(stream)).await.map_err(|_| Loss::Connect)?;
        // Its errors reach whoever waits for an answer.
        tokio::task::spawn_local(async move { drop(connection.await) });
        Ok(line)
    }
}

async fn read(mut response: Response<Incoming>) -> Result<Answer, Loss> {
    while let Some(frame) = response.frame().await {
        frame.map_err(|_| Loss::Broken)?;
    }
    let version = response.headers().get(crate::demo::app::VERSION_HEADER);
    let version = version.and_then(|value| value.to_str().ok()).map(str::to_owned);
    Ok(Answer { status: response.status().as_u16(), version })
}
