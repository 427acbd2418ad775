//! Web pages of which other origins may ask from a browser: those the owner named.

use crate::body::Body;
use crate::routes::status;
use crate::world::World;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};

const METHODS: &str = "GET, POST";
const MAX_AGE_S: &str = "3600";
/// What clients of the protocols send and read.
const SENT: &str = "authorization, content-type, if-none-match, x-api-key, flagd-selector, \
    last-event-id, cache-control, unleash-appname, unleash-connection-id, unleash-sdk, \
    x-unleash-appname, x-unleash-connection-id, x-unleash-sdk, unleash-client-spec, \
    unleash-interval";
const READ: &str = "etag, retry-after";

/// The origin of a request, if its pages may ask.
pub fn allowed(world: &World, headers: &HeaderMap) -> Option<HeaderValue> {
    if world.origins.is_empty() {
        return None;
    }
    let origin = headers.get(header::ORIGIN)?;
    let named = |held: &String| held == "*" || held.as_bytes() == origin.as_bytes();
    world.origins.iter().any(named).then(|| origin.clone())
}

/// The answer to a browser that asks whether it may ask.
pub fn preflight(origin: Option<HeaderValue>) -> Response<Body> {
    if origin.is_none() {
        return status(StatusCode::FORBIDDEN);
    }
    let mut response = status(StatusCode::NO_CONTENT);
    permit(&mut response, origin);
    let headers = response.headers_mut();
    let fixed = HeaderValue::from_static;
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, fixed(METHODS));
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, fixed(SENT));
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, fixed(MAX_AGE_S));
    response
}

/// Lets the pages of an origin read an answer.
pub fn permit(response: &mut Response<Body>, origin: Option<HeaderValue>) {
    let Some(origin) = origin else { return };
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(READ));
    headers.append(header::VARY, HeaderValue::from_static("origin"));
}
