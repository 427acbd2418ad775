//! The end of an instance's log.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

/// Most bytes of one file that are read.
const WINDOW: u64 = 256 << 10;
/// Longer lines are cut.
const MAX_LINE: usize = 2000;

/// Where an instance's log is.
pub(crate) fn path(data: &Path, instance: &str) -> PathBuf {
    data.join("logs").join(format!("{instance}.log"))
}

/// Removes a log and what was rotated out of it.
pub(crate) fn remove(path: &Path) {
    // What is not there or cannot be removed does no harm: it has no writer any more.
    let _ = std::fs::remove_file(path);
    let mut rotated = (1_u32..).map(|n| format!("{}.{n}", path.display()));
    while rotated.next().is_some_and(|path| std::fs::remove_file(path).is_ok()) {}
}

/// The last `lines` lines of the log at `path` and, if it was rotated a moment ago, of the file
/// before it. An unreadable log is empty.
pub(crate) fn tail(path: &Path, lines: usize) -> Vec<String> {
    let mut found = last_lines(path, lines);
    if found.len() < lines {
        let before = PathBuf::from(format!("{}.1", path.display()));
        let mut older = last_lines(&before, lines - found.len());
        older.append(&mut found);
        found = older;
    }
    found
}

fn last_lines(path: &Path, lines: usize) -> Vec<String> {
    let Ok(bytes) = last_bytes(path) else { return Vec::new() };
    let text = String::from_utf8_lossy(&bytes);
    let all: Vec<&str> = text.lines().collect();
    let from = all.len().saturating_sub(lines);
    all[from..].iter().map(|line| line.chars().take(MAX_LINE).collect()).collect()
}

fn last_bytes(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let from = file.metadata()?.len().saturating_sub(WINDOW);
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(WINDOW).read_to_end(&mut bytes)?;
    if from > 0 {
        // The window begins somewhere in a line.
        let whole = bytes.iter().position(|b| *b == b'\n').map_or(0, |at| at + 1);
        bytes.drain(..whole);
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_come_from_both_files() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("a.log");
        std::fs::write(dir.path().join("a.log.1"), "one\ntwo\n").unwrap();
        std::fs::write(&log, "three\nfo\u{fffd}r\nlast without end").unwrap();
        assert_eq!(tail(&log, 2), ["fo\u{fffd}r", "last without end"]);
        assert_eq!(tail(&log, 4), ["two", "three", "fo\u{fffd}r", "last without end"]);
        assert_eq!(tail(&log, 9).len(), 5);
        assert_eq!(tail(&dir.path().join("none.log"), 3), Vec::<String>::new());
    }

    #[test]
    fn a_removed_log_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a.log", "a.log.1", "a.log.2", "b.log"] {
            std::fs::write(dir.path().join(name), "x").unwrap();
        }
        remove(&dir.path().join("a.log"));
        let left: Vec<_> = dir.path().read_dir().unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(left, ["b.log"]);
    }

    #[test]
    fn a_large_log_is_not_read_whole() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("a.log");
        let line = format!("{}\n", "x".repeat(9999));
        std::fs::write(&log, line.repeat(100)).unwrap();
        let lines = tail(&log, 50);
        assert_eq!(lines.len(), 26, "256 KiB hold 26 whole lines");
        assert!(lines.iter().all(|line| line.len() == MAX_LINE));
    }
}
