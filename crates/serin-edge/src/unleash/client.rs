//! Definitions.

use super::{query_hash, stream, tag, tagged};
use crate::body::Body;
use crate::etag;
use crate::routes::{Call, json, status, unavailable};
use crate::set::Set;
use bytes::Bytes;
use http::{Response, StatusCode};
use serde_json::json as object;
use std::sync::Arc;

/// `GET /api/client/features`.
pub fn features(call: &Call<'_>, set: Option<&Arc<Set>>) -> Response<Body> {
    let tag = tag(set);
    if etag::matches(&call.parts.headers, &tag) {
        return tagged(status(StatusCode::NOT_MODIFIED), &tag);
    }
    let text = match set {
        None => Some(document(None, &tag, b"[]")),
        Some(set) => set.client_features(|features| document(Some(set), &tag, features)),
    };
    text.map_or_else(unavailable, |text| tagged(json(StatusCode::OK, text), &tag))
}

/// The whole answer for a set.
fn document(set: Option<&Arc<Set>>, tag: &str, features: &[u8]) -> Bytes {
    let name = set.map_or("", |set| set.name());
    let query = object!({"environment": name});
    let meta = object!({
        "revisionId": set.map_or(0, |set| set.since.n),
        "etag": tag,
        "queryHash": query_hash(name),
    });
    let rest = format!(",\"segments\":[],\"query\":{query},\"meta\":{meta}}}");
    [b"{\"version\":2,\"features\":", features, rest.as_bytes()].concat().into()
}

/// `GET /api/client/features/NAME`.
pub fn feature(set: Option<&Arc<Set>>, name: &str) -> Response<Body> {
    match set.and_then(|set| set.feature(name)) {
        Some(feature) => json(StatusCode::OK, feature.to_owned()),
        None => status(StatusCode::NOT_FOUND),
    }
}

/// `GET /api/client/delta`: everything for a client that has nothing, else what is new.
pub fn delta(call: &Call<'_>, set: Option<&Arc<Set>>) -> Response<Body> {
    let tag = tag(set);
    if etag::matches(&call.parts.headers, &tag) {
        return tagged(status(StatusCode::NOT_MODIFIED), &tag);
    }
    let events = match (set, stream::seen(&call.parts.headers)) {
        (Some(set), Some(seen)) if seen < set.since => stream::updates(set, seen),
        (set, _) => vec![stream::hydration(set.map(Arc::as_ref))],
    };
    tagged(json(StatusCode::OK, stream::listed(&events)), &tag)
}
