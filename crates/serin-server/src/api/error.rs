//! Errors as the API tells them.

use super::view::Problem;
use crate::executor;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

/// An error with all a client needs.
#[derive(Debug)]
pub(crate) struct ApiError(pub(crate) Problem);

impl ApiError {
    pub(crate) fn new(status: StatusCode, code: &str, title: impl Into<String>) -> Self {
        Self(Problem {
            title: title.into(),
            status: status.as_u16(),
            code: code.into(),
            hint: None,
            detail: None,
            refusal: None,
        })
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    pub(crate) fn detail(mut self, detail: impl Into<String>) -> Self {
        self.0.detail = Some(detail.into());
        self
    }

    /// The control plane is ending.
    pub(crate) fn ending() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "ending", "the control plane is ending")
            .hint("ask again in a moment")
    }

    pub(crate) fn invalid(title: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", title)
    }
}

impl From<executor::Error> for ApiError {
    fn from(error: executor::Error) -> Self {
        match error {
            executor::Error::UnknownService(name) => {
                let title = format!("there is no service `{name}`");
                Self::new(StatusCode::NOT_FOUND, "unknown-service", title)
            }
            executor::Error::Refused(refusal) => {
                let mut error = Self::new(StatusCode::CONFLICT, "refused", refusal.message);
                error.0.refusal = Some(refusal.code);
                refusal.hint.into_iter().fold(error, Self::hint)
            }
            executor::Error::Store(error) => store(&error),
        }
    }
}

impl From<serin_store::Error> for ApiError {
    fn from(error: serin_store::Error) -> Self {
        store(&error)
    }
}

fn store(error: &serin_store::Error) -> ApiError {
    let (code, hint) = match error {
        serin_store::Error::Full => ("disk-full", "free space; traffic goes on as it is"),
        _ => ("store", "see the control plane's log"),
    };
    ApiError::new(StatusCode::SERVICE_UNAVAILABLE, code, error.to_string()).hint(hint)
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::BAD_REQUEST);
        let body = serde_json::to_string(&self.0).unwrap_or_default();
        (status, [(header::CONTENT_TYPE, "application/problem+json")], body).into_response()
    }
}
