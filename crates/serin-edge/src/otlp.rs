//! OpenTelemetry: the events of clients that evaluate themselves (`feature_flag.evaluation`), as
//! log records or as events of spans, in protobuf or JSON. Everything else in them is skipped.

use crate::body::Body;
use crate::clock::now_s;
use crate::routes::{self, Call, denied, json, status, text};
use crate::set::Set;
use crate::tally::{Answer, Protocol};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use hyper::body::Incoming;
use prost::Message;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// Where log records are sent.
pub const LOGS: &str = "/v1/logs";
/// Where spans are sent.
pub const TRACES: &str = "/v1/traces";
/// The event's name.
const EVENT: &str = "feature_flag.evaluation";
/// Its name before the convention was settled.
const OLD_EVENT: &str = "feature_flag";

/// What lies around the records: a request has resources, these have scopes, these have records.
macro_rules! around {
    ($all:ident, $resource:ident, $scope:ident, $item:ident, $names:literal) => {
        #[derive(Clone, PartialEq, Message, Deserialize)]
        #[serde(default, rename_all = "camelCase")]
        struct $all {
            #[prost(message, repeated, tag = "1")]
            #[serde(alias = "resourceLogs", alias = "resourceSpans")]
            resources: Vec<$resource>,
        }

        #[derive(Clone, PartialEq, Message, Deserialize)]
        #[serde(default, rename_all = "camelCase")]
        struct $resource {
            #[prost(message, repeated, tag = "2")]
            #[serde(alias = "scopeLogs", alias = "scopeSpans")]
            scopes: Vec<$scope>,
        }

        #[derive(Clone, PartialEq, Message, Deserialize)]
        #[serde(default, rename_all = "camelCase")]
        struct $scope {
            #[prost(message, repeated, tag = "2")]
            #[serde(alias = $names)]
            items: Vec<$item>,
        }

        impl $all {
            fn items(self) -> impl Iterator<Item = $item> {
                let scopes = self.resources.into_iter().flat_map(|resource| resource.scopes);
                scopes.flat_map(|scope| scope.items)
            }
        }
    };
}

around!(Logs, ResourceLogs, ScopeLogs, Record, "logRecords");
around!(Traces, ResourceSpans, ScopeSpans, Span, "spans");

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Record {
    #[prost(message, repeated, tag = "6")]
    attributes: Vec<Attribute>,
    #[prost(string, tag = "12")]
    event_name: String,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Span {
    #[prost(message, repeated, tag = "11")]
    events: Vec<Event>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Event {
    #[prost(string, tag = "2")]
    name: String,
    #[prost(message, repeated, tag = "3")]
    attributes: Vec<Attribute>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Attribute {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(message, optional, tag = "2")]
    value: Option<Text>,
}

/// A value, as far as it is text or a truth value.
#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Text {
    #[prost(string, optional, tag = "1")]
    string_value: Option<String>,
    #[prost(bool, optional, tag = "2")]
    bool_value: Option<bool>,
}

/// How a request is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Json,
    Protobuf,
}

/// Takes records or spans.
pub async fn answer(call: Call<'_>, body: Incoming) -> Response<Body> {
    if let Err(why) = call.grant.backend() {
        return denied(why);
    }
    let Some(form) = form(&call.parts.headers) else {
        let what = "send protobuf or JSON, without compression\n";
        return text(StatusCode::UNSUPPORTED_MEDIA_TYPE, what);
    };
    let body = match routes::read(body).await {
        Ok(body) => body,
        Err(code) => return status(code),
    };
    let events =
        if call.parts.uri.path() == LOGS { logs(&body, form) } else { traces(&body, form) };
    let Some(events) = events else { return status(StatusCode::BAD_REQUEST) };
    for attributes in events {
        count(&call, &attributes);
    }
    taken(form)
}

fn form(headers: &HeaderMap) -> Option<Form> {
    let plain = headers.get(header::CONTENT_ENCODING).is_none_or(|coding| coding == "identity");
    let kind = headers.get(header::CONTENT_TYPE).filter(|_| plain)?.to_str().ok()?;
    match kind.split(';').next().map(str::trim) {
        Some("application/json") => Some(Form::Json),
        Some("application/x-protobuf") => Some(Form::Protobuf),
        _ => None,
    }
}

/// "All of it was taken."
fn taken(form: Form) -> Response<Body> {
    if form == Form::Json {
        return json(StatusCode::OK, "{}");
    }
    let mut response = status(StatusCode::OK);
    let kind = HeaderValue::from_static("application/x-protobuf");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

fn read<M: Message + Default + DeserializeOwned>(body: &Bytes, form: Form) -> Option<M> {
    match form {
        Form::Json => serde_json::from_slice(body).ok(),
        Form::Protobuf => M::decode(&body[..]).ok(),
    }
}

fn logs(body: &Bytes, form: Form) -> Option<Vec<Vec<Attribute>>> {
    let is_one = |record: &Record| {
        is_event(&record.event_name) || find(&record.attributes, "event.name").is_some_and(is_event)
    };
    let records = read::<Logs>(body, form)?.items().filter(is_one);
    Some(records.map(|record| record.attributes).collect())
}

fn traces(body: &Bytes, form: Form) -> Option<Vec<Vec<Attribute>>> {
    let events = read::<Traces>(body, form)?.items().flat_map(|span| span.events);
    Some(events.filter(|event| is_event(&event.name)).map(|event| event.attributes).collect())
}

fn is_event(name: &str) -> bool {
    matches!(name, EVENT | OLD_EVENT)
}

fn find<'a>(attributes: &'a [Attribute], key: &str) -> Option<&'a str> {
    let value = attributes.iter().find(|attribute| attribute.key == key)?.value.as_ref()?;
    match value.bool_value {
        Some(true) => Some("true"),
        Some(false) => Some("false"),
        None => value.string_value.as_deref(),
    }
}

fn count(call: &Call<'_>, attributes: &[Attribute]) {
    let get = |key: &str| find(attributes, key);
    let Some(flag) = get("feature_flag.key") else { return };
    // A report about a set that the token is not for is nobody's.
    let Ok(set) = call.set(get("feature_flag.set.id")) else { return };
    let name = set.map_or("", |set| set.name());
    let tally = &call.worker.edge.tally;
    if !set.is_some_and(|set| has(set, flag)) {
        return tally.unknown(name, flag, 1);
    }
    let variant = get("feature_flag.result.variant").or_else(|| get("feature_flag.variant"));
    let user = get("feature_flag.context.id");
    if let Some(((user, variant), set)) = user.zip(variant).zip(set) {
        call.worker.edge.reported(set, flag, user, variant, now_s());
    }
    let error = get("error.type");
    let reason = error.or_else(|| get("feature_flag.result.reason")).unwrap_or("unknown");
    let result = match (error, get("feature_flag.result.value"), variant) {
        (Some(_), ..) => "error",
        (None, Some(value @ ("true" | "false")), _) => value,
        (None, _, variant) => variant.unwrap_or("default"),
    };
    let answer = Answer {
        set: name.to_owned(),
        flag: flag.to_owned(),
        variant: variant.unwrap_or_default().to_owned(),
        reason: reason.to_ascii_uppercase(),
        protocol: Protocol::Otlp,
        result: result.to_owned(),
        strategy: String::new(),
    };
    tally.report(answer, 1);
}

fn has(set: &Set, flag: &str) -> bool {
    set.place(flag).is_some()
}

#[cfg(test)]
mod tests;
