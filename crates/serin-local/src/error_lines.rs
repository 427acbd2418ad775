//! Lines of an instance's log that look like errors. A log is followed from one look to the next,
//! over the rotation of its files; what it says is not kept.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Lines of a revision that are looked back at.
pub(crate) const LINES: usize = 1000;
/// Most bytes of one file that are read at one look; of more only the end.
const MOST: u64 = 1 << 20;
/// Bytes before the end of a log at which following it begins.
const BEFORE: u64 = 256 << 10;
/// Bytes of an unfinished line that are looked at.
const LONGEST: usize = 16 << 10;
/// Times of error lines that are kept; a rate above what they say is high enough.
const TIMES: usize = 20_000;

/// One log that is followed.
#[derive(Debug, Default)]
pub(crate) struct ErrorLines {
    /// The file that was read last and how far: device, inode, offset.
    at: Option<(u64, u64, u64)>,
    /// The beginning of a line whose end is not written yet.
    rest: Vec<u8>,
    /// When each of the last lines was seen (0: before the first look), and whether it looks like
    /// an error.
    last: VecDeque<(i64, bool)>,
    /// When error lines were seen.
    errors: VecDeque<i64>,
    /// Whether the log could be read.
    pub(crate) known: bool,
}

impl ErrorLines {
    /// Reads what is new at `now`, in milliseconds. A log that cannot be read says nothing.
    pub(crate) fn look(&mut self, path: &Path, words: &[String], now: i64) {
        self.known = self.read(path, words, now).is_ok();
    }

    fn read(&mut self, path: &Path, words: &[String], now: i64) -> io::Result<()> {
        let mut file = File::open(path)?;
        let meta = file.metadata()?;
        let id = (meta.dev(), meta.ino());
        let (from, seen) = match self.at {
            None => (meta.len().saturating_sub(BEFORE), 0),
            Some((dev, ino, offset)) if (dev, ino) == id && offset <= meta.len() => (offset, now),
            Some(before) => {
                self.end_rotated(path, before, words, now);
                (0, now)
            }
        };
        let begun = self.at.is_some();
        let end = self.take(&mut file, from, meta.len(), (words, seen), begun)?;
        self.at = Some((id.0, id.1, end));
        Ok(())
    }

    /// The rest of the file that was rotated away since the last look.
    fn end_rotated(&mut self, path: &Path, before: (u64, u64, u64), words: &[String], now: i64) {
        let (dev, ino, offset) = before;
        let rotated = PathBuf::from(format!("{}.1", path.display()));
        let same = |meta: &fs::Metadata| (meta.dev(), meta.ino()) == (dev, ino);
        let Ok(mut file) = File::open(rotated) else { return };
        if let Some(meta) = file.metadata().ok().filter(same) {
            // What cannot be read is as if it had not been written.
            let _ = self.take(&mut file, offset, meta.len(), (words, now), true);
        }
        self.rest.clear();
    }

    /// Takes the lines from `from` on; how far it came. Whether `from` is where a line goes on that
    /// was begun; otherwise, or where bytes are left out, lines are taken from the next on.
    fn take(
        &mut self,
        file: &mut File,
        from: u64,
        len: u64,
        (words, seen): (&[String], i64),
        begun: bool,
    ) -> io::Result<u64> {
        let start = from.max(len.saturating_sub(MOST));
        let whole = start == 0 || (begun && start == from);
        if start != from {
            self.rest.clear();
        }
        file.seek(SeekFrom::Start(start))?;
        let mut bytes = Vec::new();
        file.take(len - start).read_to_end(&mut bytes)?;
        let end = start + bytes.len() as u64;
        let skipped = bytes.iter().position(|b| *b == b'\n').map_or(bytes.len(), |at| at + 1);
        let mut rest = if whole { &bytes[..] } else { &bytes[skipped..] };
        while let Some(newline) = rest.iter().position(|b| *b == b'\n') {
            self.rest.extend(rest[..newline].iter().take(LONGEST));
            let line = std::mem::take(&mut self.rest);
            self.line(is_error(&line, words), seen);
            rest = &rest[newline + 1..];
        }
        let room = LONGEST.saturating_sub(self.rest.len());
        self.rest.extend(rest.iter().take(room));
        Ok(end)
    }

    fn line(&mut self, error: bool, seen: i64) {
        self.last.push_back((seen, error));
        if self.last.len() > LINES {
            self.last.pop_front();
        }
        if error && seen > 0 {
            self.errors.push_back(seen);
            if self.errors.len() > TIMES {
                self.errors.pop_front();
            }
        }
    }

    /// Error lines seen since `since`.
    pub(crate) fn since(&self, since: i64) -> usize {
        self.errors.iter().rev().take_while(|at| **at > since).count()
    }
}

/// Error lines among the last [`LINES`] of all `logs` together.
pub(crate) fn among_last<'a>(logs: impl Iterator<Item = &'a ErrorLines>) -> usize {
    let mut lines: Vec<(i64, bool)> = logs.flat_map(|log| log.last.iter().copied()).collect();
    lines.sort_by_key(|(seen, _)| std::cmp::Reverse(*seen));
    lines.iter().take(LINES).filter(|(_, error)| *error).count()
}

/// Whether a line has one of the words. A word that begins or ends with a letter or digit does not
/// go on there: `ERROR` is not in `NO_ERRORS`.
pub(crate) fn is_error(line: &[u8], words: &[String]) -> bool {
    words.iter().any(|word| has(line, word.as_bytes()))
}

fn has(line: &[u8], word: &[u8]) -> bool {
    let inside = |byte: Option<&u8>| byte.is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_');
    let goes_on = |edge: Option<&u8>, next: Option<&u8>| inside(edge) && inside(next);
    line.windows(word.len().max(1)).enumerate().any(|(at, part)| {
        let before = at.checked_sub(1).and_then(|at| line.get(at));
        part == word
            && !goes_on(word.first(), before)
            && !goes_on(word.last(), line.get(at + word.len()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn words_are_whole_and_other_texts_are_parts() {
        let cases = [
            ("2026-11-30 ERROR db away", &["ERROR"][..], true),
            ("ERROR", &["ERROR"], true),
            ("[ERROR]: x", &["ERROR"], true),
            ("NO_ERROR ERRORS error", &["ERROR"], false),
            ("TERROR and then an ERROR", &["ERROR"], true),
            ("thread 'main' panicked", &["panic"], false),
            ("panic: nil map", &["ERROR", "panic"], true),
            (r#"{"level":"error","n":0}"#, &[r#""level":"error""#], true),
            ("", &["ERROR"], false),
        ];
        for (line, wanted, expected) in cases {
            assert_eq!(is_error(line.as_bytes(), &words(wanted)), expected, "{line} {wanted:?}");
        }
    }

    #[test]
    fn a_log_is_followed_over_halves_of_lines_and_rotation() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.log");
        let words = words(&["ERROR"]);
        let mut log = ErrorLines::default();
        log.look(&path, &words, 1000);
        assert!(!log.known);
        fs::write(&path, "ERROR before\nfine\nERR").unwrap();
        log.look(&path, &words, 1000);
        assert!(log.known);
        assert_eq!(
            (among_last([&log].into_iter()), log.since(0)),
            (1, 0),
            "old lines have no time"
        );
        let append = |text: &str| {
            let mut file = File::options().append(true).create(true).open(&path).unwrap();
            file.write_all(text.as_bytes()).unwrap();
        };
        append("OR half\nfine\n");
        log.look(&path, &words, 2000);
        log.look(&path, &words, 3000);
        assert_eq!((among_last([&log].into_iter()), log.since(0)), (2, 1));
        append("ERROR last of the old file\n");
        fs::rename(&path, dir.path().join("a.log.1")).unwrap();
        append("ERROR first of the new one\n");
        log.look(&path, &words, 4000);
        assert_eq!((among_last([&log].into_iter()), log.since(2000)), (4, 2));
        assert_eq!(log.last.len(), 6);
    }

    #[test]
    fn the_last_thousand_are_those_of_all_instances_together() {
        let mut old = ErrorLines::default();
        let mut new = ErrorLines::default();
        (0..900).for_each(|_| old.line(true, 1000));
        assert_eq!(among_last([&old].into_iter()), 900);
        (0..990).for_each(|_| new.line(false, 2000));
        assert_eq!(among_last([&old, &new].into_iter()), 10);
    }

    #[test]
    fn a_flood_costs_what_its_end_costs() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.log");
        fs::write(&path, "start\n").unwrap();
        let mut log = ErrorLines::default();
        log.look(&path, &words(&["ERROR"]), 1000);
        let mut flood = "ERROR early\n".repeat(200_000);
        flood.push_str(&"fine\n".repeat(LINES));
        fs::write(&path, flood).unwrap();
        log.look(&path, &words(&["ERROR"]), 2000);
        assert_eq!(among_last([&log].into_iter()), 0);
        assert_eq!(log.last.len(), LINES);
        assert!(log.since(0) <= TIMES);
    }
}
