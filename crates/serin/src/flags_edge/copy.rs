//! The copy on the disk, and the key beside it.

use super::warn;
use crate::failure::Failure;
use crate::printer::Printer;
use serin_edge::Table;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// A directory with a copy of the last table.
pub struct Copy {
    dir: PathBuf,
}

impl Copy {
    /// Opens a directory, for its owner only.
    pub fn open(dir: &Path) -> Result<Self, Failure> {
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
        made.map_err(|error| {
            let message = format!("cannot make the directory {}: {error}", dir.display());
            Failure::usage("bad-copy", message).hint("choose another --copy")
        })?;
        Ok(Self { dir: dir.to_owned() })
    }

    /// The key that signs; made when there is none.
    pub fn key(&self) -> Result<[u8; 32], Failure> {
        let path = self.dir.join("flags.key");
        if let Ok(Ok(key)) = fs::read(&path).map(<[u8; 32]>::try_from) {
            return Ok(key);
        }
        let key = random_key()?;
        write(&path, &key).map_err(|error| failed(&path, &error))?;
        Ok(key)
    }

    fn table(&self) -> PathBuf {
        self.dir.join("flags.json")
    }

    /// The table of the last time.
    pub fn read(&self, printer: &Printer) -> Option<Table> {
        let bytes = fs::read(self.table()).ok()?;
        let read = serde_json::from_slice(&bytes);
        read.inspect_err(|error| {
            warn(printer, &format!("{} is no table of flags: {error}", self.table().display()));
        })
        .ok()
    }

    /// Keeps a table.
    ///
    /// # Errors
    /// Whatever the file system says; the old copy is whole.
    pub fn write(&self, table: &Table) -> io::Result<()> {
        write(&self.table(), &serde_json::to_vec(table)?)
    }
}

fn failed(path: &Path, error: &io::Error) -> Failure {
    Failure::internal(format!("cannot write {}: {error}", path.display()))
}

/// A new file, synced, in place of the old one.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temp = path.with_extension("tmp");
    let mut options = File::options();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&temp)?;
    file.write_all(bytes)?;
    file.sync_data()?;
    fs::rename(&temp, path)?;
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}

/// A key for this process alone.
pub fn random_key() -> Result<[u8; 32], Failure> {
    let mut key = [0; 32];
    let read = File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut key));
    read.map_err(|error| Failure::internal(format!("the system gives no random bytes: {error}")))?;
    Ok(key)
}
