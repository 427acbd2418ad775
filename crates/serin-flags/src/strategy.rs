//! The five strategies of home-made flag services, and the rules that they are here. What a request
//! to the server may say in their words is the server's.

use crate::{Clause, FlagType, Operator, Rule, Scalar, Serve, Share, WHOLE};
use serde::Deserialize;
use serde_json::Value;

/// Who gets a flag, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Strategy {
    /// Everybody.
    #[serde(alias = "ALL")]
    All,
    /// Nobody.
    #[serde(alias = "NONE")]
    None,
    /// A share of the users.
    #[serde(alias = "PERCENTAGE")]
    Percentage,
    /// Users by name.
    #[serde(alias = "USER_LIST")]
    UserList,
    /// Users with certain attributes.
    #[serde(alias = "ATTRIBUTE")]
    Attribute,
}

/// A rule that gives a variant to whom a clause fits.
pub(crate) fn fitting(clause: Clause, variant: &str) -> Rule {
    Rule { clauses: vec![clause], ..rule("attribute", Serve::Variant(variant.to_owned())) }
}

/// A rule for everybody.
pub(crate) fn rule(name: &str, serve: Serve) -> Rule {
    Rule { name: name.to_owned(), segments: Vec::new(), clauses: Vec::new(), serve }
}

/// `parts` of 100 000 to `on`, which comes first, so that more parts take nobody out.
pub(crate) fn share(on: String, off: String, parts: u32) -> Serve {
    let shares = vec![
        Share { variant: on, weight: parts },
        Share { variant: off, weight: WHOLE.saturating_sub(parts) },
    ];
    Serve::Split { shares, by: None, salt: None }
}

/// Parts per 100 000 of a percentage from 0 to 100 with at most three places.
pub(crate) fn parts_of_percent(percent: f64) -> Option<u32> {
    let parts = percent * 1_000.0;
    let whole = parts.round();
    let exact = (parts - whole).abs() < 1e-6 && (0.0..=f64::from(WHOLE)).contains(&whole);
    exact.then_some(whole as u32)
}

/// `{"attribute", "operator", "value"}` with the operators equals, in and greater_than.
pub(crate) fn attribute_rule(written: &Value) -> Option<Clause> {
    let fields = written.as_object().filter(|fields| fields.len() == 3)?;
    let value = fields.get("value")?;
    let one = || Scalar::from_json(value).map(|value| vec![value]);
    let (operator, values) = match fields.get("operator")?.as_str()? {
        "equals" => (Operator::Equals, one()?),
        "in" => {
            let values: Option<Vec<_>> = value.as_array()?.iter().map(Scalar::from_json).collect();
            (Operator::In, values.filter(|values| !values.is_empty())?)
        }
        "greater_than" if FlagType::of(value) == Some(FlagType::Number) => {
            (Operator::GreaterThan, one()?)
        }
        _ => return None,
    };
    let attribute = fields.get("attribute")?.as_str()?.to_owned();
    Some(Clause { attribute, operator, values, inverted: false, ignore_case: false })
}

#[cfg(test)]
mod tests {
    use super::{attribute_rule, parts_of_percent};
    use serde_json::json;

    #[test]
    fn a_rule_on_an_attribute_is_whole_or_none() {
        let rule = |operator: &str, value| {
            let written = json!({ "attribute": "a", "operator": operator, "value": value });
            attribute_rule(&written).map(|clause| clause.values.len())
        };
        assert_eq!(rule("equals", json!("beta")), Some(1));
        assert_eq!(rule("in", json!(["a", "b"])), Some(2));
        assert_eq!(rule("greater_than", json!(10)), Some(1));
        let bad = [
            rule("like", json!(1)),
            rule("in", json!([])),
            rule("in", json!("a")),
            rule("equals", json!({})),
            rule("greater_than", json!("10")),
            attribute_rule(&json!({ "attribute": "a", "operator": "equals" })).map(|_| 0),
        ];
        assert_eq!(bad, [None; 6]);
    }

    #[test]
    fn percentages_have_three_places() {
        let cases = [
            (0.0, Some(0)),
            (5.0, Some(5_000)),
            (0.001, Some(1)),
            (33.333, Some(33_333)),
            (100.0, Some(100_000)),
            (0.0005, None),
            (100.001, None),
            (-0.001, None),
            (f64::NAN, None),
            (f64::INFINITY, None),
        ];
        for (percent, parts) in cases {
            assert_eq!(parts_of_percent(percent), parts, "{percent}");
        }
    }
}
