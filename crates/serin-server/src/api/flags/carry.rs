//! Flags explained, carried elsewhere and brought here.

use super::write::{Asked, is_told, named_strategy, wish_of};
use super::{Where, ask, key_of, unless_it_waits};
use crate::api::error::ApiError;
use crate::api::view::{Asking, FlagSchedule, FlagVerb, Imported, schema_of};
use crate::control::Handle;
use crate::flags::{Due, FlagError, Trigger, seconds};
use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use serin_flags::export::{Format, export as written};
use serin_flags::import::{flagd, growthbook, launchdarkly, mission, unleash};
use serin_flags::{Bucketing, Definition, Problem, SetDefinition, Shared, Timestamp};

/// Who asks for a flag.
#[derive(Debug, Deserialize)]
pub(in crate::api) struct ExplainRequest {
    #[serde(default)]
    context: Value,
}

/// `POST /api/v1/flags/{key}/explain`.
pub(in crate::api) async fn explain(
    State(handle): State<Handle>,
    Path(key): Path<String>,
    Query(place): Query<Where>,
    Json(request): Json<ExplainRequest>,
) -> Result<Json<Value>, ApiError> {
    let (key, set) = (key_of(&key)?, place.set());
    let context = if request.context.is_null() { json!({}) } else { request.context };
    let document = ask(&handle, move |core| {
        core.flags.flag(&set, key.as_str())?;
        let whole = core.flags.set(&set)?;
        let found = serin_flags::explain(&whole.definition, &key, &context, seconds());
        let found = found.map_err(FlagError::Invalid)?;
        let changed = whole.marks.get(&key).map(|mark| &mark.changed);
        let text = found.to_string();
        Ok(json!({ "schema": schema_of("flag-explain"), "explanation": found, "text": text,
                   "changed": changed }))
    });
    Ok(Json(document.await?))
}

/// In which format.
#[derive(Debug, Deserialize)]
pub(in crate::api) struct ExportQuery {
    #[serde(flatten)]
    place: Where,
    #[serde(default)]
    format: Option<Format>,
}

/// `GET /api/v1/flag-export`.
pub(in crate::api) async fn export(
    State(handle): State<Handle>,
    Query(query): Query<ExportQuery>,
) -> Result<Json<Value>, ApiError> {
    let (set, format) = (query.place.set(), query.format.unwrap_or(Format::Serin));
    let document = ask(&handle, move |core| {
        let found = written(&core.flags.set(&set)?.definition, format);
        let found = found.map_err(FlagError::Invalid)?;
        let told = |list: &[serin_flags::LeftOut]| -> Vec<Value> {
            list.iter().map(|one| json!({ "flag": one.flag, "why": one.reason })).collect()
        };
        Ok(json!({ "schema": schema_of("flag-export"), "set": set, "document": found.document,
                   "leftOut": told(&found.left_out), "notes": told(&found.notes) }))
    });
    Ok(Json(document.await?))
}

/// What is brought, and from where.
#[derive(Debug, Deserialize)]
pub(in crate::api) struct ImportRequest {
    #[serde(flatten)]
    asking: Asking,
    /// `serin`, `flagd`, `unleash`, `launchdarkly`, `growthbook`, `mission`.
    format: String,
    /// The document.
    text: String,
    /// The environment in the document, where it has several.
    #[serde(default)]
    environment: Option<String>,
    #[serde(default)]
    dry_run: bool,
}

/// `POST /api/v1/flag-import`: flags that are not there yet; those that are stay as they are.
pub(in crate::api) async fn import(
    State(handle): State<Handle>,
    Query(place): Query<Where>,
    Json(request): Json<ImportRequest>,
) -> Result<Json<Imported>, ApiError> {
    let set = place.set();
    let (found, notes) = read(&request, &set).map_err(FlagError::Invalid)?;
    let asked = Asked::of(&request.asking);
    let dry_run = request.dry_run;
    let imported = ask(&handle, move |core| {
        let known = &core.flags.set(&set)?.definition;
        let (kept, new): (Vec<_>, Vec<_>) =
            found.flags.keys().cloned().partition(|key| known.flags.contains_key(key));
        let segments =
            found.segments.iter().filter(|(name, _)| !known.segments.contains_key(*name));
        let mut head = SetDefinition { flags: Shared::default(), ..known.clone() };
        head.segments.extend(segments.map(|(name, one)| (name.clone(), one.clone())));
        if !dry_run {
            // A release under way elsewhere is none here.
            let all = new.iter().filter_map(|key| {
                let flag = Definition::clone(found.flags.get(key)?);
                Some((key.clone(), Definition { release: None, carried_by: None, ..flag }))
            });
            core.import_flags(head, all.collect(), asked.who())?;
        }
        let text = |keys: Vec<serin_flags::FlagKey>| keys.iter().map(ToString::to_string).collect();
        let imported = Imported {
            schema: schema_of("flag-import"),
            set,
            dry_run,
            new: text(new),
            kept: text(kept),
            notes: notes.iter().map(ToString::to_string).collect(),
        };
        Ok((imported, core.flags.revision()))
    });
    let (imported, revision) = imported.await?;
    if !dry_run {
        // As with a single change: what is answered holds for clients too.
        is_told(&handle, revision).await;
    }
    Ok(Json(imported))
}

fn read(request: &ImportRequest, set: &str) -> Result<(SetDefinition, Vec<Problem>), Vec<Problem>> {
    let text = request.text.as_bytes();
    let environment = request.environment.as_deref().unwrap_or(set);
    let found = match request.format.as_str() {
        "serin" => {
            let read = serde_json::from_slice::<SetDefinition>(text);
            let read = read.map_err(|error| vec![Problem::new("document", error.to_string())])?;
            let problems = serin_flags::validate(&read);
            return if problems.is_empty() { Ok((read, vec![])) } else { Err(problems) };
        }
        "flagd" => flagd(text, set, Bucketing::V3),
        "unleash" => unleash(text, set, environment),
        "launchdarkly" => launchdarkly(text, set, environment),
        "growthbook" => growthbook(text, set),
        "mission" => mission(text, set, serin_flags::import::Remainder::Refused),
        other => {
            let wrong = Problem::new("format", format!("`{other}` is not known"));
            let all = "serin, flagd, unleash, launchdarkly, growthbook, mission";
            return Err(vec![wrong.allowed(all)]);
        }
    }?;
    Ok((found.set, found.notes))
}

/// When something is done.
#[derive(Debug, Deserialize)]
pub(in crate::api) struct ScheduleRequest {
    #[serde(flatten)]
    verb: FlagVerb,
    /// What is done: `on`, `off`, `disable`, `archive` or `set` with a strategy.
    #[serde(rename = "do", default)]
    what: Option<String>,
    /// When.
    #[serde(default)]
    at: Option<Timestamp>,
    /// Percentages one after the other, from `at` on.
    #[serde(default)]
    ramp: Vec<f64>,
    /// Instead of a time: whenever a rollout of this service is taken back.
    #[serde(default, rename = "whenRolledBack")]
    when_rolled_back: Option<String>,
    /// Instead of a time: whenever this sets in.
    #[serde(default)]
    when: Option<Trigger>,
    /// Seconds between two of them.
    #[serde(default)]
    every: Option<u32>,
}

/// `POST /api/v1/flags/{key}/schedule`.
pub(in crate::api) async fn schedule(
    State(handle): State<Handle>,
    Path(key): Path<String>,
    Query(place): Query<Where>,
    Json(request): Json<ScheduleRequest>,
) -> Result<Response, ApiError> {
    let (key, set) = (key_of(&key)?, place.set());
    let asked = Asked::of(&request.verb.asking);
    let wishes = wishes(&request)?;
    let named = request.when_rolled_back.clone();
    let trigger = named.map(|service| Trigger::RolledBack { service }).or(request.when.clone());
    let start = request.at.unwrap_or_else(seconds);
    let every = i64::from(request.every.unwrap_or(86_400));
    let due = wishes.into_iter().zip(0..).map(|(wish, step)| Due {
        at: Timestamp(start.0.saturating_add(every.saturating_mul(step))),
        trigger: trigger.clone(),
        set: set.clone(),
        key: key.to_string(),
        wish,
        by: asked.who().by.to_owned(),
        reason: asked.who().reason.map(str::to_owned),
        approved: vec![],
        fired: None,
    });
    let due: Vec<_> = due.collect();
    let name = key.to_string();
    let waits = ask(&handle, move |core| {
        let planned = core.schedule_flag(due);
        unless_it_waits(core, planned)
    });
    if let Some(request) = waits.await? {
        return Ok((StatusCode::ACCEPTED, Json(request)).into_response());
    }
    Ok(scheduled(&handle, set, name).await?.into_response())
}

fn wishes(request: &ScheduleRequest) -> Result<Vec<crate::flags::Wish>, ApiError> {
    if request.ramp.is_empty() {
        let missing =
            || ApiError::invalid("nothing is said to be done").hint("say `do`, or `ramp`");
        let what = request.what.as_deref().ok_or_else(missing)?;
        return Ok(vec![wish_of(what, &request.verb)?]);
    }
    let step = |percent: &f64| {
        let verb = FlagVerb {
            strategy: Some("percentage".into()),
            value: Some((*percent).into()),
            ..FlagVerb::default()
        };
        named_strategy(&verb).map(crate::flags::Wish::Strategy)
    };
    request.ramp.iter().map(step).collect()
}

/// `GET /api/v1/flags/{key}/schedule`.
pub(in crate::api) async fn planned(
    State(handle): State<Handle>,
    Path(key): Path<String>,
    Query(place): Query<Where>,
) -> Result<Json<FlagSchedule>, ApiError> {
    scheduled(&handle, place.set(), key).await
}

/// `DELETE /api/v1/flags/{key}/schedule`.
pub(in crate::api) async fn unschedule(
    State(handle): State<Handle>,
    Path(key): Path<String>,
    Query(place): Query<Where>,
) -> Result<Json<FlagSchedule>, ApiError> {
    let (set, name) = (place.set(), key.clone());
    ask(&handle, move |core| core.unschedule_flag(&set, &name)).await?;
    scheduled(&handle, place.set(), key).await
}

async fn scheduled(
    handle: &Handle,
    set: String,
    key: String,
) -> Result<Json<FlagSchedule>, ApiError> {
    let found = ask(handle, move |core| {
        core.flags.flag(&set, &key)?;
        let mut due: Vec<Due> = core.flags.due_of(&set, &key).cloned().collect();
        due.sort_by_key(|one| one.at);
        Ok(FlagSchedule { schema: schema_of("flag-schedule"), set, key, due })
    });
    Ok(Json(found.await?))
}
