//! Test messages.

use super::error::ApiError;
use super::read::{ask, named};
use super::view::{NotifyTest, NotifyTested, schema_of};
use crate::control::Handle;
use crate::notify::{Delivery, deliver, delivery, test_notice};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serin_core::Service;

/// Tells everybody under `notify` that messages arrive, whatever else they are told for.
pub(super) async fn test(
    State(handle): State<Handle>,
    Path(name): Path<String>,
) -> Result<Json<NotifyTest>, ApiError> {
    let service = named(&name)?;
    let deliveries = ask(&handle, service.clone(), |_, service| deliveries(service)).await?;
    let tries = deliveries.into_iter().map(|delivery| tokio::spawn(tried(delivery)));
    let mut targets = Vec::new();
    // All of them are under way: no one waits for another.
    for tried in tries.collect::<Vec<_>>() {
        targets.extend(tried.await.ok());
    }
    Ok(Json(NotifyTest { schema: schema_of("notify-test"), service, targets }))
}

fn deliveries(service: &Service) -> Result<Vec<Delivery>, ApiError> {
    let targets = service.spec.notify.iter();
    let deliveries = targets.filter_map(|t| delivery(service, &t.name, test_notice(service)));
    let deliveries: Vec<_> = deliveries.collect();
    if deliveries.is_empty() {
        let title = format!("{} tells nobody anything", service.name);
        let error = ApiError::new(StatusCode::CONFLICT, "refused", title);
        return Err(error.hint("add `notify` to its file; `serin docs` shows how"));
    }
    Ok(deliveries)
}

async fn tried(delivery: Delivery) -> NotifyTested {
    let target = delivery.target.name.clone();
    let on = delivery.target.on.iter().map(|one| one.as_str().to_owned()).collect();
    NotifyTested { target, on, failed: deliver(&delivery).await.err() }
}
