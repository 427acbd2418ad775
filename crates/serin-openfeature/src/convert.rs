//! Between the SDK's types and ours.

use open_feature::{
    EvaluationContext, EvaluationContextFieldValue, EvaluationError, EvaluationErrorCode,
    EvaluationReason, FlagMetadata, FlagMetadataValue, StructValue, Value,
};
use serde_json::Value as Json;
use serin_flags::{Context, Datum, ErrorCode, EvalError, Metadata, Reason, Resolution, Scalar};

/// A structure of the SDK is of a type only the caller knows; JSON is understood, others are not
/// there.
pub(crate) fn context(context: &EvaluationContext) -> Context<'_> {
    let mut ours = Context::new();
    for (name, value) in &context.custom_fields {
        let datum = match value {
            EvaluationContextFieldValue::Bool(flag) => Datum::Bool(*flag),
            EvaluationContextFieldValue::Int(number) => Datum::Int(*number),
            EvaluationContextFieldValue::Float(number) => Datum::Float(*number),
            EvaluationContextFieldValue::String(text) => Datum::from(text.as_str()),
            EvaluationContextFieldValue::DateTime(time) => Datum::Int(time.unix_timestamp()),
            EvaluationContextFieldValue::Struct(value) => {
                match value.downcast_ref::<Json>().and_then(Datum::from_value) {
                    Some(datum) => datum,
                    None => continue,
                }
            }
        };
        ours.set(name.as_str(), datum);
    }
    if let Some(key) = &context.targeting_key {
        ours.set_targeting_key(key.as_str());
    }
    ours
}

pub(crate) fn reason(reason: Reason) -> EvaluationReason {
    match reason {
        Reason::Static => EvaluationReason::Static,
        Reason::Default => EvaluationReason::Default,
        Reason::TargetingMatch => EvaluationReason::TargetingMatch,
        Reason::Disabled => EvaluationReason::Disabled,
    }
}

pub(crate) fn error(error: EvalError) -> EvaluationError {
    let code = match error.code {
        ErrorCode::FlagNotFound => EvaluationErrorCode::FlagNotFound,
        ErrorCode::ParseError => EvaluationErrorCode::ParseError,
        ErrorCode::TypeMismatch => EvaluationErrorCode::TypeMismatch,
        ErrorCode::TargetingKeyMissing => EvaluationErrorCode::TargetingKeyMissing,
        ErrorCode::InvalidContext => EvaluationErrorCode::InvalidContext,
        ErrorCode::General => EvaluationErrorCode::General(error.details.clone()),
    };
    EvaluationError { code, message: Some(error.details) }
}

pub(crate) fn metadata(metadata: &Metadata) -> FlagMetadata {
    let mut theirs = FlagMetadata::default();
    for (name, value) in metadata {
        let value = match value {
            Scalar::Bool(flag) => FlagMetadataValue::Bool(*flag),
            Scalar::Text(text) => FlagMetadataValue::String(text.clone()),
            Scalar::Number(number) => number.as_i64().map_or_else(
                || FlagMetadataValue::Float(number.as_f64().unwrap_or(f64::NAN)),
                FlagMetadataValue::Int,
            ),
        };
        theirs.add_value(name, value);
    }
    theirs
}

pub(crate) fn boolean(found: &Resolution<'_>) -> Result<Option<bool>, EvalError> {
    found.boolean()
}

pub(crate) fn integer(found: &Resolution<'_>) -> Result<Option<i64>, EvalError> {
    found.integer()
}

pub(crate) fn float(found: &Resolution<'_>) -> Result<Option<f64>, EvalError> {
    found.float()
}

pub(crate) fn text(found: &Resolution<'_>) -> Result<Option<String>, EvalError> {
    Ok(found.string()?.map(str::to_owned))
}

/// An object; a list is no structure for the SDK.
pub(crate) fn structure(found: &Resolution<'_>) -> Result<Option<StructValue>, EvalError> {
    let Some(value) = found.object()? else { return Ok(None) };
    let Json::Object(fields) = value else {
        let details = "the value is a list, and a structure was asked for";
        return Err(EvalError::new(ErrorCode::TypeMismatch, details));
    };
    let mut theirs = StructValue::default();
    theirs.fields.extend(fields.iter().filter_map(|(name, v)| Some((name.clone(), json(v)?))));
    Ok(Some(theirs))
}

/// The SDK has no null: it is left out.
fn json(value: &Json) -> Option<Value> {
    Some(match value {
        Json::Null => return None,
        Json::Bool(flag) => Value::Bool(*flag),
        Json::String(text) => Value::String(text.clone()),
        Json::Number(number) => number
            .as_i64()
            .map_or_else(|| Value::Float(number.as_f64().unwrap_or(f64::NAN)), Value::Int),
        Json::Array(items) => Value::Array(items.iter().filter_map(json).collect()),
        Json::Object(fields) => {
            let mut theirs = StructValue::default();
            let fields = fields.iter();
            theirs.fields.extend(fields.filter_map(|(name, v)| Some((name.clone(), json(v)?))));
            Value::Struct(theirs)
        }
    })
}
