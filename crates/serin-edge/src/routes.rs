//! Which request is answered by whom.

use crate::access::{Denied, Grant};
use crate::body::Body;
use crate::serve::{Life, Worker};
use crate::set::Set;
use crate::world::World;
use crate::{cors, follow, grpc, metrics, ofrep, otlp, outcome, unleash};
use bytes::{Bytes, BytesMut};
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body::Body as _;
use hyper::body::Incoming;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

/// Whether the process is there, flags or not.
const HEALTH: &str = "/healthz";
/// Largest body of a request, in bytes.
pub const MAX_BODY: usize = 1024 * 1024;
/// Seconds after which a client that was turned away may come again.
const RETRY_AFTER_S: u16 = 5;

/// One request, and what holds while it is answered.
pub struct Call<'a> {
    pub worker: &'a Rc<Worker>,
    pub life: &'a Rc<Life>,
    pub world: Arc<World>,
    pub parts: Parts,
    pub grant: Grant,
}

impl Call<'_> {
    /// The set to answer from; none: one that does not exist, which is an empty one.
    ///
    /// # Errors
    /// The token is for another set.
    pub fn set(&self, selected: Option<&str>) -> Result<Option<&Arc<Set>>, Denied> {
        let name = self.grant.set(selected, &self.world.fallback)?;
        Ok(self.world.sets.get(name))
    }
}

/// The values of a name in a query.
pub fn query(text: &str, name: &str) -> impl Iterator<Item = String> {
    let pairs = text.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs.filter(move |(key, _)| decoded(key) == name).map(|(_, value)| decoded(value))
}

/// Percent-encoding undone; what is no UTF-8 is replaced.
pub fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let digit = |at: usize| bytes.get(at).and_then(|byte| (*byte as char).to_digit(16));
    let (mut out, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while let Some(byte) = bytes.get(at) {
        at += 1;
        match (byte, digit(at), digit(at + 1)) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                at += 2;
            }
            (b'+', ..) => out.push(b' '),
            _ => out.push(*byte),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Answers one request.
pub async fn answer(
    worker: &Rc<Worker>,
    life: &Rc<Life>,
    request: Request<Incoming>,
) -> Response<Body> {
    let world = worker.world();
    let origin = cors::allowed(&world, request.headers());
    if request.method() == Method::OPTIONS {
        return cors::preflight(origin);
    }
    let (parts, body) = request.into_parts();
    let mut response = dispatch(worker, life, world, parts, body).await;
    cors::permit(&mut response, origin);
    response
}

async fn dispatch(
    worker: &Rc<Worker>,
    life: &Rc<Life>,
    world: Arc<World>,
    parts: Parts,
    body: Incoming,
) -> Response<Body> {
    if !world.loaded && parts.uri.path() != HEALTH {
        return if grpc::is_call(&parts) { grpc::unavailable() } else { unavailable() };
    }
    if parts.uri.path() == ofrep::STREAM {
        // Its address is its token.
        return ofrep::stream(worker, life, &parts);
    }
    let is_grpc = grpc::is_call(&parts);
    let grant = match world.access.grant(&parts.headers) {
        Ok(grant) => grant,
        Err(denied) if is_grpc => return grpc::denied(denied),
        Err(_) if is_open(parts.uri.path()) => return text(StatusCode::OK, "ok\n"),
        Err(denied) => return self::denied(denied),
    };
    let call = Call { worker, life, world, parts, grant };
    if is_grpc {
        return grpc::answer(call, body).await;
    }
    let path = call.parts.uri.path();
    match (call.parts.method.clone(), path) {
        (Method::POST, _) if path.starts_with(ofrep::FLAGS) => ofrep::answer(call, body).await,
        (_, _) if path.starts_with(unleash::API) => unleash::answer(call, body).await,
        (Method::POST, otlp::LOGS | otlp::TRACES) => otlp::answer(call, body).await,
        (Method::POST, outcome::PATH) => outcome::answer(call, body).await,
        (Method::GET, follow::PATH) => follow::answer(&call),
        (Method::GET, metrics::PATH) => metrics::answer(&call),
        (Method::GET, path) if is_open(path) => text(StatusCode::OK, "ok\n"),
        (_, ofrep::FLAGS | outcome::PATH) => status(StatusCode::METHOD_NOT_ALLOWED),
        _ => status(StatusCode::NOT_FOUND),
    }
}

/// What load balancers ask, without a token.
fn is_open(path: &str) -> bool {
    matches!(path, HEALTH | "/readyz")
}

/// The whole body of a request.
///
/// # Errors
/// What to answer: it is too large, or broke off.
pub async fn read(mut body: Incoming) -> Result<Bytes, StatusCode> {
    let too_large = |size: u64| size > MAX_BODY as u64;
    if too_large(body.size_hint().lower()) {
        return Err(StatusCode::PAYLOAD_TOO_LARGE);
    }
    let mut first = Bytes::new();
    let mut whole = BytesMut::new();
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let frame = frame.map_err(|_| StatusCode::BAD_REQUEST)?;
        let Ok(data) = frame.into_data() else { continue };
        if first.is_empty() && whole.is_empty() {
            first = data;
        } else {
            if whole.is_empty() {
                whole.extend_from_slice(&std::mem::take(&mut first));
            }
            whole.extend_from_slice(&data);
        }
        if too_large((first.len() + whole.len()) as u64) {
            return Err(StatusCode::PAYLOAD_TOO_LARGE);
        }
        if body.is_end_stream() {
            break;
        }
    }
    Ok(if whole.is_empty() { first } else { whole.freeze() })
}

/// An answer without a body.
pub fn status(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// What a client that may not ask is told: no body.
pub fn denied(denied: Denied) -> Response<Body> {
    match denied {
        Denied::Unknown => {
            let mut response = status(StatusCode::UNAUTHORIZED);
            let scheme = HeaderValue::from_static("Bearer");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
            response
        }
        Denied::Forbidden => status(StatusCode::FORBIDDEN),
    }
}

/// What a client is told before there is any flag: ask again, and use the default in the code
/// until then.
pub fn unavailable() -> Response<Body> {
    let mut response = status(StatusCode::SERVICE_UNAVAILABLE);
    response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER_S.into());
    response
}

/// What a client is told for whom there is no room.
pub fn too_many() -> Response<Body> {
    let mut response = status(StatusCode::TOO_MANY_REQUESTS);
    response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER_S.into());
    response
}

/// An answer of plain text.
pub fn text(status: StatusCode, text: impl Into<Bytes>) -> Response<Body> {
    typed(status, "text/plain; charset=utf-8", text.into())
}

/// An answer of JSON.
pub fn json(status: StatusCode, text: impl Into<Bytes>) -> Response<Body> {
    typed(status, "application/json", text.into())
}

fn typed(status: StatusCode, kind: &'static str, bytes: Bytes) -> Response<Body> {
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// An event stream.
pub fn events(body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // Proxies that buffer would hold events back.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_read_as_browsers_write_it() {
        let text = "a=1&properties%5Bplan%5D=pro+plus&a=2%203&b&c=%zz&d=%C3%A4";
        let all = |name: &str| query(text, name).collect::<Vec<_>>();
        assert_eq!(all("a"), ["1", "2 3"]);
        assert_eq!(all("properties[plan]"), ["pro plus"]);
        assert_eq!(
            (all("b"), all("c"), all("d")),
            (vec![String::new()], vec!["%zz".into()], vec!["ä".into()])
        );
        assert!(all("e").is_empty());
    }
}
