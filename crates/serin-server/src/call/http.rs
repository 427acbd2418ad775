//! An HTTP call, without TLS.

use axum::body::Body;
use axum::http::{Request, StatusCode, Uri, header};
use http_body_util::BodyExt as _;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// Most bytes of an answer that are looked at.
const MOST: usize = 1 << 20;

/// What is asked of whom.
#[derive(Debug)]
pub(crate) struct Call {
    /// How messages call the address, which may be a secret.
    pub(crate) name: String,
    pub(crate) method: String,
    pub(crate) url: String,
    /// Beside those that every call has.
    pub(crate) headers: Vec<(String, String)>,
    /// JSON.
    pub(crate) body: Option<String>,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Vec<u8>,
}

/// Makes the call; the caller limits its time.
pub(crate) async fn send(call: &Call) -> Result<Answer, String> {
    let name = &call.name;
    let uri: Uri = call.url.parse().map_err(|why| format!("{name} is not a URL: {why}"))?;
    let Some(authority) = uri.authority().filter(|_| uri.scheme_str() == Some("http")) else {
        return Err(format!("{name} is not an http:// URL; call others with a command"));
    };
    let address = (authority.host().trim_matches(['[', ']']), authority.port_u16().unwrap_or(80));
    let stream = TcpStream::connect(address).await;
    let stream = stream.map_err(|why| format!("{name} cannot be reached: {why}"))?;
    let request = request(call, &uri, authority.as_str())?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|why| format!("{name}: {why}"))?;
    // Dropped with this call, it closes the connection.
    let connection = tokio::spawn(connection);
    let _closes = Closes(connection.abort_handle());
    let answer = sender.send_request(request).await.map_err(|why| format!("{name}: {why}"))?;
    let status = answer.status();
    let body = read(answer.into_body()).await.map_err(|why| format!("{name}: {status}, {why}"))?;
    Ok(Answer { status, body })
}

struct Closes(tokio::task::AbortHandle);

impl Drop for Closes {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn request(call: &Call, uri: &Uri, host: &str) -> Result<Request<Body>, String> {
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let mut request =
        Request::builder().method(call.method.as_str()).uri(path).header(header::HOST, host);
    for (name, value) in &call.headers {
        request = request.header(name, value);
    }
    if call.body.is_some() {
        request = request.header(header::CONTENT_TYPE, "application/json");
    }
    let body = call.body.clone().map_or_else(Body::empty, Body::from);
    request.body(body).map_err(|why| format!("the call cannot be made: {why}"))
}

async fn read(mut body: hyper::body::Incoming) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    while bytes.len() < MOST {
        let Some(frame) = body.frame().await else { break };
        let frame = frame.map_err(|why| format!("the answer broke off: {why}"))?;
        if let Some(data) = frame.data_ref() {
            bytes.extend_from_slice(data);
        }
    }
    Ok(bytes)
}
