//! Flags from a file, taken anew whenever it changes.

use super::warn;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::printer::Printer;
use serde_json::Value;
use serin_edge::{Edge, Refused, RefusedSet, Revision, Source, Table, Token};
use serin_flags::{Bucketing, SetDefinition};
use std::fs::Metadata;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How often the file is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// A file of flags.
pub struct File {
    pub path: PathBuf,
    /// The set that a flagd document is served as.
    pub set: String,
    pub bucketing: Bucketing,
    pub tokens: Vec<Token>,
    pub origins: Vec<String>,
    /// What the file was when it was read last: a change that comes before it is followed counts.
    pub read: Mutex<Option<Stamp>>,
}

/// What shows that a file is another.
pub type Stamp = (u64, Option<SystemTime>, u64);

impl File {
    /// Reads the file into the edge. `n` numbers the readings.
    pub fn load(&self, edge: &Edge, n: u64) -> Result<(), Failure> {
        *self.read() = self.stamp();
        let bytes = std::fs::read(&self.path).map_err(|error| self.unreadable(&error))?;
        let document: Value = serde_json::from_slice(&bytes)
            .map_err(|error| self.bad(&format!("it is not JSON: {error}")))?;
        self.take(edge, document, n)
    }

    fn take(&self, edge: &Edge, document: Value, n: u64) -> Result<(), Failure> {
        let taken = |result: Result<Vec<RefusedSet>, Refused>| match result {
            Ok(refused) if refused.is_empty() => Ok(()),
            Ok(refused) => Err(self.bad(&refused[0].to_string())),
            Err(refused) => Err(self.bad(&refused.to_string())),
        };
        let malformed = |error: serde_json::Error| self.bad(&error.to_string());
        let frame = Table {
            revision: Revision { epoch: epoch(), n },
            fallback: self.set.clone(),
            tokens: self.tokens.clone(),
            origins: self.origins.clone(),
            ..Table::default()
        };
        if document.get("sets").is_some() {
            let table: Table = serde_json::from_value(document).map_err(malformed)?;
            return taken(edge.replace(Table { revision: frame.revision, ..table }));
        }
        if document.get("name").is_some() {
            let set: SetDefinition = serde_json::from_value(document).map_err(malformed)?;
            let frame = Table { fallback: set.name.clone(), sets: vec![Arc::new(set)], ..frame };
            return taken(edge.replace(frame));
        }
        let name = document["metadata"]["flagSetId"].as_str().unwrap_or(&self.set).to_owned();
        let frame = Table { fallback: name.clone(), ..frame };
        let document = Arc::new(document);
        let source = Source::Document { name, document, bucketing: self.bucketing };
        taken(edge.replace_sources(frame, vec![source]))
    }

    /// Takes the file anew whenever it changes. A bad one changes nothing.
    pub async fn follow(&self, printer: &Printer, edge: &Edge) {
        let mut n = 1;
        loop {
            tokio::time::sleep(LOOK).await;
            if self.stamp() == *self.read() {
                continue;
            }
            n += 1;
            if let Err(failure) = self.load(edge, n) {
                warn(printer, &format!("{}; the flags of before go on", failure.message));
            }
        }
    }

    fn read(&self) -> MutexGuard<'_, Option<Stamp>> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stamp(&self) -> Option<Stamp> {
        use std::os::unix::fs::MetadataExt as _;
        let stamp = |data: Metadata| (data.len(), data.modified().ok(), data.ino());
        std::fs::metadata(&self.path).ok().map(stamp)
    }

    fn unreadable(&self, error: &io::Error) -> Failure {
        let message = format!("cannot read {}: {error}", self.path.display());
        Failure::usage("unreadable-file", message).hint("name a file of flags with --from")
    }

    fn bad(&self, why: &str) -> Failure {
        let message = format!("{} is no file of flags: {why}", self.path.display());
        Failure::new(Exit::Usage, "invalid-file", message)
            .hint("take what `serin flag export` writes as `serin` or `flagd`")
    }
}

/// Above that of every earlier start.
fn epoch() -> u64 {
    static EPOCH: std::sync::OnceLock<u64> = std::sync::OnceLock::new();
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    *EPOCH.get_or_init(now)
}
