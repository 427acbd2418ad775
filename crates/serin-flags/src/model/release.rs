//! A guarded release: who is exposed, and which of them are treated.

use serde::{Deserialize, Serialize};

/// Everybody, in parts per 100 000.
pub const WHOLE: u32 = 100_000;

/// A flag that is being released under the eyes of the engine.
///
/// Two independent hashes. The first decides who is in the **exposure** pool, the second which of
/// them are **treated** (get `on`); the rest of the pool is the control arm and gets `off`, as does
/// everybody outside. So raising the exposure never moves a user from one arm to the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Release {
    /// The share of users in the pool, parts per 100 000.
    pub exposure: u32,
    /// The share of the pool that is treated, parts per 100 000.
    pub arm: u32,
    /// Salt of the first hash.
    pub exposure_salt: String,
    /// Salt of the second hash; never the same as the first.
    pub arm_salt: String,
    /// The variant of the treated.
    pub on: String,
    /// The variant of everybody else.
    pub off: String,
    /// The engine's generation that asked for these shares, `epoch.n`; empty when it was a person.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub generation: String,
    /// Only users in one of these segments are exposed; empty: everybody.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub segments: Vec<String>,
    /// Where the users of the pool are judged; none: they are not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judged: Option<Judged>,
}

/// Under which names the arms of a release are counted, and by whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Judged {
    /// Name of the release among the engine's services.
    pub service: String,
    /// The service whose users are judged; their requests carry the flag, if it has any.
    pub carrier: String,
    /// The engine's name for the treatment.
    pub on: String,
    /// The engine's name for the control.
    pub off: String,
    /// Seconds in which a user counts once, 1 to 300.
    pub window_s: u32,
    /// What counts as success of a user; none: nothing does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub goal: Option<Goal>,
    /// Users are judged by what apps report of them, not by their requests.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reported: bool,
}

/// A request that counts as success when it is answered below 400.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Goal {
    /// Its method, upper-case; any when there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Its path, without the query.
    pub path: PathTest,
}

/// What a path must be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PathTest {
    /// This, to the letter.
    Exact(String),
    /// Something that begins with this.
    Prefix(String),
    /// Something in which this regular expression is found.
    Regex(String),
    /// Anything.
    Present,
}

impl Release {
    /// A release of `on` against `off` that exposes nobody yet. `salt` names this release.
    pub fn new(salt: &str, on: &str, off: &str) -> Self {
        let (exposure, arm) = Self::shares(0);
        Self {
            exposure,
            arm,
            exposure_salt: format!("{salt}.exposure"),
            arm_salt: format!("{salt}.arm"),
            on: on.to_owned(),
            off: off.to_owned(),
            generation: String::new(),
            segments: Vec::new(),
            judged: None,
        }
    }

    /// The exposure and the arm at which `weight` of all users are treated; parts per 100 000, a
    /// weight above the whole counts as the whole.
    ///
    /// Exposure is twice the weight while that fits, so treatment and control are equally large;
    /// above 50 % everybody is exposed and the arm grows. Both shares never fall while the weight
    /// rises, so nobody loses the treatment again.
    pub fn shares(weight: u32) -> (u32, u32) {
        let weight = weight.min(WHOLE);
        if weight <= WHOLE / 2 { (2 * weight, WHOLE / 2) } else { (WHOLE, weight) }
    }

    /// The same release at another weight (parts per 100 000 of all users treated).
    #[must_use]
    pub fn at(&self, weight: u32) -> Self {
        let (exposure, arm) = Self::shares(weight);
        Self { exposure, arm, ..self.clone() }
    }

    /// The share of all users that is treated, parts per 100 000.
    pub fn weight(&self) -> u32 {
        let treated = u64::from(self.exposure) * u64::from(self.arm) / u64::from(WHOLE);
        u32::try_from(treated).unwrap_or(WHOLE)
    }
}
