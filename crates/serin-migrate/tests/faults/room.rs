//! Room: log that a slot keeps back, and a disk that fills up.

use crate::kit::*;
use serde_json::json;
use serin_migrate::{Error, State};
use std::os::unix::fs::{MetadataExt, chown};
use std::path::PathBuf;
use std::process::Command;

#[test]
fn log_that_a_slot_keeps_back_holds_the_backfill() {
    let Some(lab) = Lab::of_model(4_000) else { return };
    let slot = serin_postgres::unique_name("idle");
    lab.sql(&format!("SELECT pg_create_physical_replication_slot('{slot}', true)"));
    lab.sql("CREATE TABLE more AS SELECT repeat('x', 1000) FROM generate_series(1, 3000)");
    let mut document = crate::model::document();
    document["serin"]["backfill"]["max_kept_wal"] = json!("1MB");
    let plan = lab.planned("01", &document);
    let writers = lab.writers(4_000, 121);
    let at_work = lab.runner();
    let work = std::thread::spawn(move || block(at_work.start(&plan)));
    let why = lab.until_waiting("a replication slot keeps");
    assert!(why.contains("1 MB are allowed"), "{why}");
    assert_eq!(lab.sql("SELECT sum(rows_changed) FROM serin.progress"), "0");
    writers.after(WRITES);
    lab.sql(&format!("SELECT pg_drop_replication_slot('{slot}')"));
    assert_eq!(work.join().unwrap().unwrap().state, State::Dual);
    both_write(writers);
}

/// A small disk with a tablespace on it, gone when dropped.
struct Disk {
    lab: Lab,
    folder: PathBuf,
    name: String,
}

impl Disk {
    /// `None`, said loudly, where nobody may mount.
    fn new(lab: &Lab, megabytes: u32) -> Option<Self> {
        let name = serin_postgres::unique_name("disk");
        let folder = lab.cluster.data().parent().unwrap().join(&name);
        std::fs::create_dir(&folder).unwrap();
        let owner = std::fs::metadata(lab.cluster.data()).unwrap();
        let options =
            format!("size={megabytes}m,mode=0700,uid={},gid={}", owner.uid(), owner.gid());
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(&folder);
        if !mount.output().is_ok_and(|output| output.status.success()) {
            eprintln!("SKIPPED: a full disk: this user may not mount one");
            std::fs::remove_dir(&folder).unwrap();
            return None;
        }
        chown(&folder, Some(owner.uid()), Some(owner.gid())).unwrap();
        lab.sql(&format!("CREATE TABLESPACE {name} LOCATION '{}'", folder.display()));
        Some(Self { lab: lab.clone(), folder, name })
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let drop = format!(
            "DROP TABLE IF EXISTS orders, room.filler CASCADE; DROP TABLESPACE {}",
            self.name
        );
        let _ = self.lab.cluster.sql(&self.lab.database, &drop);
        let _ = Command::new("umount").arg("-l").arg(&self.folder).status();
        let _ = std::fs::remove_dir(&self.folder);
    }
}

/// Ten megabytes of rows, and as much that can go, on a disk of 28: filled in, the rows need ten
/// more.
fn crowded() -> Option<(Lab, Disk)> {
    let lab = Lab::new("SELECT 1")?;
    let disk = Disk::new(&lab, 28)?;
    lab.sql(&format!(
        "SET default_tablespace = {}; \
         CREATE TABLE orders (id integer PRIMARY KEY, total integer NOT NULL, note text) \
           WITH (autovacuum_enabled = off); \
         INSERT INTO orders SELECT n, n, repeat('n', 200) FROM generate_series(1, 40000) n; \
         CREATE SCHEMA room; CREATE TABLE room.filler AS SELECT repeat('f', 200) FROM generate_series(1, 40000);",
        disk.name
    ));
    Some((lab, disk))
}

fn cents(settings: serde_json::Value) -> serde_json::Value {
    let mut document = crate::clients::cents();
    document["serin"] = settings;
    document
}

#[test]
fn a_disk_that_is_nearly_full_is_left_some_room() {
    let Some((lab, disk)) = crowded() else { return };
    // More than it writes between two looks.
    let settings = json!({"backfill": {"duty": 1, "min_free_disk": "4MB"}});
    let plan = lab.planned("01", &cents(settings));
    let at_work = lab.runner();
    let work = std::thread::spawn(move || block(at_work.start(&plan)));
    let why = lab.until_waiting("nearly full");
    assert!(why.contains("min_free_disk"), "{why}");
    // Clients still can write.
    lab.sql("UPDATE orders SET total = 8 WHERE id = 7; INSERT INTO orders VALUES (50000, 5)");
    lab.sql("DROP TABLE room.filler");
    assert_eq!(work.join().unwrap().unwrap().state, State::Dual);
    assert_eq!(lab.sql(crate::clients::APART), "0");
    drop(disk);
}

#[test]
fn a_full_disk_stops_it_and_nothing_is_half_done() {
    let Some((lab, disk)) = crowded() else { return };
    let settings = json!({"backfill": {"duty": 1, "min_free_disk": "0MB"}});
    let plan = lab.planned("01", &cents(settings));
    let error = block(lab.runner().start(&plan)).unwrap_err();
    assert!(matches!(&error, Error::Sql { code, .. } if code == "53100"), "{error}");
    assert!(error.to_string().contains("make room, then go on"), "{error}");
    assert!(!error.is_own_fault(), "a rollout tries it again");
    let status = lab.status().unwrap();
    assert_eq!((status.state, status.error.is_some()), (State::Backfilling, true));
    assert_eq!(lab.sql("SELECT sum(total) FROM orders"), "800020000");
    let changed =
        "SELECT rows_changed = (SELECT count(*) FROM orders WHERE _serin_done) FROM serin.progress";
    assert_eq!(lab.sql(changed), "t");
    // Back needs no room, and there again it needs what the first try left behind.
    lab.sql("DROP TABLE room.filler");
    assert_eq!(block(lab.runner().resume(&sure())).unwrap().state, State::Dual);
    assert_eq!(lab.sql(crate::clients::APART), "0");
    drop(disk);
}
