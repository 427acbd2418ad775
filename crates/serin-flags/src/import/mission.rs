//! Flags of a home-made service: one record a flag with `strategy`, `percentage`, `user_list`,
//! `attribute_rules` and `variants`, bucketed by `md5(key:user)` modulo 100.

use super::Imported;
use crate::{
    Definition, FlagKey, Kind, Method, Problem, Rule, Serve, SetDefinition, Share, State, Target,
    Timestamp, Variant, Variants, WHOLE,
    check::shown,
    entries::Entries,
    model::read::told,
    strategy::{Strategy, attribute_rule, fitting, parts_of_percent, rule, share},
};
use serde::Deserialize;
use serde_json::Value;

/// What becomes of the users whom a flag's variants leave over when they sum to less than 100 %.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remainder {
    /// They get the first variant, as they did.
    First,
    /// The flag is refused.
    Refused,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    key: FlagKey,
    #[serde(default)]
    name: String,
    #[serde(default)]
    description: String,
    strategy: Strategy,
    #[serde(default)]
    percentage: f64,
    #[serde(default)]
    user_list: Vec<String>,
    #[serde(default)]
    attribute_rules: Vec<Value>,
    #[serde(default)]
    owner: String,
    #[serde(default)]
    created_at: Option<String>,
    #[serde(default)]
    expires_at: Option<String>,
    #[serde(default)]
    default_value: bool,
    #[serde(default)]
    variants: Entries<f64>,
}

/// Takes over a JSON list of such records. Everybody stays in the bucket they are in.
pub fn mission(text: &[u8], name: &str, left_over: Remainder) -> Result<Imported, Vec<Problem>> {
    let list = records(text)?;
    let mut reader = Reader { set: SetDefinition::new(name), notes: vec![], problems: vec![] };
    for flag in &list {
        reader.flag(flag, left_over);
    }
    if reader.problems.is_empty() {
        Imported::checked(reader.set, reader.notes)
    } else {
        Err(reader.problems)
    }
}

/// The records, or what is wrong with each. Read twice, because only a whole reading keeps the order
/// of variants and only one by one names every wrong record.
fn records(text: &[u8]) -> Result<Vec<Written>, Vec<Problem>> {
    let whole: serde_json::Error = match serde_json::from_slice(text) {
        Ok(list) => return Ok(list),
        Err(error) => error,
    };
    let Ok(list) = serde_json::from_slice::<Vec<Value>>(text) else {
        return Err(vec![told("document", &whole.to_string())]);
    };
    let wrong = list.into_iter().enumerate().filter_map(|(at, value)| {
        let error = serde_json::from_value::<Written>(value).err()?;
        Some(told(&format!("[{at}]"), &error.to_string()))
    });
    let wrong: Vec<Problem> = wrong.collect();
    Err(if wrong.is_empty() { vec![told("document", &whole.to_string())] } else { wrong })
}

struct Reader {
    set: SetDefinition,
    notes: Vec<Problem>,
    problems: Vec<Problem>,
}

impl Reader {
    fn flag(&mut self, written: &Written, left_over: Remainder) {
        let key = written.key.clone();
        self.times(written);
        if written.variants.0.is_empty() {
            let flag = self.switch(written, &key);
            return self.put(key, flag);
        }
        let split = self.variants(written, left_over);
        self.put(key.clone(), split);
        if written.strategy != Strategy::All {
            let companion = format!("{key}.enabled");
            let found = format!("whether it is enabled is the flag `{companion}`");
            self.note(&key, found, "one value for a flag; the variant keeps the key");
            match companion.parse::<FlagKey>() {
                Ok(companion) => {
                    let flag = self.switch(written, &key);
                    self.put(companion, flag);
                }
                Err(error) => self.problems.push(Problem::new(companion, error.to_string())),
            }
        }
    }

    fn times(&mut self, written: &Written) {
        for time in [&written.created_at, &written.expires_at].into_iter().flatten() {
            if utc(time).is_none() {
                let found = format!("{} is not a time", shown(time));
                let problem = Problem::new(format!("flags.{}", written.key), found);
                self.problems.push(problem.allowed("a time like 2027-01-31T12:00:00Z"));
            }
        }
    }

    fn put(&mut self, key: FlagKey, flag: Definition) {
        let place = format!("flags.{key}");
        if self.set.flags.insert(key, flag).is_some() {
            self.problems.push(Problem::new(place, "comes twice").allowed("once"));
        }
    }

    fn note(&mut self, key: &FlagKey, found: impl Into<String>, allowed: &str) {
        self.notes.push(Problem::new(format!("flags.{key}"), found).allowed(allowed));
    }

    /// What `is_enabled` said.
    fn switch(&mut self, written: &Written, key: &FlagKey) -> Definition {
        let mut flag = frame(written, key);
        let default = if written.default_value { "on" } else { "off" };
        flag.default_variant = Some(default.to_owned());
        let everybody = |variant: &str| rule("everybody", Serve::Variant(variant.to_owned()));
        match written.strategy {
            Strategy::All => flag.rules = vec![everybody("on")],
            Strategy::None => flag.rules = vec![everybody("off")],
            Strategy::Percentage => {
                let parts = self.whole_percent(key, written.percentage);
                flag.rules = vec![rule("percentage", share("on".into(), "off".into(), parts))];
                let found = "an anonymous user was bucketed at random in every call";
                self.note(key, found, "the default for anonymous users, or a stable id for them");
            }
            Strategy::UserList => {
                let users = written.user_list.clone();
                flag.targets =
                    vec![Target { name: "user list".into(), variant: "on".into(), users }];
                flag.rules = vec![everybody("off")];
            }
            Strategy::Attribute => flag.rules = self.attributes(written, key),
        }
        if written.strategy != Strategy::UserList && !written.user_list.is_empty() {
            let found = "its user list was not read by its strategy and is dropped";
            self.note(key, found, "targets, if those users should have it");
        }
        flag
    }

    fn attributes(&mut self, written: &Written, key: &FlagKey) -> Vec<Rule> {
        let mut rules = Vec::new();
        for (at, rule) in written.attribute_rules.iter().enumerate() {
            match attribute_rule(rule) {
                Some(clause) => rules.push(fitting(clause, "on")),
                None => self.note(
                    key,
                    format!("attribute rule {} is not understood and is dropped", at + 1),
                    "equals, in with a list, or greater_than with a number",
                ),
            }
        }
        rules
    }

    /// What `get_variant` said.
    fn variants(&mut self, written: &Written, left_over: Remainder) -> Definition {
        let key = &written.key;
        let names = written.variants.0.iter().map(|(name, _)| name.clone());
        let variant = |name: String| Variant { value: Value::String(name.clone()), name };
        let mut shares: Vec<Share> = Vec::new();
        for (name, percent) in &written.variants.0 {
            let weight = self.whole_percent(key, *percent);
            shares.push(Share { variant: name.clone(), weight });
        }
        let sum: u32 = shares.iter().map(|share| share.weight).fold(0, u32::saturating_add);
        let rest = WHOLE.saturating_sub(sum);
        let first = written.variants.0.first().map(|(name, _)| name.clone()).unwrap_or_default();
        if rest > 0 && left_over == Remainder::First {
            // Theirs are the highest buckets, so the first variant stands at the end once more.
            self.note(key, "the users left over get the first variant", "shares that sum to 100 %");
            shares.push(Share { variant: first.clone(), weight: rest });
        }
        let rules = vec![rule("variants", Serve::Split { shares, by: None, salt: None })];
        Definition {
            kind: Kind::Experiment,
            variants: Variants(names.map(variant).collect()),
            default_variant: None,
            off_variant: first,
            expires_at: None,
            rules,
            ..frame(written, key)
        }
    }

    fn whole_percent(&mut self, key: &FlagKey, percent: f64) -> u32 {
        let parts = parts_of_percent(percent).filter(|parts| parts % 1_000 == 0);
        if parts.is_none() {
            let problem = Problem::new(format!("flags.{key}"), format!("{percent} %"));
            self.problems.push(problem.allowed("whole percents from 0 to 100"));
        }
        parts.unwrap_or(0)
    }
}

/// A time of that service: without an offset it is UTC.
fn utc(text: &str) -> Option<Timestamp> {
    text.parse().or_else(|_| format!("{text}Z").parse()).ok()
}

fn frame(written: &Written, key: &FlagKey) -> Definition {
    let description = match (written.name.as_str(), written.description.as_str()) {
        (name, "") => name.to_owned(),
        ("", text) => text.to_owned(),
        (name, text) => format!("{name}: {text}"),
    };
    Definition {
        description,
        created_at: written.created_at.as_deref().and_then(utc),
        expires_at: written.expires_at.as_deref().and_then(utc),
        bucketing: Some(Method::Md5_100),
        salt: Some(key.to_string()),
        state: State::On,
        ..Definition::boolean(Kind::Release, &written.owner)
    }
}

#[cfg(test)]
mod tests {
    use super::{Remainder, mission};
    use crate::{Form, SetDefinition, compile};
    use serde_json::{Value, json};

    fn taken(flags: &Value) -> (SetDefinition, Vec<String>) {
        let imported = mission(flags.to_string().as_bytes(), "prod", Remainder::First).unwrap();
        (imported.set, imported.notes.iter().map(ToString::to_string).collect())
    }

    fn targeting(set: &SetDefinition, key: &str) -> Value {
        let document = compile(set, Form::Server).unwrap().document;
        document["flags"][key]["targeting"].clone()
    }

    #[test]
    fn a_percentage_keeps_its_hash() {
        let (set, notes) = taken(&json!([{
            "key": "new_checkout", "name": "New checkout", "description": "One page",
            "strategy": "percentage", "percentage": 5, "owner": "payments",
            "created_at": "2026-11-01T10:00:00.123456", "expires_at": "2027-01-31T00:00:00+00:00",
        }]));
        let unit = json!({ "var": "targetingKey" });
        let split = json!({ "serin_split": [
            "md5-100", "new_checkout", unit, ["on", 5_000], ["off", 95_000],
        ] });
        let expected = json!({ "if": [
            { "<": [{ "var": "$flagd.timestamp" }, 1_801_353_600] },
            { "if": [unit, split, null] },
            null,
        ] });
        assert_eq!(targeting(&set, "new_checkout"), expected);
        assert_eq!(notes.len(), 1);
        let flag = set.flags.values().next().unwrap();
        assert_eq!(flag.description, "New checkout: One page");
        assert_eq!(flag.created_at.unwrap().to_string(), "2026-11-01T10:00:00Z");
    }

    #[test]
    fn a_default_of_true_holds_only_where_it_held() {
        let (set, _) = taken(&json!([{
            "key": "f", "strategy": "user_list", "user_list": ["u1"], "default_value": true,
        }]));
        let listed = json!({ "in": [{ "var": "targetingKey" }, ["u1"]] });
        assert_eq!(targeting(&set, "f"), json!({ "if": [listed, "on", "off"] }));
        assert_eq!(set.flags.values().next().unwrap().default_variant.as_deref(), Some("on"));
    }

    #[test]
    fn variants_keep_their_order_and_the_rest_goes_to_the_first() {
        let text =
            br#"[{"key": "button", "strategy": "all", "variants": {"green": 30, "blue": 30}}]"#;
        let imported = mission(text, "prod", Remainder::First).unwrap();
        let found = &targeting(&imported.set, "button")["if"][1]["serin_split"];
        assert_eq!(found[3], json!(["green", 30_000]));
        assert_eq!(found[4], json!(["blue", 30_000]));
        assert_eq!(found[5], json!(["green", 40_000]));
        assert_eq!((imported.notes.len(), imported.set.flags.len()), (1, 1));
        let refused = mission(text, "prod", Remainder::Refused).unwrap_err();
        assert!(refused[0].to_string().contains("sum to 60000"), "{refused:?}");
    }

    #[test]
    fn a_flag_with_variants_and_a_strategy_is_two_flags() {
        let (set, notes) = taken(&json!([{
            "key": "button", "strategy": "percentage", "percentage": 10,
            "variants": { "blue": 50, "green": 50 },
        }]));
        let keys: Vec<_> = set.flags.keys().map(|key| key.as_str().to_owned()).collect();
        assert_eq!(keys, ["button", "button.enabled"]);
        assert_eq!(notes.len(), 2);
        let companion = &targeting(&set, "button.enabled")["if"][1]["serin_split"];
        assert_eq!(companion[1], "button");
    }

    #[test]
    fn every_record_that_is_wrong_is_told() {
        let problems = |flags: &Value| {
            mission(flags.to_string().as_bytes(), "prod", Remainder::First).unwrap_err().len()
        };
        let misread = json!([
            { "key": "a b", "strategy": "all" },
            { "key": "d", "strategy": "sometimes" },
        ]);
        let misfit = json!([
            { "key": "c", "strategy": "percentage", "percentage": 5.5 },
            { "key": "e", "strategy": "all", "expires_at": "soon" },
        ]);
        assert_eq!((problems(&misread), problems(&misfit)), (2, 2));
    }

    #[test]
    fn a_rule_that_is_not_understood_is_reported_and_never_widens_the_flag() {
        let (set, notes) = taken(&json!([{
            "key": "f", "strategy": "attribute", "attribute_rules": [
                { "attribute": "plan", "operator": "equals", "value": "beta" },
                { "attribute": "age", "operator": "greater_than", "value": "18" },
            ],
        }]));
        let plan = json!({ "===": [{ "var": "plan" }, "beta"] });
        assert_eq!(targeting(&set, "f"), json!({ "if": [plan, "on", null] }));
        assert_eq!(notes.len(), 1);
    }
}
