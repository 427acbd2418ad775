//! Looking at flags.

use super::{Where, ask, tagged, view, whole_view};
use crate::api::error::ApiError;
use crate::api::view::{FlagHistory, FlagList, FlagPast, FlagSetRow, FlagSets, schema_of};
use crate::control::{Core, Handle};
use crate::flags::{FlagError, past, words};
use axum::Json;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use serde::Deserialize;
use serin_store::FlagChange;

/// Changes in one answer, at most.
const PAGE: u32 = 200;

/// Which flags are wanted.
#[derive(Debug, Deserialize)]
pub(in crate::api) struct Wanted {
    #[serde(flatten)]
    place: Where,
    #[serde(default)]
    archived: bool,
}

/// `GET /api/v1/flags`.
pub(in crate::api) async fn flags(
    State(handle): State<Handle>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<FlagList>, ApiError> {
    let set = wanted.place.set();
    let list = ask(&handle, move |core| {
        let flags = &core.flags.set(&set)?.definition.flags;
        let listed = flags.iter().filter(|(_, flag)| wanted.archived || flag.archived_at.is_none());
        let views = listed.map(|(key, _)| view(core, &set, key.as_str()));
        let mut flags = views.collect::<Result<Vec<_>, FlagError>>()?;
        // What somebody may need in a hurry comes first.
        flags.sort_by_key(|flag| !flag.pinned);
        let trouble = core.flags.trouble();
        Ok(FlagList { schema: schema_of("flags"), set, n: core.flags.n(), trouble, flags })
    });
    Ok(Json(list.await?))
}

/// `GET /api/v1/flags/{key}`.
pub(in crate::api) async fn flag(
    State(handle): State<Handle>,
    Path(key): Path<String>,
    Query(place): Query<Where>,
) -> Result<Response, ApiError> {
    Ok(tagged(ask(&handle, move |core| whole_view(core, &place.set(), &key)).await?))
}

/// Which page of a history.
#[derive(Debug, Deserialize)]
pub(in crate::api) struct Page {
    #[serde(flatten)]
    place: Where,
    #[serde(default)]
    before: Option<String>,
}

impl Page {
    fn before(&self) -> Result<u64, FlagError> {
        let Some(text) = &self.before else { return Ok(u64::MAX) };
        text.parse().map_err(|_| FlagError::Unreadable(format!("`{text}` is no change's number")))
    }
}

/// `GET /api/v1/flags/{key}/history`.
pub(in crate::api) async fn history(
    State(handle): State<Handle>,
    Path(key): Path<String>,
    Query(page): Query<Page>,
) -> Result<Json<FlagHistory>, ApiError> {
    let history = ask(&handle, move |core| {
        let found = changes(core, Some(&key), &page)?;
        if found.changes.is_empty() && page.before.is_none() {
            // Of a flag that never was, say what is near.
            core.flags.flag(&page.place.set(), &key)?;
        }
        Ok(found)
    });
    Ok(Json(history.await?))
}

/// `GET /api/v1/flag-history`: of all flags of a set.
pub(in crate::api) async fn set_history(
    State(handle): State<Handle>,
    Query(page): Query<Page>,
) -> Result<Json<FlagHistory>, ApiError> {
    Ok(Json(ask(&handle, move |core| changes(core, None, &page)).await?))
}

fn changes(core: &Core, key: Option<&str>, page: &Page) -> Result<FlagHistory, FlagError> {
    let set = page.place.set();
    core.flags.set(&set)?;
    let found = core.executor.store().flag_history(&set, key, page.before()?, PAGE)?;
    let next = if found.len() == PAGE as usize { found.last().map(|one| one.n) } else { None };
    let changes = found.iter().filter_map(line).collect();
    Ok(FlagHistory { schema: schema_of("flag-history"), set, changes, next })
}

fn line(change: &FlagChange) -> Option<FlagPast> {
    let past = past(change)?;
    Some(FlagPast {
        key: change.key.clone(),
        serving: past.after.as_ref().map(words::serving),
        stamp: past.stamp,
        before: past.before,
        after: past.after,
    })
}

/// `GET /api/v1/flag-sets`.
pub(in crate::api) async fn sets(State(handle): State<Handle>) -> Result<Json<FlagSets>, ApiError> {
    let sets = ask(&handle, |core| {
        let row = |set: &crate::flags::Set| FlagSetRow {
            name: set.definition.name.clone(),
            flags: set.definition.flags.values().filter(|f| f.archived_at.is_none()).count(),
            changed: set.changed.clone(),
        };
        Ok(core.flags.sets().map(row).collect())
    });
    Ok(Json(FlagSets { schema: schema_of("flag-sets"), sets: sets.await? }))
}
