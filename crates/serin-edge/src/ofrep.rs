//! OFREP 0.3.0: one flag, all flags with an ETag, and the event stream that says when to ask anew.

mod context;
mod stream;

use context::read as read_context;
pub use stream::{PATH as STREAM, answer as stream};

use crate::access::selector;
use crate::body::Body;
use crate::clock::now_s;
use crate::etag;
use crate::revision::Revision;
use crate::routes::{self, Call, denied, json, query, status};
use crate::set::{Set, not_found};
use crate::signature::Signer;
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use hyper::body::Incoming;
use serde_json::json as object;
use serin_flags::{Context, ErrorCode, EvalError};
use std::sync::Arc;
use std::time::Duration;

/// Where flags are evaluated: all of them, or with a key behind it one.
pub const FLAGS: &str = "/ofrep/v1/evaluate/flags";
/// A client that knows of newer flags than we have waits for them no longer than this.
const LAG: Duration = Duration::from_secs(1);
/// Seconds in the background after which a client may close its stream.
const INACTIVITY_S: u32 = 120;

/// Answers an evaluation.
pub async fn answer(mut call: Call<'_>, body: Incoming) -> Response<Body> {
    let rest = &call.parts.uri.path()[FLAGS.len()..];
    let key = match rest.strip_prefix('/') {
        None if rest.is_empty() => None,
        Some("") => None,
        Some(key) if !key.contains('/') => Some(routes::decoded(key)),
        _ => return status(StatusCode::NOT_FOUND),
    };
    let body = match routes::read(body).await {
        Ok(body) => body,
        Err(code) => return status(code),
    };
    if let Some(key) = key {
        return single(&call, &key, &body);
    }
    if let Some(query) = call.parts.uri.query() {
        let hint = query_revision(query);
        wait_for(&mut call, hint).await;
    }
    bulk(&call, &body)
}

fn query_revision(text: &str) -> Option<Revision> {
    query(text, "flagConfigEtag").next()?.trim_start_matches("W/").trim_matches('"').parse().ok()
}

/// Lets a client that was sent here by an event not see what was before the event.
async fn wait_for(call: &mut Call<'_>, hint: Option<Revision>) {
    let Some(hint) = hint.filter(|hint| *hint > call.world.revision) else { return };
    let mut news = call.worker.edge.watch();
    let arrived = news.wait_for(|world| world.revision >= hint);
    let _ = tokio::time::timeout(LAG, arrived).await;
    call.world = call.worker.world();
}

/// The set of a request, or what to answer.
fn chosen<'a>(
    call: &'a Call<'_>,
    key: Option<&str>,
) -> Result<Option<&'a Arc<Set>>, Box<Response<Body>>> {
    let selected = selector(&call.parts.headers)
        .map_err(|why| failed(key, &EvalError::new(ErrorCode::General, why)))?;
    Ok(call.set(selected).map_err(denied)?)
}

fn single(call: &Call<'_>, key: &str, body: &Bytes) -> Response<Body> {
    let set = match chosen(call, Some(key)) {
        Ok(set) => set,
        Err(response) => return *response,
    };
    let context = match read_context(body) {
        Ok(context) => context,
        Err(error) => return failed(Some(key), &error),
    };
    let found = set.and_then(|set| Some((set, set.place(key)?)));
    let Some((set, place)) = found else {
        let name = set.map_or("", |set| set.name());
        call.worker.edge.tally.unknown(name, key, 1);
        return failed(Some(key), &not_found(key));
    };
    match set.answer(place, &context, now_s(), call.grant.kind) {
        Ok((bytes, arm)) => {
            call.worker.edge.met(set.name(), key, arm, &context);
            json(StatusCode::OK, bytes)
        }
        Err(error) => failed(Some(key), &error),
    }
}

/// A failure as the protocol has it.
fn failed(key: Option<&str>, error: &EvalError) -> Response<Body> {
    let code = match error.code {
        ErrorCode::FlagNotFound => StatusCode::NOT_FOUND,
        _ => StatusCode::BAD_REQUEST,
    };
    json(code, failure(key, error))
}

fn failure(key: Option<&str>, error: &EvalError) -> String {
    let mut body = object!({
        "errorCode": error.code.as_str(),
        "errorDetails": error.details,
    });
    if let Some(key) = key {
        body["key"] = key.into();
    }
    body.to_string()
}

fn bulk(call: &Call<'_>, body: &Bytes) -> Response<Body> {
    let set = match chosen(call, None) {
        Ok(set) => set,
        Err(response) => return *response,
    };
    let (now_s, period) = (now_s(), Signer::period());
    let audience = [call.grant.kind as u8];
    let tag = etag::of(set.map(Arc::as_ref), &[body, &audience], now_s, period);
    if etag::matches(&call.parts.headers, &tag) {
        return tagged(status(StatusCode::NOT_MODIFIED), &tag);
    }
    let context = match read_context(body) {
        Ok(context) => context,
        Err(error) => return failed(None, &error),
    };
    let Some(set) = set else {
        return tagged(json(StatusCode::OK, r#"{"flags":[],"metadata":{}}"#), &tag);
    };
    if let Some(error) = set.refuses(&context) {
        return failed(None, &error);
    }
    tagged(json(StatusCode::OK, all(call, set, &context, (now_s, period))), &tag)
}

/// All answers, and where to hear of others.
fn all(call: &Call<'_>, set: &Set, context: &Context<'_>, (now_s, period): (u64, u64)) -> Vec<u8> {
    let audience = call.grant.kind;
    let bulk = set.bulk(audience);
    let offer = set.offer(period, || {
        stream::offer(set, &call.worker.edge.signer.token(set.name(), period), INACTIVITY_S)
    });
    let (start, middle, metadata) = ("{\"flags\":[", "],\"metadata\":", set.metadata(audience));
    let rest = start.len() + middle.len() + metadata.len() + offer.len() + 1;
    let mut out = Vec::with_capacity(bulk.usual_len + rest);
    out.extend_from_slice(start.as_bytes());
    set.write_all(bulk, context, now_s, &mut out, |key, error| failure(Some(key), error));
    for piece in [middle.as_bytes(), metadata.as_bytes(), &offer, b"}"] {
        out.extend_from_slice(piece);
    }
    out
}

fn tagged(mut response: Response<Body>, tag: &str) -> Response<Body> {
    if let Ok(tag) = HeaderValue::from_str(tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}
