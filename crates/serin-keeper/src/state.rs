//! What a keeper must know to take over from one that died: `<data>/keeper.json`.
//!
//! No environment is in here.

use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::journal::write_private;
use crate::protocol::{Exit, LogSpec};

/// The whole file.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) boot_id: String,
    pub(crate) processes: Vec<SavedProcess>,
    /// FIFOs that may still hold something.
    pub(crate) fifos: Vec<SavedFifo>,
    /// Addresses of the listening sockets.
    pub(crate) listeners: Vec<String>,
}

/// One process.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct SavedProcess {
    pub(crate) instance: String,
    pub(crate) role: Role,
    pub(crate) label: serde_json::Value,
    pub(crate) pid: i32,
    pub(crate) start_ticks: u64,
    pub(crate) started_at_ms: u64,
    pub(crate) grace_ms: u64,
    /// Wall clock of the SIGKILL of a stop under way.
    pub(crate) kill_at_ms: Option<u64>,
    pub(crate) exit: Option<Exit>,
}

/// One FIFO and its log.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct SavedFifo {
    pub(crate) instance: String,
    pub(crate) log: LogSpec,
}

/// What a process is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Role {
    /// An instance, ordered by the control plane.
    App,
    /// The control plane.
    Control,
    /// The data plane.
    Proxy,
    /// A data plane that is to take over.
    NextProxy,
    /// A data plane that drains after it was replaced.
    RetiredProxy,
}

impl State {
    /// Reads the file; `None` when there is none. One that makes no sense is an error: what it
    /// named may still run.
    pub(crate) fn load(path: &Path) -> io::Result<Option<Self>> {
        let text = match fs::read(path) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(e),
        };
        let state = serde_json::from_slice(&text).map_err(|e| {
            let text = format!(
                "{e}; processes of this directory may still run: stop them, then move the file \
                 away to start afresh"
            );
            io::Error::new(io::ErrorKind::InvalidData, text)
        })?;
        Ok(Some(state))
    }

    /// Writes the file anew, whole or not at all.
    pub(crate) fn save(&self, path: &Path) -> io::Result<()> {
        let temp = path.with_extension("json.tmp");
        write_private(&temp, &serde_json::to_vec(self)?)?;
        fs::rename(temp, path)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn saved_is_loaded_and_rubbish_stays_where_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keeper.json");
        assert_eq!(State::load(&path).unwrap(), None);
        let state = State { boot_id: "b".into(), listeners: vec!["x".into()], ..State::default() };
        state.save(&path).unwrap();
        assert_eq!(State::load(&path).unwrap(), Some(state));
        for rubbish in ["{\"boot", "", "[]"] {
            fs::write(&path, rubbish).unwrap();
            let error = State::load(&path).unwrap_err().to_string();
            assert!(error.contains("may still run"), "{error}");
            assert_eq!(fs::read_to_string(&path).unwrap(), rubbish);
        }
    }
}
