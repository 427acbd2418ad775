//! `flagd.evaluation`: one flag of a type, all flags, and the stream of changes.

use super::frame::{self, Code, Status};
use super::wire::{
    AnyFlag, AnyValue, ResolveAllRequest, ResolveAllResponse, ResolveBoolean, ResolveFloat,
    ResolveInt, ResolveObject, ResolveRequest, ResolveString, Struct, Value,
};
use super::{chosen, events, unimplemented};
use crate::access::TokenKind;
use crate::body::Body;
use crate::clock::now_s;
use crate::routes::Call;
use crate::set::{not_found, shown};
use crate::tally::Protocol;
use bytes::Bytes;
use http::Response;
use serde_json::Value as Json;
use serin_flags::{
    Context, ErrorCode, EvalError, FlagType, FlagValue, Metadata, Reason, Resolution, Scalar,
};

/// Which of the two.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Version {
    /// An answer without a value is an error.
    V1,
    /// An answer may be without a value.
    V2,
}

/// Answers a call of version 1.
pub fn v1(call: &Call<'_>, method: &str, body: &Bytes) -> Result<Response<Body>, Status> {
    match method {
        "ResolveAll" => all(call, body),
        _ => answer(call, method, body, Version::V1),
    }
}

/// Answers a call of version 2.
pub fn v2(call: &Call<'_>, method: &str, body: &Bytes) -> Result<Response<Body>, Status> {
    answer(call, method, body, Version::V2)
}

fn answer(
    call: &Call<'_>,
    method: &str,
    body: &Bytes,
    version: Version,
) -> Result<Response<Body>, Status> {
    let encode: fn(&Resolution<'_>, TokenKind) -> Result<Bytes, EvalError> = match method {
        "ResolveBoolean" => boolean,
        "ResolveString" => string,
        "ResolveInt" => int,
        "ResolveFloat" => float,
        "ResolveObject" => object,
        "EventStream" => return events::open(call),
        _ => return Err(unimplemented(call.parts.uri.path())),
    };
    let request: ResolveRequest = frame::decode(body)?;
    let attributes = Json::Object(request.context.unwrap_or_default().into());
    let context = context(&attributes)?;
    let set = chosen(call, "")?;
    let key = &request.flag_key;
    let Some((set, place)) = set.and_then(|set| Some((set, set.place(key)?))) else {
        call.worker.edge.tally.unknown(set.map_or("", |set| set.name()), key, 1);
        return Err(status(&not_found(key)));
    };
    let resolution = set.evaluate(place, &context, now_s(), Protocol::Flagd);
    let resolution = resolution.map_err(|error| status(&error))?;
    call.worker.edge.met(set.name(), key, resolution.arm, &context);
    if version == Version::V1 && resolution.value.is_none() {
        return Err(valueless(key, resolution.reason));
    }
    encode(&resolution, call.grant.kind).map(frame::answer).map_err(|error| status(&error))
}

/// Version 1 has no word for "the code's default": its clients take that for a flag they do not
/// find.
fn valueless(key: &str, reason: Reason) -> Status {
    let what = match reason {
        Reason::Disabled => "is disabled",
        _ => "has no default variant",
    };
    let what = format!("flag `{key}` {what}: the default in the code holds");
    Status::new(Code::NotFound, what)
}

fn context(attributes: &Json) -> Result<Context<'_>, Status> {
    Context::from_value(attributes).map_err(|error| status(&error.into()))
}

/// The status of a failure, as flagd has it.
fn status(error: &EvalError) -> Status {
    let code = match error.code {
        ErrorCode::FlagNotFound => Code::NotFound,
        ErrorCode::TypeMismatch | ErrorCode::InvalidContext | ErrorCode::TargetingKeyMissing => {
            Code::InvalidArgument
        }
        ErrorCode::ParseError => Code::DataLoss,
        ErrorCode::General => Code::Unknown,
    };
    Status::new(code, error.details.clone())
}

/// Metadata as a struct, for an audience.
fn metadata(metadata: &Metadata, audience: TokenKind) -> Struct {
    let value = |scalar: &Scalar| match scalar {
        Scalar::Bool(flag) => Json::from(*flag),
        Scalar::Number(number) => Json::Number(number.clone()),
        Scalar::Text(text) => Json::from(text.as_str()),
    };
    let metadata = shown(metadata, audience);
    let fields = metadata.iter().map(|(key, scalar)| (key.clone(), Value::from(&value(scalar))));
    Struct { fields: fields.collect() }
}

/// The three fields that every answer has.
macro_rules! respond {
    ($name:ident, $resolution:expr, $audience:expr, $value:expr) => {
        Ok(frame::encode(&$name {
            value: $value,
            reason: $resolution.reason.as_str().to_owned(),
            variant: $resolution.variant.map(str::to_owned),
            metadata: Some(metadata($resolution.metadata, $audience)),
        }))
    };
}

fn boolean(resolution: &Resolution<'_>, audience: TokenKind) -> Result<Bytes, EvalError> {
    respond!(ResolveBoolean, resolution, audience, resolution.boolean()?)
}

fn string(resolution: &Resolution<'_>, audience: TokenKind) -> Result<Bytes, EvalError> {
    respond!(ResolveString, resolution, audience, resolution.string()?.map(str::to_owned))
}

fn int(resolution: &Resolution<'_>, audience: TokenKind) -> Result<Bytes, EvalError> {
    respond!(ResolveInt, resolution, audience, resolution.integer()?)
}

fn float(resolution: &Resolution<'_>, audience: TokenKind) -> Result<Bytes, EvalError> {
    respond!(ResolveFloat, resolution, audience, resolution.float()?)
}

fn object(resolution: &Resolution<'_>, audience: TokenKind) -> Result<Bytes, EvalError> {
    let value = resolution.object()?.map(|json| match json {
        Json::Object(map) => Ok(map.into()),
        _ => Err(listed()),
    });
    respond!(ResolveObject, resolution, audience, value.transpose()?)
}

fn listed() -> EvalError {
    let details = "the value is a list, and the protocol carries objects only; use OFREP";
    EvalError::new(ErrorCode::TypeMismatch, details)
}

fn all(call: &Call<'_>, body: &Bytes) -> Result<Response<Body>, Status> {
    let request: ResolveAllRequest = frame::decode(body)?;
    let attributes = Json::Object(request.context.unwrap_or_default().into());
    let (context, now_s) = (context(&attributes)?, now_s());
    let Some(set) = chosen(call, "")? else {
        return Ok(frame::answer(frame::encode(&ResolveAllResponse::default())));
    };
    let one = |place: usize| {
        let resolution = set.evaluate(place, &context, now_s, Protocol::FlagdBulk).ok()?;
        let answer = any(&resolution, call.grant.kind)?;
        Some((set.flags.flags()[place].key().to_owned(), answer))
    };
    // What has no value, or an error, is left out: clients then know of no such flag.
    let flags = (0..set.flags.flags().len()).filter_map(one).collect();
    let metadata = Some(metadata(set.flags.metadata(), call.grant.kind));
    Ok(frame::answer(frame::encode(&ResolveAllResponse { flags, metadata })))
}

fn any(resolution: &Resolution<'_>, audience: TokenKind) -> Option<AnyFlag> {
    let value = any_value(resolution.value?)?;
    Some(AnyFlag {
        reason: resolution.reason.as_str().to_owned(),
        variant: resolution.variant.unwrap_or_default().to_owned(),
        value: Some(value),
        metadata: Some(metadata(resolution.metadata, audience)),
    })
}

fn any_value(value: &FlagValue) -> Option<AnyValue> {
    Some(match FlagType::of(value.value())? {
        FlagType::Boolean => AnyValue::Bool(value.as_bool()?),
        FlagType::String => AnyValue::Text(value.as_str()?.to_owned()),
        FlagType::Number => AnyValue::Number(value.as_f64()?),
        FlagType::Object => AnyValue::Object(value.value().as_object()?.into()),
    })
}
