//! One constraint.

use super::condition::Alternatives;
use crate::{Attribute, Clause, Operator, Scalar, check::forms};
use serde_json::{Value, json};

/// One constraint of a strategy.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Constraint {
    name: String,
    operator: &'static str,
    values: Vec<String>,
    value: Option<String>,
    inverted: bool,
    ignore_case: bool,
}

impl Constraint {
    fn of(clause: &Clause, operator: &'static str) -> Result<Self, String> {
        let name = context_name(&clause.attribute)?;
        let (values, value) = (Vec::new(), None);
        let ignore_case = clause.ignore_case;
        Ok(Self { name, operator, values, value, inverted: false, ignore_case })
    }

    /// That the user is one of these.
    pub fn listed(users: &[String]) -> Result<Self, String> {
        Ok(Self {
            name: "userId".to_owned(),
            operator: "IN",
            values: users.iter().map(|user| trimmed(user)).collect::<Result<_, _>>()?,
            value: None,
            inverted: false,
            ignore_case: false,
        })
    }

    /// That it is earlier than a second since 1970.
    pub fn before(end: crate::Timestamp) -> Self {
        Self {
            name: "currentTime".to_owned(),
            operator: "DATE_BEFORE",
            values: Vec::new(),
            value: Some(end.to_string()),
            inverted: false,
            ignore_case: false,
        }
    }

    /// The opposite.
    pub fn inverted(mut self) -> Self {
        self.inverted = !self.inverted;
        self
    }

    pub fn json(&self) -> Value {
        json!({
            "contextName": self.name,
            "operator": self.operator,
            "values": self.values,
            "value": self.value,
            "inverted": self.inverted,
            "caseInsensitive": self.ignore_case,
        })
    }
}

/// The name under which Unleash knows an attribute.
pub(super) fn context_name(attribute: &str) -> Result<String, String> {
    match attribute {
        Attribute::TARGETING_KEY => Ok("userId".to_owned()),
        Attribute::NOW => Ok("currentTime".to_owned()),
        name if name.contains('.') => Err("it reads an attribute inside an object".to_owned()),
        name => Ok(name.to_owned()),
    }
}

/// Clients cut spaces off values.
fn trimmed(text: &str) -> Result<String, String> {
    if text.trim() == text && !text.is_empty() {
        Ok(text.to_owned())
    } else {
        Err("a value begins or ends with a space".to_owned())
    }
}

/// A clause as constraints: one of several values is one constraint where Unleash takes a list, and
/// several alternatives where it takes one value.
pub(super) fn alternatives(clause: &Clause) -> Result<Alternatives, String> {
    let fits = positive(clause)?;
    if clause.inverted { fits.negated() } else { Ok(fits) }
}

fn positive(clause: &Clause) -> Result<Alternatives, String> {
    use Operator as Op;
    match clause.operator {
        Op::Equals | Op::In if clause.ignore_case => {
            Err("it compares whole texts without regard to case".to_owned())
        }
        Op::Equals | Op::In => list(clause, "IN"),
        Op::Contains => list(clause, "STR_CONTAINS"),
        Op::StartsWith => list(clause, "STR_STARTS_WITH"),
        Op::EndsWith => list(clause, "STR_ENDS_WITH"),
        Op::InNetwork => list(clause, "IN_CIDR"),
        Op::Matches => each(clause, "REGEX", text),
        Op::LessThan => each(clause, "NUM_LT", text),
        Op::AtMost => each(clause, "NUM_LTE", text),
        Op::GreaterThan => each(clause, "NUM_GT", text),
        Op::AtLeast => each(clause, "NUM_GTE", text),
        Op::VersionEquals => each(clause, "SEMVER_EQ", version),
        Op::VersionLessThan => each(clause, "SEMVER_LT", version),
        Op::VersionAtMost => each(clause, "SEMVER_LTE", version),
        Op::VersionGreaterThan => each(clause, "SEMVER_GT", version),
        Op::VersionAtLeast => each(clause, "SEMVER_GTE", version),
        Op::Before | Op::After if clause.attribute != Attribute::NOW => {
            Err("it compares an attribute with a time".to_owned())
        }
        Op::Before => each(clause, "DATE_BEFORE", time),
        Op::After => each(clause, "DATE_AFTER", time),
        Op::VersionSameMajor | Op::VersionSameMinor => {
            Err("it compares only a part of a version".to_owned())
        }
        Op::Exists => Err("it asks whether an attribute is there".to_owned()),
    }
}

fn list(clause: &Clause, operator: &'static str) -> Result<Alternatives, String> {
    let values = clause.values.iter().map(|value| trimmed(&text(value)));
    let values = values.collect::<Result<_, _>>()?;
    Ok(Alternatives::one(Constraint { values, ..Constraint::of(clause, operator)? }))
}

fn each(
    clause: &Clause,
    operator: &'static str,
    write: fn(&Scalar) -> String,
) -> Result<Alternatives, String> {
    let one = |value: &Scalar| {
        let value = Some(write(value));
        Ok(vec![Constraint { value, ..Constraint::of(clause, operator)? }])
    };
    Ok(Alternatives(clause.values.iter().map(one).collect::<Result<_, String>>()?))
}

fn text(value: &Scalar) -> String {
    match value {
        Scalar::Text(text) => text.clone(),
        Scalar::Number(number) => number.to_string(),
        Scalar::Bool(flag) => flag.to_string(),
    }
}

fn time(value: &Scalar) -> String {
    forms::seconds(value).map(crate::Timestamp).map_or_else(String::new, |time| time.to_string())
}

/// A version with all three numbers and without `v`, as strict clients want it.
fn version(value: &Scalar) -> String {
    let written = text(value);
    let written = written.strip_prefix(['v', 'V']).unwrap_or(&written);
    let end = written.find(['-', '+']).unwrap_or(written.len());
    let (numbers, rest) = written.split_at(end);
    let missing = 2 - numbers.matches('.').count().min(2);
    format!("{numbers}{}{rest}", ".0".repeat(missing))
}

#[cfg(test)]
mod tests {
    use super::version;

    #[test]
    fn versions_are_completed() {
        for (written, whole) in
            [("1", "1.0.0"), ("v1.2", "1.2.0"), ("1.2.3", "1.2.3"), ("1-rc.1", "1.0.0-rc.1")]
        {
            assert_eq!(version(&written.into()), whole);
        }
    }
}
