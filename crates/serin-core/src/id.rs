//! Names and numbers that identify things. Each is checked when it is made, so the rest of the
//! code never meets an invalid one. Names are shared: they are copied with every state and event.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr, sync::Arc};

/// Why a name or number was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// A service name that is not a DNS label.
    #[error("`{0}` is not a service name: use 1 to 50 of a-z, 0-9 and `-`, starting with a letter")]
    ServiceName(String),
    /// A flag that cannot be released step by step under its name.
    #[error(
        "`{0}` cannot name the release of a flag: the set has 1 to 100 and the key 1 to 200 of A-Z, a-z, 0-9, `.`, `_` and `-`, the key also `:`"
    )]
    FlagName(String),
    /// A version with characters that could break out of paths or labels.
    #[error(
        "`{0}` is not a revision: use 1 to 64 of A-Z, a-z, 0-9, `.`, `_`, `-` and `+`, starting with a letter or digit"
    )]
    Version(String),
    /// A revision id that is not `version@digest`.
    #[error("`{0}` is not a revision id (`version@digest`)")]
    RevisionId(String),
    /// A generation that is not `epoch.n`.
    #[error("`{0}` is not a generation (`epoch.n`)")]
    Generation(String),
    /// A weight above the whole.
    #[error("weight {0} is above 100000 (100 %)")]
    Weight(u64),
}

macro_rules! string_serde {
    ($name:ident) => {
        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                text.parse()
            }
        }
        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.to_string()
            }
        }
    };
}

/// A service's name: a DNS label of at most 50 characters; or `flag:SET:KEY`, the release of a flag,
/// which the engine drives like any other rollout.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ServiceName(Arc<str>);

impl ServiceName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name under which a flag of a set is released.
    ///
    /// # Errors
    /// [`IdError::FlagName`] when set or key have other characters than a name may have.
    pub fn flag(set: &str, key: &str) -> Result<Self, IdError> {
        let name = format!("{FLAG}{set}:{key}");
        let fits = |text: &str, most, also: &[u8]| {
            let inner = |c: u8| c.is_ascii_alphanumeric() || b"._-".contains(&c) || also == [c];
            (1..=most).contains(&text.len()) && text.bytes().all(inner)
        };
        if fits(set, 100, b"") && fits(key, 200, b":") {
            Ok(Self(name.into()))
        } else {
            Err(IdError::FlagName(name))
        }
    }

    /// Set and key, where it is the name of a flag's release.
    pub fn as_flag(&self) -> Option<(&str, &str)> {
        self.0.strip_prefix(FLAG)?.split_once(':')
    }
}

/// What names of flags begin with; no other service's name has a colon.
const FLAG: &str = "flag:";

impl FromStr for ServiceName {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        if let Some(flag) = text.strip_prefix(FLAG) {
            let (set, key) = flag.split_once(':').unwrap_or((flag, ""));
            return Self::flag(set, key);
        }
        let inner = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
        let ok = (1..=50).contains(&text.len())
            && text.as_bytes()[0].is_ascii_lowercase()
            && !text.ends_with('-')
            && text.bytes().all(inner);
        if ok { Ok(Self(text.into())) } else { Err(IdError::ServiceName(text.into())) }
    }
}

impl fmt::Display for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
string_serde!(ServiceName);

/// What a revision is called: `v2`, `1.4.0`, a commit. `v2~3` is the third thing that was called
/// `v2`: its configuration or its files had changed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Version(Arc<str>);

impl Version {
    /// The version as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What its owner calls it: `v2` of `v2~3`. The app is told this name.
    pub fn name(&self) -> &str {
        self.0.split_once('~').map_or(&self.0, |(name, _)| name)
    }

    /// Which one of that name it is, from 1.
    pub fn make(&self) -> u32 {
        self.0.split_once('~').and_then(|(_, make)| make.parse().ok()).unwrap_or(1)
    }

    /// The one of that name with this number.
    #[must_use]
    pub(crate) fn with_make(&self, make: u32) -> Self {
        let name = self.name();
        Self(if make > 1 { format!("{name}~{make}").into() } else { name.into() })
    }
}

impl FromStr for Version {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let (name, make) = text.split_once('~').unwrap_or((text, "2"));
        let inner = |c: u8| c.is_ascii_alphanumeric() || b"._-+".contains(&c);
        let ok = (1..=64).contains(&name.len())
            && name.as_bytes()[0].is_ascii_alphanumeric()
            && name.bytes().all(inner)
            && make.len() < 10
            && make.parse::<u32>().is_ok_and(|number| number > 1 && number.to_string() == make);
        if ok { Ok(Self(text.into())) } else { Err(IdError::Version(text.into())) }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
string_serde!(Version);

/// Hash of a revision's template and artefact: 12 lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(into = "String")]
pub struct Digest(Arc<str>);

impl Digest {
    /// The digest of a hash; the first six bytes are kept.
    pub fn from_hash(hash: &[u8]) -> Self {
        use fmt::Write as _;
        let digits = hash.iter().take(6).fold(String::new(), |mut s, b| {
            let _ = write!(s, "{b:02x}");
            s
        });
        Self(digits.into())
    }

    /// The digest as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.as_str().to_owned()
    }
}

/// One immutable revision: the user's version and the digest of what it runs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RevisionId {
    /// What the user calls it.
    pub version: Version,
    /// What it is.
    pub digest: Digest,
}

impl FromStr for RevisionId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let bad = || IdError::RevisionId(text.into());
        let (version, digest) = text.split_once('@').ok_or_else(bad)?;
        let hex = |c: u8| c.is_ascii_digit() || (b'a'..=b'f').contains(&c);
        if digest.is_empty() || !digest.bytes().all(hex) {
            return Err(bad());
        }
        Ok(Self { version: version.parse()?, digest: Digest(digest.into()) })
    }
}

impl fmt::Display for RevisionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.version, self.digest.0)
    }
}
string_serde!(RevisionId);

/// A plan's place in order: (controller epoch, number). Never reused; an older one is refused.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(try_from = "String", into = "String")]
pub struct Generation {
    /// Grows each time a controller takes over.
    pub epoch: u64,
    /// Grows with each plan of the service.
    pub n: u64,
}

impl FromStr for Generation {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let bad = || IdError::Generation(text.into());
        let (epoch, n) = text.split_once('.').ok_or_else(bad)?;
        let number = |part: &str| part.parse().map_err(|_| bad());
        Ok(Self { epoch: number(epoch)?, n: number(n)? })
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.epoch, self.n)
    }
}
string_serde!(Generation);

/// A share of traffic in parts per 100 000.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(try_from = "u64", into = "u64")]
pub struct Weight(u32);

impl Weight {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// Every second one.
    pub const HALF: Self = Self(50_000);
    /// Everything.
    pub const ALL: Self = Self(100_000);

    /// A share in whole percent, at most 100.
    pub fn percent(percent: u32) -> Result<Self, IdError> {
        Self::try_from(u64::from(percent) * 1000)
    }

    /// Parts per 100 000.
    pub fn parts(self) -> u32 {
        self.0
    }

    /// What is left of the whole.
    #[must_use]
    pub fn rest(self) -> Self {
        Self(100_000 - self.0)
    }
}

impl TryFrom<u64> for Weight {
    type Error = IdError;
    fn try_from(parts: u64) -> Result<Self, IdError> {
        match u32::try_from(parts) {
            Ok(parts) if parts <= 100_000 => Ok(Self(parts)),
            _ => Err(IdError::Weight(parts)),
        }
    }
}

impl From<Weight> for u64 {
    fn from(weight: Weight) -> Self {
        weight.0.into()
    }
}

impl fmt::Display for Weight {
    /// As percent: `5 %`, `0.1 %`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} %", f64::from(self.0) / 1000.0)
    }
}
