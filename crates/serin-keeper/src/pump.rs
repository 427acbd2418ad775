//! From an app's FIFO into its log file.
//!
//! The app holds its FIFO open for reading and writing, so it neither gets SIGPIPE nor finds the
//! FIFO closed while no keeper reads; what it writes meanwhile waits in the pipe (up to
//! 1 MiB).

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, mkfifoat};

use crate::log::LogFile;
use crate::protocol::LogSpec;

/// Bytes a writer may be ahead of the keeper, where the system allows it. Others than root have a
/// budget for all their pipes (`pipe-user-pages-soft`, 64 MiB), which the apps need as well.
fn pipe_size() -> usize {
    if rustix::process::geteuid().is_root() { 1 << 20 } else { 256 << 10 }
}

/// Bytes read from one FIFO per turn.
pub(crate) const CHUNK: usize = 64 << 10;

/// One FIFO being read.
pub(crate) struct Pump {
    path: PathBuf,
    reader: File,
    log: LogFile,
    /// A write end of our own: control and data plane come and go, their FIFO stays.
    _held: Option<File>,
}

/// What one read has brought.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Pumped {
    /// Bytes; there may be more. Tells when lines had been lost before.
    Some(Option<u64>),
    /// Nothing just now.
    Nothing,
    /// No writer is left.
    End,
}

impl Pump {
    /// Makes the FIFO, or opens one that is there, and the log.
    pub(crate) fn open(dir: &Path, name: &str, log: LogSpec) -> io::Result<Self> {
        let log = LogFile::open(log)?;
        let path = dir.join(name);
        make_fifo(&path)?;
        let nonblock = OFlags::NONBLOCK.bits() as i32;
        let reader = OpenOptions::new().read(true).custom_flags(nonblock).open(&path)?;
        Ok(Self { path, reader, log, _held: None })
    }

    /// As [`Self::open`], for a FIFO that outlives its writers.
    pub(crate) fn open_held(dir: &Path, name: &str, log: LogSpec) -> io::Result<Self> {
        let pump = Self::open(dir, name, log)?;
        Ok(Self { _held: Some(pump.writer()?), ..pump })
    }

    /// The end for an app: read and write, so that opening never waits.
    pub(crate) fn writer(&self) -> io::Result<File> {
        let file = OpenOptions::new().read(true).write(true).open(&self.path)?;
        let _ = rustix::pipe::fcntl_setpipe_size(&file, pipe_size());
        Ok(file)
    }

    pub(crate) fn reader(&self) -> &File {
        &self.reader
    }

    pub(crate) fn log_spec(&self) -> &LogSpec {
        self.log.spec()
    }

    /// Goes on into another log.
    pub(crate) fn set_log(&mut self, log: LogSpec) -> io::Result<()> {
        self.log = LogFile::open(log)?;
        Ok(())
    }

    /// Lines lost that nobody was told of yet.
    pub(crate) fn take_dropped(&mut self) -> u64 {
        self.log.take_dropped()
    }

    /// Moves at most one buffer full.
    pub(crate) fn turn(&mut self, buffer: &mut [u8]) -> Pumped {
        match self.reader.read(buffer) {
            Ok(0) => Pumped::End,
            Ok(count) => Pumped::Some(self.log.append(&buffer[..count])),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => Pumped::Nothing,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => Pumped::Some(None),
            Err(_) => Pumped::End,
        }
    }

    /// Removes the FIFO from the directory.
    pub(crate) fn remove(self) {
        let _ = fs::remove_file(&self.path);
    }
}

fn make_fifo(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(meta) if meta.file_type().is_fifo() => return Ok(()),
        Ok(_) => fs::remove_file(path)?,
        Err(_) => {}
    }
    Ok(mkfifoat(CWD, path, Mode::from_raw_mode(0o600))?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::io::Write as _;

    use super::*;

    #[test]
    fn no_writer_yet_is_not_the_end_of_a_held_one() {
        let dir = tempfile::tempdir().unwrap();
        let log = LogSpec::at(dir.path().join("log"));
        let mut pump = Pump::open_held(dir.path(), "a", log.clone()).unwrap();
        let mut buffer = [0; 100];
        assert_eq!(pump.turn(&mut buffer), Pumped::Nothing);
        let mut writer = pump.writer().unwrap();
        writer.write_all(b"hello\n").unwrap();
        drop(writer);
        assert_eq!(pump.turn(&mut buffer), Pumped::Some(None));
        assert_eq!(pump.turn(&mut buffer), Pumped::Nothing);
        assert_eq!(crate::log::tail(&log.path, 1), ["hello"]);
    }

    #[test]
    fn what_was_written_while_nobody_read_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let log = LogSpec::at(dir.path().join("log"));
        let mut writer = Pump::open(dir.path(), "a", log.clone()).unwrap().writer().unwrap();
        writer.write_all(b"alone\n").unwrap();
        let mut pump = Pump::open(dir.path(), "a", log.clone()).unwrap();
        drop(writer);
        let mut buffer = [0; 100];
        assert_eq!(pump.turn(&mut buffer), Pumped::Some(None));
        assert_eq!(pump.turn(&mut buffer), Pumped::End);
        assert_eq!(crate::log::tail(&log.path, 1), ["alone"]);
        pump.remove();
        assert!(!dir.path().join("a").exists());
    }
}
