//! A set for elsewhere: to be kept, to be served by others, or to start an app with.

use crate::{Context, FlagSet, Form, LeftOut, Problem, SetDefinition, Timestamp, compile, unleash};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// What a set can be written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// Serin's own; nothing is lost.
    Serin,
    /// A flagd document that any client of flagd evaluates, for example from a file.
    Flagd,
    /// What clients of Unleash evaluate; also their bootstrap file.
    Unleash,
}

/// A written set.
#[derive(Debug, Clone, PartialEq)]
pub struct Export {
    /// The document.
    pub document: Value,
    /// Flags that are not in it, and why.
    pub left_out: Vec<LeftOut>,
    /// Flags that are in it and differ in something.
    pub notes: Vec<LeftOut>,
}

/// Writes a set. A set with any problem is refused.
pub fn export(set: &SetDefinition, format: Format) -> Result<Export, Vec<Problem>> {
    match format {
        Format::Serin => {
            let document = serde_json::to_value(set)
                .map_err(|error| vec![Problem::new("document", error.to_string())])?;
            Ok(Export { document, left_out: Vec::new(), notes: Vec::new() })
        }
        Format::Flagd => {
            let compiled = compile(set, Form::Portable)?;
            let (document, left_out) = (compiled.document, compiled.left_out);
            Ok(Export { document, left_out, notes: Vec::new() })
        }
        Format::Unleash => {
            let unleash::Exported { document, left_out, notes } = unleash::features(set)?;
            Ok(Export { document, left_out, notes })
        }
    }
}

/// All answers for one context at `now`, for an app that starts before it has a connection:
/// `{key: {"value", "variant", "reason"}}`. A flag that gives the code's own default has no value.
pub fn bootstrap(
    set: &SetDefinition,
    context: &Value,
    now: Timestamp,
) -> Result<Value, Vec<Problem>> {
    let document = compile(set, Form::Server)?.document.to_string();
    let flags = FlagSet::parse(document.as_bytes(), set.bucketing)?
        .requiring_targeting_key(set.require_targeting_key);
    let context = Context::from_value(context)
        .map_err(|error| vec![Problem::new("context", error.to_string())])?;
    let mut answers = Map::new();
    let mut problems = Vec::new();
    for flag in flags.flags() {
        match flags.evaluate_flag(flag, &context, now.0) {
            Ok(answer) => {
                let mut written = json!({ "reason": answer.reason.as_str() });
                if let Some((value, variant)) = answer.value.zip(answer.variant) {
                    written["value"] = value.value().clone();
                    written["variant"] = variant.into();
                }
                answers.insert(flag.key().to_owned(), written);
            }
            Err(error) => {
                problems.push(Problem::new(format!("flags.{}", flag.key()), error.to_string()));
            }
        }
    }
    if problems.is_empty() { Ok(Value::Object(answers)) } else { Err(problems) }
}

#[cfg(test)]
mod tests {
    use super::{Format, bootstrap, export};
    use crate::{Definition, Kind, SetDefinition, State, Timestamp};
    use serde_json::json;

    fn set() -> SetDefinition {
        let flag = || Definition::boolean(Kind::Ops, "web");
        let mut set = SetDefinition::new("prod");
        let default_variant = Some("on".to_owned());
        set.flags.insert("read_only".parse().unwrap(), Definition { default_variant, ..flag() });
        set.flags.insert("off".parse().unwrap(), Definition { state: State::Disabled, ..flag() });
        set
    }

    #[test]
    fn serin_s_own_form_is_read_again() {
        let document = export(&set(), Format::Serin).unwrap().document.to_string();
        assert_eq!(SetDefinition::from_json(document.as_bytes()), Ok(set()));
    }

    #[test]
    fn others_get_what_they_can_evaluate() {
        let flagd = export(&set(), Format::Flagd).unwrap();
        assert_eq!(flagd.document["flags"]["read_only"]["defaultVariant"], "on");
        let unleash = export(&set(), Format::Unleash).unwrap();
        assert_eq!(unleash.document["features"][0]["name"], "read_only");
        assert_eq!(unleash.left_out[0].flag.as_str(), "off");
    }

    #[test]
    fn an_app_can_start_with_the_answers() {
        let answers = bootstrap(&set(), &json!({ "targetingKey": "u1" }), Timestamp(0));
        let expected = json!({
            "read_only": { "value": true, "variant": "on", "reason": "STATIC" },
            "off": { "reason": "DISABLED" },
        });
        assert_eq!(answers, Ok(expected));
        let strict = SetDefinition { require_targeting_key: true, ..set() };
        assert_eq!(bootstrap(&strict, &json!({}), Timestamp(0)).unwrap_err().len(), 2);
    }
}
