//! From an app's stdout and stderr into its log file.

use std::os::unix::fs::PermissionsExt as _;

use serin_keeper::log::tail;

use crate::rig::{Rig, await_some};

#[test]
fn both_outputs_are_logged_before_the_exit_is_told() {
    let rig = Rig::start();
    rig.run("a", "echo out; echo err >&2; i=0; while [ $i -lt 2000 ]; do echo line $i; i=$((i+1)); done; exit 3");
    assert_eq!(rig.await_exit("a"), (Some(3), None));
    let lines = tail(&rig.log_path("a"), 5000);
    assert_eq!(lines.len(), 2002);
    assert_eq!(lines[..2], ["out", "err"]);
    assert_eq!(lines[2001], "line 1999");
    let mode = std::fs::metadata(rig.log_path("a")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    await_some(|| (!rig.path("fifo/a").exists()).then_some(()));
}

#[test]
fn logs_rotate_and_stay_within_their_size() {
    let rig = Rig::start();
    let mut spec =
        rig.shell("a", "i=10000; while [ $i -lt 12000 ]; do echo line $i; i=$((i+1)); done");
    spec.log.max_bytes = 4096;
    spec.log.keep = 2;
    rig.pid_of(spec);
    assert_eq!(rig.await_exit("a"), (Some(0), None));
    let sizes: Vec<u64> = ["a.log", "a.log.1", "a.log.2"]
        .map(|name| std::fs::metadata(rig.path("logs").join(name)).unwrap().len())
        .to_vec();
    assert!(sizes.iter().all(|size| *size <= 4096), "{sizes:?}");
    assert!(!rig.path("logs/a.log.3").exists());
    let lines = tail(&rig.log_path("a"), 5000);
    assert_eq!(lines.last().unwrap(), "line 11999");
    let first: usize = lines[0].strip_prefix("line ").unwrap().parse().unwrap();
    assert_eq!(lines.len(), 12000 - first, "no line is missing in between");
    assert!(lines.len() > 700, "{}", lines.len());
}

#[test]
fn a_log_that_cannot_be_opened_is_the_orders_error() {
    let rig = Rig::start();
    let mut spec = rig.shell("a", "exit 0");
    std::fs::write(rig.path("logs/file"), "").unwrap();
    spec.log.path = rig.path("logs/file/a.log");
    let reply = format!("{:?}", rig.spawn(spec));
    assert!(reply.contains("cannot start a"), "{reply}");
    assert!(!rig.path("fifo/a").exists());
}

#[test]
fn a_full_disk_loses_lines_but_not_the_app() {
    let rig = Rig::start();
    let mut spec = rig.shell("a", "i=0; while [ $i -lt 50000 ]; do echo a line that goes nowhere $i; i=$((i+1)); done; echo done");
    // The device that is always full.
    spec.log.path = "/dev/full".into();
    rig.pid_of(spec);
    assert_eq!(rig.await_exit("a"), (Some(0), None));
}

#[test]
fn planes_have_logs() {
    let rig = Rig::start();
    assert_eq!(rig.await_lines("control", 1), ["idle"]);
    assert_eq!(rig.await_lines("proxy", 1), ["idle"]);
}
