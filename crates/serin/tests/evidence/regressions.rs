//! Versions that are worse, at once or after a while.

use crate::site::{Shop, Site, audited, told};
use crate::users::{Crowd, Users};
use serde_json::{Value, json};

/// The record says that v2 went back because of `metric` alone; gives the verdict on that.
fn blamed<'a>(record: &'a Value, metric: &str) -> &'a Value {
    assert_eq!(record["outcome"], "rolled-back", "{record:#}");
    assert_eq!(record["cause"]["code"], metric, "{record:#}");
    let assessment = &record["assessment"];
    assert_eq!(assessment["outcome"], "fail", "{record:#}");
    assert_eq!(assessment["blame"], json!([metric]));
    let metrics = assessment["metrics"].as_array().unwrap();
    metrics.iter().find(|m| m["metric"] == metric).unwrap()
}

/// A share in a sentence.
fn percent(share: &Value) -> String {
    format!("{:.2} %", share.as_f64().unwrap() * 100.0)
}

#[test]
fn one_point_more_errors_are_found() {
    let good = Shop { env: "ERROR_RATE: \"0.002\"", ..Shop::HALF };
    let site = Site::new(&good);
    let users = Users::start(site.listen, Crowd::strangers(400.0));
    let said = site.apply(&Shop { env: "ERROR_RATE: \"0.015\"", ..good }, "v2");
    assert_eq!(said.code, Some(3), "{said:?}");
    let record = site.record();
    let errors = blamed(&record, "errors");
    let explained = site.server.ok(&["explain", "shop"]).out;
    for text in [&said.err, record["cause"]["text"].as_str().unwrap(), &explained] {
        has_the_numbers(text, errors);
    }
    users.wait_for(100);
    let report = users.report();
    assert_eq!(report.lost, [""; 0]);
    assert!(report.of("v2").0 >= errors["canary_n"].as_u64().unwrap(), "{report:?}");
    assert_eq!(audited(&site)["verdict"], "FAIL");
}

/// Both rates, where harm begins, and how many requests it took.
fn has_the_numbers(text: &str, errors: &Value) {
    let (candidate, stable) = (&errors["canary_rate"], &errors["baseline_rate"]);
    assert!(candidate.as_f64() > stable.as_f64(), "{errors:#}");
    let (candidate, stable) = (percent(candidate), percent(stable));
    let limit = percent(&errors["limit"]);
    let rates = format!("errors {candidate} vs {stable} on stable (harm from {limit}), after ");
    // Narrow places break the line.
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let (_, sample) = text.split_once(&rates).unwrap_or_else(|| panic!("{rates}: {text}"));
    let (n, _) = sample.split_once(" candidate requests").unwrap();
    assert_eq!(n.replace(',', ""), errors["canary_n"].to_string());
}

/// Processes of v1, which are the same as long as none was replaced.
fn of_v1(site: &Site) -> Vec<Value> {
    let rows = site.status()["instances"].as_array().unwrap().clone();
    let is_v1 = |row: &Value| row["revision"].as_str().unwrap().starts_with("v1");
    rows.into_iter().filter(is_v1).map(|row| json!([row["pid"], row["restarts"]])).collect()
}

/// Brings out a version that gets worse after a while: it goes back because of `metric`. v1, which
/// was there all the time, takes over, and nobody saw anything but the failures of v2.
fn found_late(shop: &Shop, leak: &'static str, metric: &str) -> (Site, Value) {
    let site = Site::new(shop);
    let before = of_v1(&site);
    let users = Users::start(site.listen, Crowd::strangers(400.0));
    let said = site.apply(&Shop { env: leak, ..*shop }, "v2");
    assert_eq!(said.code, Some(3), "{said:?}");
    let gone = users.so_far().of("v2");
    users.wait_for(200);
    let report = users.report();
    assert_eq!(report.lost, [""; 0]);
    assert_eq!(report.of("v1").1, 0, "{report:?}");
    assert_eq!(report.of("v2"), gone, "v2 got requests after it was rolled back");
    assert_eq!(of_v1(&site), before);
    let record = site.record();
    blamed(&record, metric);
    assert_eq!(audited(&site)["verdict"], "FAIL");
    (site, record)
}

#[test]
fn a_slow_leak_is_found_while_it_bakes() {
    let shop = Shop {
        steps: "{ setWeight: 50 }, { bake: { until: evidence, atLeast: 10m } }, { setWeight: 100 }",
        analysis: "metrics: [errors, latency]",
        strategy: "warmUp: 1s, keepWarm: 0s",
        ..Shop::HALF
    };
    let (site, record) = found_late(&shop, "LEAK_AFTER: \"1000\", LEAK_MS: \"0.03\"", "latency");
    assert_eq!(record["cause"]["step"], 2, "{record:#}");
    // Of each of the two instances so many were without fault.
    assert!(record["assessment"]["canary_n"].as_u64().unwrap() > 1500, "{record:#}");
    told(&site.story(), &["step 1 of 3 done", "rolled back: worse than stable: latency"]);
}

#[test]
fn a_slow_leak_is_found_after_everybody_has_it() {
    let analysis = "metrics: [errors], afterPromotion: 10m";
    let shop = Shop { analysis, ..Shop::HALF };
    let leak = "LEAK_AFTER: \"1500\", LEAK_ERRORS: \"0.0002\"";
    let (site, _) = found_late(&shop, leak, "errors");
    let parts = [
        "no harm: errors",
        "v2 gets 100 % of the traffic",
        "v2 has all traffic; v1 is kept warm for 10 min",
        "rolled back: worse than stable: errors",
        "rollout of v2 ended: rolled-back",
    ];
    told(&site.story(), &parts);
}
