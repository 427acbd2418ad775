//! The five strategies that a pipeline sets with one call, as a change of a definition.

use crate::{
    Clause, Definition, FlagType, Operator, Problem, Rule, Scalar, Serve, Share, State, Target,
    WHOLE,
};
use serde::Deserialize;
use serde_json::Value;

/// Who gets a flag, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
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

/// What a pipeline sends: `{"strategy": "percentage", "value": 5}`.
///
/// `value` is a number of percent (to 0.001) for `percentage`, a list of users for `user_list`, a
/// list of `{"attribute", "operator", "value"}` for `attribute`, and absent or null for `all` and
/// `none`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StrategyBody {
    /// The strategy.
    pub strategy: Strategy,
    /// What it needs to know.
    #[serde(default)]
    pub value: Option<Value>,
}

impl StrategyBody {
    /// Reads a body.
    pub fn from_json(text: &[u8]) -> Result<Self, Problem> {
        serde_json::from_slice(text)
            .map_err(|error| crate::model::read::told("body", &error.to_string()))
    }

    /// The definition with this strategy in place of its rules.
    ///
    /// Users by name stay before a percentage or attributes. `none` switches the flag off and
    /// forgets nothing; everything else switches it on. A killed flag, one in a guarded release and
    /// one with raw targeting are refused: each has its own way back.
    pub fn apply(&self, definition: &Definition) -> Result<Definition, Problem> {
        refuse(definition)?;
        let mut changed = definition.clone();
        if self.strategy == Strategy::None {
            self.no_value()?;
            changed.state = State::Off;
            return Ok(changed);
        }
        changed.state = State::On;
        let on = on_variant(definition)?;
        match self.strategy {
            Strategy::All | Strategy::None => {
                self.no_value()?;
                changed.targets = Vec::new();
                changed.rules = vec![rule("everybody", Serve::Variant(on))];
            }
            Strategy::Percentage => {
                let serve = share(on, definition.off_variant.clone(), self.percent()?);
                changed.rules = vec![rule("percentage", serve)];
            }
            Strategy::UserList => {
                changed.targets =
                    vec![Target { name: "user list".into(), variant: on, users: self.users()? }];
                changed.rules = Vec::new();
            }
            Strategy::Attribute => changed.rules = self.attributes(&on)?,
        }
        Ok(changed)
    }

    fn wrong(&self, allowed: &str) -> Problem {
        let found = match &self.value {
            None | Some(Value::Null) => "is missing".to_owned(),
            Some(value) => format!("{} does not fit", crate::check::shown(&value.to_string())),
        };
        Problem::new("value", found).allowed(allowed)
    }

    fn no_value(&self) -> Result<(), Problem> {
        let none = self.value.as_ref().is_none_or(Value::is_null);
        if none { Ok(()) } else { Err(self.wrong("no value with the strategies all and none")) }
    }

    fn percent(&self) -> Result<u32, Problem> {
        let parts = self.value.as_ref().and_then(Value::as_f64).and_then(parts_of_percent);
        parts.ok_or_else(|| self.wrong("percent: 0 to 100, at most three places"))
    }

    fn users(&self) -> Result<Vec<String>, Problem> {
        let list = self.value.as_ref().and_then(Value::as_array);
        let users: Option<Vec<String>> = list
            .and_then(|list| list.iter().map(|user| user.as_str().map(str::to_owned)).collect());
        users.ok_or_else(|| self.wrong("a list of users: [\"u1\", \"u2\"]"))
    }

    fn attributes(&self, on: &str) -> Result<Vec<Rule>, Problem> {
        let wrong = || {
            self.wrong(
                "a list of {\"attribute\", \"operator\": equals, in or greater_than, \"value\"}",
            )
        };
        let list = self.value.as_ref().and_then(Value::as_array).ok_or_else(wrong)?;
        let clauses: Option<Vec<Clause>> = list.iter().map(attribute_rule).collect();
        let clauses = clauses.filter(|clauses| !clauses.is_empty()).ok_or_else(wrong)?;
        Ok(clauses.into_iter().map(|clause| fitting(clause, on)).collect())
    }
}

fn refuse(definition: &Definition) -> Result<(), Problem> {
    let (found, allowed) = if definition.killed.is_some() {
        ("the flag is killed", "to revive it first")
    } else if definition.release.is_some() {
        ("a guarded release is under way", "to finish or abort the release first")
    } else if definition.raw.is_some() {
        ("the flag has raw targeting", "to replace the raw targeting first")
    } else {
        return Ok(());
    };
    Err(Problem::new("strategy", found).allowed(allowed))
}

/// What users get to whom a flag is given: true, or the only variant beside the off variant.
fn on_variant(definition: &Definition) -> Result<String, Problem> {
    let others = definition.variants.0.iter().filter(|v| v.name != definition.off_variant);
    let others: Vec<&str> = others.map(|variant| variant.name.as_str()).collect();
    if let [one] = others.as_slice() {
        return Ok((*one).to_owned());
    }
    let found = format!("the flag has {} variants beside the off variant", others.len());
    Err(Problem::new("strategy", found).allowed("one; give this flag rules"))
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
pub fn parts_of_percent(percent: f64) -> Option<u32> {
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
    use super::{StrategyBody, parts_of_percent};
    use crate::{Definition, Form, Kind, Release, SetDefinition, State, Target, compile};
    use serde_json::{Value, json};

    fn flag() -> Definition {
        let users = vec!["u1".to_owned()];
        let targets = vec![Target { name: "beta".into(), variant: "on".into(), users }];
        Definition { targets, ..Definition::boolean(Kind::Release, "payments") }
    }

    fn applied(body: &Value, flag: &Definition) -> Result<Definition, String> {
        let body = StrategyBody::from_json(body.to_string().as_bytes());
        body.and_then(|body| body.apply(flag)).map_err(|problem| problem.to_string())
    }

    /// What the flag compiles to.
    fn compiled(body: &Value) -> Value {
        let mut set = SetDefinition::new("prod");
        set.flags.insert("shop".parse().unwrap(), applied(body, &flag()).unwrap());
        let flag = &compile(&set, Form::Portable).unwrap().document["flags"]["shop"];
        flag.get("targeting").unwrap_or(&flag["defaultVariant"]).clone()
    }

    #[test]
    fn each_strategy_is_a_definition() {
        let user = json!({ "var": "targetingKey" });
        let listed = json!({ "in": [user, ["u1"]] });
        let text = json!({ "cat": ["shop:", user] });
        let five = json!({ "fractional": [text, ["on", 5_000], ["off", 95_000]] });
        let cases = [
            (json!({ "strategy": "all" }), json!("on")),
            (json!({ "strategy": "NONE", "value": null }), json!("off")),
            (
                json!({ "strategy": "percentage", "value": 5 }),
                json!({ "if": [listed, "on", user, five, null] }),
            ),
            (
                json!({ "strategy": "user_list", "value": ["a", "b"] }),
                json!({ "if": [{ "in": [user, ["a", "b"]] }, "on", null] }),
            ),
            (
                json!({ "strategy": "ATTRIBUTE", "value": [
                    { "attribute": "plan", "operator": "equals", "value": "beta" },
                    { "attribute": "orders", "operator": "greater_than", "value": 10 },
                ] }),
                json!({ "if": [
                    listed, "on",
                    { "===": [{ "var": "plan" }, "beta"] }, "on",
                    { ">": [{ "var": "orders" }, 10] }, "on",
                    null,
                ] }),
            ),
        ];
        for (body, expected) in cases {
            assert_eq!(compiled(&body), expected, "{body}");
        }
    }

    #[test]
    fn none_switches_off_and_forgets_nothing() {
        let off = applied(&json!({ "strategy": "none" }), &flag()).unwrap();
        assert_eq!(off, Definition { state: State::Off, ..flag() });
        let on = applied(&json!({ "strategy": "percentage", "value": 50 }), &off).unwrap();
        assert_eq!((on.state, on.targets.len()), (State::On, 1));
    }

    #[test]
    fn what_does_not_fit_is_refused_with_the_remedy() {
        let cases = [
            json!({ "strategy": "percentage" }),
            json!({ "strategy": "percentage", "value": 101 }),
            json!({ "strategy": "percentage", "value": -1 }),
            json!({ "strategy": "percentage", "value": "5" }),
            json!({ "strategy": "percentage", "value": 0.0001 }),
            json!({ "strategy": "user_list", "value": [1] }),
            json!({ "strategy": "attribute", "value": [] }),
            json!({ "strategy": "attribute", "value": [{ "attribute": "a", "operator": "like", "value": 1 }] }),
            json!({ "strategy": "all", "value": 5 }),
        ];
        for body in cases {
            assert!(applied(&body, &flag()).unwrap_err().starts_with("value: "), "{body}");
        }
        let typo = applied(&json!({ "strategy": "percantage", "value": 5 }), &flag());
        assert!(typo.unwrap_err().contains("did you mean `percentage`?"));
        let release = Some(Release::new("r", "on", "off"));
        let released = applied(&json!({ "strategy": "all" }), &Definition { release, ..flag() });
        assert!(released.unwrap_err().contains("guarded release"));
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
