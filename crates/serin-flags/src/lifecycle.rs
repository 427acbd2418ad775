//! Whether a flag has outlived its purpose, from its definition, its use and the code.

use crate::{Definition, SetDefinition, State, Timestamp, WHOLE, model::Serve};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Days without a change in what a flag answers after which it is worth a look; also how long after
/// a full release the reminder to clean up comes.
pub const QUIET_DAYS: u32 = 14;

/// How often a flag was asked for, over all protocols.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Usage {
    /// When counting began.
    pub since: Timestamp,
    /// Answers by variant; the code's own default counts under the empty name.
    pub variants: BTreeMap<String, VariantUse>,
    /// Evaluations that failed.
    pub errors: u64,
}

/// How often a variant was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VariantUse {
    /// Answers.
    pub count: u64,
    /// The last of them.
    pub last: Timestamp,
}

/// What is known about a flag beside its definition. What is unknown proves nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// Its use, if anybody counts.
    pub usage: Option<Usage>,
    /// How often the code mentions it, if the code was scanned.
    pub references: Option<u64>,
    /// Since when everybody gets the same, from its history.
    pub settled_since: Option<Timestamp>,
}

/// Something about a flag that a person should know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "finding", rename_all = "camelCase")]
pub enum Finding {
    /// Its expiry has passed.
    Expired {
        /// Days ago.
        days: u64,
    },
    /// It is older than its kind should become.
    PastLifetime {
        /// Its age in days.
        days: u64,
        /// The age its kind may reach.
        allowed: u32,
    },
    /// Its definition gives everybody this variant.
    OneSided {
        /// The variant; none: the code's own default.
        variant: Option<String>,
    },
    /// Everybody has got the same for two weeks: time to take it out of the code.
    CleanUp {
        /// Days since then.
        days: u64,
    },
    /// Nobody has got anything else lately.
    Constant {
        /// The variant; none: the code's own default.
        variant: Option<String>,
        /// For a boolean flag, whether it is always true or always false.
        value: Option<bool>,
        /// Days it has been so.
        days: u64,
    },
    /// Nobody has asked for it since counting began.
    NeverEvaluated {
        /// Days counted.
        days: u64,
    },
    /// Nobody asks for it any more.
    NotEvaluated {
        /// Days since the last time.
        days: u64,
    },
    /// The code does not mention it.
    Unreferenced,
    /// Evaluations fail.
    Failing {
        /// How many of 1 000 000 evaluations.
        per_million: u64,
    },
    /// Nobody answers for it.
    Ownerless,
}

/// What to do with a flag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "advice", rename_all = "camelCase")]
pub enum Advice {
    /// Nothing.
    Keep,
    /// Look at the findings: not all of definition, use and code say the same.
    Look,
    /// Take it out of the code, keeping what this variant does. Definition, use and code agree.
    Remove {
        /// The variant whose path stays; none: the code's own default.
        survivor: Option<String>,
    },
    /// Archive it: the code does not mention it and nobody asks for it.
    Archive,
}

/// What was found out about a flag, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Review {
    /// The findings.
    pub findings: Vec<Finding>,
    /// What to do.
    pub advice: Advice,
}

/// Reviews a flag. Permanent kinds are exempt from everything that age and constancy say.
pub fn review(definition: &Definition, facts: &Facts, now: Timestamp) -> Review {
    if definition.archived_at.is_some() {
        return Review { findings: Vec::new(), advice: Advice::Keep };
    }
    let mut findings = Vec::new();
    if definition.owner.is_empty() {
        findings.push(Finding::Ownerless);
    }
    findings.extend(facts.usage.as_ref().and_then(failing));
    if definition.kind.lifetime_days().is_none() {
        return Review { findings, advice: Advice::Keep };
    }
    findings.extend(aged(definition, now));
    findings.extend(settled(definition, facts, now));
    let used = facts.usage.as_ref().and_then(|usage| quiet(definition, usage, now));
    findings.extend(used.clone());
    if facts.references == Some(0) {
        findings.push(Finding::Unreferenced);
    }
    let advice = advice(definition, facts, used.as_ref(), &findings, now);
    Review { findings, advice }
}

fn failing(usage: &Usage) -> Option<Finding> {
    let answers: u64 = usage.variants.values().map(|one| one.count).sum();
    let all = u128::from(answers) + u128::from(usage.errors);
    let per_million = u128::from(usage.errors) * 1_000_000 / all.max(1);
    let per_million = u64::try_from(per_million).unwrap_or(1_000_000);
    (usage.errors > 0).then_some(Finding::Failing { per_million })
}

fn aged(definition: &Definition, now: Timestamp) -> Vec<Finding> {
    let expired = definition.expires_at.filter(|end| now >= *end);
    let expired = expired.map(|end| Finding::Expired { days: end.days_until(now) });
    let age = definition.created_at.map(|made| made.days_until(now));
    let old = age.zip(definition.kind.lifetime_days());
    let old = old.filter(|(days, allowed)| *days > u64::from(*allowed));
    let old = old.map(|(days, allowed)| Finding::PastLifetime { days, allowed });
    expired.into_iter().chain(old).collect()
}

fn settled(definition: &Definition, facts: &Facts, now: Timestamp) -> Vec<Finding> {
    let Some(variant) = one_sided(definition, now) else { return Vec::new() };
    let mut findings = vec![Finding::OneSided { variant: variant.map(str::to_owned) }];
    let days = facts.settled_since.map(|since| since.days_until(now));
    let due = days.filter(|days| *days >= u64::from(QUIET_DAYS));
    findings.extend(due.map(|days| Finding::CleanUp { days }));
    findings
}

/// What the counters say, once they have counted long enough.
fn quiet(definition: &Definition, usage: &Usage, now: Timestamp) -> Option<Finding> {
    let quiet = u64::from(QUIET_DAYS);
    let counted = usage.since.days_until(now);
    let mut given: Vec<(&str, Timestamp)> = usage
        .variants
        .iter()
        .filter(|(_, one)| one.count > 0)
        .map(|(name, one)| (name.as_str(), one.last))
        .collect();
    given.sort_by_key(|(_, last)| std::cmp::Reverse(*last));
    let Some((latest, last)) = given.first().copied() else {
        return (counted >= quiet).then_some(Finding::NeverEvaluated { days: counted });
    };
    let days = last.days_until(now);
    if days >= quiet {
        return Some(Finding::NotEvaluated { days });
    }
    let days = given.get(1).map_or(counted, |(_, other)| other.days_until(now));
    let variant = (!latest.is_empty()).then(|| latest.to_owned());
    let value = definition.variants.get(latest).and_then(Value::as_bool);
    (days >= quiet).then_some(Finding::Constant { variant, value, days })
}

/// Ready to go only if all three agree: the definition, the counters and the code.
fn advice(
    definition: &Definition,
    facts: &Facts,
    used: Option<&Finding>,
    findings: &[Finding],
    now: Timestamp,
) -> Advice {
    let unused =
        matches!(used, Some(Finding::NeverEvaluated { .. } | Finding::NotEvaluated { .. }));
    if facts.references == Some(0) && unused {
        return Advice::Archive;
    }
    let same = match (one_sided(definition, now), used) {
        (Some(given), Some(Finding::Constant { variant, .. })) => variant.as_deref() == given,
        _ => false,
    };
    if same && facts.references.is_some_and(|count| count > 0) {
        let survivor = one_sided(definition, now).flatten().map(str::to_owned);
        return Advice::Remove { survivor };
    }
    if findings.is_empty() { Advice::Keep } else { Advice::Look }
}

/// What everybody gets, if everybody gets the same: `Some(None)` is the code's own default. A flag
/// with raw targeting or prerequisites is not looked into.
pub fn one_sided(definition: &Definition, now: Timestamp) -> Option<Option<&str>> {
    let mut all = reachable(definition, now)?.into_iter();
    let only = all.next()?;
    all.next().is_none().then_some(only)
}

/// The variants that somebody may get; `None` among them is the code's own default. Nothing if the
/// rules are raw.
fn reachable(definition: &Definition, now: Timestamp) -> Option<BTreeSet<Option<&str>>> {
    let off = Some(definition.off_variant.as_str());
    if definition.killed.is_some() || definition.state == State::Off {
        return Some(BTreeSet::from([off]));
    }
    if definition.state == State::Disabled {
        return Some(BTreeSet::from([None]));
    }
    let default = definition.default_variant.as_deref();
    if definition.expires_at.is_some_and(|end| now >= end) {
        return Some(BTreeSet::from([default]));
    }
    if definition.raw.is_some() {
        return None;
    }
    let mut all = BTreeSet::new();
    if !definition.prerequisites.is_empty() {
        all.insert(off);
    }
    let targets = definition.targets.iter().filter(|target| !target.users.is_empty());
    all.extend(targets.map(|target| Some(target.variant.as_str())));
    for rule in &definition.rules {
        let everybody = rule.segments.is_empty() && rule.clauses.is_empty();
        let split = served(&rule.serve);
        let whole = split.len() == 1;
        all.extend(split);
        if everybody && whole {
            return Some(all);
        }
    }
    if let Some(release) = &definition.release {
        if release.exposure > 0 && release.arm > 0 {
            all.insert(Some(release.on.as_str()));
        }
        if release.exposure < WHOLE || release.arm < WHOLE {
            all.insert(Some(release.off.as_str()));
        } else if release.segments.is_empty() {
            return Some(all);
        }
    }
    all.insert(default);
    Some(all)
}

fn served(serve: &Serve) -> BTreeSet<Option<&str>> {
    match serve {
        Serve::Variant(name) => BTreeSet::from([Some(name.as_str())]),
        Serve::Split { shares, .. } => {
            let given = shares.iter().filter(|share| share.weight > 0);
            given.map(|share| Some(share.variant.as_str())).collect()
        }
    }
}

/// How many combinations of flags there are to test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Combinations {
    /// Flags of which more than one value is in use.
    pub flags: u32,
    /// The product of their numbers of values; `u64::MAX` if it is more.
    pub combinations: u64,
}

/// Counts the combinations that the undecided flags of a set make: 2^n for n boolean flags.
pub fn combinations(set: &SetDefinition, now: Timestamp) -> Combinations {
    let served = set.flags.values().filter(|flag| flag.archived_at.is_none());
    let values = |flag: &Definition| match reachable(flag, now) {
        Some(all) => all.len(),
        None => flag.variants.0.len(),
    };
    let open = served.map(|flag| values(flag)).filter(|values| *values > 1);
    let none = Combinations { flags: 0, combinations: 1 };
    open.fold(none, |all, values| Combinations {
        flags: all.flags + 1,
        combinations: all.combinations.saturating_mul(values as u64),
    })
}

#[cfg(test)]
mod tests;
