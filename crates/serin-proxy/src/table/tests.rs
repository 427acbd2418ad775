use super::*;

fn route(service: &str, port: u16, n: u64, sub: u64) -> Route {
    let generation = Generation { epoch: 1, n };
    Route { sub, ..Route::new(service, ([127, 0, 0, 1], port).into(), generation, vec![]) }
}

fn table() -> (tempfile::TempDir, Table) {
    let folder = tempfile::tempdir().unwrap();
    let table = Table::load(&folder.path().join("table.json")).unwrap();
    (folder, table)
}

#[test]
fn older_orders_are_refused_and_repeated_ones_are_not() {
    let (_folder, table) = table();
    table.apply(route("a", 1, 2, 5)).unwrap();
    table.apply(route("a", 1, 2, 5)).unwrap();
    let have = route("a", 1, 2, 5).order();
    for (n, sub) in [(1, 9), (2, 4)] {
        assert_eq!(table.apply(route("a", 1, n, sub)), Err(Refused::Stale(have)));
    }
    let mut contradiction = route("a", 1, 2, 5);
    contradiction.request_timeout_ms = 9;
    assert_eq!(table.apply(contradiction), Err(Refused::Stale(have)));
    let version = table.shared.version();
    table.apply(route("a", 1, 2, 6)).unwrap();
    assert_eq!(table.shared.version(), version + 1);
}

#[test]
fn two_services_never_share_an_address() {
    let (_folder, table) = table();
    table.apply(route("a", 1, 1, 0)).unwrap();
    let refused = table.apply(route("b", 1, 1, 0)).unwrap_err().to_string();
    assert_eq!(refused, "127.0.0.1:1 is the address of a; give the service one of its own");
    table.apply(route("a", 2, 2, 0)).unwrap();
    table.apply(route("b", 1, 1, 0)).unwrap();
}

#[test]
fn a_removed_service_stays_removed_for_late_orders() {
    let (folder, table) = table();
    table.apply(route("a", 1, 1, 0)).unwrap();
    table.remove("a", None);
    table.apply(route("a", 1, 1, 0)).unwrap();
    table.remove("a", Some(Generation { epoch: 1, n: 3 }));
    table.save().unwrap();
    let again = Table::load(&folder.path().join("table.json")).unwrap();
    for table in [table, again] {
        assert!(table.shared.routes().is_empty());
        assert!(matches!(table.apply(route("a", 1, 3, 7)), Err(Refused::Stale(_))));
        table.apply(route("a", 1, 4, 0)).unwrap();
    }
}

#[test]
fn what_is_saved_is_loaded_and_a_failed_save_keeps_the_old_file() {
    let (folder, table) = table();
    table.apply(route("a", 1, 1, 0)).unwrap();
    table.save().unwrap();
    let path = folder.path().join("table.json");
    assert_eq!(Table::load(&path).unwrap().shared.routes(), table.shared.routes());
    fs::create_dir(folder.path().join("table.tmp")).unwrap();
    table.apply(route("a", 1, 2, 0)).unwrap();
    table.save().unwrap_err();
    assert_eq!(Table::load(&path).unwrap().shared.routes()["a"].generation.n, 1);
}

#[test]
fn what_is_on_disk_is_not_written_again_and_what_is_not_is() {
    let (folder, table) = table();
    let temp = folder.path().join("table.tmp");
    table.apply(route("a", 1, 1, 0)).unwrap();
    table.save().unwrap();
    fs::create_dir(&temp).unwrap();
    table.apply(route("a", 1, 1, 0)).unwrap();
    table.save().unwrap();
    table.remove("b", Some(Generation { epoch: 1, n: 1 }));
    table.save().unwrap_err();
    table.save().unwrap_err();
    fs::remove_dir(&temp).unwrap();
    table.save().unwrap();
    let again = Table::load(&folder.path().join("table.json")).unwrap();
    assert!(matches!(again.apply(route("b", 2, 1, 0)), Err(Refused::Stale(_))));
}
