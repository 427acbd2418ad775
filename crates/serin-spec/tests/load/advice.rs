//! What is proposed to services that ask for no evidence.

use crate::{SERVICE, loaded};
use serin_core::ServiceSpec;
use serin_spec::{Advice, advice};

fn spec(strategy: &str) -> ServiceSpec {
    loaded(&format!("{SERVICE}{strategy}")).services.remove(0).value
}

#[test]
fn enough_traffic_is_proposed_a_ladder() {
    let Advice { strategy, sentence } = advice(&spec(""), 100.0, 0.005).unwrap();
    let text = strategy.unwrap();
    assert!(text.starts_with("canary:\n  steps:\n    - setWeight: 10\n    - bake: { atLeast: 30s, until: evidence }\n"), "{text}");
    assert!(text.ends_with("- setWeight: 100\n"), "{text}");
    let indented = text.lines().fold(String::new(), |all, line| all + "    " + line + "\n");
    let proposed = spec(&format!("  strategy:\n{indented}"));
    assert!(proposed.schedule.rungs() >= 3, "what is proposed can be written");
    assert_eq!(advice(&proposed, 100.0, 0.005), None, "whoever has it is left alone");
    assert!(sentence.starts_with("at 100 requests a second with 0.5 % errors: a ladder of evidence promotes a good version after about "), "{sentence}");
    assert!(
        sentence.contains("; one that fails 1 % instead of 0.5 % stays at 10 % of the traffic and is taken back after about "),
        "{sentence}"
    );
    assert!(
        sentence.contains("`guarded` gives everybody the new version after 1 min"),
        "{sentence}"
    );
}

#[test]
fn more_traffic_starts_with_a_smaller_share() {
    let first = |rps| {
        let text = advice(&spec(""), rps, 0.001).unwrap().strategy.unwrap();
        text.lines().nth(2).unwrap().trim().to_owned()
    };
    assert_eq!(first(1000.0), "- setWeight: 1");
    assert_eq!(first(30.0), "- setWeight: 10");
    assert_eq!(first(5.0), "- setWeight: 15");
}

#[test]
fn thin_traffic_is_told_so() {
    let Advice { strategy, sentence } = advice(&spec(""), 0.01, 0.005).unwrap();
    assert_eq!(strategy, None);
    assert!(
        sentence.contains("evidence that a version does no harm would take more than a month"),
        "{sentence}"
    );
}

#[test]
fn strategies_that_compare_nothing_hear_it() {
    let words = |strategy| advice(&spec(strategy), 100.0, 0.0).unwrap().sentence;
    let switch = words("  strategy: blue-green\n");
    assert!(
        switch.ends_with("`blue-green` compares nothing before everybody has the new version"),
        "{switch}"
    );
    let busy = advice(&spec("  strategy: high-traffic\n"), 2000.0, 0.0002).unwrap().sentence;
    assert!(
        busy.ends_with("`high-traffic` would find it too, and takes 1 h 5 min for any version"),
        "{busy}"
    );
    let quick = words("  strategy: rolling\n");
    assert!(quick.contains("`rolling` gives everybody the new version after 30 s"), "{quick}");
}

#[test]
fn nothing_is_proposed_where_nothing_can_be_counted() {
    let worker = SERVICE.replace("{ listen: \"127.0.0.1:8080\" }", "none");
    let worker = loaded(&worker).services.remove(0).value;
    assert_eq!(advice(&worker, 100.0, 0.01), None);
    for (rps, errors) in [(0.0, 0.01), (f64::NAN, 0.01), (10.0, 0.9), (10.0, f64::NAN)] {
        assert_eq!(advice(&spec(""), rps, errors), None, "{rps} {errors}");
    }
}
