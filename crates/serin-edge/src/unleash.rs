//! Unleash's APIs: definitions for clients that evaluate themselves, values for web pages, and
//! what both report.

mod client;
mod frontend;
mod metrics;
mod stream;

use crate::body::Body;
use crate::routes::{self, Call, denied, status};
use crate::set::Set;
use http::{HeaderValue, Method, Response, StatusCode, header};
use hyper::body::Incoming;
use std::sync::Arc;

/// Everything below is ours.
pub const API: &str = "/api/";

/// Answers a request of either API.
pub async fn answer(call: Call<'_>, body: Incoming) -> Response<Body> {
    let body = match routes::read(body).await {
        Ok(body) => body,
        Err(code) => return status(code),
    };
    let set = match call.set(None) {
        Ok(set) => set.cloned(),
        Err(why) => return denied(why),
    };
    let path = call.parts.uri.path().trim_end_matches('/');
    if path.starts_with("/api/client")
        && let Err(why) = call.grant.backend()
    {
        return denied(why);
    }
    match (&call.parts.method, path) {
        (&Method::GET, "/api/client/features") => client::features(&call, set.as_ref()),
        (&Method::GET, "/api/client/delta") => client::delta(&call, set.as_ref()),
        (&Method::GET, "/api/client/streaming") => stream::open(&call),
        (&Method::POST, "/api/client/register") => status(StatusCode::ACCEPTED),
        (&Method::POST, "/api/client/metrics") => {
            metrics::take(&call, set.as_ref(), &body, StatusCode::ACCEPTED)
        }
        (&Method::POST, "/api/client/metrics/bulk") => {
            metrics::take_all(&call, set.as_ref(), &body)
        }
        (&Method::GET | &Method::POST, "/api/frontend") => {
            frontend::answer(&call, set.as_ref(), &body)
        }
        (&Method::POST, "/api/frontend/client/metrics") => {
            metrics::take(&call, set.as_ref(), &body, StatusCode::OK)
        }
        (&Method::POST, "/api/frontend/client/register") => status(StatusCode::OK),
        (&Method::GET, path) => match path.strip_prefix("/api/client/features/") {
            Some(name) => client::feature(set.as_ref(), &routes::decoded(name)),
            None => status(StatusCode::NOT_FOUND),
        },
        _ => status(StatusCode::NOT_FOUND),
    }
}

/// The tag of a set's definitions: which set, and since when.
fn tag(set: Option<&Arc<Set>>) -> String {
    match set {
        Some(set) => format!("\"{}:{}:v1\"", query_hash(set.name()), set.since),
        None => "\"none:0.0:v1\"".to_owned(),
    }
}

/// Names what was asked for, without characters that a header cannot carry.
fn query_hash(set: &str) -> String {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    set.hash(&mut hasher);
    format!("{:08x}", hasher.finish() as u32)
}

fn tagged(mut response: Response<Body>, tag: &str) -> Response<Body> {
    if let Ok(tag) = HeaderValue::from_str(tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}
