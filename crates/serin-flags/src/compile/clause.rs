//! One question about an attribute, in JsonLogic.

use super::{
    Compiler, Expression,
    expression::{all, any, not, present, variable},
};
use crate::{Attribute, Clause, Operator, Scalar, Timestamp, check::forms, operator};
use serde_json::{Value, json};

impl Compiler<'_> {
    pub(super) fn clauses(&mut self, clauses: &[Clause]) -> Expression {
        let parts = clauses.iter().map(|clause| self.clause(clause));
        Ok(all(parts.collect::<Result<_, _>>()?))
    }

    pub(super) fn clause(&mut self, clause: &Clause) -> Expression {
        self.size.take(8 + 4 * clause.values.len())?;
        let test = self.test(clause)?;
        Ok(if clause.inverted { not(test) } else { test })
    }

    fn test(&self, clause: &Clause) -> Expression {
        use Operator as Op;
        let subject = variable(&clause.attribute);
        let each = |one: &dyn Fn(&Value) -> Value| any(values(clause).map(|v| one(&v)).collect());
        if clause.ignore_case && clause.operator != Op::Matches {
            return self.without_case(clause, &subject);
        }
        Ok(match clause.operator {
            Op::Equals | Op::In => equals(&subject, &clause.values),
            Op::LessThan => each(&|v| ordered(clause, "<", v)),
            Op::AtMost => each(&|v| ordered(clause, "<=", v)),
            Op::GreaterThan => each(&|v| ordered(clause, ">", v)),
            Op::AtLeast => each(&|v| ordered(clause, ">=", v)),
            Op::Contains => each(&|v| json!({ "in": [v, subject] })),
            Op::StartsWith => each(&|v| json!({ "starts_with": [subject, v] })),
            Op::EndsWith => each(&|v| json!({ "ends_with": [subject, v] })),
            Op::Matches => self.matches(clause, &subject)?,
            Op::InNetwork => self.in_network(clause, subject)?,
            Op::Before => self.dated(clause, "<")?,
            Op::After => self.dated(clause, ">")?,
            Op::Exists => json!({ "!==": [subject, null] }),
            Op::VersionEquals => each(&|v| version(&subject, "=", v)),
            Op::VersionLessThan => each(&|v| version(&subject, "<", v)),
            Op::VersionAtMost => each(&|v| version(&subject, "<=", v)),
            Op::VersionGreaterThan => each(&|v| version(&subject, ">", v)),
            Op::VersionAtLeast => each(&|v| version(&subject, ">=", v)),
            Op::VersionSameMajor => each(&|v| version(&subject, "^", v)),
            Op::VersionSameMinor => each(&|v| version(&subject, "~", v)),
        })
    }

    fn without_case(&self, clause: &Clause, subject: &Value) -> Expression {
        self.server_only("it compares text without regard to case")?;
        let word = match clause.operator {
            Operator::Contains => "contains",
            Operator::StartsWith => "starts",
            Operator::EndsWith => "ends",
            _ => "==",
        };
        let one = |text| json!({ operator::TEXT: [subject, word, text] });
        Ok(any(values(clause).map(one).collect()))
    }

    fn matches(&self, clause: &Clause, subject: &Value) -> Expression {
        self.server_only("it uses a regular expression")?;
        let options = if clause.ignore_case { "i" } else { "" };
        let one = |pattern| json!({ operator::REGEX: [subject, pattern, options] });
        Ok(any(values(clause).map(one).collect()))
    }

    fn in_network(&self, clause: &Clause, subject: Value) -> Expression {
        self.server_only("it compares network addresses")?;
        let arguments: Vec<Value> = [subject].into_iter().chain(values(clause)).collect();
        Ok(json!({ operator::CIDR: arguments }))
    }

    /// The time of the evaluation is known to every client; other times only Serin compares.
    fn dated(&self, clause: &Clause, word: &str) -> Expression {
        let times = clause.values.iter().filter_map(forms::seconds);
        if clause.attribute == Attribute::NOW {
            return Ok(any(times.map(|time| now(word, Timestamp(time))).collect()));
        }
        self.server_only("it compares an attribute with a time")?;
        let subject = variable(&clause.attribute);
        let one = |time| json!({ operator::DATE: [subject, word, time] });
        Ok(any(times.map(one).collect()))
    }
}

fn values(clause: &Clause) -> impl Iterator<Item = Value> {
    clause.values.iter().cloned().map(Value::from)
}

/// Compares the second of the evaluation.
pub(super) fn now(word: &str, time: Timestamp) -> Value {
    json!({ word: [{ "var": "$flagd.timestamp" }, time.0] })
}

/// A number or a truth value also fits its own text, because headers and cookies carry only text.
/// Spelt out, because clients do not agree on what else `==` takes for the same.
fn equals(subject: &Value, values: &[Scalar]) -> Value {
    if let [Scalar::Text(text)] = values {
        return json!({ "===": [subject, text] });
    }
    let forms = |value: &Scalar| match value {
        Scalar::Text(text) => vec![Value::from(text.as_str())],
        Scalar::Number(number) => vec![Value::Number(number.clone()), number.to_string().into()],
        Scalar::Bool(flag) => vec![Value::Bool(*flag), flag.to_string().into()],
    };
    let list: Vec<Value> = values.iter().flat_map(forms).collect();
    json!({ "in": [subject, list] })
}

/// JsonLogic takes a missing or empty attribute for 0; where 0 would fit it is asked for first.
fn ordered(clause: &Clause, word: &str, value: &Value) -> Value {
    let test = json!({ word: [variable(&clause.attribute), value] });
    let limit = value.as_f64().unwrap_or(0.0);
    let zero_fits = match word {
        "<" => 0.0 < limit,
        "<=" => 0.0 <= limit,
        ">" => 0.0 > limit,
        _ => 0.0 >= limit,
    };
    if zero_fits { all(vec![present(&clause.attribute), test]) } else { test }
}

fn version(subject: &Value, word: &str, value: &Value) -> Value {
    json!({ "sem_ver": [subject, word, value] })
}
