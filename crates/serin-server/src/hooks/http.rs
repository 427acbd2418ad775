//! A test that is an HTTP call.

use super::{Outcome, key_of, text, variable};
use axum::body::Body;
use axum::http::{Request, Uri, header};
use http_body_util::BodyExt as _;
use hyper_util::rt::TokioIo;
use serin_core::HookOrder;
use serin_local::fill;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Most bytes of an answer that are looked at.
const MOST: usize = 1 << 20;

/// What is asked, and which answer passes.
pub(super) struct Call<'a> {
    pub(super) method: &'a str,
    pub(super) url: &'a str,
    pub(super) status: (u16, u16),
    pub(super) contains: Option<&'a str>,
}

/// Calls, and says what came back.
pub(super) async fn run(order: &HookOrder, call: &Call<'_>, limit: Duration) -> Outcome {
    match timeout(limit, ask(order, call)).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(why)) => Outcome::failed(why),
        Err(_) => Outcome::failed(format!("no answer within {} s", limit.as_secs_f64())),
    }
}

async fn ask(order: &HookOrder, call: &Call<'_>) -> Result<Outcome, String> {
    let url = fill(call.url, |name| variable(order, name));
    let url = if url.starts_with('/') { format!("{}{url}", order.url) } else { url };
    let uri: Uri = url.parse().map_err(|why| format!("`{url}` is not a URL: {why}"))?;
    let Some(authority) = uri.authority().filter(|_| uri.scheme_str() == Some("http")) else {
        return Err(format!("`{url}` is not an http:// URL; call others with a command"));
    };
    let address = (authority.host().trim_matches(['[', ']']), authority.port_u16().unwrap_or(80));
    let stream = TcpStream::connect(address).await;
    let stream = stream.map_err(|why| format!("{authority} cannot be reached: {why}"))?;
    let request = request(order, call, &uri, authority.as_str())?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|why| format!("{authority}: {why}"))?;
    // Dropped with this call, it closes the connection.
    let connection = tokio::spawn(connection);
    let _closes = Closes(connection.abort_handle());
    let answer = sender.send_request(request).await.map_err(|why| format!("{url}: {why}"))?;
    let status = answer.status();
    let body = read(answer.into_body()).await.map_err(|why| format!("{url}: {status}, {why}"))?;
    Ok(judge(call, status, &body))
}

struct Closes(tokio::task::AbortHandle);

impl Drop for Closes {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn request(
    order: &HookOrder,
    call: &Call<'_>,
    uri: &Uri,
    host: &str,
) -> Result<Request<Body>, String> {
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let has_body = matches!(call.method, "POST" | "PUT" | "PATCH");
    let told = serde_json::json!({
        "service": order.service,
        "revision": order.revision.version.name(),
        "candidateUrl": order.url,
        "key": key_of(order),
    });
    let body = if has_body { Body::from(told.to_string()) } else { Body::empty() };
    let request = Request::builder()
        .method(call.method)
        .uri(path)
        .header(header::HOST, host)
        .header(header::USER_AGENT, "serin-hook")
        .header("idempotency-key", key_of(order));
    let request =
        if has_body { request.header(header::CONTENT_TYPE, "application/json") } else { request };
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

fn judge(call: &Call<'_>, status: axum::http::StatusCode, body: &[u8]) -> Outcome {
    let (first, last) = call.status;
    if !(first..=last).contains(&status.as_u16()) {
        let said = text::clean(body, &[]);
        let line = text::last_line(&said).map_or(String::new(), |line| format!(": {line}"));
        let wanted = if first == last { first.to_string() } else { format!("{first} to {last}") };
        let text = format!("{said}\nstatus {status}, wanted {wanted}{line}");
        return Outcome::failed(text::tail(&text));
    }
    match call.contains {
        Some(wanted) if !String::from_utf8_lossy(body).contains(wanted) => {
            Outcome::failed(format!("status {status}, but the answer does not hold `{wanted}`"))
        }
        _ => Outcome { passed: true, text: format!("status {status}") },
    }
}
