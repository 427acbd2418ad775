//! Who may use the API over the network, and in whose name a request is.

use super::error::ApiError;
use super::view::{ApiToken, ApiTokens, TokenWish, schema_of};
use super::{BODY_MAX, Gate};
use crate::flags::seconds;
use crate::people::Error;
use crate::token;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, Request, State};
use axum::http::{Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use serde_json::value::{RawValue, to_raw_value};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::task::block_in_place;

/// Where tokens are made and taken away, which their owners may not do.
pub(super) const TOKENS: &str = "/api/v1/tokens";
/// The member of a document that says who asks.
const ACTOR: &str = "actor";

/// On TCP anyone on the machine can connect, so a token is asked for.
pub(super) async fn guard(State(gate): State<Arc<Gate>>, request: Request, next: Next) -> Response {
    let given = request.headers().get(header::AUTHORIZATION).and_then(|v| v.to_str().ok());
    let given = given.and_then(|v| v.strip_prefix("Bearer ")).unwrap_or_default();
    if token::matches(given, &gate.token) {
        return next.run(request).await;
    }
    match gate.people.whose(given) {
        Some(_) if request.uri().path().starts_with(TOKENS) => {
            ApiError::new(StatusCode::FORBIDDEN, "not-yours", "tokens are made by the owner only")
                .hint("run `serin token` on the machine of the server")
                .into_response()
        }
        Some(name) => match in_the_name_of(&name, request).await {
            Ok(request) => next.run(request).await,
            Err(refused) => refused.into_response(),
        },
        None => ApiError::new(StatusCode::UNAUTHORIZED, "no-token", "the API on TCP needs a token")
            .hint("send `Authorization: Bearer` with the content of the data directory's `token`, or a token of your own from `serin token --create NAME`")
            .into_response(),
    }
}

/// The request with its owner as the one who asks, whatever it said.
async fn in_the_name_of(name: &str, request: Request) -> Result<Request, ApiError> {
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        return Ok(request);
    }
    let (mut parts, body) = request.into_parts();
    let body = to_bytes(body, BODY_MAX).await.map_err(|_| {
        ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "the request is too large")
    })?;
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.uri = addressed(name, &parts.uri)?;
    Ok(Request::from_parts(parts, Body::from(signed(name, &body)?)))
}

/// An address with its author put in, for what carries no document. Another way to write the same
/// member would be there twice then, and is refused by whoever reads it.
fn addressed(name: &str, uri: &Uri) -> Result<Uri, ApiError> {
    let own = format!("{ACTOR}={name}");
    let is_other = |pair: &&str| !pair.is_empty() && pair.split('=').next() != Some(ACTOR);
    let others = uri.query().unwrap_or_default().split('&').filter(is_other);
    let query: Vec<_> = others.chain([own.as_str()]).collect();
    let whole = format!("{}?{}", uri.path(), query.join("&"));
    whole.parse().map_err(|_| ApiError::invalid("the address of the request is too long"))
}

/// A document with its author put in; everything else as it was written. What is no document names
/// nobody, and is refused by whoever reads it.
fn signed(name: &str, body: &[u8]) -> Result<Vec<u8>, ApiError> {
    let Ok(mut members) = serde_json::from_slice::<BTreeMap<String, Box<RawValue>>>(body) else {
        return Ok(body.to_vec());
    };
    let lost = |_| ApiError::ending();
    members.insert(ACTOR.to_owned(), to_raw_value(name).map_err(lost)?);
    serde_json::to_vec(&members).map_err(lost)
}

/// `GET /api/v1/tokens`.
pub(super) async fn list(Extension(gate): Extension<Arc<Gate>>) -> Json<ApiTokens> {
    Json(view(&gate, None))
}

/// `POST /api/v1/tokens`.
pub(super) async fn create(
    Extension(gate): Extension<Arc<Gate>>,
    Json(wish): Json<TokenWish>,
) -> Result<Json<ApiTokens>, ApiError> {
    let secret = block_in_place(|| gate.people.admit(&wish.name, seconds().0))?;
    Ok(Json(view(&gate, Some(secret))))
}

/// `DELETE /api/v1/tokens/{name}`.
pub(super) async fn revoke(
    Extension(gate): Extension<Arc<Gate>>,
    Path(name): Path<String>,
) -> Result<Json<ApiTokens>, ApiError> {
    block_in_place(|| gate.people.dismiss(&name))?;
    Ok(Json(view(&gate, None)))
}

fn view(gate: &Gate, secret: Option<String>) -> ApiTokens {
    let one = |person: crate::people::Person| ApiToken { name: person.name, at: person.at };
    let tokens = gate.people.all().into_iter().map(one).collect();
    ApiTokens { schema: schema_of("tokens"), tokens, secret }
}

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        let (status, code) = match &error {
            Error::Name => (StatusCode::UNPROCESSABLE_ENTITY, "invalid"),
            Error::Twice(_) | Error::Full => (StatusCode::CONFLICT, "refused"),
            Error::Nobody(_) => (StatusCode::NOT_FOUND, "unknown-token"),
            Error::Io(_) => (StatusCode::SERVICE_UNAVAILABLE, "store"),
        };
        Self::new(status, code, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_its_owners_and_otherwise_as_it_was_written() {
        for (address, wanted) in [
            ("/api/v1/flags/a", "/api/v1/flags/a?actor=ada@x"),
            ("/a?set=b&actor=bob&reason=c%20d", "/a?set=b&reason=c%20d&actor=ada@x"),
            ("/a?actor=bob&actor=eve", "/a?actor=ada@x"),
            ("/a?actor", "/a?actor=ada@x"),
            // Twice, so it is refused.
            ("/a?%61ctor=bob", "/a?%61ctor=bob&actor=ada@x"),
        ] {
            let found = addressed("ada@x", &address.parse().unwrap()).unwrap();
            assert_eq!(found.to_string(), wanted, "{address}");
        }
    }

    #[test]
    fn a_document_is_its_owners_and_otherwise_as_it_was_written() {
        for (body, wanted) in [
            (r#"{"actor":"bob","reason":"x"}"#, r#"{"actor":"ada","reason":"x"}"#),
            (r#"{"actor":"bob","actor":"eve"}"#, r#"{"actor":"ada"}"#),
            (r#"{"\u0061ctor":"bob"}"#, r#"{"actor":"ada"}"#),
            (r#"{"v":{"on":1.0,"a":2}}"#, r#"{"actor":"ada","v":{"on":1.0,"a":2}}"#),
            ("{}", r#"{"actor":"ada"}"#),
            ("[1]", "[1]"),
            ("", ""),
            (r#"{"actor":"bob""#, r#"{"actor":"bob""#),
        ] {
            let found = signed("ada", body.as_bytes()).unwrap();
            assert_eq!(String::from_utf8(found).unwrap(), wanted, "{body}");
        }
    }
}
