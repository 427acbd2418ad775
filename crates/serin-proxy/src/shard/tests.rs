use super::*;
use crate::wire::{Affinity, AffinityKey, Role, WEIGHT_TOTAL};

const START_MS: u64 = 1_000_000;

fn route(service: &str) -> Arc<wire::Route> {
    let (revision, role) = ("v1".to_owned(), Role::Stable);
    let arm = wire::Arm { revision, role, weight: WEIGHT_TOTAL, backends: vec![] };
    let listen = ([127, 0, 0, 1], 80).into();
    let affinity =
        Affinity { key: AffinityKey::Header("x-user".into()), salt: String::new(), window_s: 1 };
    let plain = wire::Route::new(service, listen, Generation { epoch: 1, n: 1 }, vec![arm]);
    Arc::new(wire::Route { affinity: Some(affinity), ..plain })
}

fn shard(service: &str) -> (Arc<Sessions>, Shard) {
    let sessions = Arc::<Sessions>::default();
    let mut shard = Shard::new(sessions.clone());
    shard.adopt(&BTreeMap::from([(service.to_owned(), route(service))]), &Arc::default());
    (sessions, shard)
}

fn names(counters: &Counters) -> Vec<&str> {
    counters.services.iter().map(|one| one.service.as_str()).collect()
}

#[test]
fn a_removed_service_is_forgotten_once_its_last_counters_could_be_read() {
    let (sessions, mut shard) = shard("shop");
    shard.services["shop"].service.no_ready.set(3);
    assert_eq!(names(&shard.report(START_MS)), ["shop"]);
    shard.adopt(&BTreeMap::new(), &Arc::default());
    assert_eq!(names(&shard.report(START_MS)), ["shop"]);
    assert_eq!(names(&shard.report(START_MS + OVER_MS - 1)), ["shop"]);
    let mut last = shard.report(START_MS + OVER_MS);
    assert_eq!(names(&last), [""; 0]);
    assert_eq!((last.dropped[0].service.as_str(), last.dropped_total()), ("shop", 3));
    sessions.report(START_MS + OVER_MS, &mut last);
    assert!(sessions.is_empty());

    shard.adopt(&BTreeMap::from([("shop".to_owned(), route("shop"))]), &Arc::default());
    shard.services["shop"].service.no_ready.set(2);
    assert_eq!(shard.report(START_MS + OVER_MS).dropped_total(), 5, "it goes on where it was");
}

#[test]
fn a_service_that_still_holds_a_request_is_remembered() {
    let (_, mut shard) = shard("shop");
    let held = shard.services["shop"].books[0].arms[0].clone();
    shard.adopt(&BTreeMap::new(), &Arc::default());
    assert_eq!(names(&shard.report(START_MS)), ["shop"]);
    assert_eq!(names(&shard.report(START_MS + 10 * OVER_MS)), ["shop"]);
    drop(held);
    assert_eq!(names(&shard.report(START_MS + 11 * OVER_MS)), ["shop"]);
    assert_eq!(names(&shard.report(START_MS + 12 * OVER_MS)), [""; 0]);
}

#[test]
fn a_service_that_comes_back_is_not_forgotten() {
    let (_, mut shard) = shard("shop");
    shard.adopt(&BTreeMap::new(), &Arc::default());
    shard.report(START_MS);
    shard.adopt(&BTreeMap::from([("shop".to_owned(), route("shop"))]), &Arc::default());
    assert_eq!(names(&shard.report(START_MS + 10 * OVER_MS)), ["shop"]);
    shard.adopt(&BTreeMap::new(), &Arc::default());
    assert_eq!(names(&shard.report(START_MS + 11 * OVER_MS)), ["shop"]);
}
