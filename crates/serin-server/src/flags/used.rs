//! What clients asked for, as far as the data plane saw it: how often, when last, and what they got.
//!
//! A client that evaluates by itself and reports nothing is not seen here.

use serde::{Deserialize, Serialize};
use serin_edge::{Answer, Counts, Evaluations, Protocol};
use serin_flags::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// Variants remembered of one flag, at most.
const VARIANTS_MAX: usize = 100;

/// How often something was answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answered {
    /// How often.
    pub count: u64,
    /// When last.
    pub last: Timestamp,
}

/// How a flag was used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Used {
    /// When it was first asked for.
    pub first: Timestamp,
    /// When a client last asked for it by its name, or reported that it had evaluated it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<Timestamp>,
    /// When it was last sent along with all others: somebody may use it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_along: Option<Timestamp>,
    /// What was answered, by variant; empty for the code's default.
    #[serde(default)]
    pub variants: BTreeMap<String, Answered>,
    /// Answers that were errors.
    #[serde(default)]
    pub errors: u64,
}

impl Used {
    fn new(at: Timestamp) -> Self {
        let (asked, sent_along, variants) = Default::default();
        Self { first: at, asked, sent_along, variants, errors: 0 }
    }

    fn count(&mut self, answer: &Answer, more: u64, at: Timestamp) {
        let bulk = matches!(
            answer.protocol,
            Protocol::OfrepBulk | Protocol::FlagdBulk | Protocol::UnleashFrontend
        );
        *(if bulk { &mut self.sent_along } else { &mut self.asked }) = Some(at);
        if answer.result == "error" {
            self.errors += more;
        } else if self.variants.len() < VARIANTS_MAX || self.variants.contains_key(&answer.variant)
        {
            let new = Answered { count: 0, last: at };
            let seen = self.variants.entry(answer.variant.clone()).or_insert(new);
            (seen.count, seen.last) = (seen.count + more, at);
        }
    }

    /// When it was last asked for or sent along.
    pub fn last(&self) -> Option<Timestamp> {
        self.asked.max(self.sent_along)
    }

    /// Variants answered since a time.
    pub fn since(&self, at: Timestamp) -> Vec<&str> {
        let lately = self.variants.iter().filter(|(_, seen)| seen.last >= at);
        lately.map(|(variant, _)| variant.as_str()).collect()
    }
}

/// The use of all flags, by set and key.
#[derive(Debug, Default)]
pub(crate) struct Uses {
    pub(crate) all: BTreeMap<(String, String), Used>,
    /// Keys that clients ask for and no flag has, by set.
    pub(crate) unknown: BTreeMap<(String, String), u64>,
    /// Whether the counters were looked at by this control plane.
    primed: bool,
    /// The counters as they were.
    before: BTreeMap<Answer, u64>,
    /// What changed since it was last stored.
    changed: BTreeSet<(String, String)>,
}

impl Uses {
    /// With what was stored.
    pub(crate) fn of(all: BTreeMap<(String, String), Used>) -> Self {
        Self { all, ..Self::default() }
    }

    /// Takes in the counters, which grow until the data plane is started again.
    ///
    /// What was counted before the first look was taken in by the control plane before.
    pub(crate) fn take(&mut self, counts: &Counts, at: Timestamp) {
        if !std::mem::replace(&mut self.primed, true) {
            let known = counts.evaluations.iter();
            self.before = known.map(|one| (one.answer.clone(), one.count)).collect();
            return;
        }
        for Evaluations { answer, count } in &counts.evaluations {
            let before = self.before.get(answer).copied().unwrap_or(0);
            let more = if *count >= before { count - before } else { *count };
            if more == 0 {
                continue;
            }
            self.before.insert(answer.clone(), *count);
            let name = (answer.set.clone(), answer.flag.clone());
            self.changed.insert(name.clone());
            self.all.entry(name).or_insert_with(|| Used::new(at)).count(answer, more, at);
        }
        let unknown = counts.unknown.iter();
        self.unknown = unknown.map(|one| ((one.set.clone(), one.key.clone()), one.count)).collect();
    }

    /// What has to be stored; asked once, it is taken for stored.
    pub(crate) fn take_changed(&mut self) -> Vec<((String, String), Used)> {
        let names = std::mem::take(&mut self.changed);
        names
            .into_iter()
            .filter_map(|name| Some((name.clone(), self.all.get(&name)?.clone())))
            .collect()
    }

    /// Of one flag.
    pub(crate) fn of_flag(&self, set: &str, key: &str) -> Option<&Used> {
        self.all.get(&(set.to_owned(), key.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(protocol: Protocol, variant: &str, count: u64) -> Counts {
        let answer = Answer {
            set: "production".into(),
            flag: "a".into(),
            variant: variant.into(),
            reason: "STATIC".into(),
            protocol,
            result: if variant.is_empty() { "error".into() } else { "true".into() },
            strategy: String::new(),
        };
        Counts { evaluations: vec![Evaluations { answer, count }], ..Counts::default() }
    }

    #[test]
    fn counters_are_taken_as_differences_also_after_a_restart() {
        let mut uses = Uses::default();
        // Counted for the control plane before this one.
        uses.take(&counts(Protocol::Ofrep, "on", 3), Timestamp(5));
        uses.take(&counts(Protocol::Ofrep, "on", 8), Timestamp(10));
        uses.take(&counts(Protocol::Ofrep, "on", 10), Timestamp(20));
        uses.take(&counts(Protocol::Ofrep, "on", 10), Timestamp(30));
        // The data plane was started again.
        uses.take(&counts(Protocol::Ofrep, "on", 2), Timestamp(40));
        uses.take(&counts(Protocol::Ofrep, "", 1), Timestamp(50));
        let used = uses.of_flag("production", "a").unwrap();
        assert_eq!((used.variants["on"].count, used.errors), (9, 1));
        assert_eq!((used.first, used.asked), (Timestamp(10), Some(Timestamp(50))));
        assert_eq!(used.since(Timestamp(40)), ["on"]);
        assert_eq!(used.since(Timestamp(41)), [""; 0]);
        assert_eq!(uses.take_changed().len(), 1);
        assert_eq!(uses.take_changed().len(), 0);
    }

    #[test]
    fn what_is_sent_along_is_not_asked_for() {
        let mut uses = Uses::default();
        uses.take(&Counts::default(), Timestamp(1));
        uses.take(&counts(Protocol::OfrepBulk, "on", 5), Timestamp(10));
        let used = uses.of_flag("production", "a").unwrap();
        assert_eq!((used.asked, used.last()), (None, Some(Timestamp(10))));
    }
}
