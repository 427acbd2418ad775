//! Changing flags.

use super::{Where, ask, key_of, tagged, unchanged, unless_it_waits, wanted, whole_view};
use crate::api::error::ApiError;
use crate::api::view::{
    Asking, FlagPatch, FlagPut, FlagRequest, FlagSetPatch, FlagSets, FlagVerb, FlagView,
};
use crate::api::write::actor;
use crate::control::{Core, Handle};
use crate::flags::{
    Act, FlagError, Refused, Strategy, Used, Who, Wish, admitted, apply, beside_release,
    gives_somebody, past, restored, seconds,
};
use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Map, Value};
use serin_edge::Revision;
use serin_flags::{Definition, FlagKey, Kind, SetDefinition, Shared};
use std::time::Duration;
use tokio::time::timeout;

/// Longest wait for the data plane to say that it has a change on its disk and has told clients.
pub(super) const TOLD: Duration = Duration::from_secs(5);

/// Days after which a flag nobody asked for may be put away.
const STILL_ASKED: u32 = 14;

/// Longest reason that is kept, in characters.
const REASON_MAX: usize = 1_000;

/// Who asks and why, kept while the owner is asked.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    by: String,
    reason: Option<String>,
}

impl Asked {
    pub(super) fn of(asking: &Asking) -> Self {
        let reason = asking.reason.as_deref().map(str::trim).filter(|text| !text.is_empty());
        let reason = reason.map(|text| text.chars().take(REASON_MAX).collect());
        Self { by: actor(asking.actor.as_deref()).0, reason }
    }

    pub(super) fn who(&self) -> Who<'_> {
        Who { by: &self.by, reason: self.reason.as_deref(), at: seconds() }
    }
}

/// `PUT /api/v1/flags/{key}`.
pub(in crate::api) async fn put(
    State(handle): State<Handle>,
    Path(key): Path<String>,
    Query(place): Query<Where>,
    headers: HeaderMap,
    Json(request): Json<FlagPut>,
) -> Result<Response, ApiError> {
    let (key, meant) = (key_of(&key)?, wanted(&headers)?);
    let asked = Asked::of(&request.asking);
    let definition = request.definition;
    change(&handle, place.set(), key, move |core, set, key| {
        unchanged(core, set, key, meant)?;
        write(core, set, key, asked.who(), definition)
    })
    .await
}

/// `PATCH /api/v1/flags/{key}`.
pub(in crate::api) async fn patch(
    State(handle): State<Handle>,
    Path(key): Path<String>,
    Query(place): Query<Where>,
    headers: HeaderMap,
    Json(request): Json<FlagPatch>,
) -> Result<Response, ApiError> {
    let (key, meant) = (key_of(&key)?, wanted(&headers)?);
    let asked = Asked::of(&request.asking);
    let strategies = request.strategies.iter().cloned().map(strategy_of);
    let strategies = strategies.collect::<Result<Vec<_>, _>>()?;
    change(&handle, place.set(), key, move |core, set, key| {
        unchanged(core, set, key, meant)?;
        let known = core.flags.set(set)?.flag(key.as_str()).map(|(_, flag, _)| flag.clone());
        let base = known.or_else(|| request.create.then(|| Definition::boolean(Kind::Release, "")));
        let Some(base) = base else {
            return core.flags.flag(set, key.as_str()).map(drop);
        };
        let next = patched(&base, request.patch, &strategies)?;
        write(core, set, key, asked.who(), next)
    })
    .await
}

fn patched(
    base: &Definition,
    patch: Map<String, Value>,
    strategies: &[Strategy],
) -> Result<Definition, FlagError> {
    let mut whole = serde_json::to_value(base).map_err(|error| unreadable(&error))?;
    merge(&mut whole, Value::Object(patch));
    let mut next = serde_json::from_value(whole).map_err(|error| unreadable(&error))?;
    strategies.iter().try_for_each(|one| apply(&mut next, one))?;
    Ok(next)
}

fn unreadable(error: &serde_json::Error) -> FlagError {
    FlagError::Unreadable(format!("that is no flag: {error}"))
}

/// A merge patch, RFC 7396.
fn merge(whole: &mut Value, patch: Value) {
    match (whole, patch) {
        (Value::Object(whole), Value::Object(patch)) => {
            for (name, value) in patch {
                if value.is_null() {
                    whole.remove(&name);
                } else {
                    merge(whole.entry(name).or_insert(Value::Null), value);
                }
            }
        }
        (whole, patch @ Value::Object(_)) => {
            *whole = Value::Object(Map::new());
            merge(whole, patch);
        }
        (whole, patch) => *whole = patch,
    }
}

/// Makes a flag so. What only verbs may change stays as it is: that it was killed, when it was made,
/// and how far its release is.
fn write(
    core: &mut Core,
    set: &str,
    key: &FlagKey,
    who: Who<'_>,
    mut next: Definition,
) -> Result<(), FlagError> {
    let before = core.flags.set(set)?.flag(key.as_str()).map(|(_, flag, _)| flag.clone());
    if let Some(before) = &before {
        next.killed.clone_from(&before.killed);
        next.created_at = before.created_at;
        next.archived_at = before.archived_at;
    } else {
        admitted(&next)?;
        (next.killed, next.archived_at) = (None, None);
        next.created_at = Some(who.at);
    }
    beside_release(before.as_ref(), &mut next)?;
    if before.as_ref() == Some(&next) {
        return Ok(());
    }
    if !before.as_ref().is_some_and(gives_somebody) {
        core.refuse_without_code(&next)?;
    }
    let verb = if before.is_some() { "set" } else { "create" };
    core.change_flag(Act { set, key, who, verb }, Some(next)).map(drop)
}

/// `POST /api/v1/flags/{key}:{verb}`.
pub(in crate::api) async fn verb(
    State(handle): State<Handle>,
    Path(target): Path<String>,
    Query(place): Query<Where>,
    headers: HeaderMap,
    Json(request): Json<FlagVerb>,
) -> Result<Response, ApiError> {
    // A key may have colons itself.
    let Some((key, verb)) = target.rsplit_once(':') else {
        return Err(ApiError::invalid("a verb is missing: POST to `{key}:{verb}`"));
    };
    let (key, meant, verb) = (key_of(key)?, wanted(&headers)?, verb.to_owned());
    let asked = Asked::of(&request.asking);
    if verb == "restore" {
        return restore(&handle, place.set(), key, asked, (request.to, meant)).await;
    }
    let wish = wish_of(&verb, &request)?;
    let force = request.force;
    change(&handle, place.set(), key, move |core, set, key| {
        unchanged(core, set, key, meant)?;
        if wish == Wish::Archive && !force {
            unasked(core, set, key)?;
        }
        core.wish_flag(set, key.as_str(), &wish, asked.who()).map(drop)
    })
    .await
}

pub(super) fn wish_of(verb: &str, request: &FlagVerb) -> Result<Wish, ApiError> {
    Ok(match verb {
        "on" => Wish::On,
        "off" => Wish::Off,
        "disable" => Wish::Disable,
        "kill" => Wish::Kill,
        "archive" => Wish::Archive,
        "unarchive" => Wish::Unarchive,
        "set" => Wish::Strategy(named_strategy(request)?),
        other => {
            let title = format!("there is no verb `{other}`");
            let hint = "verbs: on, off, disable, kill, set, restore, archive, unarchive";
            return Err(ApiError::new(StatusCode::NOT_FOUND, "unknown-verb", title).hint(hint));
        }
    })
}

/// The strategy that a verb names.
pub(super) fn named_strategy(request: &FlagVerb) -> Result<Strategy, ApiError> {
    let strategy = request.strategy.clone().map(|name| ("strategy".to_owned(), name.into()));
    let value = request.value.clone().map(|value| ("value".to_owned(), value));
    strategy_of(Value::Object(strategy.into_iter().chain(value).collect()))
}

/// A strategy as it is sent; its name in either case.
fn strategy_of(mut sent: Value) -> Result<Strategy, ApiError> {
    if let Some(whole) = sent.as_object_mut() {
        let name = whole.get("strategy").and_then(Value::as_str).map(str::to_lowercase);
        // These take no value; one that is sent all the same says nothing.
        if matches!(name.as_deref(), Some("all" | "none")) {
            whole.remove("value");
        }
        whole.extend(name.map(|name| ("strategy".to_owned(), name.into())));
    }
    serde_json::from_value(sent).map_err(|error| {
        let hint = "send {\"strategy\":\"percentage\",\"value\":5}; strategies: all, none, \
                    percentage, user_list, attribute, variants";
        ApiError::invalid(format!("that is no strategy: {error}")).hint(hint)
    })
}

/// Refuses to put away what clients asked for lately: they would get an error.
fn unasked(core: &Core, set: &str, key: &FlagKey) -> Result<(), FlagError> {
    let last = core.flags.uses.of_flag(set, key.as_str()).and_then(Used::last);
    match last.filter(|last| last.plus_days(STILL_ASKED) > seconds()) {
        None => Ok(()),
        Some(last) => {
            let why = format!("clients asked for `{key}` at {last}, and would get an error");
            Err(Refused::new(why, "take it out of their code first, or add `--force`").into())
        }
    }
}

/// Makes a flag what it was after an earlier change, also one that is gone.
async fn restore(
    handle: &Handle,
    set: String,
    key: FlagKey,
    asked: Asked,
    (to, meant): (Option<u64>, Option<u64>),
) -> Result<Response, ApiError> {
    let Some(n) = to else {
        let missing = ApiError::invalid("no change is named");
        return Err(missing.hint("say to which: `serin flag history KEY` has the numbers"));
    };
    change(handle, set, key, move |core, set, key| {
        unchanged(core, set, key, meant)?;
        let line = core.executor.store().flag_change(n)?;
        let line = line.filter(|line| line.set == set && line.key == key.as_str());
        let then = line.as_ref().and_then(past).and_then(|past| past.after);
        let Some(then) = then else {
            let why = format!("after change {n} there was no flag `{key}` in {set}");
            return Err(Refused::new(why, "`serin flag history KEY` has the numbers").into());
        };
        let now = core.flags.set(set)?.flag(key.as_str()).map(|(_, flag, _)| flag);
        if now.is_some_and(|now| now.archived_at.is_some()) {
            let hint = "take it back first: `serin flag archive KEY --undo`";
            return Err(Refused::new("the flag is archived", hint).into());
        }
        let mut next = restored(now, &then);
        beside_release(now, &mut next)?;
        let act = Act { set, key, who: asked.who(), verb: "restore" };
        core.change_flag(act, Some(next)).map(drop)
    })
    .await
}

/// `DELETE /api/v1/flags/{key}`: only what was archived before.
pub(in crate::api) async fn delete(
    State(handle): State<Handle>,
    Path(key): Path<String>,
    Query(place): Query<Where>,
    Query(asking): Query<Asking>,
) -> Result<StatusCode, ApiError> {
    let (key, asked, set) = (key_of(&key)?, Asked::of(&asking), place.set());
    let gone = ask(&handle, move |core| {
        let (_, flag, _) = core.flags.flag(&set, key.as_str())?;
        if flag.archived_at.is_none() {
            let hint = "archive it first: `serin flag archive KEY`";
            return Err(Refused::new(format!("`{key}` is served"), hint).into());
        }
        let act = Act { set: &set, key: &key, who: asked.who(), verb: "delete" };
        core.change_flag(act, None).map(drop)
    });
    gone.await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /api/flags/{key}`: the words of a pipeline.
pub(in crate::api) async fn strategy(
    State(handle): State<Handle>,
    Path(key): Path<String>,
    Query(place): Query<Where>,
    headers: HeaderMap,
    Json(request): Json<FlagVerb>,
) -> Result<Response, ApiError> {
    let (key, meant) = (key_of(&key)?, wanted(&headers)?);
    let asked = Asked::of(&request.asking);
    let wish = Wish::Strategy(named_strategy(&request)?);
    change(&handle, place.set(), key, move |core, set, key| {
        unchanged(core, set, key, meant)?;
        core.wish_flag(set, key.as_str(), &wish, asked.who()).map(drop)
    })
    .await
}

/// `PUT /api/v1/flag-sets/{name}`: a new, empty set.
pub(in crate::api) async fn create_set(
    State(handle): State<Handle>,
    Path(name): Path<String>,
    Json(asking): Json<Asking>,
) -> Result<Json<FlagSets>, ApiError> {
    let asked = Asked::of(&asking);
    ask(&handle, move |core| core.create_set(&name, asked.who())).await?;
    super::sets(State(handle)).await
}

/// `PATCH /api/v1/flag-sets/{name}`: what of a set is different from now on beside its flags:
/// segments, bucketing, metadata, whether every context must name a user.
pub(in crate::api) async fn patch_set(
    State(handle): State<Handle>,
    Path(name): Path<String>,
    Json(request): Json<FlagSetPatch>,
) -> Result<Response, ApiError> {
    let asked = Asked::of(&request.asking);
    let done = ask(&handle, move |core| {
        let mut whole = serde_json::to_value(head(core, &name)?).map_err(|e| unreadable(&e))?;
        merge(&mut whole, Value::Object(request.patch));
        let next: SetDefinition = serde_json::from_value(whole).map_err(|e| unreadable(&e))?;
        if next.name != name || !next.flags.is_empty() {
            let why = "a set keeps its name, and flags are changed one by one";
            return Err(FlagError::Unreadable(why.into()));
        }
        let done = core.change_set(next.clone(), asked.who(), "set");
        Ok((next, unless_it_waits(core, done)?))
    });
    Ok(match done.await? {
        (_, Some(request)) => (StatusCode::ACCEPTED, Json(request)).into_response(),
        (head, None) => Json(head).into_response(),
    })
}

/// `GET /api/v1/flag-sets/{name}`: a set without its flags.
pub(in crate::api) async fn get_set(
    State(handle): State<Handle>,
    Path(name): Path<String>,
) -> Result<Json<SetDefinition>, ApiError> {
    Ok(Json(ask(&handle, move |core| head(core, &name)).await?))
}

fn head(core: &Core, name: &str) -> Result<SetDefinition, FlagError> {
    let set = &core.flags.set(name)?.definition;
    Ok(SetDefinition { flags: Shared::default(), ..set.clone() })
}

/// `DELETE /api/v1/flag-sets/{name}`: a set without flags that are served.
pub(in crate::api) async fn drop_set(
    State(handle): State<Handle>,
    Path(name): Path<String>,
) -> Result<Json<FlagSets>, ApiError> {
    ask(&handle, move |core| core.drop_set(&name)).await?;
    super::sets(State(handle)).await
}

/// Waits a while for the data plane to have everything up to a change; whether it has.
pub(super) async fn is_told(handle: &Handle, revision: Revision) -> bool {
    let mut told = handle.told();
    let has = timeout(TOLD, told.wait_for(|told| told.has(revision)));
    matches!(has.await, Ok(Ok(_)))
}

/// What became of a wish.
enum Done {
    /// The flag is so.
    Changed(Box<FlagView>, Revision),
    /// Others must agree first.
    Waits(Box<FlagRequest>),
}

/// Changes a flag and shows it as it is then; what others must agree to is shown as such.
async fn change(
    handle: &Handle,
    set: String,
    key: FlagKey,
    edit: impl FnOnce(&mut Core, &str, &FlagKey) -> Result<(), FlagError> + Send + 'static,
) -> Result<Response, ApiError> {
    let done = ask(handle, move |core| -> Result<Done, FlagError> {
        let done = edit(core, &set, &key);
        if let Some(request) = unless_it_waits(core, done)? {
            return Ok(Done::Waits(Box::new(request)));
        }
        let view = Box::new(whole_view(core, &set, key.as_str())?);
        Ok(Done::Changed(view, core.flags.revision()))
    });
    let (mut view, revision) = match done.await? {
        Done::Changed(view, revision) => (*view, revision),
        Done::Waits(request) => return Ok((StatusCode::ACCEPTED, Json(request)).into_response()),
    };
    view.pushed = is_told(handle, revision).await;
    let said = handle.told().borrow().trouble.clone();
    view.trouble = said.or(view.trouble);
    Ok(tagged(view))
}
