//! How a service's requests have fared lately, from the data plane's counters. Pure.

use serin_local::wire::{Counters, Generation, Role, ServiceCounters};
use std::collections::{BTreeMap, VecDeque};

/// Longest time that is looked back, in seconds.
pub(super) const LONGEST_S: u32 = 3_600;

/// One arm of a service in one generation; its numbers only grow while the data plane lives.
type Arm = (Generation, String, bool);

/// Requests and, of these, failures.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) requests: u64,
    pub(super) failed: u64,
}

impl Tally {
    fn add(&mut self, more: Self) {
        self.requests += more.requests;
        self.failed += more.failed;
    }

    /// The share that failed, 0 to 1; none without requests.
    pub(super) fn rate(self) -> Option<f64> {
        (self.requests > 0).then(|| (self.failed.min(self.requests)) as f64 / self.requests as f64)
    }
}

/// One service, watched.
#[derive(Debug, Default)]
pub(super) struct Watched {
    /// The data plane that counted, and its numbers as they were.
    before: Option<(u64, BTreeMap<Arm, Tally>, u64)>,
    /// What came, by the second of the look.
    lately: VecDeque<(i64, Tally)>,
    /// Since when without a gap.
    since: Option<i64>,
}

impl Watched {
    /// Takes in the counters as they are at `now`, in seconds.
    pub(super) fn take(&mut self, name: &str, counters: &Counters, now: i64) {
        let arms = arms_of(name, counters);
        let dropped = counters.dropped.iter().find(|one| one.service == name);
        let dropped = dropped.map_or(0, serin_local::wire::Dropped::total);
        let before = self.before.replace((counters.epoch, arms.clone(), dropped));
        let Some((epoch, old, old_dropped)) = before else {
            // What was counted before anybody looked says nothing about now.
            self.since = Some(now);
            return;
        };
        let fresh = epoch != counters.epoch;
        let mut news = Tally::default();
        for (arm, now) in arms {
            let then = old.get(&arm).copied().filter(|_| !fresh).unwrap_or_default();
            news.requests += now.requests.saturating_sub(then.requests);
            news.failed += now.failed.saturating_sub(then.failed);
        }
        news.failed += if fresh { dropped } else { dropped.saturating_sub(old_dropped) };
        self.lately.push_back((now, news));
        while self.lately.front().is_some_and(|(at, _)| *at <= now - i64::from(LONGEST_S)) {
            self.lately.pop_front();
        }
    }

    /// What came in the last `seconds`; none while it was not watched for so long.
    pub(super) fn last(&self, seconds: u32, now: i64) -> Option<Tally> {
        let start = now - i64::from(seconds);
        self.since.filter(|since| *since <= start)?;
        let mut all = Tally::default();
        let lately = self.lately.iter().rev().take_while(|(at, _)| *at > start);
        lately.for_each(|(_, tally)| all.add(*tally));
        Some(all)
    }
}

fn arms_of(name: &str, counters: &Counters) -> BTreeMap<Arm, Tally> {
    let mine = counters.services.iter().filter(|service| service.service == name);
    mine.flat_map(|service| service.arms.iter().map(move |arm| (service, arm)))
        .map(|(service, arm)| {
            let id = (generation(service), arm.revision.clone(), arm.role == Role::Baseline);
            let (requests, failed) = (arm.totals.requests, arm.totals.responses_5xx);
            (id, Tally { requests, failed })
        })
        .collect()
}

fn generation(service: &ServiceCounters) -> Generation {
    service.generation
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counters(epoch: u64, requests: u64, failed: u64, dropped: u64) -> Counters {
        let text = format!(
            r#"{{"epoch":{epoch},"seq":1,"now_ms":1,"closed_through_s":1,"services":[
            {{"service":"shop","generation":{{"epoch":1,"n":1}},"arms":[
              {{"revision":"v1@aa","role":"stable","weight_asked":100000,"assigned":1,
               "first_assigned_ms":1,"last_assigned_ms":1,
               "judged":{{"n":0,"errors":0,"unfinished":0,"aborted":0,"latency":[]}},
               "totals":{{"requests":{requests},"responses_5xx":{failed},"timeouts":0,
                 "connect_failures":0,"resets":0,"client_aborts":0,"retries":0,"fallback":0,
                 "upgrades":0,"latency":[]}}}}]}}],"instances":[],
            "dropped":[{{"service":"shop","no_ready":{dropped},"failed":0,"timeout":0,
              "truncated":0}}]}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    fn tally(requests: u64, failed: u64) -> Tally {
        Tally { requests, failed }
    }

    #[test]
    fn only_what_came_in_the_window_counts() {
        let mut watched = Watched::default();
        watched.take("shop", &counters(1, 1_000, 500, 3), 100);
        assert_eq!(watched.last(10, 105), None, "not watched for so long");
        watched.take("shop", &counters(1, 1_100, 510, 3), 105);
        watched.take("shop", &counters(1, 1_200, 510, 5), 110);
        assert_eq!(watched.last(10, 110), Some(tally(200, 12)));
        assert_eq!(watched.last(5, 110), Some(tally(100, 2)));
        assert_eq!(watched.last(5, 116), Some(tally(0, 0)));
    }

    #[test]
    fn a_data_plane_that_was_started_again_counts_from_nothing() {
        let mut watched = Watched::default();
        watched.take("shop", &counters(1, 1_000, 500, 9), 100);
        watched.take("shop", &counters(2, 50, 5, 1), 101);
        assert_eq!(watched.last(1, 101), Some(tally(50, 6)));
        watched.take("other", &counters(2, 50, 5, 1), 102);
        assert_eq!(watched.last(1, 102), Some(tally(0, 0)));
    }

    #[test]
    fn what_is_old_is_forgotten() {
        let mut watched = Watched::default();
        for at in 0..5_000 {
            watched.take("shop", &counters(1, at, 0, 0), at as i64);
        }
        assert_eq!(watched.lately.len(), LONGEST_S as usize);
        assert_eq!(watched.last(LONGEST_S, 4_999), Some(tally(3_600, 0)));
    }

    #[test]
    fn a_rate_is_never_above_the_whole() {
        assert_eq!(Tally { requests: 2, failed: 5 }.rate(), Some(1.0));
        assert_eq!(Tally::default().rate(), None);
    }
}
