//! Conditions of rules and segments.

use super::{list, strings};
use crate::{Attribute, Clause, Operator, Scalar, Timestamp, timestamp};
use serde_json::Value;

/// What must hold: one of the segments, and all clauses.
pub(super) struct Conditions {
    pub segments: Vec<String>,
    pub clauses: Vec<Clause>,
}

impl Conditions {
    pub fn read(written: &Value) -> Result<Self, String> {
        let mut all = Self { segments: Vec::new(), clauses: Vec::new() };
        for clause in list(written) {
            if clause["op"] != "segmentMatch" {
                all.clauses.push(read(clause)?);
            } else if clause["negate"] == true || !all.segments.is_empty() {
                return Err("it combines segments in a way that has no counterpart".to_owned());
            } else {
                all.segments = strings(&clause["values"]);
            }
        }
        Ok(all)
    }
}

fn read(clause: &Value) -> Result<Clause, String> {
    if clause["contextKind"].as_str().is_some_and(|kind| kind != "user") {
        return Err("it asks about other contexts than users".to_owned());
    }
    let operator = operator(clause["op"].as_str().unwrap_or_default())?;
    let values: Option<Vec<Scalar>> = list(&clause["values"]).map(Scalar::from_json).collect();
    let mut values = values.ok_or("it compares with a list or an object")?;
    if matches!(operator, Operator::Before | Operator::After) {
        values = values.iter().map(time).collect::<Result<_, _>>()?;
    }
    let attribute = attribute(clause["attribute"].as_str().unwrap_or_default());
    let inverted = clause["negate"] == true;
    Ok(Clause { attribute, operator, values, inverted, ignore_case: false })
}

fn operator(word: &str) -> Result<Operator, String> {
    Ok(match word {
        "in" => Operator::In,
        "startsWith" => Operator::StartsWith,
        "endsWith" => Operator::EndsWith,
        "contains" => Operator::Contains,
        "matches" => Operator::Matches,
        "lessThan" => Operator::LessThan,
        "lessThanOrEqual" => Operator::AtMost,
        "greaterThan" => Operator::GreaterThan,
        "greaterThanOrEqual" => Operator::AtLeast,
        "before" => Operator::Before,
        "after" => Operator::After,
        "semVerEqual" => Operator::VersionEquals,
        "semVerLessThan" => Operator::VersionLessThan,
        "semVerGreaterThan" => Operator::VersionGreaterThan,
        other => return Err(format!("the operator {other:?} has no counterpart")),
    })
}

/// A time there is text or milliseconds.
fn time(value: &Scalar) -> Result<Scalar, String> {
    let seconds = match value {
        Scalar::Number(number) => number.as_i64().map(|milliseconds| milliseconds / 1_000),
        Scalar::Text(text) => timestamp::parse(text),
        Scalar::Bool(_) => None,
    };
    let seconds = seconds.ok_or("it compares with something that is no time")?;
    Ok(Scalar::Text(Timestamp(seconds).to_string()))
}

/// `key` is the user; `/address/city` goes into an object.
pub(super) fn attribute(name: &str) -> String {
    match name.strip_prefix('/') {
        Some(path) => path.replace('/', "."),
        None if name == "key" => Attribute::TARGETING_KEY.to_owned(),
        None => name.to_owned(),
    }
}
