//! What an address says about TLS, and the rest of it.

use crate::Flaw;
use crate::settings::Settings;
use std::path::PathBuf;

/// How much safety is asked for, from none to all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Mode {
    /// No TLS.
    Disable,
    /// TLS where the server refuses to do without.
    Allow,
    /// TLS where the server has it.
    Prefer,
    /// TLS with whoever answers.
    Require,
    /// TLS with whom a trusted authority signed.
    VerifyCa,
    /// And who has the name that was asked for.
    VerifyFull,
}

const MODES: [(&str, Mode); 6] = [
    ("disable", Mode::Disable),
    ("allow", Mode::Allow),
    ("prefer", Mode::Prefer),
    ("require", Mode::Require),
    ("verify-ca", Mode::VerifyCa),
    ("verify-full", Mode::VerifyFull),
];

impl Mode {
    /// As it is written.
    pub(crate) fn word(self) -> &'static str {
        MODES.iter().find(|(_, mode)| *mode == self).map_or("prefer", |(word, _)| word)
    }
}

/// Whom to trust.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Root {
    /// Whom this machine trusts.
    System,
    /// The authorities in a file.
    File(PathBuf),
}

/// An address, taken apart.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Options {
    /// What is not below.
    pub(crate) rest: Settings,
    pub(crate) mode: Option<Mode>,
    pub(crate) root: Option<Root>,
    pub(crate) certificate: Option<PathBuf>,
    pub(crate) key: Option<PathBuf>,
}

pub(crate) const SCHEMES: [&str; 2] = ["postgres://", "postgresql://"];

impl Options {
    /// Takes out what is ours.
    pub(crate) fn of(mut settings: Settings) -> Result<Self, Flaw> {
        let mode = settings.take("sslmode").map(|word| mode(&word)).transpose()?;
        let root = settings.take("sslrootcert").map(|value| match value.as_str() {
            "system" => Root::System,
            _ => Root::File(value.into()),
        });
        let mut path = |key: &str| settings.take(key).map(PathBuf::from);
        let (certificate, key) = (path("sslcert"), path("sslkey"));
        Ok(Self { rest: settings, mode, root, certificate, key })
    }
}

fn mode(value: &str) -> Result<Mode, Flaw> {
    let found = MODES.iter().find(|(word, _)| *word == value);
    found.map(|(_, mode)| *mode).ok_or_else(|| {
        let words: Vec<&str> = MODES.iter().map(|(word, _)| *word).collect();
        Flaw::new(format!("`sslmode` is none of {}", words.join(", ")))
    })
}
