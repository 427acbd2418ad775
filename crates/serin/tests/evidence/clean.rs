//! Versions that are no worse get out, and the evidence says so.

use crate::site::{Shop, Site, audited, told};
use crate::users::{Crowd, Report, Users};
use serde_json::Value;

/// Everybody was served, by v1 and then by v2.
fn unharmed(report: &Report) {
    assert_eq!(report.lost, [""; 0]);
    assert!(report.by_version.values().all(|(answers, errors)| *answers > 0 && *errors == 0));
}

fn metric<'a>(record: &'a Value, name: &str) -> &'a Value {
    let metrics = record["assessment"]["metrics"].as_array().unwrap();
    metrics.iter().find(|metric| metric["metric"] == name).unwrap()
}

#[test]
fn a_clean_version_gets_out_and_users_stay_with_their_version() {
    let shop = Shop {
        traffic: "affinity: { cookie: serin, window: 1s }",
        steps: "{ setWeight: 25 }, { bake: { until: evidence } }, \
                { setWeight: 50 }, { bake: { until: evidence } }, { setWeight: 100 }",
        ..Shop::HALF
    };
    let site = Site::new(&shop);
    let crowd = Crowd { rate: 400.0, lines: 12, users: 40, heavy: 2 };
    let users = Users::start(site.listen, crowd);
    let said = site.apply(&shop, "v2");
    assert_eq!(said.code, Some(0), "{said:?}");
    users.wait_for(200);
    let report = users.report();
    unharmed(&report);
    let moved = |from: &str, to: &str| report.moves.get(&(from.into(), to.into())).copied();
    assert_eq!(moved("v2", "v1"), None, "users went back and forth: {:?}", report.moves);
    assert!(moved("v1", "v2") > Some(0), "{:?}", report.moves);
    told(&site.story(), &["no harm: errors", "no harm: errors", "v2 gets 100 % of the traffic"]);
    let verdict = site.story().into_iter().find(|text| text.starts_with("no harm: ")).unwrap();
    assert!(verdict.ends_with(" candidate users"), "{verdict}");
    let record = site.record();
    assert_eq!(record["outcome"], "promoted");
    // Heavy users ask several times in a window and count once.
    let judged = metric(&record, "errors")["canary_n"].as_u64().unwrap();
    let asked = report.others_by_the_end_of("v1");
    assert!(judged * 3 / 2 < asked, "{judged} users in {asked} requests");
    assert_eq!(audited(&site)["verdict"], "PASS");
}

#[test]
fn what_it_is_compared_with_may_be_as_young_as_itself() {
    let shop = Shop {
        steps: "{ setWeight: 20 }, { pause: {} }, { bake: { until: evidence } }, \
                { setWeight: 100 }",
        analysis: "metrics: [errors], baseline: fresh",
        ..Shop::HALF
    };
    let site = Site::new(&shop);
    let users = Users::start(site.listen, Crowd::strangers(400.0));
    site.begin(&shop, "v2");
    site.wait("step=2");
    let status = site.status();
    let processes = |version: &str| {
        let rows = status["instances"].as_array().unwrap().iter();
        rows.filter(|row| row["revision"].as_str().unwrap().starts_with(version)).count()
    };
    assert_eq!((processes("v1"), processes("v2")), (4, 2), "{status:#}");
    let arms = status["traffic"].as_array().unwrap().iter();
    let mut asked: Vec<_> =
        arms.map(|arm| (arm["role"].as_str().unwrap(), arm["asked"].as_u64().unwrap())).collect();
    asked.retain(|(_, weight)| *weight > 0);
    asked.sort_unstable();
    assert_eq!(asked, [("baseline", 20_000), ("candidate", 20_000), ("stable", 60_000)]);
    site.server.ok(&["promote", "shop"]);
    site.wait("promoted");
    users.wait_for(100);
    unharmed(&users.report());
    // As many requests as of the candidate: those of the fresh instances, not stable's.
    let record = site.record();
    let errors = metric(&record, "errors");
    let (candidate, fresh) = (&errors["canary_n"], &errors["baseline_n"]);
    let ratio = fresh.as_f64().unwrap() / candidate.as_f64().unwrap();
    assert!((0.7..1.4).contains(&ratio), "{errors:#}");
    assert_eq!(audited(&site)["verdict"], "PASS");
    let after = site.status();
    let rows = after["instances"].as_array().unwrap();
    let is_v2 = |row: &Value| row["revision"].as_str().unwrap().starts_with("v2");
    assert!(rows.len() == 2 && rows.iter().all(is_v2), "{after:#}");
}

#[test]
fn the_share_rises_with_the_evidence() {
    let steps = "{ expose: { budget: 60, upTo: 40 } }, { setWeight: 100 }";
    let shop = Shop { steps, ..Shop::HALF };
    let site = Site::new(&shop);
    let users = Users::start(site.listen, Crowd::strangers(400.0));
    let said = site.apply(&shop, "v2");
    assert_eq!(said.code, Some(0), "{said:?}");
    unharmed(&users.report());
    let story = site.story();
    told(&story, &["no harm: errors", "step 1 of 2 done", "v2 gets 100 % of the traffic"]);
    let share = |text: &String| -> Option<f64> {
        text.strip_prefix("v2 gets ")?.strip_suffix(" % of the traffic")?.parse().ok()
    };
    let shares: Vec<f64> = story.iter().filter_map(share).collect();
    let (last, exposed) = shares.split_last().unwrap();
    assert!(exposed.len() >= 3 && shares.is_sorted_by(|a, b| a < b), "{story:#?}");
    assert_eq!((exposed[0], *last), (1.0, 100.0));
    assert!(exposed.iter().all(|share| *share <= 40.0), "{story:#?}");
    assert_eq!(audited(&site)["verdict"], "PASS");
}
