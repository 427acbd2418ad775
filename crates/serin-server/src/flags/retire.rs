//! The way of a flag out of the system, stage by stage: users are off it, then the work it did in
//! the background is off, then its code goes, then the flag itself. Pure: time is a parameter.
//!
//! A feature that is off for users may go on working: a queue, a cache, a poll. Each stage is
//! watched for a while before the next begins, and says why it waits.

use super::held::{Served, one_for_all};
use super::used::Used;
use serde::{Deserialize, Serialize};
use serin_flags::{Definition, Timestamp};

/// The word in a flag's history for a stage that changes nothing of it.
pub(super) const STAGE: &str = "retire";

/// How long a stage is watched unless said: a day.
pub const WATCH_S: u32 = 86_400;

/// A stage of the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RetireStage {
    /// Everybody gets the variant that stays.
    Users,
    /// The flags that drive its work in the background are off.
    Background,
    /// Its code is taken out.
    Code,
}

/// A stage that is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PassedStage {
    /// Which.
    pub stage: RetireStage,
    /// When it began.
    pub from: Timestamp,
    /// When it was over.
    pub to: Timestamp,
    /// Who took the next one.
    pub by: String,
}

/// What somebody found in the code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scanned {
    /// Mentions of the flag.
    pub references: u64,
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub by: String,
}

/// A flag on its way out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Retirement {
    /// The variant that everybody gets, and whose code stays.
    pub keep: String,
    /// Flags that drive its work in the background.
    #[serde(default)]
    pub background: Vec<String>,
    /// Seconds that each stage is watched.
    pub watch_s: u32,
    /// The stage it is in.
    pub stage: RetireStage,
    /// Since when.
    pub since: Timestamp,
    /// Who began it.
    pub by: String,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Stages that are over.
    #[serde(default)]
    pub passed: Vec<PassedStage>,
    /// The last look at the code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scanned: Option<Scanned>,
}

/// A flag as far as its way out is concerned.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen<'a> {
    pub(super) key: &'a str,
    /// None: it is not there.
    pub(super) flag: Option<&'a Definition>,
    pub(super) used: Option<&'a Used>,
}

impl Retirement {
    /// What comes next.
    pub fn next(&self) -> String {
        match self.stage {
            RetireStage::Users if !self.background.is_empty() => {
                format!("switch off what works in the background: {}", self.background.join(", "))
            }
            RetireStage::Users | RetireStage::Background => {
                format!("take it out of the code, keeping what `{}` does", self.keep)
            }
            RetireStage::Code => "put the flag away".to_owned(),
        }
    }

    /// The stage after this one; none: the flag itself goes.
    pub(super) fn after(&self) -> Option<RetireStage> {
        match self.stage {
            RetireStage::Users if self.background.is_empty() => Some(RetireStage::Code),
            RetireStage::Users => Some(RetireStage::Background),
            RetireStage::Background => Some(RetireStage::Code),
            RetireStage::Code => None,
        }
    }

    /// The same at its next stage.
    pub(super) fn moved(&self, to: RetireStage, by: &str, now: Timestamp) -> Self {
        let passed = PassedStage { stage: self.stage, from: self.since, to: now, by: by.into() };
        let passed = self.passed.iter().cloned().chain([passed]).collect();
        Self { stage: to, since: now, passed, ..self.clone() }
    }

    /// Why the next stage has to wait; nothing: it may begin.
    pub(super) fn waits(
        &self,
        own: Seen<'_>,
        background: &[Seen<'_>],
        now: Timestamp,
    ) -> Vec<String> {
        match self.stage {
            RetireStage::Users => self.given(own, &self.keep, now),
            RetireStage::Background => {
                let off = |seen: &Seen<'_>| {
                    let off = seen.flag.map(|flag| flag.off_variant.clone()).unwrap_or_default();
                    self.given(*seen, &off, now)
                };
                background.iter().flat_map(off).collect()
            }
            RetireStage::Code => self.in_code(own, now),
        }
    }

    /// Whether everybody gets `wanted`, and nobody has got anything else for long enough.
    fn given(&self, seen: Seen<'_>, wanted: &str, now: Timestamp) -> Vec<String> {
        // One that is gone works no more.
        let Some(flag) = seen.flag.filter(|flag| flag.archived_at.is_none()) else {
            return vec![];
        };
        let key = seen.key;
        if one_for_all(flag) != Some(Served::Variant(wanted)) {
            return vec![format!("{key} does not give `{wanted}` to everybody")];
        }
        let others = seen.used.iter().flat_map(|used| &used.variants);
        let others = others.filter(|(variant, _)| *variant != wanted).map(|(_, seen)| seen.last);
        let last = others.max().filter(|last| *last > self.since);
        self.quiet(last, now, |last| format!("{key} gave somebody something else at {last}"))
    }

    fn in_code(&self, own: Seen<'_>, now: Timestamp) -> Vec<String> {
        let scanned = self.scanned.as_ref().filter(|scanned| scanned.at >= self.since);
        let mentions = match scanned.map(|scanned| scanned.references) {
            None => Some("nobody has looked at the code: add `--code PATH`".to_owned()),
            Some(0) => None,
            Some(1) => Some("the code mentions it once".to_owned()),
            Some(n) => Some(format!("the code mentions it {n} times")),
        };
        let last = own.used.and_then(Used::last).filter(|last| *last > self.since);
        let asked = self.quiet(last, now, |last| format!("clients asked for it at {last}"));
        mentions.into_iter().chain(asked).collect()
    }

    /// Whether it has been quiet for long enough since the stage began, or since `last`.
    fn quiet(
        &self,
        last: Option<Timestamp>,
        now: Timestamp,
        why: impl Fn(Timestamp) -> String,
    ) -> Vec<String> {
        let until = Timestamp(last.unwrap_or(self.since).0 + i64::from(self.watch_s));
        if until <= now {
            return vec![];
        }
        let watched = format!("it is watched until {until}");
        last.map(why).into_iter().chain([watched]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::used::Answered;
    use super::*;
    use serin_flags::{Kind, State};
    use std::collections::BTreeMap;

    const DAY: i64 = 86_400;

    fn flag(state: State) -> Definition {
        let default_variant = Some("on".into());
        Definition { state, default_variant, ..Definition::boolean(Kind::Release, "shop") }
    }

    fn used(variants: &[(&str, i64)]) -> Used {
        let one = |(name, at): &(&str, i64)| {
            ((*name).to_owned(), Answered { count: 1, last: Timestamp(*at) })
        };
        let variants: BTreeMap<_, _> = variants.iter().map(one).collect();
        let asked = variants.values().map(|seen| seen.last).max();
        Used { first: Timestamp(0), asked, sent_along: None, variants, errors: 0 }
    }

    fn retirement(stage: RetireStage, background: &[&str]) -> Retirement {
        Retirement {
            keep: "off".into(),
            background: background.iter().map(ToString::to_string).collect(),
            watch_s: WATCH_S,
            stage,
            since: Timestamp(10 * DAY),
            by: "ada".into(),
            reason: None,
            passed: vec![],
            scanned: None,
        }
    }

    fn seen<'a>(flag: &'a Definition, used: Option<&'a Used>) -> Seen<'a> {
        Seen { key: "a", flag: Some(flag), used }
    }

    #[test]
    fn users_are_off_when_nobody_has_got_anything_else_for_a_day() {
        let (off, on) = (flag(State::Off), flag(State::On));
        let users = retirement(RetireStage::Users, &[]);
        let waits =
            |flag, used: &Used, now| users.waits(seen(flag, Some(used)), &[], Timestamp(now));
        let old = used(&[("on", 9 * DAY), ("off", 12 * DAY)]);
        assert_eq!(waits(&off, &old, 11 * DAY), [""; 0]);
        assert_eq!(waits(&off, &old, 11 * DAY - 1).len(), 1, "watched for less than a day");
        assert!(waits(&on, &old, 20 * DAY)[0].contains("does not give `off` to everybody"));
        let late = used(&[("on", 10 * DAY + 50)]);
        assert_eq!(waits(&off, &late, 11 * DAY + 40).len(), 2, "a cache still gave the other");
        assert_eq!(waits(&off, &late, 11 * DAY + 50), [""; 0]);
    }

    #[test]
    fn work_in_the_background_is_off_when_its_flags_are() {
        let (off, on) = (flag(State::Off), flag(State::On));
        let stage = retirement(RetireStage::Background, &["a", "gone"]);
        let gone = Seen { key: "gone", flag: None, used: None };
        let waits =
            |flag| stage.waits(seen(flag, None), &[seen(flag, None), gone], Timestamp(11 * DAY));
        assert_eq!(waits(&off), [""; 0]);
        assert_eq!(waits(&on).len(), 1);
    }

    #[test]
    fn code_is_gone_when_nobody_mentions_it_and_nobody_asks() {
        let off = flag(State::Off);
        let mut stage = retirement(RetireStage::Code, &[]);
        let waits = |stage: &Retirement, used: Option<&Used>| {
            stage.waits(seen(&off, used), &[], Timestamp(12 * DAY))
        };
        assert!(waits(&stage, None)[0].contains("--code"));
        let look =
            |references, at| Some(Scanned { references, at: Timestamp(at), by: "ada".into() });
        stage.scanned = look(0, 9 * DAY);
        assert!(waits(&stage, None)[0].contains("--code"), "that was before");
        stage.scanned = look(2, 11 * DAY);
        assert!(waits(&stage, None)[0].contains("2 times"));
        stage.scanned = look(0, 11 * DAY);
        assert_eq!(waits(&stage, None), [""; 0]);
        assert_eq!(waits(&stage, Some(&used(&[("off", 10 * DAY)]))), [""; 0]);
        let asked = waits(&stage, Some(&used(&[("off", 11 * DAY + 9)])));
        assert!(asked[0].contains("clients asked for it"), "{asked:?}");
    }

    #[test]
    fn stages_come_one_after_the_other() {
        let mut one = retirement(RetireStage::Users, &["b"]);
        let mut order = vec![one.stage];
        while let Some(next) = one.after() {
            one = one.moved(next, "bob", Timestamp(one.since.0 + DAY));
            order.push(one.stage);
        }
        assert_eq!(order, [RetireStage::Users, RetireStage::Background, RetireStage::Code]);
        assert_eq!(one.passed.len(), 2);
        assert_eq!((one.passed[1].to, one.since), (Timestamp(12 * DAY), Timestamp(12 * DAY)));
        assert_eq!(retirement(RetireStage::Users, &[]).after(), Some(RetireStage::Code));
    }
}
