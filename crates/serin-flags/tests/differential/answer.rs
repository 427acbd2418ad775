//! What an evaluator says about one flag and one context, and what Serin says.

use super::cases::Case;
use serde::Deserialize;
use serde_json::Value;
use serin_flags::{Bucketing, Context, FlagSet};

/// Between the moments that rules compare with.
const NOW_S: i64 = 1_800_000_000;

/// An answer, in the words of the protocols.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Answer {
    /// Why there is no answer.
    pub error: Option<String>,
    pub reason: Option<String>,
    pub variant: Option<String>,
    pub value: Option<Value>,
}

impl PartialEq for Answer {
    fn eq(&self, other: &Self) -> bool {
        self.error == other.error
            && self.reason == other.reason
            && self.variant == other.variant
            && same(self.value.as_ref(), other.value.as_ref())
    }
}

/// Whether two values are the same; `7` and `7.0` are, because evaluators read JSON into numbers.
fn same(one: Option<&Value>, other: Option<&Value>) -> bool {
    match (one, other) {
        (Some(Value::Number(one)), Some(Value::Number(other))) => one.as_f64() == other.as_f64(),
        _ => one == other,
    }
}

/// What Serin answers, by flag and then by context.
pub fn ours(case: &Case, bucketing: Bucketing) -> Vec<Vec<Answer>> {
    let document = case.document.to_string();
    let set = FlagSet::parse(document.as_bytes(), bucketing).expect("a document flagd reads");
    let answers = |key: &str| case.contexts.iter().map(|c| one(&set, key, c)).collect();
    case.keys().into_iter().map(answers).collect()
}

fn one(set: &FlagSet, key: &str, context: &Value) -> Answer {
    let context = Context::from_value(context).unwrap();
    match set.evaluate(key, &context, NOW_S) {
        Ok(found) => Answer {
            error: None,
            reason: Some(found.reason.to_string()),
            variant: found.variant.map(str::to_owned),
            value: found.value.map(|value| serde_json::from_str(value.json()).unwrap()),
        },
        Err(error) => Answer { error: Some(error.code.to_string()), ..Answer::default() },
    }
}
