//! A flag as it is kept: its definition, who changed it last, and since when everybody gets one
//! value.

use serde::{Deserialize, Serialize};
use serin_flags::{Definition, Release, Serve, State, Timestamp, WHOLE};
use std::collections::BTreeSet;

/// A change, without what it changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stamp {
    /// Its number among all changes; it grows.
    pub n: u64,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: String,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What was done, in a word: `set`, `on`, `off`, `kill`, `restore`, `archive`, `release`...
    pub verb: String,
    /// Who agreed to it, where somebody had to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approved: Vec<String>,
    /// The request that they agreed to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<u64>,
}

/// That everybody gets the same variant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Constant {
    /// The variant; none: what the app's code says.
    pub variant: Option<String>,
    /// Since when.
    pub since: Timestamp,
}

/// What is known of a flag beside what it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Mark {
    /// Its last change.
    pub changed: Stamp,
    /// That everybody gets the same, if so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub constant: Option<Constant>,
}

impl Mark {
    /// Of a flag after a change; `before` is its mark until then.
    pub fn after(flag: &Definition, changed: Stamp, before: Option<&Self>) -> Self {
        let constant = one_for_all(flag).map(|served| {
            let variant = served.variant().map(str::to_owned);
            let known = before.and_then(|mark| mark.constant.clone());
            let same = known.filter(|constant| constant.variant == variant);
            same.unwrap_or(Constant { variant, since: changed.at })
        });
        Self { changed, constant }
    }
}

/// A flag as it is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    /// What it is.
    pub definition: Definition,
    /// What else is known.
    #[serde(flatten)]
    pub mark: Mark,
}

/// What a user may get.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Served<'f> {
    /// What the app's code says.
    Code,
    /// A variant.
    Variant(&'f str),
}

impl<'f> Served<'f> {
    fn of(variant: Option<&'f str>) -> Self {
        variant.map_or(Self::Code, Self::Variant)
    }

    /// The variant, if it is one.
    pub fn variant(self) -> Option<&'f str> {
        match self {
            Self::Code => None,
            Self::Variant(variant) => Some(variant),
        }
    }
}

/// What everybody gets whoever they are; `None` when that depends on the user.
pub fn one_for_all(flag: &Definition) -> Option<Served<'_>> {
    let all = outcomes(flag)?;
    let first = *all.first()?;
    (all.len() == 1).then_some(first)
}

/// Every variant that users who can be put into a bucket may get. `None` when it cannot be told:
/// targeting that was kept word for word from a file is not taken apart.
pub fn outcomes(flag: &Definition) -> Option<BTreeSet<Served<'_>>> {
    let off = Served::Variant(&flag.off_variant);
    if flag.killed.is_some() || flag.state == State::Off {
        return Some(BTreeSet::from([off]));
    }
    if flag.state == State::Disabled {
        return Some(BTreeSet::from([Served::Code]));
    }
    if flag.raw.is_some() {
        return None;
    }
    let needed = flag.prerequisites.first().map(|_| off);
    let named = flag.targets.iter().map(|target| Served::Variant(&target.variant));
    let mut all: BTreeSet<_> = needed.into_iter().chain(named).collect();
    for rule in &flag.rules {
        all.extend(served(&rule.serve));
        if rule.segments.is_empty() && rule.clauses.is_empty() {
            return Some(all);
        }
    }
    match &flag.release {
        Some(release) => all.extend(released(release)),
        None => drop(all.insert(Served::of(flag.default_variant.as_deref()))),
    }
    Some(all)
}

fn served(serve: &Serve) -> Vec<Served<'_>> {
    match serve {
        Serve::Variant(variant) => vec![Served::Variant(variant)],
        Serve::Split { shares, .. } => {
            let given = shares.iter().filter(|share| share.weight > 0);
            given.map(|share| Served::Variant(&share.variant)).collect()
        }
    }
}

fn released(release: &Release) -> Vec<Served<'_>> {
    let (on, off) = (Served::Variant(&release.on), Served::Variant(&release.off));
    match release.weight() {
        0 => vec![off],
        WHOLE if release.segments.is_empty() => vec![on],
        _ => vec![on, off],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serin_flags::{Killed, Kind, Rule, Share, Target};

    fn flag(edit: impl FnOnce(&mut Definition)) -> Definition {
        let mut flag = Definition::boolean(Kind::Release, "ada");
        edit(&mut flag);
        flag
    }

    fn split(on: u32) -> Rule {
        let share = |variant: &str, weight| Share { variant: variant.into(), weight };
        let shares = vec![share("on", on), share("off", WHOLE - on)];
        let serve = Serve::Split { shares, by: None, salt: None };
        Rule { name: String::new(), segments: vec![], clauses: vec![], serve }
    }

    #[test]
    fn what_everybody_gets() {
        let killed = Killed { by: "ada".into(), at: Timestamp(1), reason: "x".into() };
        let beta = Target { name: String::new(), variant: "on".into(), users: vec!["u1".into()] };
        let release = |weight| Some(Release::new("s", "on", "off").at(weight));
        let cases = [
            (flag(|_| ()), Some(Served::Variant("off"))),
            (flag(|f| f.default_variant = None), Some(Served::Code)),
            (flag(|f| f.state = State::Disabled), Some(Served::Code)),
            (flag(|f| f.rules = vec![split(5_000)]), None),
            (flag(|f| f.rules = vec![split(WHOLE)]), Some(Served::Variant("on"))),
            (flag(|f| f.rules = vec![split(0)]), Some(Served::Variant("off"))),
            (flag(|f| f.targets = vec![beta.clone()]), None),
            (
                flag(|f| (f.targets, f.rules) = (vec![beta], vec![split(WHOLE)])),
                Some(Served::Variant("on")),
            ),
            (flag(|f| f.release = release(0)), Some(Served::Variant("off"))),
            (flag(|f| f.release = release(60_000)), None),
            (flag(|f| f.release = release(WHOLE)), Some(Served::Variant("on"))),
            (flag(|f| f.raw = Some(serde_json::json!({}))), None),
            (
                flag(|f| (f.rules, f.killed) = (vec![split(5_000)], Some(killed))),
                Some(Served::Variant("off")),
            ),
        ];
        for (flag, wanted) in cases {
            assert_eq!(one_for_all(&flag), wanted, "{flag:?}");
        }
    }

    #[test]
    fn a_change_that_changes_nothing_for_users_keeps_the_time() {
        let stamp = |at| Stamp {
            n: 1,
            at: Timestamp(at),
            by: "ada".into(),
            reason: None,
            verb: "set".into(),
            approved: vec![],
            request: None,
        };
        let first = Mark::after(&flag(|_| ()), stamp(10), None);
        let same = Mark::after(&flag(|f| f.description = "x".into()), stamp(20), Some(&first));
        assert_eq!(same.constant.as_ref().map(|one| one.since), Some(Timestamp(10)));
        let on = Mark::after(&flag(|f| f.rules = vec![split(WHOLE)]), stamp(30), Some(&same));
        assert_eq!(on.constant.map(|one| one.since), Some(Timestamp(30)));
    }
}
