//! Flags are written all or not at all, and their history is never overwritten.
#![allow(clippy::unwrap_used)] // a test that cannot go on has failed

use serin_core::Timestamp;
use serin_store::{Error, FlagChange, FlagWrite, KillNote, Store, StoredFlag, StoredNote};
use std::path::Path;

fn set(text: &str) -> FlagWrite {
    FlagWrite::Set { set: "production".into(), text: text.into() }
}

fn flag(key: &str, text: &str) -> FlagWrite {
    FlagWrite::Flag { set: "production".into(), key: key.into(), text: text.into() }
}

fn change(n: u64, key: &str, text: &str) -> FlagWrite {
    FlagWrite::Change(line(n, key, text))
}

fn note(id: &str, text: &str) -> FlagWrite {
    FlagWrite::Note { kind: "request".into(), id: id.into(), text: text.into() }
}

fn line(n: u64, key: &str, text: &str) -> FlagChange {
    let at = Timestamp(n as i64);
    FlagChange { n, set: "production".into(), key: key.into(), at, text: text.into() }
}

fn opened(path: &Path) -> Store {
    let mut store = Store::open(path).unwrap();
    store.claim_epoch().unwrap();
    store
}

/// A text that is long enough to be packed.
fn long(word: &str) -> String {
    format!("\"{}\"", word.repeat(600))
}

#[test]
fn what_is_written_is_read_back_from_a_file_opened_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("serin.db");
    let (short, long) = ("{}".to_owned(), long("a"));
    let writes = [
        set("{}"),
        flag("a", &short),
        flag("b", &long),
        change(1, "b", &long),
        FlagWrite::Due { id: 4, text: short.clone() },
        FlagWrite::Token { hash: "cafe".into(), text: short.clone() },
        FlagWrite::Use { set: "production".into(), key: "a".into(), text: short.clone() },
        note("1", &long),
        note("2", &short),
        FlagWrite::DropNote { kind: "request".into(), id: "1".into() },
    ];
    opened(&path).commit_flags(&writes).unwrap();
    let found = opened(&path).flags().unwrap();
    let kept = StoredNote { kind: "request".into(), id: "2".into(), text: short.clone() };
    assert_eq!(found.notes, [kept]);
    assert_eq!(found.sets, [("production".to_owned(), short.clone())]);
    let texts: Vec<_> = found.flags.iter().map(|f| (f.key.as_str(), f.text.as_str())).collect();
    assert_eq!(texts, [("a", short.as_str()), ("b", long.as_str())]);
    assert_eq!((found.due, found.last), (vec![(4, short.clone())], 1));
    assert_eq!(found.tokens, [("cafe".to_owned(), short.clone())]);
    let used = StoredFlag { set: "production".into(), key: "a".into(), text: short };
    assert_eq!(found.uses, [used]);
}

#[test]
fn a_batch_with_an_error_in_it_leaves_no_trace() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = opened(&dir.path().join("serin.db"));
    store.commit_flags(&[set("{}"), flag("a", "1"), change(1, "a", "1")]).unwrap();
    // The number is taken: the history is append-only.
    let twice = [flag("a", "2"), FlagWrite::DropDue { id: 1 }, change(1, "a", "2")];
    assert!(matches!(store.commit_flags(&twice), Err(Error::Sqlite(_))));
    assert_eq!(store.flags().unwrap().flags[0].text, "1");
    assert_eq!(store.flag_change(1).unwrap(), Some(line(1, "a", "1")));
}

#[test]
fn history_is_read_newest_first_page_by_page_and_outlives_its_flag() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = opened(&dir.path().join("serin.db"));
    let writes: Vec<_> =
        (1..=9).map(|n| change(n, if n % 3 == 0 { "a" } else { "b" }, "{}")).collect();
    store.commit_flags(&writes).unwrap();
    store.commit_flags(&[FlagWrite::DropSet { set: "production".into() }]).unwrap();
    let numbers = |key, before, most| -> Vec<u64> {
        let found = store.flag_history("production", key, before, most).unwrap();
        found.iter().map(|change| change.n).collect()
    };
    assert_eq!(numbers(None, u64::MAX, 4), [9, 8, 7, 6]);
    assert_eq!(numbers(None, 6, 2), [5, 4]);
    assert_eq!(numbers(Some("a"), 9, 5), [6, 3]);
    assert_eq!(store.flag_history("staging", None, u64::MAX, 4).unwrap(), []);
    assert_eq!(store.flag_last_at("production", "a").unwrap(), Some(Timestamp(9)));
    assert_eq!(store.flags().unwrap().last, 9);
}

#[test]
fn what_goes_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = opened(&dir.path().join("serin.db"));
    let token = FlagWrite::Token { hash: "cafe".into(), text: "{}".into() };
    let due = FlagWrite::Due { id: 1, text: "{}".into() };
    store.commit_flags(&[set("{}"), flag("a", "1"), flag("b", "1"), token, due]).unwrap();
    let goes = [
        FlagWrite::DropFlag { set: "production".into(), key: "a".into() },
        FlagWrite::DropToken { hash: "cafe".into() },
        FlagWrite::DropDue { id: 1 },
    ];
    store.commit_flags(&goes).unwrap();
    let found = store.flags().unwrap();
    assert_eq!((found.flags.len(), found.tokens.len(), found.due.len()), (1, 0, 0));
    store.commit_flags(&[FlagWrite::DropSet { set: "production".into() }]).unwrap();
    let found = store.flags().unwrap();
    assert_eq!((found.flags.len(), found.sets.len()), (0, 0));
}

#[test]
fn a_controller_that_was_followed_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("serin.db");
    let mut old = opened(&path);
    let new = opened(&path);
    assert!(matches!(old.commit_flags(&[set("{}")]), Err(Error::Superseded { .. })));
    assert_eq!(new.flags().unwrap().sets, []);
}

#[test]
fn a_full_disk_takes_no_change_and_still_a_note_of_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("serin.db");
    let mut store = opened(&path);
    store.commit_flags(&[set("{}"), flag("a", "1")]).unwrap();
    store.limit_pages(Some(1));
    let random = serde_json::to_string(&(0..200_000).collect::<Vec<u32>>()).unwrap();
    assert!(matches!(store.commit_flags(&[flag("a", &random)]), Err(Error::Full)));
    let note = KillNote {
        set: "production".into(),
        key: "a".into(),
        by: "ada".into(),
        reason: "errors".into(),
        at: Timestamp(7),
    };
    store.note_kills(std::slice::from_ref(&note)).unwrap();
    drop(store);
    let store = opened(&path);
    assert_eq!(store.kills(), [note]);
    assert_eq!(store.flags().unwrap().flags[0].text, "1");
}

#[test]
fn a_file_of_version_3_gets_the_tables() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("serin.db");
    drop(opened(&path));
    let raw = rusqlite::Connection::open(&path).unwrap();
    for table in [
        "flag_set",
        "flag",
        "flag_change",
        "flag_due",
        "flag_token",
        "flag_use",
        "flag_note",
        "notice",
        "checkup",
    ] {
        raw.execute(&format!("DROP TABLE {table}"), ()).unwrap();
    }
    raw.pragma_update(None, "user_version", 3).unwrap();
    drop(raw);
    let mut store = opened(&path);
    store.commit_flags(&[set("{}")]).unwrap();
    assert_eq!(store.flags().unwrap().sets.len(), 1);
}
