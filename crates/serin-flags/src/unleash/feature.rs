//! One flag as a feature.

use super::{
    condition::{Alternatives, of_rule, of_segments},
    constraint::{Constraint, context_name},
};
use crate::{
    Anonymous, Attribute, Definition, FlagKey, FlagType, Kind, Method, Prerequisite, Serve,
    SetDefinition, Share, State, WHOLE,
    compile::{is_boolean, is_forced_off},
};
use serde_json::{Value, json};

/// A feature, and what in it differs.
pub(super) struct Written {
    pub feature: Value,
    pub note: Option<String>,
}

/// Who gets what, in order.
struct Entry<'a> {
    who: Alternatives,
    what: What<'a>,
}

enum What<'a> {
    One(&'a str),
    Split { shares: &'a [Share], by: Option<&'a String>, salt: Option<&'a String> },
}

pub(super) fn feature(
    set: &SetDefinition,
    key: &FlagKey,
    flag: &Definition,
) -> Result<Written, String> {
    if flag.killed.is_none() && flag.state == State::Disabled {
        return Err(
            "the code's own default is wanted, which Unleash gives only unknown flags".into()
        );
    }
    let writer = Writer { key, flag };
    let entries = entries(set, flag)?;
    let splits = entries.iter().any(|entry| matches!(entry.what, What::Split { .. }));
    let strategies =
        if is_boolean(flag) { writer.switch(entries)? } else { writer.variants(entries)? };
    let differs = splits && flag.bucketing != Some(Method::Unleash);
    let dependencies = dependencies(set, flag)?;
    let never = strategies.is_empty() || dependencies.is_none();
    let feature = json!({
        "name": key,
        "type": kind(flag.kind),
        "description": flag.description,
        "enabled": !never,
        "project": "default",
        "stale": false,
        "impressionData": false,
        "strategies": strategies,
        "variants": [],
        "dependencies": dependencies.unwrap_or_default(),
    });
    let note = match (differs, splits, &flag.anonymous) {
        (true, ..) => Some(
            "Unleash's clients put users into other buckets than the rest; bucketing `unleash` \
             makes them the same",
        ),
        (_, true, Anonymous::Attribute(_)) => {
            Some("a user without id and session gets a random share")
        }
        (_, true, Anonymous::Skip) => {
            Some("a user without the attribute that is bucketed gets nothing from later rules")
        }
        (_, false, _) => None,
    };
    let note = note.map(str::to_owned);
    Ok(Written { feature, note })
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Release => "release",
        Kind::Experiment => "experiment",
        Kind::Ops => "operational",
        Kind::KillSwitch => "kill-switch",
        Kind::Permission => "permission",
    }
}

fn entries<'a>(set: &SetDefinition, flag: &'a Definition) -> Result<Vec<Entry<'a>>, String> {
    let everybody = |name: &'a str| {
        let who = Alternatives::everybody();
        Entry { who, what: What::One(name) }
    };
    if is_forced_off(flag) {
        return Ok(vec![everybody(&flag.off_variant)]);
    }
    if flag.raw.is_some() {
        return Err("its targeting is raw JsonLogic".to_owned());
    }
    let mut entries = Vec::new();
    for target in flag.targets.iter().filter(|target| !target.users.is_empty()) {
        let who = Alternatives::one(Constraint::listed(&target.users)?);
        entries.push(Entry { who, what: What::One(&target.variant) });
    }
    for rule in &flag.rules {
        let what = match &rule.serve {
            Serve::Variant(name) => What::One(name.as_str()),
            Serve::Split { shares, by, salt } => whole(shares)
                .map_or(What::Split { shares, by: by.as_ref(), salt: salt.as_ref() }, What::One),
        };
        entries.push(Entry { who: of_rule(set, rule)?, what });
    }
    entries.extend(released(set, flag)?);
    // After its end only the default is left.
    if let Some(end) = flag.expires_at {
        let before = Alternatives::one(Constraint::before(end));
        for entry in &mut entries {
            entry.who = entry.who.and(&before)?;
        }
    }
    let ended = entries
        .last()
        .is_some_and(|entry| entry.who.is_everybody() && matches!(entry.what, What::One(_)));
    match &flag.default_variant {
        Some(name) if !ended => entries.push(everybody(name)),
        None if !ended && is_boolean(flag) => {
            return Err("it ends in the code's own default".to_owned());
        }
        _ => {}
    }
    Ok(entries)
}

/// The variant that has everything.
fn whole(shares: &[Share]) -> Option<&str> {
    shares.iter().find(|share| share.weight == WHOLE).map(|share| share.variant.as_str())
}

fn released<'a>(set: &SetDefinition, flag: &'a Definition) -> Result<Option<Entry<'a>>, String> {
    let Some(release) = &flag.release else { return Ok(None) };
    let what = match (release.exposure, release.arm) {
        (WHOLE, WHOLE) => What::One(release.on.as_str()),
        (0, _) | (_, 0) => What::One(release.off.as_str()),
        _ => return Err("a guarded release is under way".to_owned()),
    };
    Ok(Some(Entry { who: of_segments(set, &release.segments)?, what }))
}

struct Writer<'a> {
    key: &'a FlagKey,
    flag: &'a Definition,
}

impl Writer<'_> {
    /// Whoever gets true, and nobody else.
    fn switch(&self, entries: Vec<Entry<'_>>) -> Result<Vec<Value>, String> {
        let mut rest = Alternatives::everybody();
        let mut strategies = Vec::new();
        for Entry { who, what } in entries {
            let mine = rest.and(&who)?;
            let (percent, parameters) = match what {
                What::One(name) if self.is_on(name) => (100, json!({})),
                What::One(_) => (0, json!({})),
                What::Split { shares, by, salt } => {
                    let percent = self.percent(shares)?;
                    (percent, self.parameters(percent, by, salt)?)
                }
            };
            let name = if percent == 100 { "default" } else { "flexibleRollout" };
            if percent > 0 {
                strategies.extend(mine.0.iter().map(|all| strategy(name, &parameters, all, &[])));
            }
            if who.is_everybody() {
                break;
            }
            if percent < 100 {
                rest = rest.and(&who.negated()?)?;
            }
        }
        Ok(strategies)
    }

    fn is_on(&self, name: &str) -> bool {
        self.flag.variants.get(name) == Some(&Value::Bool(true))
    }

    /// The share of true, which must have the lowest buckets.
    fn percent(&self, shares: &[Share]) -> Result<u32, String> {
        let on: u32 = shares.iter().filter(|s| self.is_on(&s.variant)).map(|s| s.weight).sum();
        if !on.is_multiple_of(1_000) {
            return Err("Unleash knows only whole percents".to_owned());
        }
        let first = shares.iter().find(|share| share.weight > 0);
        if on > 0 && !first.is_some_and(|share| self.is_on(&share.variant)) {
            return Err("the share of false stands before that of true".to_owned());
        }
        Ok(on / 1_000)
    }

    /// The first strategy that fits decides, as with rules.
    fn variants(&self, entries: Vec<Entry<'_>>) -> Result<Vec<Value>, String> {
        if !self.flag.prerequisites.is_empty() {
            return Err("an unmet prerequisite serves a variant, not nothing".to_owned());
        }
        let mut strategies = Vec::new();
        for Entry { who, what } in entries {
            let (name, parameters, variants) = match what {
                What::One(variant) => {
                    let parameters = json!({ "groupId": self.key });
                    let variant = self.variant(variant, 1_000, "default");
                    ("default", parameters, vec![variant])
                }
                What::Split { shares, by, salt } => {
                    let parameters = self.parameters(100, by, salt)?;
                    let sticky = parameters["stickiness"].as_str().unwrap_or("userId");
                    let variants = self.weighted(shares, sticky)?;
                    ("flexibleRollout", parameters, variants)
                }
            };
            strategies.extend(who.0.iter().map(|all| strategy(name, &parameters, all, &variants)));
            if who.is_everybody() && name == "default" {
                break;
            }
        }
        Ok(strategies)
    }

    fn weighted(&self, shares: &[Share], sticky: &str) -> Result<Vec<Value>, String> {
        let one = |share: &Share| {
            if !share.weight.is_multiple_of(100) {
                return Err("Unleash knows only tenths of a percent".to_owned());
            }
            Ok(self.variant(&share.variant, share.weight / 100, sticky))
        };
        shares.iter().filter(|share| share.weight > 0).map(one).collect()
    }

    fn variant(&self, name: &str, weight: u32, sticky: &str) -> Value {
        let value = self.flag.variants.get(name).cloned().unwrap_or_default();
        let (kind, text) = match FlagType::of(&value) {
            Some(FlagType::String) => ("string", value.as_str().unwrap_or_default().to_owned()),
            Some(FlagType::Number) => ("number", value.to_string()),
            _ => ("json", value.to_string()),
        };
        json!({
            "name": name,
            "weight": weight,
            "weightType": "fix",
            "stickiness": sticky,
            "payload": { "type": kind, "value": text },
        })
    }

    fn parameters(
        &self,
        percent: u32,
        by: Option<&String>,
        salt: Option<&String>,
    ) -> Result<Value, String> {
        let group = salt.or(self.flag.salt.as_ref()).map_or(self.key.as_str(), String::as_str);
        Ok(json!({
            "rollout": percent.to_string(),
            "stickiness": self.stickiness(by)?,
            "groupId": group,
        }))
    }

    fn stickiness(&self, by: Option<&String>) -> Result<String, String> {
        let by = by.or(self.flag.bucket_by.as_ref());
        let by = by.map_or(Attribute::TARGETING_KEY, String::as_str);
        match &self.flag.anonymous {
            Anonymous::Skip => context_name(by),
            Anonymous::Attribute(other)
                if by == Attribute::TARGETING_KEY && other == "sessionId" =>
            {
                Ok("default".to_owned())
            }
            Anonymous::Attribute(_) => Err("another attribute stands in for the user".to_owned()),
        }
    }
}

fn strategy(name: &str, parameters: &Value, all: &[Constraint], variants: &[Value]) -> Value {
    let constraints: Vec<Value> = all.iter().map(Constraint::json).collect();
    json!({
        "name": name,
        "parameters": parameters,
        "constraints": constraints,
        "segments": [],
        "variants": variants,
    })
}

/// What the flag depends on; none: it can never be on.
fn dependencies(set: &SetDefinition, flag: &Definition) -> Result<Option<Vec<Value>>, String> {
    if flag.prerequisites.is_empty() || is_forced_off(flag) {
        return Ok(Some(Vec::new()));
    }
    if flag.variants.get(&flag.off_variant) == Some(&Value::Bool(true)) {
        return Err("it is on while a prerequisite is not met".to_owned());
    }
    let default = flag.default_variant.as_ref().and_then(|name| flag.variants.get(name));
    if flag.expires_at.is_some() && default == Some(&Value::Bool(true)) {
        return Err("it is on without its prerequisites once it has expired".to_owned());
    }
    let mut all = Vec::new();
    for needs in &flag.prerequisites {
        match dependency(set, needs)? {
            Dependency::Always => {}
            Dependency::Never => return Ok(None),
            Dependency::On(value) => all.push(value),
        }
    }
    Ok(Some(all))
}

enum Dependency {
    Always,
    Never,
    On(Value),
}

fn dependency(set: &SetDefinition, needs: &Prerequisite) -> Result<Dependency, String> {
    let Some(parent) = set.flags.get(&needs.flag) else { return Ok(Dependency::Never) };
    if parent.killed.is_none() && parent.state == State::Disabled {
        return Ok(Dependency::Never);
    }
    if !parent.prerequisites.is_empty() && !is_forced_off(parent) {
        return Err("its prerequisite has a prerequisite itself".to_owned());
    }
    feature(set, &needs.flag, parent).map_err(|why| format!("its prerequisite: {why}"))?;
    if !is_boolean(parent) {
        let names = &needs.variants;
        return Ok(Dependency::On(json!({ "feature": needs.flag, "variants": names })));
    }
    let wants = |wanted: bool| {
        let is = |name: &String| parent.variants.get(name) == Some(&Value::Bool(wanted));
        needs.variants.iter().any(is)
    };
    Ok(match (wants(true), wants(false)) {
        (true, true) => Dependency::Always,
        (on, _) => Dependency::On(json!({ "feature": needs.flag, "enabled": on })),
    })
}
