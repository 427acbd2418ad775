//! Values for one user: what web pages and apps ask.

use super::tagged;
use crate::body::Body;
use crate::clock::now_s;
use crate::etag;
use crate::routes::{Call, decoded, json, status};
use crate::set::Set;
use crate::tally::Protocol;
use bytes::Bytes;
use http::{Method, Response, StatusCode};
use serde_json::{Map, Value, json as object};
use serin_flags::{Context, FlagType, Resolution};
use std::sync::Arc;

/// `GET` or `POST /api/frontend`.
pub fn answer(call: &Call<'_>, set: Option<&Arc<Set>>, body: &Bytes) -> Response<Body> {
    let asked = call.parts.uri.query().unwrap_or_default();
    let attributes = match &call.parts.method {
        &Method::POST => serde_json::from_slice(body).ok().and_then(posted),
        _ => Some(queried(asked)),
    };
    let attributes = Value::Object(match attributes {
        Some(attributes) => attributes,
        None => return status(StatusCode::BAD_REQUEST),
    });
    let now_s = now_s();
    let tag = etag::of(set.map(Arc::as_ref), &[asked.as_bytes(), body], now_s, 0);
    if etag::matches(&call.parts.headers, &tag) {
        return tagged(status(StatusCode::NOT_MODIFIED), &tag);
    }
    let Ok(context) = Context::from_value(&attributes) else {
        return status(StatusCode::BAD_REQUEST);
    };
    let toggles: Vec<Value> = set.map(|set| toggles(set, &context, now_s)).unwrap_or_default();
    tagged(json(StatusCode::OK, object!({ "toggles": toggles }).to_string()), &tag)
}

/// The attributes in a query: `userId=1&properties[plan]=pro`.
fn queried(text: &str) -> Map<String, Value> {
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    let named = pairs.map(|(name, value)| {
        let name = decoded(name);
        let inner = name.strip_prefix("properties[").and_then(|rest| rest.strip_suffix(']'));
        (inner.map(str::to_owned).unwrap_or(name), Value::from(decoded(value)))
    });
    keyed(named.collect())
}

/// The attributes in a body: `{"context": {"userId": "1", "properties": {"plan": "pro"}}}`.
fn posted(mut body: Value) -> Option<Map<String, Value>> {
    let mut context = match body.get_mut("context").map(Value::take) {
        Some(Value::Object(context)) => context,
        None | Some(Value::Null) => Map::new(),
        Some(_) => return None,
    };
    if let Some(Value::Object(properties)) = context.remove("properties") {
        context.extend(properties);
    }
    Some(keyed(context))
}

/// Unleash names a user by id, or else a visit by its session.
fn keyed(mut attributes: Map<String, Value>) -> Map<String, Value> {
    let named = |name: &str| attributes.get(name).filter(|value| value.as_str() != Some(""));
    let key = named("targetingKey").or_else(|| named("userId")).or_else(|| named("sessionId"));
    if let Some(key) = key.cloned() {
        attributes.insert("targetingKey".to_owned(), key);
    }
    attributes
}

/// Only what is on: what is not named is off.
fn toggles(set: &Set, context: &Context<'_>, now_s: u64) -> Vec<Value> {
    let one = |place: usize| {
        let resolution = set.evaluate(place, context, now_s, Protocol::UnleashFrontend).ok()?;
        let flag = &set.flags.flags()[place];
        let variant = variant(&resolution, set.off_variant(flag.key()))?;
        Some(object!({
            "name": flag.key(), "enabled": true, "impressionData": false, "variant": variant
        }))
    };
    (0..set.flags.flags().len()).filter_map(one).collect()
}

/// The variant of a flag that is on; none: it is off.
fn variant(resolution: &Resolution<'_>, off: Option<&str>) -> Option<Value> {
    let (value, name) = (resolution.value?, resolution.variant?);
    let kind = match FlagType::of(value.value())? {
        FlagType::Boolean => {
            let none = object!({"name": "disabled", "enabled": false, "feature_enabled": true});
            return (value.as_bool() == Some(true)).then_some(none);
        }
        FlagType::String => "string",
        FlagType::Number => "number",
        FlagType::Object => "json",
    };
    if off == Some(name) {
        return None;
    }
    let text = value.as_str().unwrap_or(value.json());
    Some(object!({
        "name": name,
        "enabled": true,
        "feature_enabled": true,
        "payload": {"type": kind, "value": text},
    }))
}
