#![allow(clippy::unwrap_used)]

use super::*;

fn spec(dir: &tempfile::TempDir, max_bytes: u64, keep: u32) -> LogSpec {
    LogSpec { path: dir.path().join("sub/a.log"), max_bytes, keep }
}

fn read(path: &Path, n: u32) -> String {
    fs::read_to_string(rotated(path, n)).unwrap_or_default()
}

#[test]
fn rotates_at_line_ends_and_keeps_so_many() {
    let dir = tempfile::tempdir().unwrap();
    let spec = spec(&dir, 10, 2);
    let mut log = LogFile::open(spec.clone()).unwrap();
    assert_eq!(log.append(b"one\ntwo\nthree\nfour\nfive\nsix\nseven\n"), None);
    assert_eq!(read(&spec.path, 0), "six\nseven\n");
    assert_eq!(read(&spec.path, 1), "four\nfive\n");
    assert_eq!(read(&spec.path, 2), "three\n");
    assert!(!rotated(&spec.path, 3).exists());
    assert_eq!(tail(&spec.path, 3), ["five", "six", "seven"]);
    assert_eq!(tail(&spec.path, 99), ["three", "four", "five", "six", "seven"]);
    assert!(tail(&spec.path, 0).is_empty());
}

#[test]
fn a_line_longer_than_a_file_is_split_not_lost() {
    let dir = tempfile::tempdir().unwrap();
    let spec = spec(&dir, 10, 5);
    let mut log = LogFile::open(spec.clone()).unwrap();
    log.append(b"abcdefghijklmnopqrstuvwxyz\n");
    assert_eq!(read(&spec.path, 2), "abcdefghij");
    assert_eq!(read(&spec.path, 1), "klmnopqrst");
    assert_eq!(read(&spec.path, 0), "uvwxyz\n");
}

#[test]
fn nothing_kept_still_bounds_the_size() {
    let dir = tempfile::tempdir().unwrap();
    let spec = spec(&dir, 10, 0);
    let mut log = LogFile::open(spec.clone()).unwrap();
    log.append(b"one\ntwo\nthree\nfour\n");
    assert_eq!(read(&spec.path, 0), "four\n");
    assert!(!rotated(&spec.path, 1).exists());
}

#[test]
fn two_writers_of_one_log_do_not_rotate_twice() {
    let dir = tempfile::tempdir().unwrap();
    let spec = spec(&dir, 10, 3);
    let mut a = LogFile::open(spec.clone()).unwrap();
    let mut b = LogFile::open(spec.clone()).unwrap();
    a.append(b"aaaa\n");
    b.append(b"bbbb\n");
    a.append(b"AAAA\n");
    b.append(b"BBBB\n");
    assert_eq!(read(&spec.path, 1), "aaaa\nbbbb\n");
    assert_eq!(read(&spec.path, 0), "AAAA\nBBBB\n");
}

#[test]
fn lost_lines_are_counted_and_told() {
    let dir = tempfile::tempdir().unwrap();
    let spec = spec(&dir, 1000, 1);
    let mut log = LogFile::open(spec.clone()).unwrap();
    log.append(b"before\n");
    log.file = None;
    let parent = spec.path.parent().unwrap();
    fs::rename(parent, dir.path().join("away")).unwrap();
    fs::write(parent, "a file where the directory was").unwrap();
    assert_eq!(log.append(b"one\ntwo\n"), None);
    assert_eq!(log.append(b"three\n"), None);
    fs::remove_file(parent).unwrap();
    assert_eq!(log.append(b"after\n"), Some(3));
    assert_eq!(log.append(b"more\n"), None);
    let text = read(&spec.path, 0);
    assert_eq!(text, "serin: 3 log lines lost, the log was not writable\nafter\nmore\n");
}

#[test]
fn a_tail_longer_than_a_block_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("big");
    let line = "x".repeat(5000);
    fs::write(&path, format!("{line}\n").repeat(20)).unwrap();
    assert_eq!(tail(&path, 15), vec![line; 15]);
}

#[test]
fn a_missing_log_has_no_lines() {
    assert!(tail(Path::new("/nonexistent/log"), 5).is_empty());
}
