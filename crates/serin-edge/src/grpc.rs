//! flagd's gRPC services: evaluation v1 and v2, and sync v1.
//!
//! The framing is our own (`frame`): five bytes and two trailers on top of hyper's HTTP/2, which
//! is here for everything else anyway.

mod evaluation;
mod events;
mod frame;
mod sync;
mod wire;

use crate::access::{self, Denied};
use crate::body::Body;
use crate::routes::{self, Call};
use crate::set::Set;
use bytes::Bytes;
use frame::{Code, Status};
use http::request::Parts;
use http::{Response, StatusCode, header};
use hyper::body::Incoming;
use std::sync::Arc;

/// Whether a request is a call of gRPC.
pub fn is_call(parts: &Parts) -> bool {
    let kind = parts.headers.get(header::CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
}

/// What a caller that may not ask is told.
pub fn denied(denied: Denied) -> Response<Body> {
    frame::failed(&refused(denied))
}

/// What a caller is told before there is any flag.
pub fn unavailable() -> Response<Body> {
    frame::failed(&Status::new(Code::Unavailable, "there are no flags yet; ask again"))
}

fn refused(denied: Denied) -> Status {
    match denied {
        Denied::Unknown => Status::new(
            Code::Unauthenticated,
            "no token, or none that is known; send it as authorization",
        ),
        Denied::Forbidden => {
            Status::new(Code::PermissionDenied, "the token is for another set, or for values only")
        }
    }
}

/// Answers a call.
pub async fn answer(call: Call<'_>, body: Incoming) -> Response<Body> {
    let body = match routes::read(body).await {
        Ok(body) => body,
        Err(StatusCode::PAYLOAD_TOO_LARGE) => return frame::failed(&too_large()),
        Err(_) => return frame::failed(&Status::new(Code::Internal, "the request broke off")),
    };
    served(&call, &body).unwrap_or_else(|status| frame::failed(&status))
}

fn too_large() -> Status {
    let what = format!("a request has at most {} bytes; send fewer attributes", frame::MAX_MESSAGE);
    Status::new(Code::ResourceExhausted, what)
}

fn served(call: &Call<'_>, body: &Bytes) -> Result<Response<Body>, Status> {
    let path = call.parts.uri.path();
    let (service, method) = path.trim_start_matches('/').split_once('/').unwrap_or((path, ""));
    match service {
        "flagd.evaluation.v2.Service" => evaluation::v2(call, method, body),
        "flagd.evaluation.v1.Service" => evaluation::v1(call, method, body),
        "flagd.sync.v1.FlagSyncService" => sync::answer(call, method, body),
        _ => Err(unimplemented(path)),
    }
}

fn unimplemented(what: &str) -> Status {
    Status::new(Code::Unimplemented, format!("there is no method {what}"))
}

/// The set of a call; `body` is the selector in its message, which a header comes before.
fn chosen<'a>(call: &'a Call<'_>, body: &str) -> Result<Option<&'a Arc<Set>>, Status> {
    let name = selected(call, body)?;
    call.set(name.as_deref()).map_err(refused)
}

fn selected(call: &Call<'_>, body: &str) -> Result<Option<String>, Status> {
    let invalid = |why: String| Status::new(Code::InvalidArgument, why);
    let header = access::selector(&call.parts.headers).map_err(invalid)?;
    let body = access::selected(body).map_err(|key| invalid(access::unknown_key(&key)))?;
    Ok(header.or(body).map(str::to_owned))
}
