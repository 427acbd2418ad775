//! Files that are whole or not there.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// A new file for its owner only, synced, in place of the old one.
///
/// # Errors
/// Whatever the file system says; the old file is whole.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temp = path.with_extension("tmp");
    create(&temp, bytes)?;
    replace(&temp, path)
}

/// A file for its owner only, synced; what it held is gone.
///
/// # Errors
/// Whatever the file system says.
pub fn create(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = File::options();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    file.sync_data()
}

/// Puts a synced file in the place of another, synced too.
///
/// # Errors
/// Whatever the file system says.
pub fn replace(temp: &Path, path: &Path) -> io::Result<()> {
    fs::rename(temp, path)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}
