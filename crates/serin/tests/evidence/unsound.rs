//! A comparison that says nothing holds the rollout: it is neither promoted nor rolled back.

use crate::site::{Shop, Site, audited, told};
use crate::users::{Crowd, Users};
use std::time::Duration;

/// v2 hangs for a moment now and then. Who gives up before an answer leaves no outcome, so that
/// what is left looks clean.
#[test]
fn users_who_give_up_on_it_hold_it_until_a_person_looks() {
    let site = Site::new(&Shop::HALF);
    let users = Users::start(site.listen, Crowd { lines: 48, ..Crowd::strangers(400.0) });
    users.patience(Some(Duration::from_millis(250)));
    let hangs = Shop { env: "SLOW_RATE: \"0.3\", SLOW_MS: \"600\"", ..Shop::HALF };
    site.begin(&hangs, "v2");
    site.wait("paused");
    users.wait_for(400);
    let status = site.status();
    let why = status["rollout"]["paused"].as_str().unwrap();
    for text in [why, status["waiting_for"].as_str().unwrap(), &site.server.ok(&["status"]).out] {
        assert!(text.contains("clients gave up"), "{text}");
    }
    assert_eq!(
        (&status["state"], &status["rollout"]["weight"]),
        (&"paused".into(), &50_000.into())
    );
    assert_eq!(status["rollout"]["assessment"]["outcome"], "invalid");
    assert_eq!(audited(&site)["verdict"], "INVALID");
    // From now on they wait; what was given up before is counted when its second is closed.
    users.patience(None);
    users.wait_for(2000);
    site.server.ok(&["resume", "--reason", "it was the network"]);
    site.wait("promoted");
    let report = users.report();
    assert_eq!(report.lost, [""; 0]);
    assert!(report.given_up > 0);
    let parts = [
        "paused: the comparison is not sound: clients gave up",
        "resumed by tester: it was the network",
        "no harm: errors",
        "v2 is stable now",
    ];
    told(&site.story(), &parts);
    assert_eq!(audited(&site)["verdict"], "PASS");
}
