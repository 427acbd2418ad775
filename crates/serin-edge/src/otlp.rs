//! OpenTelemetry: the events of clients that evaluate themselves (`feature_flag.evaluation`), as
//! log records or as events of spans, in protobuf or JSON. Everything else in them is skipped.
//!
//! How the span ended within which a flag was evaluated is what became of the user: an outcome.

mod spans;
mod wire;

pub use spans::Spans;

use crate::body::Body;
use crate::clock::{now_ms, now_s};
use crate::outcome::{Ended, Said};
use crate::routes::{self, Call, denied, json, status, text};
use crate::set::Set;
use crate::tally::{Answer, Protocol};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use hyper::body::Incoming;
use prost::Message;
use serde::de::DeserializeOwned;
use serin_flags::Context;
use spans::{Ending, Evaluated, SpanId};
use wire::{Attribute, ERROR, Logs, Span, Traces};

/// Where log records are sent.
pub const LOGS: &str = "/v1/logs";
/// Where spans are sent.
pub const TRACES: &str = "/v1/traces";
/// The event's name.
const EVENT: &str = "feature_flag.evaluation";
/// Its name before the convention was settled.
const OLD_EVENT: &str = "feature_flag";
/// Whom a flag was evaluated for.
const USER: &str = "feature_flag.context.id";

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
    let is_logs = call.parts.uri.path() == LOGS;
    let told = if is_logs { logs(&body, form) } else { traces(&body, form) };
    let Some(told) = told else { return status(StatusCode::BAD_REQUEST) };
    for one in &told {
        take(&call, one);
    }
    taken(form)
}

/// Something that is told of a flag, or of a span.
#[derive(Default)]
struct Told {
    attributes: Vec<Attribute>,
    /// A client has evaluated the flag. Otherwise it only says which one a span was under.
    is_evaluation: bool,
    span: Option<SpanId>,
    ending: Option<Ending>,
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

fn logs(body: &Bytes, form: Form) -> Option<Vec<Told>> {
    let told = read::<Logs>(body, form)?.items().filter_map(|record| {
        let named = find(&record.attributes, "event.name");
        let is_one = is_event(&record.event_name) || named.is_some_and(is_event);
        let span = span_id(&record.trace_id, &record.span_id);
        let attributes = record.attributes;
        is_one.then_some(Told { attributes, is_evaluation: true, span, ending: None })
    });
    Some(told.collect())
}

fn traces(body: &Bytes, form: Form) -> Option<Vec<Told>> {
    Some(read::<Traces>(body, form)?.items().flat_map(of_span).collect())
}

/// What a span tells: its evaluations, the flag that it is under, and that it has ended.
fn of_span(span: Span) -> Vec<Told> {
    let (id, ending) = (span_id(&span.trace_id, &span.span_id), Some(ending(&span)));
    let user = span.attributes.iter().find(|attribute| attribute.key == USER).cloned();
    let evaluations = span.events.into_iter().filter(|event| is_event(&event.name));
    let mut told: Vec<Told> = evaluations
        .map(|event| {
            let mut attributes = event.attributes;
            attributes.extend(user.clone());
            Told { attributes, is_evaluation: true, span: id, ending }
        })
        .collect();
    // Last, and also without a flag: evaluations that came as log records wait for it.
    let attributes = span.attributes;
    told.push(Told { attributes, is_evaluation: false, span: id, ending });
    told
}

fn ending(span: &Span) -> Ending {
    let (from, to) = (span.start_time_unix_nano, span.end_time_unix_nano);
    Ending {
        failed: span.status.as_ref().is_some_and(|status| status.code == ERROR),
        took_us: (from > 0).then(|| to.checked_sub(from)).flatten().map(|ns| ns / 1_000),
        at_ms: to / 1_000_000,
    }
}

fn span_id(trace: &[u8], span: &[u8]) -> Option<SpanId> {
    [trace, span].concat().try_into().ok()
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

fn take(call: &Call<'_>, told: &Told) {
    let get = |key: &str| find(&told.attributes, key);
    let flag = get("feature_flag.key");
    // A report about a set that the token is not for is nobody's.
    let set = flag.and_then(|_| call.set(get("feature_flag.set.id")).ok());
    if let Some((flag, set)) = flag.zip(set) {
        if told.is_evaluation {
            count(call, set.map(|set| &**set), flag, &told.attributes);
        }
        let variant = get("feature_flag.result.variant").or_else(|| get("feature_flag.variant"));
        if let Some(((user, variant), set)) = get(USER).zip(variant).zip(set) {
            let text = str::to_owned;
            let (flag, user, variant) = (text(flag), text(user), text(variant));
            let what = Evaluated { set: set.name().to_owned(), flag, user, variant };
            evaluated(call, &what, told);
        }
    }
    let edge = &call.worker.edge;
    let over = told.span.zip(told.ending).filter(|_| !told.is_evaluation && edge.is_judging());
    let Some((span, ending)) = over else { return };
    for what in edge.spans.ended(span, ending) {
        outcome(call, &what, span, ending);
    }
}

/// What became of the user is known when the span has ended.
fn evaluated(call: &Call<'_>, what: &Evaluated, told: &Told) {
    let edge = &call.worker.edge;
    let Some(span) = told.span.filter(|_| edge.is_judging() && !what.user.is_empty()) else {
        return;
    };
    match told.ending {
        Some(ending) => outcome(call, what, span, ending),
        None => {
            if let Some(ending) = edge.spans.evaluated(span, what.clone()) {
                outcome(call, what, span, ending);
            }
        }
    }
}

fn outcome(call: &Call<'_>, what: &Evaluated, span: SpanId, ending: Ending) {
    let Some(set) = call.world.sets.get(&what.set) else { return };
    let mut context = Context::new();
    context.set_targeting_key(what.user.as_str());
    let mut id = span.to_vec();
    id.extend_from_slice(what.flag.as_bytes());
    id.push(0);
    id.extend_from_slice(what.user.as_bytes());
    let age_ms = if ending.at_ms > 0 { now_ms().saturating_sub(ending.at_ms) } else { 0 };
    let said = Said {
        flag: &what.flag,
        variant: Some(&what.variant),
        context: &context,
        ended: Ended { failed: ending.failed, took_us: ending.took_us, reached: false },
        id: Some(&id),
        age_ms,
    };
    call.worker.edge.outcome(set, &said, now_s());
}

fn count(call: &Call<'_>, set: Option<&Set>, flag: &str, attributes: &[Attribute]) {
    let get = |key: &str| find(attributes, key);
    let name = set.map_or("", Set::name);
    let tally = &call.worker.edge.tally;
    if !set.is_some_and(|set| has(set, flag)) {
        return tally.unknown(name, flag, 1);
    }
    let variant = get("feature_flag.result.variant").or_else(|| get("feature_flag.variant"));
    if let Some(((user, variant), set)) = get(USER).zip(variant).zip(set) {
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
