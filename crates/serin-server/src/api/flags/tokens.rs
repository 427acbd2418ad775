//! Tokens of clients that evaluate flags.

use super::ask;
use super::write::Asked;
use crate::api::error::ApiError;
use crate::api::view::{Asking, FlagToken, FlagTokens, schema_of};
use crate::control::Handle;
use axum::Json;
use axum::extract::{Path, State};
use serde::Deserialize;
use serin_edge::TokenKind;

/// A token that is wished for.
#[derive(Debug, Deserialize)]
pub(in crate::api) struct TokenRequest {
    #[serde(flatten)]
    asking: Asking,
    name: String,
    #[serde(default)]
    set: Option<String>,
    #[serde(default)]
    kind: TokenKind,
}

/// `GET /api/v1/flag-tokens`.
pub(in crate::api) async fn tokens(
    State(handle): State<Handle>,
) -> Result<Json<FlagTokens>, ApiError> {
    listed(&handle, None).await
}

/// `POST /api/v1/flag-tokens`.
pub(in crate::api) async fn create_token(
    State(handle): State<Handle>,
    Json(request): Json<TokenRequest>,
) -> Result<Json<FlagTokens>, ApiError> {
    let asked = Asked::of(&request.asking);
    let secret = ask(&handle, move |core| {
        core.create_token(&request.name, request.set.as_deref(), request.kind, asked.who())
    });
    listed(&handle, Some(secret.await?)).await
}

/// `DELETE /api/v1/flag-tokens/{name}`.
pub(in crate::api) async fn drop_token(
    State(handle): State<Handle>,
    Path(name): Path<String>,
) -> Result<Json<FlagTokens>, ApiError> {
    ask(&handle, move |core| core.drop_token(&name)).await?;
    listed(&handle, None).await
}

async fn listed(handle: &Handle, secret: Option<String>) -> Result<Json<FlagTokens>, ApiError> {
    let tokens = ask(handle, |core| {
        let view = |kept: &crate::flags::KeptToken| FlagToken {
            name: kept.token.name.clone(),
            set: kept.token.set.clone(),
            kind: kept.token.kind,
            at: kept.at,
            by: kept.by.clone(),
        };
        Ok(core.flags.tokens.values().map(view).collect())
    });
    Ok(Json(FlagTokens { schema: schema_of("flag-tokens"), tokens: tokens.await?, secret }))
}
