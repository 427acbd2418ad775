//! How a service fares, out of what the data plane counted: the backfill gives way when its users
//! notice it.

use serin_local::wire::Counters;
use serin_migrate::Health;
use serin_stats::Histogram;
use std::collections::{BTreeMap, VecDeque};

/// Looks kept; at one a second this many seconds.
const LOOKS: usize = 60;

/// Looks that make up the present.
const PRESENT: usize = 5;

/// Requests below which nothing is said.
const ENOUGH: u64 = 50;

/// All requests of a service so far.
#[derive(Debug, Clone, Default, PartialEq)]
struct Total {
    requests: u64,
    errors: u64,
    latency: Histogram,
}

/// What is remembered of each service.
#[derive(Debug, Default)]
pub(super) struct Watch {
    looks: BTreeMap<String, VecDeque<Total>>,
    usual: BTreeMap<String, (f64, f64)>,
}

impl Watch {
    /// Takes in a report.
    pub(super) fn counted(&mut self, report: &Counters, wanted: impl Fn(&str) -> bool) {
        let mut totals: BTreeMap<String, Total> = BTreeMap::new();
        for service in report.services.iter().filter(|service| wanted(&service.service)) {
            let total = totals.entry(service.service.clone()).or_default();
            for arm in &service.arms {
                let t = &arm.totals;
                total.requests += arm.assigned;
                total.errors += t.responses_5xx + t.timeouts + t.connect_failures + t.resets;
                t.latency.iter().for_each(|(bucket, count)| total.latency.record(*bucket, *count));
            }
        }
        self.looks.retain(|name, _| totals.contains_key(name));
        for (name, total) in totals {
            self.add(name, total);
        }
    }

    fn add(&mut self, name: String, total: Total) {
        let looks = self.looks.entry(name).or_default();
        // A data plane that began anew counts anew, and generations that it forgot are gone.
        if looks.back().is_some_and(|last| between(last, &total).is_none()) {
            looks.clear();
        }
        if looks.len() == LOOKS {
            looks.pop_front();
        }
        looks.push_back(total);
    }

    /// Remembers how the service is before a migration of it begins.
    pub(super) fn begin(&mut self, name: &str) {
        let all = self.looks.get(name).and_then(|looks| rates(looks.front()?, looks.back()?));
        match all {
            Some(usual) => self.usual.insert(name.to_owned(), usual),
            None => self.usual.remove(name),
        };
    }

    /// How it is now, compared with that.
    pub(super) fn health(&self, name: &str) -> Option<Health> {
        let looks = self.looks.get(name)?;
        let from = looks.get(looks.len().checked_sub(PRESENT + 1)?)?;
        let (p99_ms, error_rate) = rates(from, looks.back()?)?;
        let (usual_p99_ms, usual_error_rate) = self.usual.get(name).copied().unwrap_or((0.0, 0.0));
        Some(Health { p99_ms, usual_p99_ms, error_rate, usual_error_rate })
    }
}

fn between(from: &Total, to: &Total) -> Option<Total> {
    Some(Total {
        requests: to.requests.checked_sub(from.requests)?,
        errors: to.errors.checked_sub(from.errors)?,
        latency: to.latency.since(&from.latency)?,
    })
}

/// 99th percentile in ms, and share of errors.
fn rates(from: &Total, to: &Total) -> Option<(f64, f64)> {
    let total = between(from, to).filter(|total| total.requests >= ENOUGH)?;
    let (low, high) = total.latency.quantile_us(0.99)?;
    Some(((low + high) as f64 / 2000.0, total.errors as f64 / total.requests as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn total(requests: u64, errors: u64, us: u64) -> Total {
        let mut latency = Histogram::new();
        (0..requests).for_each(|_| latency.record_us(us));
        Total { requests, errors, latency }
    }

    fn sum(a: &Total, b: &Total) -> Total {
        let mut latency = a.latency.clone();
        latency.add(&b.latency);
        Total { requests: a.requests + b.requests, errors: a.errors + b.errors, latency }
    }

    #[test]
    fn the_present_is_held_against_what_was_before() {
        let mut watch = Watch::default();
        let mut all = total(0, 0, 0);
        for _ in 0..20 {
            all = sum(&all, &total(100, 0, 10_000));
            watch.add("shop".into(), all.clone());
        }
        watch.begin("shop");
        for _ in 0..10 {
            all = sum(&all, &total(100, 5, 40_000));
            watch.add("shop".into(), all.clone());
        }
        let health = watch.health("shop").unwrap();
        assert!((9.0..11.5).contains(&health.usual_p99_ms), "{health:?}");
        assert!((37.0..44.0).contains(&health.p99_ms), "{health:?}");
        assert!((health.error_rate - 0.05).abs() < 1e-9 && health.usual_error_rate < 1e-9);
    }

    #[test]
    fn few_requests_and_counts_that_began_anew_say_nothing() {
        let mut watch = Watch::default();
        for n in [10, 20, 30, 40, 45, 48, 49] {
            watch.add("shop".into(), total(n, 0, 1_000));
        }
        assert_eq!(watch.health("shop"), None);
        watch.add("shop".into(), total(1, 0, 1_000));
        assert_eq!(watch.looks["shop"].len(), 1);
    }
}
