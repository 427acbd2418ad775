//! The few ways to say who gets a flag without writing rules: the words of a pipeline's
//! `{"strategy": "percentage", "value": 5}`.

use super::edit::Refused;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serin_flags::{Clause, Definition, Operator, Rule, Scalar, Serve, Share, Target, WHOLE};
use std::collections::BTreeMap;

/// Name of the list of users that a strategy keeps.
const USERS: &str = "users";
/// Name of the rule on an attribute that a strategy keeps.
const ATTRIBUTE: &str = "attribute";
/// Users in a list, at most.
const USERS_MAX: usize = 100_000;

/// Who gets a flag.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "strategy", content = "value", rename_all = "snake_case")]
pub enum Strategy {
    /// Everybody.
    All,
    /// Nobody but whom lists and rules name.
    None,
    /// So many percent of users, to 0.001; the same users as long as it only grows.
    Percentage(f64),
    /// These users, before every percentage; in place of those named before.
    UserList(Vec<String>),
    /// Users whose attribute fits.
    Attribute(AttributeValue),
    /// Variants by percent; they must sum to 100.
    Variants(BTreeMap<String, f64>),
}

/// Which attribute, and what fits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AttributeValue {
    /// The attribute.
    pub attribute: String,
    /// `equals`, `in`, `greaterThan`, `matches` and the others of a rule.
    #[serde(default = "equals", alias = "op")]
    pub operator: String,
    /// What it is compared with: one, or a list of which one has to fit.
    pub value: Value,
}

fn equals() -> String {
    "equals".into()
}

/// Makes `flag` so.
///
/// # Errors
/// When a number is out of range, or a variant does not exist.
pub fn apply(flag: &mut Definition, strategy: &Strategy) -> Result<(), Refused> {
    if flag.raw.is_some() {
        let hint = "write the whole flag: `serin flag set KEY -f FILE`";
        return Err(Refused::new("its targeting was kept word for word from a file", hint));
    }
    if flag.release.as_ref().is_some_and(|release| !release.generation.is_empty()) {
        let hint = "end it first: `serin abort flag:SET:KEY`, or `serin promote` it";
        return Err(Refused::new("a guarded release of it is under way", hint));
    }
    let on = || {
        let lacking = || Refused::new("it has only one variant", "give it another one");
        on_variant(flag).map(str::to_owned).ok_or_else(lacking)
    };
    match strategy {
        Strategy::All => everybody(flag, Some(on()?)),
        Strategy::None => everybody(flag, Some(flag.off_variant.clone())),
        Strategy::Percentage(percent) => {
            let (on, off) = (on()?, flag.off_variant.clone());
            let parts = parts(*percent)?;
            split(flag, vec![share(on, parts), share(off, WHOLE - parts)]);
        }
        Strategy::UserList(users) => listed(flag, on()?, users)?,
        Strategy::Attribute(wanted) => attribute(flag, on()?, wanted)?,
        Strategy::Variants(wanted) => {
            let shares = shares(flag, wanted)?;
            split(flag, shares);
        }
    }
    Ok(())
}

/// The variant that `on` means: the first that is not the off variant.
pub fn on_variant(flag: &Definition) -> Option<&str> {
    flag.variants.names().find(|name| *name != flag.off_variant)
}

/// Whether nothing but its default decides.
pub fn has_no_rules(flag: &Definition) -> bool {
    let rules = flag.rules.is_empty() && flag.targets.is_empty() && flag.release.is_none();
    rules && flag.raw.is_none() && flag.default_variant.as_ref() == Some(&flag.off_variant)
}

/// Parts per 100 000 of a percentage.
///
/// # Errors
/// When it is no percentage, or finer than the smallest share.
pub fn parts(percent: f64) -> Result<u32, Refused> {
    if !(0.0..=100.0).contains(&percent) {
        let why = format!("{percent} is no percentage");
        return Err(Refused::never(why, "write a number from 0 to 100, such as 0.5"));
    }
    // What is in a thousandth is a few units of the last place away from it.
    let parts = percent * 1_000.0;
    if (parts - parts.round()).abs() > 1e-6 {
        let why = format!("{percent} % is finer than 0.001 %, the smallest share there is");
        return Err(Refused::never(why, "write at most three digits behind the point"));
    }
    Ok(parts.round() as u32)
}

/// The percentage of all users who get the on variant, where the flag says one.
pub fn percent(flag: &Definition) -> Option<f64> {
    let on = on_variant(flag)?;
    let last = flag.rules.last().filter(|rule| catches_all(rule));
    match last.map(|rule| &rule.serve) {
        Some(Serve::Split { shares, .. }) => {
            let on = shares.iter().filter(|share| share.variant == on);
            Some(f64::from(on.map(|share| share.weight).sum::<u32>()) / 1_000.0)
        }
        Some(Serve::Variant(variant)) => Some(if variant == on { 100.0 } else { 0.0 }),
        None => match &flag.release {
            Some(release) => Some(f64::from(release.weight()) / 1_000.0),
            None => Some(if flag.default_variant.as_deref() == Some(on) { 100.0 } else { 0.0 }),
        },
    }
}

fn catches_all(rule: &Rule) -> bool {
    rule.segments.is_empty() && rule.clauses.is_empty()
}

/// What users get whom no rule with a condition fits.
fn everybody(flag: &mut Definition, variant: Option<String>) {
    flag.rules.retain(|rule| !catches_all(rule));
    flag.release = None;
    flag.default_variant = variant;
}

fn split(flag: &mut Definition, shares: Vec<Share>) {
    everybody(flag, Some(flag.off_variant.clone()));
    let serve = Serve::Split { shares, by: None, salt: None };
    flag.rules.push(Rule { name: String::new(), segments: vec![], clauses: vec![], serve });
}

fn share(variant: String, weight: u32) -> Share {
    Share { variant, weight }
}

fn listed(flag: &mut Definition, on: String, users: &[String]) -> Result<(), Refused> {
    if users.len() > USERS_MAX {
        let why = format!("{} users are too many for a list", users.len());
        return Err(Refused::new(why, format!("name at most {USERS_MAX}, or use an attribute")));
    }
    flag.targets.retain(|target| target.name != USERS);
    if !users.is_empty() {
        flag.targets.push(Target { name: USERS.into(), variant: on, users: users.to_vec() });
    }
    Ok(())
}

fn attribute(flag: &mut Definition, on: String, wanted: &AttributeValue) -> Result<(), Refused> {
    let values = match &wanted.value {
        Value::Array(all) => all.iter().map(Scalar::from_json).collect::<Option<Vec<_>>>(),
        one => Scalar::from_json(one).map(|one| vec![one]),
    };
    let values = values.ok_or_else(|| {
        Refused::never("an attribute is compared with texts, numbers or booleans", "write a list")
    })?;
    let word = match wanted.operator.as_str() {
        "greater_than" => "greaterThan",
        "less_than" => "lessThan",
        "starts_with" => "startsWith",
        "ends_with" => "endsWith",
        other => other,
    };
    let operator: Operator = serde_json::from_value(word.into()).map_err(|_| {
        let why = format!("there is no operator `{}`", wanted.operator);
        Refused::never(why, "use equals, in, contains, startsWith, greaterThan, lessThan ...")
    })?;
    let clause = Clause {
        attribute: wanted.attribute.clone(),
        operator,
        values,
        inverted: false,
        ignore_case: false,
    };
    flag.rules.retain(|rule| rule.name != ATTRIBUTE);
    let rule = Rule {
        name: ATTRIBUTE.into(),
        segments: vec![],
        clauses: vec![clause],
        serve: Serve::Variant(on),
    };
    flag.rules.insert(0, rule);
    Ok(())
}

fn shares(flag: &Definition, wanted: &BTreeMap<String, f64>) -> Result<Vec<Share>, Refused> {
    let names: Vec<_> = flag.variants.names().collect();
    if let Some(unknown) = wanted.keys().find(|name| !names.contains(&name.as_str())) {
        let why = format!("it has no variant `{unknown}`");
        return Err(Refused::new(why, format!("it has: {}", names.join(", "))));
    }
    let given = |name: &&str| wanted.get(*name).copied();
    let shares = names.iter().filter_map(|name| given(name).map(|percent| (*name, percent)));
    let shares = shares.map(|(name, percent)| Ok(share(name.to_owned(), parts(percent)?)));
    let shares = shares.collect::<Result<Vec<_>, Refused>>()?;
    let sum: u32 = shares.iter().map(|share| share.weight).sum();
    if sum != WHOLE {
        let why = format!("the variants sum to {} %, not to 100 %", f64::from(sum) / 1_000.0);
        return Err(Refused::never(why, "give what is left to the off variant"));
    }
    Ok(shares)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serin_flags::Kind;

    fn flag() -> Definition {
        Definition::boolean(Kind::Release, "shop")
    }

    fn with(strategies: &[Strategy]) -> Definition {
        let mut flag = flag();
        for one in strategies {
            apply(&mut flag, one).unwrap();
        }
        flag
    }

    #[test]
    fn a_pipeline_s_words_are_read() {
        let read = |text: &str| serde_json::from_str::<Strategy>(text).unwrap();
        let cases = [
            (r#"{"strategy":"percentage","value":5}"#, Strategy::Percentage(5.0)),
            (r#"{"strategy":"all"}"#, Strategy::All),
            (r#"{"strategy":"none"}"#, Strategy::None),
            (r#"{"strategy":"user_list","value":["u1"]}"#, Strategy::UserList(vec!["u1".into()])),
        ];
        for (text, wanted) in cases {
            assert_eq!(read(text), wanted, "{text}");
        }
    }

    #[test]
    fn a_percentage_replaces_the_one_before_and_keeps_lists() {
        let users = Strategy::UserList(vec!["u1".into()]);
        let flag = with(&[users, Strategy::Percentage(5.0), Strategy::Percentage(25.5)]);
        assert_eq!((flag.rules.len(), flag.targets.len()), (1, 1));
        assert_eq!(percent(&flag), Some(25.5));
        let Serve::Split { shares, .. } = &flag.rules[0].serve else { panic!("{flag:?}") };
        assert_eq!(shares.iter().map(|share| share.weight).sum::<u32>(), WHOLE);
        // The treated come first, so that growth takes nobody out.
        assert_eq!(shares[0].variant, "on");
        assert_eq!(percent(&with(&[Strategy::Percentage(5.0), Strategy::All])), Some(100.0));
        assert_eq!(percent(&with(&[Strategy::All, Strategy::None])), Some(0.0));
    }

    #[test]
    fn an_attribute_comes_before_the_percentage() {
        let wanted = AttributeValue {
            attribute: "plan".into(),
            operator: "in".into(),
            value: serde_json::json!(["pro", "team"]),
        };
        let flag = with(&[Strategy::Percentage(5.0), Strategy::Attribute(wanted.clone())]);
        assert_eq!(flag.rules.len(), 2);
        assert_eq!((flag.rules[0].name.as_str(), flag.rules[0].clauses.len()), (ATTRIBUTE, 1));
        let again = with(&[Strategy::Attribute(wanted.clone()), Strategy::Attribute(wanted)]);
        assert_eq!(again.rules.len(), 1);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let variants = |pairs: &[(&str, f64)]| {
            Strategy::Variants(pairs.iter().map(|(name, part)| ((*name).into(), *part)).collect())
        };
        let attribute = |operator: &str, value: Value| {
            let operator = operator.into();
            Strategy::Attribute(AttributeValue { attribute: "a".into(), operator, value })
        };
        for bad in [
            Strategy::Percentage(-0.1),
            Strategy::Percentage(100.1),
            Strategy::Percentage(f64::NAN),
            variants(&[("on", 50.0)]),
            variants(&[("on", 50.0), ("of", 50.0)]),
            variants(&[("on", 60.0), ("off", 50.0)]),
            attribute("is", "x".into()),
            attribute("equals", serde_json::json!({})),
        ] {
            let before = flag();
            let mut after = before.clone();
            assert!(apply(&mut after, &bad).is_err(), "{bad:?}");
            assert_eq!(after, before, "{bad:?}");
        }
        let half = with(&[variants(&[("on", 50.0), ("off", 50.0)])]);
        assert_eq!(percent(&half), Some(50.0));
    }
}
