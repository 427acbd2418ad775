//! What can go wrong, as data.

use crate::app::Behaviour;
use crate::client::{Heavy, Population, Traffic};
use serin_core::AffinityKey;
use std::time::Duration;

/// Error rate of the stable revision, and the floor of what is harm.
pub const STABLE_ERRORS: f64 = 0.05;
/// Error rate of a candidate that is far beyond the border of harm.
pub const HARMFUL_ERRORS: f64 = 0.2;
/// The candidate is harmful from this multiple of stable's error rate on.
pub const HARM_RATIO: f64 = 2.0;

/// How the candidate differs from stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// Not at all.
    Same,
    /// As much as just counts as harm.
    Border,
    /// Far more.
    Harmful,
}

impl Version {
    /// For the table.
    pub fn word(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Border => "border",
            Self::Harmful => "harmful",
        }
    }
}

/// What happens in the middle of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Incident {
    /// Nothing.
    None,
    /// An instance of stable is killed and replaced.
    RestartStable,
    /// An instance of each revision is killed and replaced.
    RestartBoth,
    /// The candidate's share grows in steps.
    Weights,
    /// The data plane is killed and started again, now and then.
    KillPlane,
}

/// One hostile condition.
#[derive(Clone, Debug)]
pub struct Condition {
    /// Its name.
    pub name: &'static str,
    /// What clients do.
    pub traffic: Traffic,
    /// How stable behaves.
    pub stable: Behaviour,
    /// The candidates that are tried.
    pub versions: Vec<(Version, Behaviour)>,
    /// What keeps users with their arm.
    pub affinity: Option<(AffinityKey, Duration)>,
    /// What happens in the middle.
    pub incident: Incident,
    /// The data plane's request timeout.
    pub timeout: Duration,
    /// A candidate without answers must never pass, not even with probability beta.
    pub never_pass: bool,
}

impl Condition {
    fn new(name: &'static str, traffic: Traffic) -> Self {
        Self {
            name,
            traffic,
            stable: Behaviour::failing(STABLE_ERRORS),
            versions: Vec::new(),
            affinity: None,
            incident: Incident::None,
            timeout: Duration::from_secs(60),
            never_pass: false,
        }
        .against(Version::Same, |same| same)
        .against(Version::Harmful, |b| Behaviour { errors: HARMFUL_ERRORS, ..b })
    }

    /// Tries such a candidate too (or instead of the one of that kind).
    fn against(mut self, version: Version, change: impl Fn(Behaviour) -> Behaviour) -> Self {
        self.versions.retain(|(kept, _)| *kept != version);
        self.versions.push((version, change(self.stable.clone())));
        self.versions.sort_by_key(|(version, _)| *version);
        self
    }

    /// Where the border of harm is, in the errors of one request.
    fn border(self, errors: f64) -> Self {
        self.against(Version::Border, |b| Behaviour { errors, ..b })
    }

    /// Instances that behave otherwise in both arms.
    fn both(mut self, change: impl Fn(&mut Behaviour)) -> Self {
        change(&mut self.stable);
        self.versions.iter_mut().for_each(|(_, behaviour)| change(behaviour));
        self
    }

    fn sticky(mut self, key: AffinityKey) -> Self {
        self.affinity = Some((key, Duration::from_secs(3)));
        self
    }

    fn during(mut self, incident: Incident) -> Self {
        self.incident = incident;
        self
    }

    /// Only candidates that do not answer.
    fn hangs(name: &'static str, share: f64, patience: (f64, f64)) -> Self {
        let traffic = Traffic { patience, ..Traffic::default() };
        let mut condition =
            Self::new(name, traffic).against(Version::Harmful, |b| Behaviour { hangs: share, ..b });
        condition.versions.retain(|(version, _)| *version == Version::Harmful);
        condition.never_pass = true;
        condition
    }

    /// The candidate of a kind.
    pub fn candidate(&self, version: Version) -> Option<&Behaviour> {
        self.versions.iter().find(|(kept, _)| *kept == version).map(|(_, behaviour)| behaviour)
    }
}

/// All conditions.
pub fn all() -> Vec<Condition> {
    [clients(), users(), versions(), incidents()].concat()
}

/// The condition of that name.
pub fn named(name: &str) -> Option<Condition> {
    all().into_iter().find(|condition| condition.name == name)
}

fn clients() -> Vec<Condition> {
    let plain = Traffic::default;
    let impatient = |share| Traffic { impatient: share, ..Traffic::default() };
    vec![
        Condition::new("plain", plain()).border(0.1),
        Condition::new("connection-per-request", Traffic { fresh: 1.0, ..plain() }).border(0.1),
        Condition::new(
            "slow-clients",
            Traffic { slow_bodies: 0.15, slow_readers: 0.03, ..plain() },
        )
        .border(0.1),
        Condition::new("hanging-clients", Traffic { half_heads: 0.02, stuck: 0.05, ..plain() })
            .border(0.1),
        Condition::new("stalled-readers", Traffic { stalled: 0.05, ..plain() }).border(0.1),
        // What is given up are the good ones: errors are quick.
        Condition::new("aborting-clients", impatient(0.3))
            .both(|b| (b.median_ms, b.spread) = (60.0, 0.8))
            .border(0.101),
        Condition::new("aborted-slow-answers", impatient(0.5))
            .both(|b| (b.median_ms, b.spread) = (150.0, 0.6))
            .border(0.108),
        Condition::new("retry-storm", Traffic { retries: 3, poison: 0.01, ..plain() })
            .both(|b| b.errors -= 0.01)
            .border(0.118),
    ]
}

fn users() -> Vec<Condition> {
    let cookie = || AffinityKey::Cookie("user".into());
    let header = || AffinityKey::Header("x-user".into());
    let crowd = Population { count: 150, clumped: 0.0, heavy: None };
    let of = |users| Traffic { users: Some(users), ..Traffic::default() };
    let heavy = Heavy { count: 5, share: 0.5 };
    vec![
        Condition::new("sticky-cookie", of(crowd)).sticky(cookie()).border(0.102),
        Condition::new("sticky-header", of(crowd)).sticky(header()).border(0.102),
        Condition::new("sticky-clumped", of(Population { clumped: 0.1, ..crowd }))
            .sticky(header())
            .both(|b| b.errors -= 0.03),
        Condition::new("heavy-users", of(Population { heavy: Some(heavy), ..crowd }))
            .against(Version::Harmful, |b| Behaviour { errors: 0.9, ..b }),
        Condition::new("heavy-users-sticky", of(Population { heavy: Some(heavy), ..crowd }))
            .sticky(header())
            .against(Version::Harmful, |b| Behaviour { errors: 0.4, ..b }),
    ]
}

fn versions() -> Vec<Condition> {
    let (late, early) = ((2.0, 5.0), (0.3, 0.9));
    vec![
        Condition::new("slow-successes-fast-errors", Traffic::default())
            .both(|b| (b.median_ms, b.spread) = (250.0, 0.6))
            .border(0.1),
        Condition::hangs("hangs", 1.0, late),
        Condition::hangs("hangs-given-up-early", 1.0, early),
        Condition::hangs("hangs-sometimes", 0.25, late),
        Condition::hangs("hangs-sometimes-given-up-early", 0.25, early),
        rarely(Condition::hangs("hangs-rarely", 0.06, late)),
        rarely(Condition::hangs("hangs-rarely-given-up-early", 0.06, early)),
        hang_sticky("hangs-sticky", late),
        hang_sticky("hangs-sticky-given-up-early", early),
    ]
}

fn rarely(condition: Condition) -> Condition {
    Condition { never_pass: false, ..condition }
}

fn hang_sticky(name: &'static str, patience: (f64, f64)) -> Condition {
    let mut condition =
        Condition::hangs(name, 0.25, patience).sticky(AffinityKey::Header("x-user".into()));
    condition.traffic.users = Some(Population { count: 150, clumped: 0.0, heavy: None });
    condition
}

fn incidents() -> Vec<Condition> {
    let plain = |name| Condition::new(name, Traffic::default());
    vec![
        plain("stable-restarts").during(Incident::RestartStable),
        plain("both-restart").during(Incident::RestartBoth),
        plain("weights-change").during(Incident::Weights).border(0.1),
        plain("data-plane-killed").during(Incident::KillPlane).border(0.1),
    ]
}
