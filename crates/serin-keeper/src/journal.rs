//! What happened to which process, in order, in memory and as lines in a file.
//!
//! The file survives the keeper; a disk that is full does not stop the journal, the entries wait
//! in memory until they can be written.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use crate::procfs::now_ms;
use crate::protocol::{JournalEntry, JournalEvent};
use crate::report::say;

/// Size in bytes at which the older half is dropped.
const COMPACT_AT: u64 = 4 << 20;

/// Most entries in memory, for a disk that is full for very long.
const MAX_ENTRIES: usize = 100_000;

/// How far `seq` jumps after a reboot, when the end of the file may have been lost: no asker may
/// see a number twice with another meaning.
const REBOOT_GAP: u64 = 1_000_000;

pub(crate) struct Journal {
    path: PathBuf,
    file: Option<File>,
    entries: VecDeque<JournalEntry>,
    next_seq: u64,
    /// Entries up to here are in the file.
    written: u64,
    size: u64,
    compact_at: u64,
    failed: bool,
}

impl Journal {
    /// Reads the file; lines that cannot be read are left out.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let entries = read(path)?;
        let last = entries.back().map_or(0, |e| e.seq);
        let mut journal = Self {
            path: path.to_owned(),
            file: None,
            entries,
            next_seq: last + 1,
            written: last,
            size: 0,
            compact_at: COMPACT_AT,
            failed: false,
        };
        journal.reopen()?;
        Ok(journal)
    }

    /// The machine was started anew since the last entry.
    pub(crate) fn rebooted(&mut self) {
        if !self.entries.is_empty() {
            self.next_seq += REBOOT_GAP;
        }
    }

    /// `seq` of the oldest and newest entry; 0 when there is none.
    pub(crate) fn range(&self) -> (u64, u64) {
        (self.entries.front().map_or(0, |e| e.seq), self.entries.back().map_or(0, |e| e.seq))
    }

    /// The first entry after `seq`.
    pub(crate) fn after(&self, seq: u64) -> Option<&JournalEntry> {
        self.entries.get(self.entries.partition_point(|e| e.seq <= seq))
    }

    /// Adds an entry and writes what is not yet in the file.
    pub(crate) fn add(&mut self, instance: &str, event: JournalEvent) {
        let instance = instance.to_owned();
        let entry = JournalEntry { seq: self.next_seq, at_ms: now_ms(), instance, event };
        self.next_seq += 1;
        self.entries.push_back(entry);
        if self.entries.len() > MAX_ENTRIES {
            self.entries.pop_front();
        }
        self.write();
    }

    /// Entries wait for a disk that does not take them.
    pub(crate) fn is_behind(&self) -> bool {
        self.after(self.written).is_some()
    }

    /// Writes what is not yet in the file. Says it once when that begins to fail, and once when
    /// it works again.
    pub(crate) fn write(&mut self) {
        if !self.is_behind() {
            return;
        }
        match (self.catch_up(), self.failed) {
            (Ok(()), true) => say(format_args!("the journal is written again")),
            (Err(e), false) => say(format_args!(
                "cannot write {}: {e}; entries are kept in memory until it works",
                self.path.display()
            )),
            _ => {}
        }
        self.failed = self.is_behind();
    }

    fn catch_up(&mut self) -> io::Result<()> {
        if self.file.is_none() {
            self.reopen()?;
        }
        while let Some(entry) = self.after(self.written) {
            let (seq, mut line) = (entry.seq, serde_json::to_vec(entry)?);
            line.push(b'\n');
            let file = self.file.as_mut().ok_or(io::ErrorKind::NotFound)?;
            if let Err(e) = file.write_all(&line) {
                // A part of the line may be there: start on a line of its own next time.
                self.file = None;
                return Err(e);
            }
            self.size += line.len() as u64;
            self.written = seq;
        }
        if self.size > self.compact_at { self.compact() } else { Ok(()) }
    }

    fn reopen(&mut self) -> io::Result<()> {
        let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(&self.path)?;
        self.size = file.metadata()?.len();
        if !ends_with_newline(&self.path, self.size)? {
            file.write_all(b"\n")?;
        }
        self.file = Some(file);
        Ok(())
    }

    /// Drops the older half, in the file and in memory.
    fn compact(&mut self) -> io::Result<()> {
        self.compact_at = self.size + COMPACT_AT / 4;
        let keep_from = self.entries.len() / 2;
        let temp = self.path.with_extension("journal.tmp");
        let mut text = Vec::new();
        for entry in self.entries.range(keep_from..) {
            serde_json::to_writer(&mut text, entry)?;
            text.push(b'\n');
        }
        write_private(&temp, &text)?;
        fs::rename(&temp, &self.path)?;
        self.entries.drain(..keep_from);
        self.compact_at = COMPACT_AT;
        self.reopen()
    }
}

/// Writes a file of mode 0600 anew.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options.open(path)?.write_all(bytes)
}

fn read(path: &Path) -> io::Result<VecDeque<JournalEntry>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(VecDeque::new()),
        Err(e) => return Err(e),
    };
    let mut entries: VecDeque<JournalEntry> = VecDeque::new();
    for line in BufReader::new(file).split(b'\n') {
        let Ok(entry) = serde_json::from_slice::<JournalEntry>(&line?) else { continue };
        if entries.back().is_none_or(|last| last.seq < entry.seq) {
            entries.push_back(entry);
        }
    }
    Ok(entries)
}

fn ends_with_newline(path: &Path, size: u64) -> io::Result<bool> {
    use std::os::unix::fs::FileExt as _;
    let mut last = [b'\n'];
    if size > 0 {
        File::open(path)?.read_exact_at(&mut last, size - 1)?;
    }
    Ok(last == [b'\n'])
}

#[cfg(test)]
mod tests;
