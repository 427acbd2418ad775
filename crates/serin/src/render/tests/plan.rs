//! Schedules written out, and what is advised.

use super::*;

/// A preview of this strategy, with these keys beside.
fn preview(strategy: &str, more: &Value) -> PlanPreview {
    let mut value = json!({
        "schema": "serin.plan/v1", "service": "shop", "from": "v1@bb", "to": "v2@aa",
        "action": "release", "requests_per_second": 40.0, "requests_to_catch": null,
        "outlook": { "steps": [], "shortest": 30_000, "requests": null, "notes": [] },
        "strategy": strategy,
        "written": "- setWeight: 10\n- bake: { atLeast: 30s, requests: 2000, until: evidence, deadline: 2h }\n",
    });
    let keys = more.as_object().unwrap().clone();
    value.as_object_mut().unwrap().extend(keys);
    serde_json::from_value(value).unwrap()
}

fn narrow() -> Frame {
    test_frame(Some(60))
}

#[test]
fn a_preset_is_written_out_and_other_steps_by_wish() {
    let written = "    - setWeight: 10\n    - bake: { atLeast: 30s, requests: 2000, until: evidence,\n          deadline: 2h }\n";
    let preset = serin_spec::presets()[0].name;
    let cases = [(preset, false, true), ("canary", false, false), ("canary", true, true)];
    for (strategy, full, has) in cases {
        let text = shown(&plan(&preview(strategy, &json!({})), full, &narrow()));
        let expected = format!("  strategy: {strategy}\n{written}");
        assert_eq!(text.contains(&expected), has, "{strategy} {full}: {text}");
        assert_eq!(text.contains("- setWeight"), has, "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 60), "{text}");
    }
}

#[test]
fn advice_is_a_sentence_and_by_wish_a_strategy() {
    let ladder = "canary:\n  steps:\n    - setWeight: 10\n";
    let advised =
        json!({ "advice": { "strategy": ladder, "sentence": "at 40 a ladder finds it" } });
    let of = |more: &Value, full| shown(&plan(&preview("guarded", more), full, &wide()));
    let short = of(&advised, false);
    assert!(
        short.ends_with("  advice: at 40 a ladder finds it; `serin plan --full` writes it out\n"),
        "{short}"
    );
    let full = of(&advised, true);
    let end = "  advice: at 40 a ladder finds it; under `strategy:` write\n    canary:\n      steps:\n        - setWeight: 10\n";
    assert!(full.ends_with(end), "{full}");
    let thin = of(&json!({ "advice": { "strategy": null, "sentence": "too thin" } }), true);
    assert!(thin.ends_with("  advice: too thin\n"), "{thin}");
    assert!(!of(&json!({ "advice": null }), true).contains("advice"));
}
