//! Runs of one cell put together.

use crate::condition::{Condition, Version};
use crate::limits::{exact, with_noise};
use crate::run::Outcomes;
use crate::spec::{ALPHA, BETA};
use crate::watch::Seen;
use serin_calibration::report::{Table, percent};
use serin_stats::MetricAssessment;

const HEAD: [&str; 19] = [
    "condition",
    "version",
    "runs",
    "fail %",
    "from",
    "to",
    "pass %",
    "invalid %",
    "errors alone: fail %",
    "from",
    "to",
    "pass %",
    "from",
    "to",
    "median s",
    "stable errors %",
    "canary errors %",
    "goal",
    "reached",
];

/// An empty table.
pub fn empty() -> Table {
    Table::new("hostile", &HEAD)
}

/// All runs of one condition and version.
pub struct Cell<'a> {
    /// The condition.
    pub condition: &'a Condition,
    /// The candidate.
    pub version: Version,
    /// What came of its runs.
    pub outcomes: Vec<Outcomes>,
}

impl Cell<'_> {
    fn count(&self, what: impl Fn(&Outcomes) -> bool) -> u64 {
        self.outcomes.iter().filter(|o| what(o)).count() as u64
    }

    fn runs(&self) -> u64 {
        self.outcomes.len() as u64
    }

    /// What must not happen too often, how often it happened, and how often it may.
    fn goal(&self) -> (String, u64, f64) {
        let fails =
            self.count(|o| o.whole.fail.is_some()).max(self.count(|o| o.errors.fail.is_some()));
        let passes =
            self.count(|o| o.whole.pass.is_some()).max(self.count(|o| o.errors.pass.is_some()));
        match self.version {
            Version::Same => {
                (format!("fail <= {} %", ALPHA * 100.0), fails, with_noise(ALPHA, self.runs()))
            }
            _ if self.condition.never_pass => ("no pass".into(), passes, 0.0),
            _ => (format!("pass <= {} %", BETA * 100.0), passes, with_noise(BETA, self.runs())),
        }
    }

    /// Whether what must not happen happened no more often than chance allows.
    pub fn is_met(&self) -> bool {
        let (_, seen, allowed) = self.goal();
        seen as f64 <= allowed * self.runs() as f64 && self.runs() > 0
    }

    fn median_s(&self) -> String {
        let mut times: Vec<f64> =
            self.outcomes.iter().filter_map(|o| o.whole.decided_at()).collect();
        times.sort_by(f64::total_cmp);
        times.get(times.len() / 2).map_or(String::new(), |t| format!("{t:.0}"))
    }

    fn mean_rate(&self, of: impl Fn((f64, f64)) -> f64) -> String {
        let rates: Vec<f64> = self.outcomes.iter().filter_map(Outcomes::rates).map(of).collect();
        let sum: f64 = rates.iter().sum();
        if rates.is_empty() { String::new() } else { percent(sum / rates.len() as f64, 1) }
    }

    /// Adds its row.
    pub fn row(&self, table: &mut Table) {
        let share = |k: u64| percent(k as f64 / self.runs().max(1) as f64, 1);
        let with_limits = |k: u64| {
            let (low, high) = exact(k, self.runs());
            [share(k), percent(low, 1), percent(high, 1)]
        };
        let fails = |of: fn(&Outcomes) -> &Seen| self.count(|o| of(o).fail.is_some());
        let passes = |of: fn(&Outcomes) -> &Seen| self.count(|o| of(o).pass.is_some());
        let name = [self.condition.name, self.version.word()].map(str::to_owned);
        let mut cells = name.to_vec();
        cells.push(self.runs().to_string());
        cells.extend(with_limits(fails(|o| &o.whole)));
        cells.push(share(passes(|o| &o.whole)));
        cells.push(share(self.count(|o| o.whole.invalid.is_some())));
        cells.extend(with_limits(fails(|o| &o.errors)));
        cells.extend(with_limits(passes(|o| &o.errors)));
        cells.extend([self.median_s(), self.mean_rate(|r| r.0), self.mean_rate(|r| r.1)]);
        let reached = if self.is_met() { "met" } else { "missed" };
        cells.extend([self.goal().0, reached.to_owned()]);
        table.row(cells);
    }

    /// The runs that came to what they should not.
    fn culprits(&self) -> String {
        let wrong = |o: &&Outcomes| match self.version {
            Version::Same => o.whole.fail.is_some() || o.errors.fail.is_some(),
            _ => o.whole.pass.is_some() || o.errors.pass.is_some(),
        };
        let line = |o: &Outcomes| {
            let at = |seen: &Seen| match self.version {
                Version::Same => seen.fail.map_or("-".into(), |t| format!("{t:.0} s")),
                _ => seen.pass.map_or("-".into(), |t| format!("{t:.0} s")),
            };
            let last = o.last.as_ref();
            let numbers = last.map_or(String::new(), |last| {
                let of = |m: &MetricAssessment| {
                    let (b, c) = ((m.baseline_events, m.baseline_n), (m.canary_events, m.canary_n));
                    format!(
                        "{} {}/{} {}/{} fail {:.1}",
                        m.metric, b.0, b.1, c.0, c.1, m.fail_evidence
                    )
                };
                let metrics: Vec<String> = last.metrics.iter().map(of).collect();
                format!("{}; dispersion {:.1}", metrics.join("; "), last.dispersion)
            });
            format!("\n  whole {}, errors alone {}: {numbers}", at(&o.whole), at(&o.errors))
        };
        self.outcomes.iter().filter(wrong).map(line).collect()
    }

    /// Which guards tripped, for whoever looks for a cause.
    pub fn notes(&self) -> String {
        let mut guards = std::collections::BTreeMap::new();
        for (_, guard) in self.outcomes.iter().filter_map(|o| o.whole.invalid.as_ref()) {
            *guards.entry(format!("{guard:?}")).or_insert(0_u32) += 1;
        }
        let sum = |of: fn(&Outcomes) -> u64| self.outcomes.iter().map(of).sum::<u64>();
        format!(
            "{} {}: guards {guards:?}, aborted {}/{}, unfinished {}/{}, without data {}{}",
            self.condition.name,
            self.version.word(),
            sum(|o| o.aborted.0),
            sum(|o| o.aborted.1),
            sum(|o| o.unfinished.0),
            sum(|o| o.unfinished.1),
            self.count(|o| !o.has_data()),
            self.culprits(),
        )
    }
}
