#![allow(clippy::unwrap_used)] // a test that cannot go on has failed

use super::*;
use serin_core::Timestamp;

fn drill(version: &str) -> DrillRecord {
    DrillRecord {
        at: Timestamp(1_000),
        by: "mark".into(),
        version: version.into(),
        judged: true,
        detected: Some(Millis(900)),
        routed: Some(Millis(2)),
        silent: Some(Millis(2)),
        recovered: None,
        requests: (400, 30),
        after: (200, 0),
        target: Millis::secs(10),
        passed: true,
    }
}

#[test]
fn the_newest_drills_are_remembered() {
    let dir = tempfile::tempdir().unwrap();
    let name: ServiceName = "shop".parse().unwrap();
    assert!(read(dir.path(), &name).drills.is_empty());
    for number in 0..REMEMBERED + 3 {
        remember(dir.path(), &name, &drill(&format!("v{number}"))).unwrap();
    }
    let drills = read(dir.path(), &name).drills;
    assert_eq!(drills.len(), REMEMBERED);
    assert_eq!(drills[0], drill(&format!("v{}", REMEMBERED + 2)));
    forget(dir.path(), &name);
    assert!(read(dir.path(), &name).drills.is_empty());
}

#[test]
fn the_name_of_a_copy_is_a_name() {
    let short: ServiceName = "shop".parse().unwrap();
    assert_eq!(copy_name(&short).unwrap().as_str(), "shop-drill");
    let long: ServiceName = "a".repeat(50).parse().unwrap();
    assert_eq!(copy_name(&long).unwrap().as_str().len(), 50);
}
