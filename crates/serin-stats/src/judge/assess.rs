//! What the evidence says, with all the numbers behind it.

use super::Judge;
use crate::assessment::{Assessment, LatencySummary, MetricAssessment, Outcome, Rung};
use crate::config::{Metric, MetricSettings, Role};
use crate::evidence::Evidence;
use crate::latency::LatencyEvidence;

impl Judge {
    /// What the evidence says now, with PASS asked for at `rung`.
    pub fn assess(&self, rung: Rung) -> Assessment {
        let blame = self.failure.as_ref().map_or_else(Vec::new, |f| f.blame.clone());
        let fails = self.fails();
        let invalid = self.invalid();
        let settings = self.config.settings().metrics.iter();
        let metrics: Vec<_> = settings
            .zip(&self.metrics)
            .zip(&fails)
            .map(|((m, evidence), fail)| self.metric(m, evidence, *fail, rung))
            .map(|m| decide(m, &blame, invalid.is_some()))
            .collect();
        Assessment {
            outcome: self.overall(&metrics, invalid.is_some()),
            fail_evidence: self.total_evidence(&fails),
            fail_needed: self.config.fail_needed(),
            metrics,
            blame,
            invalid,
            dispersion: self.guards.factor(false, true),
            users: self.guards.has_users(),
            canary_n: self.canary_n,
            baseline_n: self.baseline_n,
        }
    }

    /// Confidence sequences of latency quantile `q` of the recent past, in milliseconds, baseline
    /// first (see [`crate::quantiles`]). For display: nothing is decided by them.
    pub fn quantile_intervals(&self, q: f64) -> [Option<(f64, f64)>; 2] {
        let latency = self.metrics.iter().find_map(|evidence| match evidence {
            Evidence::Latency(latency) => Some(latency.windows()),
            _ => None,
        });
        let alpha = self.config.settings().alpha;
        latency.map_or([None, None], |(baseline, canary)| {
            [baseline, canary].map(|w| crate::quantiles::interval(&w.histogram(), q, alpha))
        })
    }

    fn overall(&self, metrics: &[MetricAssessment], invalid: bool) -> Outcome {
        let critical = || metrics.iter().filter(|m| m.role == Role::Critical);
        if self.failure.is_some() {
            Outcome::Fail
        } else if invalid {
            Outcome::Invalid
        } else if self.canary_n == 0 || critical().any(|m| m.outcome == Outcome::NoData) {
            Outcome::NoData
        } else if critical().all(|m| m.outcome == Outcome::Pass) {
            Outcome::Pass
        } else {
            Outcome::Continue
        }
    }

    fn metric(
        &self,
        m: &MetricSettings,
        evidence: &Evidence,
        fail: f64,
        rung: Rung,
    ) -> MetricAssessment {
        let counts = evidence.counts();
        let (baseline_rate, canary_rate) = evidence.rates();
        let needed = self.config.pass_needed() * rung.part();
        let factor = self.guards.factor(false, true);
        let mut found = MetricAssessment {
            metric: m.metric.clone(),
            role: m.role,
            outcome: if evidence.has_data() { Outcome::Continue } else { Outcome::NoData },
            baseline_n: counts.baseline_n,
            baseline_events: counts.baseline_events,
            baseline_rate,
            canary_n: counts.canary_n,
            canary_events: counts.canary_events,
            canary_rate,
            limit: evidence.limit(&self.config),
            interval: evidence.interval(self.config.settings().alpha),
            fail_evidence: fail,
            fail_needed: self.config.fail_needed(),
            pass_evidence: evidence.pass(&self.config, self.repeats()),
            pass_needed: needed,
            requests_missing: evidence.requests_missing(&self.config, needed * factor),
            latency: latency(evidence),
        };
        self.add_alone(&mut found);
        found
    }

    /// Adds what was seen since the canary has all requests.
    fn add_alone(&self, found: &mut MetricAssessment) {
        let Some(alone) = self.alone.as_ref() else { return };
        let own = alone.evidence().into_iter().find(|(metric, _)| *metric == found.metric);
        let Some((_, evidence)) = own else { return };
        found.fail_evidence = found.fail_evidence.max(evidence);
        let counts = alone.counts(&found.metric).filter(|_| found.metric == Metric::Errors);
        if let Some((n, events)) = counts {
            found.canary_n = found.canary_n.saturating_add(n);
            found.canary_events = found.canary_events.saturating_add(events);
            found.canary_rate = Some(found.canary_events as f64 / found.canary_n.max(1) as f64);
        }
    }
}

/// Sets the outcome of a metric from its evidence. `NoData` stays unless it is to blame.
fn decide(mut m: MetricAssessment, blame: &[Metric], invalid: bool) -> MetricAssessment {
    if blame.contains(&m.metric) {
        m.outcome = Outcome::Fail;
    } else if invalid {
        m.outcome = Outcome::Invalid;
    } else if m.outcome == Outcome::Continue && m.pass_evidence >= m.pass_needed {
        m.outcome = Outcome::Pass;
    }
    m
}

fn latency(evidence: &Evidence) -> Option<LatencySummary> {
    match evidence {
        Evidence::Latency(latency) => Some(summary(latency)),
        _ => None,
    }
}

fn summary(latency: &LatencyEvidence) -> LatencySummary {
    let (baseline, canary) = latency.windows();
    let ([b50, b99], [c50, c99]) = (baseline.summary_ms(), canary.summary_ms());
    LatencySummary {
        baseline_p50_ms: b50,
        baseline_p99_ms: b99,
        canary_p50_ms: c50,
        canary_p99_ms: c99,
    }
}
