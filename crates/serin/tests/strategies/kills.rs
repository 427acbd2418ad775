//! Whatever can be killed is killed at random moments while versions are shipped.

use crate::number;
use crate::support::load::{Connections, Load};
use crate::support::{QUICK, Server, free_address, shop};
use rustix::process::Signal;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

const USERS: usize = 4;

#[test]
fn kill_9_at_random_moments_breaks_nothing() {
    let (server, listen) = (Server::start(), free_address());
    let file = server.file("serin.yaml", &shop(listen, "", QUICK));
    server.ok(&["apply", "-f", &file]);
    let load = Load::start(listen, USERS, Connections::Fresh);
    load.wait_for(100);
    let over = AtomicBool::new(false);
    let (versions, killed) = std::thread::scope(|scope| {
        let shipping = scope.spawn(|| ship_on(&server, &over));
        let killed =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| kill_all(&server, &load)));
        over.store(true, Ordering::SeqCst);
        let killed = killed.unwrap();
        (shipping.join().unwrap(), killed)
    });
    // Whatever came of the last one: the next one gets out, and everything is as it says.
    let last = format!("v{}", versions + 1);
    server.ok(&["wait", "shop", "--timeout", "2m"]);
    server.ok(&["deploy", "shop", "-r", &last, "--timeout", "2m"]);
    load.wait_for(200);
    let report = load.report();
    let status = server.json(&["status", "shop"]);
    assert!(status["stable"].as_str().unwrap().starts_with(&last), "{status}");
    assert_eq!(status["instances"].as_array().unwrap().len(), 2, "{status}");
    assert!(report.by_version.contains_key(&last), "{:?}", report.by_version);
    // What a killed part was holding is lost, nothing else: at most each user's one request.
    let mut kinds = BTreeMap::new();
    report.failures.iter().for_each(|failure| *kinds.entry(failure).or_insert(0) += 1);
    assert!(report.failures.len() <= killed * USERS, "{killed} kills: {kinds:?}");
    assert!(!kinds.keys().any(|kind| kind.contains("Refused")), "{kinds:?}");
    no_two_at_once(&server);
}

/// Kills until it was enough, each after users got some answers.
fn kill_all(server: &Server, load: &Load) -> usize {
    let mut dice = fastrand::Rng::with_seed(7);
    let wanted = number("SERIN_KILLS", 12) as usize;
    let mut killed = 0;
    while killed < wanted {
        load.wait_for(dice.u64(20..300));
        killed += usize::from(kill_one(server, &mut dice));
    }
    killed
}

/// Rollouts began one after the other, and each that began has ended.
fn no_two_at_once(server: &Server) {
    let history = server.json(&["history", "shop"]);
    let rollouts = history["rollouts"].as_array().unwrap();
    let time = |one: &Value, key: &str| one[key].as_i64().unwrap();
    for pair in rollouts.windows(2) {
        assert!(time(&pair[0], "started_at") >= time(&pair[1], "ended_at"), "{pair:#?}");
    }
}

/// Ships until told to stop; each rollout ends one way or the other.
fn ship_on(server: &Server, over: &AtomicBool) -> u32 {
    let mut version = 1;
    while !over.load(Ordering::SeqCst) {
        version += 1;
        let said = server.run(&["deploy", "shop", "-r", &format!("v{version}"), "--timeout", "2m"]);
        // 1 and 7: the wish met a dying control plane; whether it was heard shows in the status.
        assert!(matches!(said.code, Some(0 | 1 | 3 | 4 | 7)), "{said:?}");
    }
    version
}

/// Kills one of the parts; what was not there any more does not count.
fn kill_one(server: &Server, dice: &mut fastrand::Rng) -> bool {
    let victim = match dice.u32(..3) {
        0 => server.child_pid("__control"),
        1 => server.child_pid("__proxy"),
        _ => spare(server, dice),
    };
    victim.is_some_and(|pid| {
        let pid = rustix::process::Pid::from_raw(pid as i32).unwrap();
        rustix::process::kill_process(pid, Signal::KILL).is_ok()
    })
}

fn instances(server: &Server) -> Vec<(String, u32)> {
    let status = server.json(&["status", "shop"]);
    let all = status["instances"].as_array().unwrap();
    let ready = all.iter().filter(|one| one["state"] == "ready");
    let text = |one: &Value| one["revision"].as_str().unwrap().to_owned();
    ready.filter_map(|one| Some((text(one), one["pid"].as_u64()? as u32))).collect()
}

/// An instance that is not the last ready one of its revision: with none left nobody could answer.
fn spare(server: &Server, dice: &mut fastrand::Rng) -> Option<u32> {
    let all = instances(server);
    let others = |of: &str| all.iter().filter(|one| one.0 == of).count() > 1;
    let spare: Vec<u32> = all.iter().filter(|one| others(&one.0)).map(|one| one.1).collect();
    (!spare.is_empty()).then(|| spare[dice.usize(..spare.len())])
}
