//! The release of a flag: for the engine a service with two revisions, one variant each, that no
//! instance runs. The flag's value is what its plans move, and what users of the service that
//! carries the flag see is what it is judged by.
//!
//! A share `w` of users for the new variant is made of two independent draws, so that raising it
//! moves nobody back: who takes part at all ([`Exposure::exposed`], twice the share), and which of
//! those get the new variant ([`Exposure::treated`], one half while there are enough others to
//! compare with). Those who take part and keep the old variant are what the others are compared
//! with; whoever does not take part is no evidence.

use crate::{
    AffinityKey, AffinitySpec, Colour, Limits, LogLimits, Millis, Probe, ProbeKind, Revision,
    RevisionId, RevisionStanding, RunSpec, Schedule, ServiceName, ServiceSpec, Timestamp,
    TrafficSpec, Weight,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Which flag is released, and where that is seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlagSpec {
    /// Name of the set, which is the environment.
    pub set: String,
    /// Key of the flag in the set.
    pub key: String,
    /// The service whose users are judged; its requests carry the flag, if it has any.
    pub carrier: ServiceName,
    /// What users get who do not get anything new: trusted from the start.
    pub off: RevisionId,
    /// What is said of users.
    #[serde(default)]
    pub evidence: FlagEvidence,
}

/// What says how users of a flag fare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FlagEvidence {
    /// Their requests, which pass through the data plane.
    #[default]
    Traffic,
    /// The app, which reports outcomes.
    Reported,
}

/// Flags that the requests of a service carry: evaluated by the data plane, told to the app in the
/// header `X-Serin-Flag-<key>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CarriedFlags {
    /// Name of the set.
    pub set: String,
    /// Keys of the flags; those that are released by this service's requests come by themselves.
    pub keys: Vec<String>,
    /// Who a request is from.
    pub user: FlagSource,
    /// What else is known, by the name that rules use.
    #[serde(default)]
    pub attributes: BTreeMap<String, FlagSource>,
    /// The header that carries a JSON Web Token.
    pub token: String,
}

/// Where an attribute is read in a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum FlagSource {
    /// The value of this header.
    Header(String),
    /// The value of this cookie; users without it are given one.
    Cookie(String),
    /// This claim of the token, whose signature is not checked.
    Claim(String),
}

/// How a share of users is drawn. Both are parts of the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exposure {
    /// Users who take part: they are judged.
    pub exposed: Weight,
    /// Share of those who take part that gets the new variant.
    pub treated: Weight,
}

impl Exposure {
    /// The two draws that give `share` of all users the new variant.
    pub fn of(share: Weight) -> Self {
        let twice = (u64::from(share.parts()) * 2).min(100_000);
        let exposed = Weight::try_from(twice).unwrap_or(Weight::ALL);
        Self { exposed, treated: share.max(Weight::HALF) }
    }
}

impl FlagSpec {
    /// The service that the engine sees: `window` is the time in which a user counts once.
    ///
    /// # Errors
    /// [`crate::IdError::FlagName`].
    pub fn service(
        self,
        schedule: Schedule,
        window: Millis,
    ) -> Result<ServiceSpec, crate::IdError> {
        let name = ServiceName::flag(&self.set, &self.key)?;
        // Users are who the flag is evaluated for, and no request is led anywhere.
        let key = AffinityKey::Header("targeting-key".into());
        let affinity = Some(AffinitySpec { key, window });
        let traffic = TrafficSpec { affinity, ..TrafficSpec::worker() };
        let spec = ServiceSpec::of(name, no_run(), traffic, schedule);
        Ok(ServiceSpec { environment: self.set.clone(), flag: Some(self), ..spec })
    }
}

/// The variant that was there first.
pub(crate) fn old_variant() -> Revision {
    Revision {
        run: no_run().into(),
        standing: RevisionStanding::Good,
        created_at: Timestamp(0),
        promoted_at: Some(Timestamp(0)),
        promoted_in: 0,
        colour: Colour::Blue,
        data: None,
        clients: None,
        good_at: None,
        usual: None,
        marked: None,
    }
}

/// How nothing runs.
fn no_run() -> RunSpec {
    RunSpec {
        command: vec![],
        env: BTreeMap::new(),
        env_files: vec![],
        working_directory: "/".into(),
        user: None,
        limits: Limits::default(),
        readiness: Probe {
            kind: ProbeKind::Tcp,
            period: Millis::secs(1),
            timeout: Millis::secs(1),
            failure_threshold: 1,
            success_threshold: 1,
            initial_delay: Millis(0),
        },
        liveness: None,
        grace: Millis(0),
        log: LogLimits::default(),
        metrics: None,
        database: None,
    }
}
