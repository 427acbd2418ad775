//! The API of feature flags.

mod carry;
mod read;
mod requests;
mod stale;
mod tokens;
mod write;

pub(super) use carry::{explain, export, import, planned, schedule, unschedule};
pub(super) use read::{flag, flags, history, set_history, sets};
pub(super) use requests::{answer, breaker, request, requests, retire, retirement};
pub(super) use stale::stale;
pub(super) use tokens::{create_token, drop_token, tokens};
pub(super) use write::{
    create_set, delete, drop_set, get_set, patch, patch_set, put, strategy, verb,
};

use super::error::ApiError;
use crate::api::view::{FlagRequest, FlagView, schema_of};
use crate::control::{Core, Handle};
use crate::flags::{self, FIRST, FlagError, words};
use axum::Json;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serin_flags::{Definition, FlagKey, SetDefinition};

/// Which set is meant.
#[derive(Debug, Deserialize)]
pub(super) struct Where {
    #[serde(alias = "environment")]
    set: Option<String>,
}

impl Where {
    fn set(&self) -> String {
        self.set.clone().unwrap_or_else(|| FIRST.to_owned())
    }
}

/// A flag's key as a path gives it.
fn key_of(text: &str) -> Result<FlagKey, FlagError> {
    text.parse().map_err(|why: serin_flags::KeyError| FlagError::Unreadable(why.to_string()))
}

/// The view of one flag that is there.
fn view(core: &Core, set: &str, key: &str) -> Result<FlagView, FlagError> {
    let (key, flag, mark) = core.flags.flag(set, key)?;
    let mut notes = words::notes(flag, mark, flags::seconds());
    notes.extend(under_way(core, set, key.as_str()));
    Ok(FlagView {
        schema: schema_of("flag"),
        set: set.to_owned(),
        key: key.to_string(),
        state: words::state(flag).into(),
        serving: words::serving(flag),
        percent: percent(flag),
        pinned: words::is_pinned(flag),
        notes,
        definition: flag.clone(),
        changed: mark.changed.clone(),
        constant: mark.constant.clone(),
        used: core.flags.uses.of_flag(set, key.as_str()).cloned(),
        pushed: core.flags.is_pushed(mark.changed.n),
        trouble: core.flags.trouble(),
    })
}

/// What waits for people.
fn under_way(core: &Core, set: &str, key: &str) -> Vec<String> {
    let pending = core.flags.requests(set, Some(key)).filter(|request| request.is_pending());
    let pending = pending.map(|one| {
        format!("request {} by {} waits for approval: `serin flag pending`", one.id, one.by)
    });
    let retiring = core.flags.retirement(set, key).map(|one| {
        let waits = core.flags.retirement_waits(set, key);
        let why = waits.first().map(|why| format!(" ({why})")).unwrap_or_default();
        format!("being retired; next: {}{why}", one.next())
    });
    pending.chain(retiring).collect()
}

/// The view of one flag, also with which clients do not get it: they know flags by other rules.
fn whole_view(core: &Core, set: &str, key: &str) -> Result<FlagView, FlagError> {
    let mut whole = view(core, set, key)?;
    let (key, _, _) = core.flags.flag(set, key)?;
    whole.notes.extend(unseen(&core.flags.set(set)?.definition, key));
    Ok(whole)
}

/// Which clients that evaluate flags themselves do not get this one, and why.
fn unseen(set: &SetDefinition, key: &FlagKey) -> Vec<String> {
    let of_flagd = serin_flags::not_portable(set, key).map(|why| ("flagd in-process", why));
    let of_unleash = serin_flags::unleash::not_representable(set, key);
    let of_unleash = of_unleash.map(|why| ("Unleash", why));
    let said = |(who, why)| format!("clients of {who} do not get it: {why}");
    of_flagd.into_iter().chain(of_unleash).map(said).collect()
}

/// The share of users that get the on variant, where lists and rules do not matter.
fn percent(flag: &Definition) -> Option<f64> {
    let whole = flags::one_for_all(flag);
    match whole {
        Some(served) => {
            let on = served.variant().is_some() && served.variant() == flags::on_variant(flag);
            Some(if on { 100.0 } else { 0.0 })
        }
        None if flag.raw.is_some() => None,
        None => flags::percent(flag),
    }
}

/// A view with its ETag.
fn tagged(view: FlagView) -> Response {
    let tag = HeaderValue::from_str(&format!("\"{}\"", view.changed.n));
    let mut response = Json(view).into_response();
    if let Ok(tag) = tag {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

/// The change a request is meant for, as `If-Match` says; none when it does not, or says `*`.
fn wanted(headers: &HeaderMap) -> Result<Option<u64>, FlagError> {
    let Some(value) = headers.get(header::IF_MATCH) else { return Ok(None) };
    let text = value.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(None);
    }
    let number = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    number.and_then(|n| n.parse().ok()).map(Some).ok_or_else(|| {
        FlagError::Unreadable("If-Match is no ETag of a flag: send it as it came".into())
    })
}

/// Refuses what was meant for another state of the flag.
fn unchanged(core: &Core, set: &str, key: &FlagKey, wanted: Option<u64>) -> Result<(), FlagError> {
    let Some(wanted) = wanted else { return Ok(()) };
    let have = core.flags.set(set)?.flag(key.as_str()).map_or(0, |(.., mark)| mark.changed.n);
    if have == wanted { Ok(()) } else { Err(FlagError::Changed { wanted, have }) }
}

/// What was done; a change that others must agree to as the request that it is.
fn unless_it_waits<T>(
    core: &Core,
    done: Result<T, FlagError>,
) -> Result<Option<FlagRequest>, FlagError> {
    match done {
        Ok(_) => Ok(None),
        Err(FlagError::Waits(id)) => core.flags.request_view(id).map(Some),
        Err(error) => Err(error),
    }
}

/// Asks the owner something about flags.
async fn ask<T: Send + 'static>(
    handle: &Handle,
    question: impl FnOnce(&mut Core) -> Result<T, FlagError> + Send + 'static,
) -> Result<T, ApiError> {
    let answer = handle.ask(question).await.ok_or_else(ApiError::ending)?;
    Ok(answer?)
}
