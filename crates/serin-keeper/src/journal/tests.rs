#![allow(clippy::unwrap_used)]

use super::*;

fn pids(journal: &Journal) -> Vec<(u64, i32)> {
    journal.entries.iter().map(|e| (e.seq, pid(e))).collect()
}

fn pid(entry: &JournalEntry) -> i32 {
    let JournalEvent::Started { pid } = entry.event else { panic!("not started") };
    pid
}

fn started(pid: i32) -> JournalEvent {
    JournalEvent::Started { pid }
}

#[test]
fn goes_on_after_a_restart_and_a_torn_line() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("j");
    let mut journal = Journal::open(&path).unwrap();
    assert_eq!(journal.range(), (0, 0));
    journal.add("a", started(10));
    journal.add("b", started(11));
    let mut file = OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(br#"{"seq":3,"at_ms":1,"inst"#).unwrap();
    let mut journal = Journal::open(&path).unwrap();
    journal.add("c", started(12));
    let journal = Journal::open(&path).unwrap();
    assert_eq!(pids(&journal), [(1, 10), (2, 11), (3, 12)]);
    assert_eq!(journal.after(1).map(pid), Some(11));
    assert_eq!(journal.after(3), None);
}

#[test]
fn a_reboot_leaves_a_gap() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("j");
    let mut journal = Journal::open(&path).unwrap();
    journal.rebooted();
    journal.add("a", started(1));
    journal.rebooted();
    journal.add("a", started(2));
    assert_eq!(pids(&journal), [(1, 1), (REBOOT_GAP + 2, 2)]);
}

#[test]
fn compaction_keeps_the_newer_half() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("j");
    let mut journal = Journal::open(&path).unwrap();
    journal.compact_at = 2000;
    for n in 1..=100 {
        journal.add("a", started(n));
    }
    // After the first compaction the usual size holds again, far away.
    let (oldest, newest) = journal.range();
    assert!(oldest > 10 && newest == 100, "{oldest}..{newest}");
    let again = Journal::open(&path).unwrap();
    assert_eq!(pids(&again), pids(&journal));
    assert_eq!(again.next_seq, 101);
}

#[test]
fn entries_wait_for_a_disk_that_cannot_be_written() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sub/j");
    fs::create_dir(dir.path().join("sub")).unwrap();
    let mut journal = Journal::open(&path).unwrap();
    journal.file = None;
    fs::rename(dir.path().join("sub"), dir.path().join("away")).unwrap();
    journal.add("a", started(1));
    journal.add("a", started(2));
    assert_eq!(journal.range(), (1, 2));
    fs::rename(dir.path().join("away"), dir.path().join("sub")).unwrap();
    journal.add("a", started(3));
    assert_eq!(pids(&Journal::open(&path).unwrap()), [(1, 1), (2, 2), (3, 3)]);
}
