//! Notes of what was done and could not be stored: a small file whose space is there already,
//! written in place, so that even on a full disk the next controller hears of it.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serin_core::{ServiceName, Timestamp, WentBack};
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::PathBuf;

/// Size of the file in bytes: room for about a thousand ways back.
const SIZE: usize = 64 << 10;

/// A rollout that was turned back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WayBackNote {
    /// Its service.
    pub service: ServiceName,
    /// How far it came.
    #[serde(flatten)]
    pub back: WentBack,
}

/// A flag that was killed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KillNote {
    /// Its set.
    pub set: String,
    /// Its key.
    pub key: String,
    /// Who did it.
    pub by: String,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Timestamp,
}

/// Where the notes are.
#[derive(Debug)]
pub(crate) enum Notes<T> {
    /// Of a store on a disk.
    File(PathBuf),
    /// Of a store in memory.
    Memory(Vec<T>),
}

impl<T: Clone + Serialize + DeserializeOwned> Notes<T> {
    /// Takes the space if it is not held, as long as the disk has it.
    pub(crate) fn hold(&self) -> io::Result<()> {
        let Self::File(path) = self else { return Ok(()) };
        if std::fs::metadata(path).is_ok_and(|m| m.len() == SIZE as u64) {
            return Ok(());
        }
        let mut file = File::create(path)?;
        file.write_all(&vec![b' '; SIZE])?;
        file.sync_all()
    }

    /// Replaces all notes. What does not fit is left out.
    pub(crate) fn write(&mut self, notes: &[T]) -> io::Result<()> {
        match self {
            Self::Memory(kept) => notes.clone_into(kept),
            Self::File(path) => {
                let mut file = OpenOptions::new().write(true).open(path)?;
                file.write_all(&padded(notes)?)?;
                file.sync_data()?;
            }
        }
        Ok(())
    }

    /// The notes; none when they cannot be read.
    pub(crate) fn read(&self) -> Vec<T> {
        match self {
            Self::Memory(notes) => notes.clone(),
            Self::File(path) => {
                let text = std::fs::read(path).unwrap_or_default();
                serde_json::from_slice(&text).unwrap_or_default()
            }
        }
    }
}

/// As JSON, filled up with blanks to the size of the file.
fn padded<T: Serialize>(notes: &[T]) -> io::Result<Vec<u8>> {
    let mut most = notes.len();
    loop {
        let mut text = serde_json::to_vec(&notes[..most])?;
        if text.len() <= SIZE {
            text.resize(SIZE, b' ');
            return Ok(text);
        }
        most /= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serin_core::{PlacesLeft, Weight};

    fn notes(n: u64) -> Vec<WayBackNote> {
        let service: ServiceName = "shop".parse().unwrap();
        let back = |rollout| WentBack {
            rollout,
            weight: Weight::ALL,
            places: Some(PlacesLeft { candidate: 1, stable: 2 }),
        };
        (0..n).map(|n| WayBackNote { service: service.clone(), back: back(n) }).collect()
    }

    #[test]
    fn notes_come_back_and_the_file_keeps_its_size() {
        let dir = tempfile::tempdir().unwrap();
        let mut file = Notes::File(dir.path().join("back"));
        file.hold().unwrap();
        assert_eq!(file.read(), notes(0));
        file.write(&notes(3)).unwrap();
        assert_eq!(file.read(), notes(3));
        file.write(&[]).unwrap();
        assert_eq!(file.read(), notes(0));
        assert_eq!(std::fs::metadata(dir.path().join("back")).unwrap().len(), SIZE as u64);
    }

    #[test]
    fn what_does_not_fit_is_left_out() {
        assert_eq!(padded(&notes(100_000)).unwrap().len(), SIZE);
    }
}
