//! Points held against limits, once a minute, with counted failures.

use super::Totals;
use crate::traffic::Moment;
use crate::watch::Watch;
use std::collections::VecDeque;

/// A check of what the last `minutes` were like, made every minute.
struct Check {
    minutes: usize,
    /// The failure at which it alarms.
    limit: u32,
    fails: fn(&Totals) -> bool,
    past: VecDeque<Totals>,
    current: Totals,
    seconds: u32,
    failed: u32,
}

impl Check {
    fn boxed(minutes: usize, limit: u32, fails: fn(&Totals) -> bool) -> Box<dyn Watch> {
        Box::new(Self {
            minutes,
            limit,
            fails,
            past: VecDeque::new(),
            current: Totals::default(),
            seconds: 0,
            failed: 0,
        })
    }

    fn window(&self) -> Totals {
        let mut sum = Totals::default();
        for minute in &self.past {
            sum.canary_n += minute.canary_n;
            sum.canary_errors += minute.canary_errors;
            sum.baseline_n += minute.baseline_n;
            sum.baseline_errors += minute.baseline_errors;
        }
        sum
    }
}

impl Watch for Check {
    fn observe(&mut self, moment: &Moment) -> bool {
        self.current.add(&moment.requests);
        self.seconds += moment.requests.seconds;
        if self.seconds < 60 {
            return false;
        }
        self.seconds = 0;
        self.past.push_back(std::mem::take(&mut self.current));
        if self.past.len() > self.minutes {
            self.past.pop_front();
        }
        self.failed += u32::from((self.fails)(&self.window()));
        self.failed >= self.limit
    }
}

/// Flagger: success at least 99 % over the last minute; the fifth failed check, in total.
pub fn flagger() -> Box<dyn Watch> {
    Check::boxed(1, 5, |t| t.canary_errors > 0.01 * t.canary_n)
}

/// Argo Rollouts: success at least 95 % over five minutes, `failureLimit: 3`.
pub fn argo() -> Box<dyn Watch> {
    Check::boxed(5, 4, |t| t.canary_errors > 0.05 * t.canary_n)
}

/// Canary's error rate more than 1.5 times stable's over five minutes; the fourth failure.
pub fn relative() -> Box<dyn Watch> {
    Check::boxed(5, 4, |t| t.canary_errors * t.baseline_n > 1.5 * t.baseline_errors * t.canary_n)
}
