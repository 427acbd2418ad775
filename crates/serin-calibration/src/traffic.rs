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
    /// Requests, with stable's split into parts of its users.
    pub split: Tick,
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

    /// One arm where errors belong together: requests, sessions, and errors by part of the users.
    fn clumped_arm(&mut self, clumps: Clumps, n: u64, rate: f64) -> Arm {
        let affected = self.rng.poisson(n as f64 * rate / clumps.size);
        let mut parts = [0; PARTS];
        for _ in 0..affected {
            let part = self.rng.bits() as usize % PARTS;
            parts[part] += self.rng.geometric(1.0 / clumps.size);
        }
        let errors: u64 = parts.iter().sum();
        let sessions = n / clumps.session;
        Arm {
            requests: counts(n, errors.min(n)),
            sessions: counts(sessions, affected.min(sessions)),
            split: self.deal(n).into_iter().zip(parts).map(|(n, k)| (n, k.min(n))).collect(),
        }
    }

    /// Requests of each part of the users.
    fn deal(&mut self, n: u64) -> [u64; PARTS] {
        let mut left = n;
        std::array::from_fn(|part| {
            let mine = self.rng.binomial(left, 1.0 / (PARTS - part) as f64);
            left -= mine;
            mine
        })
    }

    fn arm(&mut self, n: u64, rate: f64) -> Arm {
        if let Some(clumps) = self.scenario.clumps {
            return self.clumped_arm(clumps, n, rate);
        }
        let requests = counts(n, self.rng.binomial(n, rate));
        Arm { sessions: requests.clone(), requests, split: Vec::new() }
    }
}

/// Parts that a data plane splits stable's users into.
const PARTS: usize = 16;

/// One arm's counts in all units.
struct Arm {
    requests: ArmTick,
    sessions: ArmTick,
    split: Vec<(u64, u64)>,
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
        let tick = |baseline, canary| Tick { seconds, baseline, canary, ..Tick::default() };
        let requests = tick(baseline.requests, canary.requests);
        Moment {
            split: Tick { split: baseline.split, ..requests.clone() },
            sessions: tick(baseline.sessions, canary.sessions),
            requests,
            ..Moment::default()
        }
    }

    /// Ten minutes of stable alone, where there is something to learn from them.
    fn before(&mut self) -> Vec<Moment> {
        if self.scenario.clumps.is_none() {
            return Vec::new();
        }
        let share = std::mem::replace(&mut self.scenario.share, 0.0);
        let before = (0..20).map(|_| self.next(30)).collect();
        self.scenario.share = share;
        self.now = 0;
        before
    }
}

/// An arm without latencies.
pub fn counts(n: u64, errors: u64) -> ArmTick {
    ArmTick { n, errors, ..ArmTick::default() }
}
