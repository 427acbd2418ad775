//! A file that holds disk space back, to be given up when a way back must be recorded on a full
//! disk.

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;

/// Space held back, in bytes.
const SIZE: usize = 8 << 20;

/// The held-back space.
#[derive(Debug, Clone)]
pub struct Ballast {
    path: PathBuf,
}

impl Ballast {
    /// A ballast at `path`; nothing is written yet.
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Whether the space is held now.
    pub fn is_held(&self) -> bool {
        std::fs::metadata(&self.path).is_ok_and(|m| m.len() == SIZE as u64)
    }

    /// Takes the space if it is not held.
    ///
    /// # Errors
    /// When the disk has no room for it.
    pub fn hold(&self) -> io::Result<()> {
        if self.is_held() {
            return Ok(());
        }
        // Real bytes: a sparse file would hold nothing back.
        let written = File::create(&self.path).and_then(|mut file| {
            let block = vec![0x5a; 1 << 20];
            (0..SIZE / block.len()).try_for_each(|_| file.write_all(&block))?;
            file.sync_all()
        });
        if written.is_err() {
            self.release();
        }
        written
    }

    /// Gives the space up.
    pub fn release(&self) {
        let _ = std::fs::remove_file(&self.path);
    }
}
