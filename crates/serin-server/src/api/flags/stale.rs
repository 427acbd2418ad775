//! Which flags have had their time.

use super::{Where, ask};
use crate::api::error::ApiError;
use crate::api::view::{StaleFlag, StaleReport, StaleRequest, UnknownKey, schema_of};
use crate::control::{Core, Handle};
use crate::flags::stale::{Known, look};
use crate::flags::{self, FlagError, Mark};
use axum::Json;
use axum::extract::{Query, State};
use serin_flags::{Definition, FlagKey, Timestamp};
use std::sync::Arc;

/// Days that are a while, unless said.
const DAYS: u32 = 14;

/// `POST /api/v1/flag-stale`: with what the code mentions, if somebody looked.
pub(in crate::api) async fn stale(
    State(handle): State<Handle>,
    Query(place): Query<Where>,
    Json(request): Json<StaleRequest>,
) -> Result<Json<StaleReport>, ApiError> {
    Ok(Json(ask(&handle, move |core| report(core, &place.set(), &request)).await?))
}

fn report(core: &Core, name: &str, request: &StaleRequest) -> Result<StaleReport, FlagError> {
    let set = core.flags.set(name)?;
    let now = flags::seconds();
    let one = |(key, flag): (&FlagKey, &Arc<Definition>)| {
        let mark = set.marks.get(key)?;
        Some(row(core, name, (key, flag, mark), request, now))
    };
    let live = set.definition.flags.iter().filter(|(_, flag)| flag.archived_at.is_none());
    let all: Vec<StaleFlag> = live.clone().filter_map(one).collect();
    let passing = live.filter(|(_, flag)| flag.kind.lifetime_days().is_some());
    let varied = passing.clone().filter(|(_, flag)| flags::one_for_all(flag).is_none());
    let unknown = core.flags.uses.unknown.iter().filter(|((set, _), _)| set == name);
    let unknown = unknown.map(|((_, key), count)| UnknownKey { key: key.clone(), count: *count });
    Ok(StaleReport {
        schema: schema_of("flag-stale"),
        set: name.to_owned(),
        days: request.days.unwrap_or(DAYS),
        temporary: passing.count(),
        varied: varied.count(),
        flags: all.into_iter().filter(|flag| !flag.found.verdicts.is_empty()).collect(),
        unknown: unknown.collect(),
    })
}

fn row(
    core: &Core,
    set: &str,
    (key, flag, mark): (&FlagKey, &Definition, &Mark),
    request: &StaleRequest,
    now: Timestamp,
) -> StaleFlag {
    let used = core.flags.uses.of_flag(set, key.as_str());
    let counted = request.references.as_ref();
    let references = counted.map(|all| all.get(key.as_str()).copied().unwrap_or(0));
    let days = request.days.unwrap_or(DAYS);
    StaleFlag {
        key: key.to_string(),
        owner: flag.owner.clone(),
        found: look(flag, Known { mark, used, references, now, days }),
        constant: mark.constant.clone(),
        used: used.cloned(),
        references,
    }
}
