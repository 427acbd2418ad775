//! States that older versions stored still load.

use super::*;
use serde_json::Value;

/// Takes away what an older version did not know.
fn aged(service: &Service, gone: &[&str]) -> Service {
    let mut value = serde_json::to_value(service).unwrap();
    forget(&mut value, gone);
    serde_json::from_value(value).unwrap()
}

fn forget(value: &mut Value, gone: &[&str]) {
    match value {
        Value::Object(map) => {
            map.retain(|key, _| !gone.contains(&key.as_str()));
            map.values_mut().for_each(|v| forget(v, gone));
        }
        Value::Array(list) => list.iter_mut().for_each(|v| forget(v, gone)),
        _ => {}
    }
}

#[test]
fn a_state_without_any_of_the_lifecycle_reads_as_one_without_history() {
    let gone = [
        "queued",
        "kept",
        "hold",
        "back",
        "overridden",
        "notes",
        "good_at",
        "usual",
        "marked",
        "active",
        "on_new_revision",
        "rollback",
        "keep_old",
        "keep_failed",
        "history_limit",
    ];
    for at in EVERYWHERE {
        let world = rollout_at(at, |_| {});
        let old = aged(&world.service, &gone);
        let mut expected = world.service.clone();
        if let Some(rollout) = expected.rollout.as_mut() {
            rollout.back = None;
        }
        if let Some(last) = expected.last.as_mut() {
            last.active = None;
        }
        assert_eq!(old, expected, "{at:?}");
    }
}

#[test]
fn a_way_back_begun_by_an_older_version_ends() {
    let mut world = rollout_at(At::Reverting, |_| {});
    world.service = aged(&world.service, &["back"]);
    world.settle();
    assert!(world.service.rollout.is_none(), "{}", world.waiting);
}

#[test]
fn everything_new_survives_being_stored() {
    let mut world = released(&["v2", "v3"], |spec| spec.schedule.keep_old = Millis::secs(600));
    world.service.spec.on_new_revision = OnNewRevision::Queue;
    world.ask(Ask::Mark { revision: revision("v1"), bad: true }).unwrap();
    world.deploy("v4").unwrap();
    world.deploy("v5").unwrap();
    world.ask(back()).unwrap();
    let text = serde_json::to_string(&world.service).unwrap();
    assert_eq!(serde_json::from_str::<Service>(&text).unwrap(), world.service);
}
