//! Changes of flags that are made without a person: when a service is rolled back, fails too often,
//! burns its error budget, or a breaker opens.
//!
//! # Invariants
//! - Every such change is in the flag's history, with the numbers that led to it and who asked for
//!   it beforehand.
//! - Nothing is changed back by itself: a person does that. Whoever does is not overruled: the same
//!   cause acts again only after it was calm for its whole time.

use super::edit::{Who, Wish, edit};
use super::watch::{LONGEST_S, Tally};
use super::{Act, Due, FlagError, Flags, Refused, seconds};
use crate::control::Core;
use crate::flags::change::Agreed;
use serde::{Deserialize, Serialize};
use serin_core::ServiceName;
use serin_local::wire::Counters;
use serin_store::FlagWrite;

/// Who makes a change that nobody makes at that moment.
pub(super) const SELF: &str = "serin";
/// Shortest time that a rate must last, in seconds.
const SHORTEST_S: u32 = 10;
/// Requests without which a rate says nothing, unless said.
const LEAST: u64 = 50;
/// The newest part of the time in which the rate must still be over its bound: what is over already
/// needs nothing any more.
const NEWEST_PART: u32 = 6;

/// What makes a change without a person.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Trigger {
    /// A rollout of this service was taken back by evidence or health.
    RolledBack {
        /// The service.
        service: String,
    },
    /// More than a share of this service's requests fail.
    Errors {
        /// The service.
        service: String,
        /// The share, 0 to 1.
        above: f64,
        /// For so many seconds, 10 to 3 600.
        for_s: u32,
        /// Requests in that time without which it says nothing.
        #[serde(default = "least")]
        least: u64,
    },
    /// The error budget of this service is spent faster than it may be: its share of failures over
    /// the share that its objective allows. (Site Reliability Workbook, chapter 5.)
    Burn {
        /// The service.
        service: String,
        /// The share of requests that must not fail, 0 to 1.
        objective: f64,
        /// So many times as fast.
        rate: f64,
        /// For so many seconds, 10 to 3 600.
        for_s: u32,
        /// Requests in that time without which it says nothing.
        #[serde(default = "least")]
        least: u64,
    },
    /// Somebody says that the breaker of this name is open.
    Breaker {
        /// Its name.
        name: String,
    },
}

fn least() -> u64 {
    LEAST
}

/// A bound on the share of failures of a service.
#[derive(Debug, Clone, Copy)]
struct Bound<'a> {
    service: &'a str,
    above: f64,
    for_s: u32,
    least: u64,
}

/// What a service's numbers say about a bound.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Heat {
    /// Over it all the time, and still.
    Over(Tally),
    /// Under half of it all the time.
    Calm,
    /// Neither, or too little is known.
    Between,
}

impl Trigger {
    /// What it waits for, as people read it.
    pub fn words(&self) -> String {
        match self {
            Self::RolledBack { service } => format!("when {service} is rolled back"),
            Self::Errors { service, above, for_s, .. } => {
                format!("when more than {} of {service} fail for {for_s} s", percent(*above))
            }
            Self::Burn { service, objective, rate, for_s, .. } => format!(
                "when {service} burns its error budget ({} must work) {rate} times as fast as it \
                 may, for {for_s} s",
                percent(*objective)
            ),
            Self::Breaker { name } => format!("when the breaker {name} opens"),
        }
    }

    fn bound(&self) -> Option<Bound<'_>> {
        let (service, above, for_s, least) = match self {
            Self::Errors { service, above, for_s, least } => (service, *above, for_s, least),
            Self::Burn { service, objective, rate, for_s, least } => {
                (service, (1.0 - objective) * rate, for_s, least)
            }
            _ => return None,
        };
        Some(Bound { service, above, for_s: *for_s, least: *least })
    }

    /// Refuses what can never be.
    pub(super) fn check(&self) -> Result<(), Refused> {
        let never = |why: String, hint| Err(Refused::never(why, hint));
        if let Self::Burn { objective, .. } = self
            && !(*objective > 0.0 && *objective < 1.0)
        {
            return never(format!("{objective} is no objective"), "it is a share, such as 0.999");
        }
        let Some(bound) = self.bound() else { return Ok(()) };
        // More than all can never fail; 0.1 x 10 is a little less than 1 in binary.
        if !(bound.above > 0.0 && bound.above < 1.0 - 1e-9) {
            let why = format!("{} of requests is no bound", percent(bound.above));
            return never(why, "it must lie between 0 % and 100 %");
        }
        if !(SHORTEST_S..=LONGEST_S).contains(&bound.for_s) {
            return never(format!("{} s is no time for it", bound.for_s), "take 10 s to 1 h");
        }
        Ok(())
    }
}

/// A share for people.
fn percent(share: f64) -> String {
    format!("{} %", (share * 100_000.0).round() / 1_000.0)
}

impl Bound<'_> {
    fn heat(&self, of: impl Fn(u32) -> Option<Tally>) -> Heat {
        let newest = of((self.for_s / NEWEST_PART).max(SHORTEST_S / 2)).and_then(Tally::rate);
        let Some(whole) = of(self.for_s).filter(|tally| tally.requests >= self.least) else {
            return Heat::Between;
        };
        match whole.rate() {
            Some(rate) if rate > self.above && newest > Some(self.above) => Heat::Over(whole),
            Some(rate) if rate <= self.above / 2.0 => Heat::Calm,
            _ => Heat::Between,
        }
    }

    fn said(&self, tally: Tally) -> String {
        let rate = percent(tally.rate().unwrap_or_default());
        let (failed, requests) = (tally.failed, tally.requests);
        format!(
            "{}: {failed} of {requests} requests failed in {} s ({rate}, more than {})",
            self.service,
            self.for_s,
            percent(self.above)
        )
    }
}

impl Flags {
    /// Whether the counters of a service are wanted at every look.
    pub(crate) fn watches(&self) -> bool {
        self.bounds().next().is_some()
    }

    fn bounds(&self) -> impl Iterator<Item = (u64, &Due, Bound<'_>)> {
        self.due.iter().filter_map(|(id, due)| Some((*id, due, due.trigger.as_ref()?.bound()?)))
    }

    /// Takes in how services fare.
    fn watch(&mut self, counters: &Counters, now: i64) {
        let named: Vec<String> = self.bounds().map(|(.., at)| at.service.to_owned()).collect();
        self.watched.retain(|name, _| named.contains(name));
        for name in named {
            self.watched.entry(name.clone()).or_default().take(&name, counters, now);
        }
    }

    /// What came over or under its bound: which change, and the numbers.
    fn turned(&self, now: i64) -> Vec<(u64, Option<String>)> {
        let heat = |bound: &Bound<'_>| {
            let watched = self.watched.get(bound.service);
            bound.heat(|seconds| watched?.last(seconds, now))
        };
        let one = |(id, due, bound): (u64, &Due, Bound<'_>)| match (heat(&bound), due.fired) {
            (Heat::Over(tally), None) => Some((id, Some(bound.said(tally)))),
            (Heat::Calm, Some(_)) => Some((id, None)),
            _ => None,
        };
        self.bounds().filter_map(one).collect()
    }
}

impl Core {
    /// Makes the changes that wait for a service to fare badly.
    pub(crate) fn watch_services(&mut self, counters: &Counters) {
        if !self.flags.watches() {
            return;
        }
        let now = seconds().0;
        self.flags.watch(counters, now);
        for (id, why) in self.flags.turned(now) {
            self.turn(id, why.as_deref());
        }
    }

    /// Makes the changes that wait for a rollout of `service` to be taken back.
    pub(crate) fn rolled_back(&mut self, service: &ServiceName, why: &str) {
        let wanted = Some(Trigger::RolledBack { service: service.to_string() });
        let due = self.flags.due.values().filter(|due| due.trigger == wanted);
        for one in due.cloned().collect::<Vec<_>>() {
            let because = format!("{service} was rolled back: {why}");
            if let Err(error) = self.pull(&one, &because, vec![]) {
                eprintln!("serin: {} was not changed for {service}: {error}", one.key);
            }
        }
    }

    /// A breaker opened or closed: changes that wait for it are made once, and again only after it
    /// was closed. How many wait for it.
    pub(crate) fn breaker(&mut self, name: &str, open: bool, why: &str) -> usize {
        let wanted = Some(Trigger::Breaker { name: name.to_owned() });
        let waiting: Vec<(u64, bool)> = self
            .flags
            .due
            .iter()
            .filter(|(_, due)| due.trigger == wanted)
            .map(|(id, due)| (*id, due.fired.is_some()))
            .collect();
        let why = format!("the breaker {name} opened: {why}");
        for (id, fired) in &waiting {
            if *fired != open {
                self.turn(*id, open.then_some(why.as_str()));
            }
        }
        waiting.len()
    }

    /// The cause of a change set in, with its numbers, or is over.
    fn turn(&mut self, id: u64, why: Option<&str>) {
        let Some(due) = self.flags.due.get(&id).cloned() else { return };
        let next = Due { fired: why.map(|_| seconds()), ..due };
        let Ok(text) = serde_json::to_string(&next) else { return };
        let note = FlagWrite::Due { id, text };
        let made = match why {
            Some(why) => self.pull(&next, why, vec![note]),
            None => self.executor.store_mut().commit_flags(&[note]).map_err(FlagError::from),
        };
        match made {
            // It is tried again at the next look.
            Err(FlagError::Store(error)) => eprintln!("serin: flag {}: {error}", next.key),
            Err(error) => {
                eprintln!("serin: {} was not changed: {error}", next.key);
                self.flags.due.insert(id, next);
            }
            Ok(()) => drop(self.flags.due.insert(id, next)),
        }
    }

    /// Makes a change whose cause has set in. One that is so already is left alone.
    fn pull(&mut self, due: &Due, why: &str, more: Vec<FlagWrite>) -> Result<(), FlagError> {
        let (key, flag, _) = self.flags.flag(&due.set, &due.key)?;
        let reason = format!("{why} ({}); only a person takes it back", super::due::asked(due));
        let who = Who { by: SELF, reason: Some(&reason), at: seconds() };
        let (key, next, same) = {
            let next = edit(flag, &due.wish, who)?;
            (key.clone(), next.clone(), next == *flag)
        };
        if same {
            return Ok(self.executor.store_mut().commit_flags(&more)?);
        }
        self.refuse_wish(&due.wish, &next)?;
        let act = Act { set: &due.set, key: &key, who, verb: due.wish.verb() };
        let agreed = Agreed { by: &due.approved, request: None };
        self.make_change(act, Some(next), more, agreed).map(drop)
    }
}

/// Whether a wish may be bound to a cause: what only takes effect once may not.
pub(super) fn bindable(wish: &Wish) -> Result<(), Refused> {
    match wish {
        Wish::On | Wish::Off | Wish::Disable | Wish::Strategy(_) => Ok(()),
        other => {
            let why = format!("`{}` is not bound to a cause", other.verb());
            Err(Refused::never(why, "bind `on`, `off`, `disable` or a percentage"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(above: f64, for_s: u32) -> Trigger {
        Trigger::Errors { service: "shop".into(), above, for_s, least: 50 }
    }

    fn burn(objective: f64, rate: f64) -> Trigger {
        Trigger::Burn { service: "shop".into(), objective, rate, for_s: 60, least: 50 }
    }

    /// The whole time, and its newest part.
    fn heat(trigger: &Trigger, whole: (u64, u64), newest: (u64, u64)) -> Heat {
        let bound = trigger.bound().unwrap();
        bound.heat(|seconds| {
            let (requests, failed) = if seconds == bound.for_s { whole } else { newest };
            Some(Tally { requests, failed })
        })
    }

    #[test]
    fn over_means_all_the_time_and_still() {
        let five = errors(0.05, 60);
        for (whole, newest, wanted) in [
            ((1_000, 60), (100, 9), "over"),
            ((1_000, 60), (100, 2), "between"),
            ((1_000, 60), (0, 0), "between"),
            ((1_000, 50), (100, 9), "between"),
            ((49, 49), (10, 10), "between"),
            ((1_000, 26), (100, 0), "between"),
            ((1_000, 25), (100, 9), "calm"),
            ((0, 0), (0, 0), "between"),
        ] {
            let found = match heat(&five, whole, newest) {
                Heat::Over(_) => "over",
                Heat::Calm => "calm",
                Heat::Between => "between",
            };
            assert_eq!(found, wanted, "{whole:?} {newest:?}");
        }
        assert_eq!(five.bound().unwrap().heat(|_| None), Heat::Between, "not watched yet");
    }

    #[test]
    fn a_budget_burns_by_what_its_objective_allows() {
        let fast = burn(0.999, 14.4);
        assert!(matches!(heat(&fast, (10_000, 145), (1_000, 15)), Heat::Over(_)));
        assert_eq!(heat(&fast, (10_000, 143), (1_000, 15)), Heat::Between);
    }

    #[test]
    fn what_can_never_be_is_refused() {
        for bad in [
            errors(0.0, 60),
            errors(1.0, 60),
            errors(f64::NAN, 60),
            errors(0.1, 9),
            errors(0.1, 3_601),
            burn(1.0, 2.0),
            burn(0.9, 10.0),
        ] {
            assert!(bad.check().is_err(), "{bad:?}");
        }
        for good in [errors(0.05, 10), burn(0.999, 14.4)] {
            assert_eq!(good.check(), Ok(()));
            let text = serde_json::to_string(&good).unwrap();
            assert_eq!(serde_json::from_str::<Trigger>(&text).unwrap(), good, "{text}");
        }
    }
}
