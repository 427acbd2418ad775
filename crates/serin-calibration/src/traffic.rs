//! Simulated traffic of both arms: request counts and errors.

use crate::rng::Rng;
use serin_stats::{ArmTick, Tick};

/// Where requests come from.
pub trait Source {
    /// The next `seconds`.
    fn next(&mut self, seconds: u32) -> Moment;

    /// Stable's traffic from before there was a canary, for those who learn from it.
    fn before(&mut self) -> Vec<Moment> {
        Vec::new()
    }
}

/// Exact sums over latencies in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sums {
    /// Requests.
    pub n: f64,
    /// Sum.
    pub sum: f64,
    /// Sum of squares.
    pub squares: f64,
}

/// One stretch of time in both units of analysis.
#[derive(Clone, Debug, Default)]
pub struct Moment {
    /// Requests and failed requests.
    pub requests: Tick,
    /// Sessions and sessions with at least one failed request; equal to `requests` where every
    /// request fails on its own.
    pub sessions: Tick,
    /// Latencies of baseline and canary, where there are any.
    pub latency: [Sums; 2],
}

/// Errors that come in clumps, as they do when each belongs to a user whose requests go wrong.
#[derive(Clone, Copy, Debug)]
pub struct Clumps {
    /// Mean errors of an affected session (geometric).
    pub size: f64,
    /// Requests of a session.
    pub session: u64,
}

/// Trouble that hits both versions alike.
#[derive(Clone, Copy, Debug)]
pub struct Incidents {
    /// Mean seconds from one to the next.
    pub every: f64,
    /// Seconds one lasts.
    pub lasting: u32,
    /// Error rate meanwhile, in both arms.
    pub rate: f64,
}

/// What the traffic of one scenario is like.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// Name in the tables.
    pub name: &'static str,
    /// Requests a second over both arms (Poisson).
    pub rps: f64,
    /// Probability that a request goes to the canary.
    pub share: f64,
    /// Error rate of stable.
    pub stable: f64,
    /// Error rate of the canary from `onset` on.
    pub canary: f64,
    /// Second at which the canary's own rate begins; before, it has stable's.
    pub onset: u32,
    /// Shared incidents.
    pub incidents: Option<Incidents>,
    /// Errors that belong together.
    pub clumps: Option<Clumps>,
}

impl Scenario {
    /// Whether the canary is worse.
    pub fn is_regression(&self) -> bool {
        self.canary > self.stable
    }

    const fn new(name: &'static str, rps: f64, stable: f64, canary: f64) -> Self {
        let (share, onset) = (0.1, 0);
        Self { name, rps, share, stable, canary, onset, incidents: None, clumps: None }
    }

    const fn shaken(self) -> Self {
        Self { incidents: Some(Incidents { every: 3000.0, lasting: 120, rate: 0.1 }), ..self }
    }

    const fn clumped(self) -> Self {
        Self { clumps: Some(Clumps { size: 3.0, session: 10 }), ..self }
    }
}

/// No regression: what alarms here is false.
pub const HARMLESS: [Scenario; 4] = [
    Scenario::new("AA1", 100.0, 0.005, 0.005),
    Scenario::new("AA2", 5.0, 0.01, 0.01),
    Scenario::new("AA3", 100.0, 0.005, 0.005).shaken(),
    Scenario::new("AA4", 100.0, 0.005, 0.005).clumped(),
];

/// Regressions.
pub const HARMFUL: [Scenario; 9] = [
    Scenario::new("R1", 100.0, 0.005, 0.01),
    Scenario::new("R2", 100.0, 0.005, 0.015),
    Scenario::new("R3", 100.0, 0.005, 0.05),
    Scenario::new("R4", 100.0, 0.005, 0.5),
    Scenario::new("R5", 100.0, 0.01, 0.015),
    Scenario { onset: 900, ..Scenario::new("R6", 100.0, 0.005, 0.02) },
    Scenario::new("R7", 5.0, 0.01, 0.1),
    Scenario::new("R8", 100.0, 0.005, 0.015).shaken(),
    Scenario::new("R9", 100.0, 0.005, 0.015).clumped(),
];

/// A plain scenario of its own.
pub const fn plain(name: &'static str, rps: f64, stable: f64, canary: f64) -> Scenario {
    Scenario::new(name, rps, stable, canary)
}

/// The traffic of one run.
#[derive(Debug)]
pub struct Traffic {
    scenario: Scenario,
    rng: Rng,
    now: u32,
    incident_until: u32,
}

impl Traffic {
    /// The traffic of run number `run`.
    pub fn new(scenario: Scenario, stream: u64, run: usize) -> Self {
        Self { scenario, rng: Rng::of(stream, run as u64), now: 0, incident_until: 0 }
    }

    /// Sends another part of the requests to the canary from now on.
    pub fn set_share(&mut self, share: f64) {
        self.scenario.share = share;
    }

    fn rates(&mut self, seconds: u32) -> (f64, f64) {
        let own = if self.now >= self.scenario.onset {
            self.scenario.canary
        } else {
            self.scenario.stable
        };
        let Some(incidents) = self.scenario.incidents else { return (self.scenario.stable, own) };
        if self.rng.happens(f64::from(seconds) / incidents.every) {
            self.incident_until = self.incident_until.max(self.now + incidents.lasting);
        }
        if self.now < self.incident_until {
            return (incidents.rate, incidents.rate);
        }
        (self.scenario.stable, own)
    }

    /// One arm in requests and in sessions.
    fn arm(&mut self, n: u64, rate: f64) -> (ArmTick, ArmTick) {
        let Some(clumps) = self.scenario.clumps else {
            let arm = counts(n, self.rng.binomial(n, rate));
            return (arm.clone(), arm);
        };
        let affected = self.rng.poisson(n as f64 * rate / clumps.size);
        let errors: u64 = (0..affected).map(|_| self.rng.geometric(1.0 / clumps.size)).sum();
        let sessions = n / clumps.session;
        (counts(n, errors.min(n)), counts(sessions, affected.min(sessions)))
    }
}

impl Source for Traffic {
    fn next(&mut self, seconds: u32) -> Moment {
        let scenario = self.scenario;
        let all = self.rng.poisson(scenario.rps * f64::from(seconds));
        let canary_n = self.rng.binomial(all, scenario.share);
        let (stable, canary) = self.rates(seconds);
        let baseline = self.arm(all - canary_n, stable);
        let canary = self.arm(canary_n, canary);
        self.now += seconds;
        Moment {
            requests: Tick { seconds, baseline: baseline.0, canary: canary.0, ..Tick::default() },
            sessions: Tick { seconds, baseline: baseline.1, canary: canary.1, ..Tick::default() },
            ..Moment::default()
        }
    }
}

/// An arm without latencies.
pub fn counts(n: u64, errors: u64) -> ArmTick {
    ArmTick { n, errors, ..ArmTick::default() }
}
