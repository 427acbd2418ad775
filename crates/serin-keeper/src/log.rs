//! Log files with rotation by size, and reading their end.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::protocol::LogSpec;

/// Bytes read at a time by [`tail`].
const BLOCK: u64 = 16 << 10;

/// The last `lines` lines of a log, oldest first, across its rotated files. What cannot be read
/// is as if it were empty; bytes that are not UTF-8 are replaced.
pub fn tail(path: &Path, lines: usize) -> Vec<String> {
    let mut newest_first: Vec<String> = Vec::new();
    for n in 0.. {
        let missing = lines - newest_first.len();
        let Ok(bytes) = end_of(&rotated(path, n), missing) else { break };
        let text = String::from_utf8_lossy(&bytes);
        newest_first.extend(text.lines().rev().take(missing).map(str::to_owned));
        if newest_first.len() == lines {
            break;
        }
    }
    newest_first.reverse();
    newest_first
}

/// The end of a file with at least `lines` lines, or all of it.
fn end_of(path: &Path, lines: usize) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let mut start = file.metadata()?.len();
    let mut end = Vec::new();
    // One newline more than lines: the last one closes the last line.
    while start > 0 && newlines(&end) <= lines {
        let size = start.min(BLOCK);
        start -= size;
        let mut block = vec![0; size as usize];
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(&mut block)?;
        block.append(&mut end);
        end = block;
    }
    Ok(end)
}

fn newlines(bytes: &[u8]) -> usize {
    bytes.split(|b| *b == b'\n').count() - 1
}

/// `path`, `path.1`, `path.2` ...
fn rotated(path: &Path, n: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    if n > 0 {
        name.push(format!(".{n}"));
    }
    name.into()
}

/// A log being written. Writing never fails for the writer: lines that cannot be stored are
/// counted, and the count is written as soon as there is room again.
pub(crate) struct LogFile {
    spec: LogSpec,
    file: Option<File>,
    /// The last byte written closed a line.
    at_line_start: bool,
    dropped: u64,
}

impl LogFile {
    /// Opens the file. Only a full disk is no error here: the app must start all the same.
    pub(crate) fn open(spec: LogSpec) -> io::Result<Self> {
        let mut log = Self { spec, file: None, at_line_start: true, dropped: 0 };
        match log.reopen() {
            Err(e) if !is_full(&e) => Err(e),
            _ => Ok(log),
        }
    }

    pub(crate) fn spec(&self) -> &LogSpec {
        &self.spec
    }

    /// Adds bytes. Returns how many lines had been lost when this is the first success after
    /// failures.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> Option<u64> {
        if self.dropped > 0 {
            let note = format!("serin: {} log lines lost, the log was not writable", self.dropped);
            if self.try_append(&self.note_line(&note)).is_err() {
                self.lose(bytes);
                return None;
            }
        }
        let lost = std::mem::take(&mut self.dropped);
        if self.try_append(bytes).is_err() {
            self.lose(bytes);
        }
        (lost > 0).then_some(lost)
    }

    /// Lines lost that nobody was told of yet.
    pub(crate) fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }

    fn note_line(&self, note: &str) -> Vec<u8> {
        let start = if self.at_line_start { "" } else { "\n" };
        format!("{start}{note}\n").into_bytes()
    }

    fn lose(&mut self, bytes: &[u8]) {
        self.dropped += (newlines(bytes) as u64).max(1);
        self.file = None;
    }

    fn try_append(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            if self.file.is_none() {
                self.reopen()?;
            }
            let room = self.room()?;
            if room == 0 {
                self.rotate()?;
                continue;
            }
            let count = self.fitting(bytes, room);
            if count == 0 {
                self.rotate()?;
                continue;
            }
            self.write(&bytes[..count])?;
            bytes = &bytes[count..];
        }
        Ok(())
    }

    /// How many of the bytes belong into this file: whole lines where that is possible.
    fn fitting(&self, bytes: &[u8], room: u64) -> usize {
        if bytes.len() as u64 <= room {
            return bytes.len();
        }
        let room = room as usize;
        match bytes[..room].iter().rposition(|b| *b == b'\n') {
            Some(newline) => newline + 1,
            None if self.at_line_start && (room as u64) < self.spec.max_bytes => 0,
            None => room,
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let file = self.file.as_mut().ok_or(io::ErrorKind::NotFound)?;
        // Until all is written, the file may end in the middle of a line.
        let before = std::mem::replace(&mut self.at_line_start, false);
        let (mut rest, all) = (bytes, bytes.len());
        while !rest.is_empty() {
            match file.write(rest) {
                Ok(count) => rest = &rest[count..],
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => {
                    self.at_line_start = before && rest.len() == all;
                    return Err(e);
                }
            }
        }
        self.at_line_start = bytes.last() == Some(&b'\n');
        Ok(())
    }

    fn room(&self) -> io::Result<u64> {
        let file = self.file.as_ref().ok_or(io::ErrorKind::NotFound)?;
        Ok(self.spec.max_bytes.saturating_sub(file.metadata()?.len()))
    }

    fn reopen(&mut self) -> io::Result<()> {
        if let Some(dir) = self.spec.path.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        }
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits() as i32)
            .open(&self.spec.path)?;
        self.file = Some(file);
        Ok(())
    }

    /// Moves the files on by one. If another writer of the same log has done it already, only
    /// opens the new file.
    fn rotate(&mut self) -> io::Result<()> {
        let path = &self.spec.path;
        if self.is_current() {
            for n in (0..self.spec.keep).rev() {
                match fs::rename(rotated(path, n), rotated(path, n + 1)) {
                    Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                    _ => {}
                }
            }
            if self.spec.keep == 0 {
                fs::remove_file(path)?;
            }
        }
        self.file = None;
        Ok(())
    }

    fn is_current(&self) -> bool {
        let ours = self.file.as_ref().and_then(|f| f.metadata().ok());
        let there = fs::symlink_metadata(&self.spec.path).ok();
        matches!((ours, there), (Some(a), Some(b)) if (a.dev(), a.ino()) == (b.dev(), b.ino()))
    }
}

/// No space, no quota: passes by itself when someone makes room.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

#[cfg(test)]
mod tests;
