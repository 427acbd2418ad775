//! Constraints.

use super::{list, texts};
use crate::{Attribute, Clause, Operator, Scalar};
use serde_json::Value;

/// All constraints of a strategy or segment.
pub(super) fn all(constraints: &Value) -> Result<Vec<Clause>, String> {
    list(constraints).map(one).collect()
}

fn one(written: &Value) -> Result<Clause, String> {
    let (operator, negated) = operator(written["operator"].as_str().unwrap_or_default())?;
    let name = match operator {
        // Their clients compare the time of the evaluation, whatever the constraint names.
        Operator::Before | Operator::After => Attribute::NOW.to_owned(),
        _ => attribute(written["contextName"].as_str().unwrap_or_default()),
    };
    let many = matches!(
        operator,
        Operator::In
            | Operator::StartsWith
            | Operator::EndsWith
            | Operator::Contains
            | Operator::InNetwork
    );
    let values: Vec<Scalar> = if many {
        let texts = texts(&written["values"]);
        texts.iter().map(|text| Scalar::from(text.trim())).filter(|t| *t != "".into()).collect()
    } else {
        vec![single(operator, &written["value"])?]
    };
    if values.is_empty() {
        return Err("a constraint without values".to_owned());
    }
    Ok(Clause {
        attribute: name,
        operator,
        values,
        inverted: (written["inverted"] == true) != negated,
        ignore_case: written["caseInsensitive"] == true
            && operator.compares_text()
            && !matches!(operator, Operator::In | Operator::Equals),
    })
}

fn single(operator: Operator, value: &Value) -> Result<Scalar, String> {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let ordered = matches!(
        operator,
        Operator::LessThan
            | Operator::AtMost
            | Operator::GreaterThan
            | Operator::AtLeast
            | Operator::Equals
    );
    if !ordered {
        return Ok(Scalar::Text(text));
    }
    let number = serde_json::from_str(text.trim()).ok().map(Scalar::Number);
    number.ok_or_else(|| "a constraint that compares with no number".to_owned())
}

/// The operator, and whether it is the opposite.
fn operator(word: &str) -> Result<(Operator, bool), String> {
    use Operator as Op;
    Ok(match word {
        "IN" => (Op::In, false),
        "NOT_IN" => (Op::In, true),
        "STR_STARTS_WITH" => (Op::StartsWith, false),
        "STR_ENDS_WITH" => (Op::EndsWith, false),
        "STR_CONTAINS" => (Op::Contains, false),
        "NUM_EQ" => (Op::Equals, false),
        "NUM_LT" => (Op::LessThan, false),
        "NUM_LTE" => (Op::AtMost, false),
        "NUM_GT" => (Op::GreaterThan, false),
        "NUM_GTE" => (Op::AtLeast, false),
        "DATE_BEFORE" => (Op::Before, false),
        "DATE_AFTER" => (Op::After, false),
        "SEMVER_EQ" => (Op::VersionEquals, false),
        "SEMVER_LT" => (Op::VersionLessThan, false),
        "SEMVER_LTE" => (Op::VersionAtMost, false),
        "SEMVER_GT" => (Op::VersionGreaterThan, false),
        "SEMVER_GTE" => (Op::VersionAtLeast, false),
        "REGEX" => (Op::Matches, false),
        "IN_CIDR" => (Op::InNetwork, false),
        other => return Err(format!("the operator {other:?} has no counterpart")),
    })
}

/// Our name for what Unleash calls it.
pub(super) fn attribute(name: &str) -> String {
    if name == "userId" { Attribute::TARGETING_KEY.to_owned() } else { name.to_owned() }
}
