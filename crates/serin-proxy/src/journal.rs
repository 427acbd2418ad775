//! Small changes behind a large file: each is one line, on disk before it counts, and all of them
//! go when the large file has them. What is torn by a crash is not there.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// More lines are taken into the large file, so that a start does not have to make them all.
const MANY_LINES: usize = 200;
/// The same in bytes.
const MANY_BYTES: u64 = 1 << 20;
/// A journal of this size takes no more lines, in bytes.
const MAX_BYTES: u64 = 16 << 20;

/// Lines of text in a file, the last one whole.
pub struct Journal {
    path: PathBuf,
    file: Option<File>,
    /// Bytes of whole lines.
    len: u64,
    lines: usize,
    /// What is behind the whole lines could not be cut off.
    torn: bool,
}

impl Journal {
    /// The journal in a file, and its whole lines. A file that is not there is an empty one.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn open(path: &Path) -> io::Result<(Self, Vec<Vec<u8>>)> {
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let lines = bytes[..whole].split_inclusive(|byte| *byte == b'\n');
        let lines: Vec<_> = lines.map(<[u8]>::to_vec).collect();
        let (len, torn) = (whole as u64, whole < bytes.len());
        let mut journal = Self { path: path.to_owned(), file: None, len, lines: lines.len(), torn };
        if torn {
            journal.cut()?;
        }
        Ok((journal, lines))
    }

    /// Puts a line on disk.
    ///
    /// # Errors
    /// It is not there, and the others are as they were.
    pub fn append(&mut self, line: &[u8]) -> io::Result<()> {
        if self.torn {
            self.cut()?;
        }
        let (end, len) = (self.len + line.len() as u64, self.len);
        if end > MAX_BYTES {
            return Err(io::Error::other("the journal is full"));
        }
        let file = self.file()?;
        let written = file.write_all_at(line, len).and_then(|()| file.sync_data());
        if let Err(error) = written {
            self.torn = true;
            let _ = self.cut();
            return Err(error);
        }
        (self.len, self.lines) = (end, self.lines + 1);
        Ok(())
    }

    /// Takes all lines out: something else has them on disk. Those that come back after a crash
    /// are known by that.
    pub fn clear(&mut self) {
        self.keep(&[]);
    }

    /// Takes all lines out but the first ones, which are these.
    pub fn keep(&mut self, lines: &[Vec<u8>]) {
        let len = lines.iter().map(Vec::len).sum::<usize>();
        (self.len, self.lines, self.torn) = (len as u64, lines.len(), true);
        let _ = self.cut();
    }

    /// Whether it is time to put what it has elsewhere.
    pub fn is_long(&self) -> bool {
        self.lines > MANY_LINES || self.len > MANY_BYTES
    }

    fn cut(&mut self) -> io::Result<()> {
        let len = self.len;
        if len > 0 || self.file.is_some() || self.path.exists() {
            self.file()?.set_len(len)?;
        }
        self.torn = false;
        Ok(())
    }

    fn file(&mut self) -> io::Result<&File> {
        if self.file.is_none() {
            let mut options = OpenOptions::new();
            let file = options.write(true).create(true).truncate(false).mode(0o600);
            let file = file.open(&self.path)?;
            let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
            File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
            self.file = Some(file);
        }
        self.file.as_ref().ok_or_else(|| io::Error::other("no journal"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(path: &Path) -> Vec<String> {
        let (_, lines) = Journal::open(path).unwrap();
        lines.into_iter().map(|line| String::from_utf8(line).unwrap()).collect()
    }

    #[test]
    fn lines_outlive_the_process_and_a_torn_one_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let (mut journal, _) = Journal::open(&path).unwrap();
        journal.append(b"one\n").unwrap();
        journal.append(b"two\n").unwrap();
        assert_eq!(lines(&path), ["one\n", "two\n"]);
        let torn = OpenOptions::new().write(true).open(&path).unwrap();
        torn.write_all_at(b"thr", 8).unwrap();
        let (mut journal, _) = Journal::open(&path).unwrap();
        journal.append(b"four\n").unwrap();
        assert_eq!(lines(&path), ["one\n", "two\n", "four\n"]);
        journal.clear();
        assert_eq!(lines(&path), [""; 0]);
        journal.append(b"five\n").unwrap();
        assert_eq!(lines(&path), ["five\n"]);
    }

    #[test]
    fn a_line_that_does_not_fit_leaves_the_others() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let (mut journal, _) = Journal::open(&path).unwrap();
        journal.append(b"one\n").unwrap();
        let large = vec![b'x'; MAX_BYTES as usize];
        assert!(journal.append(&large).is_err() && !journal.is_long());
        journal.append(b"two\n").unwrap();
        assert_eq!(lines(&path), ["one\n", "two\n"]);
    }
}
