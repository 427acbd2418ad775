//! What the keeper remembers for us about each process, and the names of instances. It is enough to
//! rebuild a [`Fleet`](crate::Fleet) after this process was killed.

use crate::crew::Crew;
use serde::{Deserialize, Serialize};
use serin_core::{Millis, RevisionId, Role, ServiceName, Timestamp};

/// The label of one process in the keeper's list. Holds no secret. A field that is added gets a
/// default, so that processes started by an older version are still ours.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Label {
    /// Whose instance.
    pub service: ServiceName,
    /// What it runs.
    pub revision: RevisionId,
    /// The role its revision had at its start.
    pub role: Role,
    /// Whether it belongs to the fresh baseline of its revision.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub baseline: bool,
    /// The place it fills.
    pub slot: u32,
    /// Its port on 127.0.0.1.
    pub port: u16,
    /// Digest of what it runs.
    #[serde(default)]
    pub artefact: Option<String>,
    /// When it was started.
    pub started: Timestamp,
    /// Instances lost in a row in its slot before it.
    #[serde(default)]
    pub failures: u32,
    /// Instances of its crew lost before it.
    #[serde(default)]
    pub restarts: u32,
    /// Time between SIGTERM and SIGKILL.
    #[serde(default)]
    pub grace: Millis,
    /// Its number in the service.
    #[serde(default)]
    pub number: u64,
}

impl Label {
    /// Whose place it fills.
    pub fn crew(&self) -> Crew {
        Crew { revision: self.revision.clone(), baseline: self.baseline }
    }
}

/// Characters of a version that go into a name; the keeper allows 100 in all.
const VERSION_IN_NAME: usize = 30;

/// `<service>-<version>-<four digits of the digest>-<number>`, in characters the keeper allows.
pub fn instance_name(service: &ServiceName, revision: &RevisionId, number: u64) -> String {
    let version = revision.version.as_str();
    let version: String = version.chars().take(VERSION_IN_NAME).collect();
    let digest: String = revision.digest.as_str().chars().take(4).collect();
    format!("{service}-{}-{digest}-{number}", version.replace(['+', '~'], "_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_name_fits_the_keeper() {
        let service = "s".repeat(50).parse().unwrap();
        let revision = format!("{}@abcdefabcdef", "1+".repeat(32)).parse().unwrap();
        let name = instance_name(&service, &revision, 99_999_999);
        assert!(name.len() <= 100, "{} characters", name.len());
        assert!(name.bytes().all(|c| c.is_ascii_alphanumeric() || b"._-".contains(&c)), "{name}");
    }
}
