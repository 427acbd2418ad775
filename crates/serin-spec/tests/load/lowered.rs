//! What strategies come to: each case is a text and the schedule it is lowered to, written out.

use crate::{cases, problems, said, source};
use serin_core::{Schedule, ServiceSpec, Shared};
use serin_spec::{Preset, presets, written_out};
use serin_stats::threshold::Check;
use std::fmt::Write as _;

fn lowered(text: &str) -> String {
    match serin_spec::load(&source(text)) {
        Ok(loaded) => told(&loaded.services[0].value),
        Err(_) => said(text),
    }
}

fn told(spec: &ServiceSpec) -> String {
    let s = &spec.schedule;
    let mut text = written_out(s);
    let _ = writeln!(text, "{}: {:?}, {:?}", s.strategy, s.capacity, s.on_instance_failure);
    let times = [s.warm_up, s.progress_deadline, s.keep_warm, s.keep_old, s.keep_failed, s.watch()];
    let _ = writeln!(text, "warm, progress, keep warm, old, failed, watch: {times:?}");
    let _ = writeln!(
        text,
        "from step {}, {:?}, only {:?}",
        s.analysis_from, spec.rollback.on_failure, s.only
    );
    let Some(analysis) = &s.analysis else { return text + "no analysis" };
    for check in &analysis.checks {
        let _ = writeln!(text, "{}", limit(check));
    }
    let names: Vec<_> = analysis.metrics.iter().map(|m| m.metric.to_string()).collect();
    let _ = write!(text, "metrics: {}", names.join(", "));
    text
}

fn limit(c: &Check) -> String {
    format!(
        "check {}: {:?} {:?} {:?}, every {} over {}, {} samples, {:?}, floor {}, from step {}",
        c.name,
        c.population,
        c.signal,
        c.success,
        c.interval_ms,
        c.window_ms,
        c.min_samples,
        c.failures,
        c.floor,
        c.starting_step
    )
}

#[test]
fn strategies_come_to_steps() {
    cases::run_with("lowered.txt", lowered);
}

/// Everything a service around a preset may need.
fn around(strategy: &str) -> String {
    let indented = strategy.lines().fold(String::new(), |all, line| all + "    " + line + "\n");
    format!(
        "apiVersion: serin.dev/v1alpha1\nkind: Service\nmetadata: {{ name: shop }}\nspec:\n  \
         environment: staging\n  replicas: 10\n  run: {{ command: [./shop, $(PORT)] }}\n  \
         traffic:\n    listen: \"127.0.0.1:8080\"\n    preview: \"127.0.0.1:8081\"\n    affinity: \
         {{ cookie: serin }}\n  strategy:\n{indented}"
    )
}

fn schedule(strategy: &str) -> Shared<Schedule> {
    let text = around(strategy);
    let mut loaded = serin_spec::load(&source(&text)).unwrap_or_else(|p| panic!("{text}\n{p:?}"));
    loaded.services.remove(0).value.schedule
}

/// Every schedule that books, talks and other tools name, by the row of the list of requirements it
/// comes from: weights and minutes, or a part of what it is written out as.
const ROWS: [(&str, &str, &str); 27] = [
    ("M8", "rolling", "25 0.2 50 0.2 75 0.2 100"),
    ("M13", "rolling-one-by-one", "10 0.2 20 0.2 30"),
    ("M34", "blue-green-manual", "pause: {}"),
    ("M36", "blue-green-standby", "setWeight: 100"),
    ("M38", "blue-green-soak", "pause: { duration: 1h }"),
    ("M40", "blue-green-canary", "10 5 50 5 100"),
    ("M41", "1-10-50", "1 15 10 15 50 15 100"),
    ("M45", "5-10-25-50", "5 15 10 15 25 15 50 15 100"),
    ("M46", "5-25-50", "5 10 25 10 50 10 100"),
    ("M47", "10-25-50-75", "10 10 25 10 50 10 75 10 100"),
    ("M48", "10-25-50-75-quick", "10 10 25 10 50 10 75 5 100"),
    ("M49", "proper-windows", "5 10 10 15 25 20 50 30 100"),
    ("M50", "stages-5-25-50-quick", "5 5 25 5 50 5 100"),
    ("M50", "google", "1 60 5 60 25 60 50 60 100"),
    ("M51", "waves", "1 10 5 10 10 10 25 10 50 10 100"),
    ("M52", "flagger", "10 1 20 1 30 1 40 1 50 1 100"),
    ("M53, E5", "clusters", "0.1 60 0.2 60 0.4 60 0.8 60 1.6 60 3.2 60 6.4 60"),
    ("M54", "high-traffic", "1 10 5 15 25 20 50 20 100"),
    ("M55", "medium-traffic", "10 15 25 15 50 20 100"),
    ("M56", "low-traffic", "25 20 50 20 100"),
    ("M58", "manual", "pause: {}"),
    ("M67", "ab-half", "experiment: { duration: 1h"),
    ("M67", "testers-first", "setHeaderRoute: { name: testers, match:"),
    ("M70", "shadow", "match: [{ path: { prefix: / } }], percentage: 100"),
    ("M72", "one-box", "10 10 25 5 50 5 100"),
    ("M503", "amazon", "10 10 25 10 50 10 100"),
    ("M543", "weekday-afternoon", "10 15 50 20 100"),
];

/// Weights in percent, and the minutes between them.
fn ladder(schedule: &Schedule) -> String {
    let part = |step: &serin_core::Step| match step {
        serin_core::Step::SetWeight(w) => Some(f64::from(w.parts()) / 1000.0),
        serin_core::Step::Bake(bake) => Some((bake.at_least.0 as f64 / 6000.0).round() / 10.0),
        serin_core::Step::Pause(Some(span)) => Some((span.0 as f64 / 6000.0).round() / 10.0),
        _ => None,
    };
    let parts: Vec<_> =
        schedule.steps().filter_map(|(_, s)| part(s)).map(|x| x.to_string()).collect();
    parts.join(" ")
}

#[test]
fn each_schedule_people_know_is_there() {
    for (row, name, wanted) in ROWS {
        let preset = presets().iter().find(|p| p.name == name).unwrap_or_else(|| panic!("{row}"));
        let found = schedule(&preset.text());
        let (ladder, steps) = (ladder(&found), written_out(&found));
        assert!(ladder.contains(wanted) || steps.contains(wanted), "{row}: {ladder}\n{steps}");
    }
}

#[test]
fn a_preset_by_name_is_its_own_text() {
    for Preset { name, meaning, .. } in presets() {
        assert!(!meaning.is_empty());
        let text = presets().iter().find(|p| p.name == *name).map(Preset::text).unwrap();
        let by_name = around("").replace("strategy:\n", &format!("strategy: {name}\n"));
        let loaded = serin_spec::load(&source(&by_name)).unwrap_or_else(|p| panic!("{name}: {p}"));
        let found = &loaded.services[0].value.schedule;
        let written = schedule(&text);
        assert_eq!(found.strategy, *name);
        assert_eq!(
            Schedule { strategy: written.strategy.clone(), ..Schedule::clone(found) },
            *written
        );
    }
}

#[test]
fn names_of_presets_are_unique_and_sorted_enough_to_be_found() {
    let names: std::collections::BTreeSet<_> = presets().iter().map(|p| p.name).collect();
    assert_eq!(names.len(), presets().len());
    for name in names {
        let wrong = around("").replace("strategy:\n", &format!("strategy: {name}x\n"));
        let said = problems(&wrong);
        let label = said.0.first().and_then(|p| p.label.clone()).unwrap_or_default();
        assert!(label.starts_with("did you mean `"), "{name}: {label}");
    }
}

/// Steps that were written out say the same when they are read.
#[test]
fn what_is_written_out_reads_the_same() {
    for preset in presets() {
        let found = schedule(&preset.text());
        let steps: Vec<_> = found.steps().map(|(_, step)| step.clone()).collect();
        // A list in a list, in a list.
        let indented = written_out(&found).lines().fold(String::new(), |all, line| {
            if line.starts_with('#') { all } else { all + "    " + line + "\n" }
        });
        let again = schedule(&format!("canary:\n  steps:\n{indented}"));
        let read: Vec<_> = again.steps().map(|(_, step)| step.clone()).collect();
        // A shadow of everything is written with its path.
        if preset.name != "shadow" {
            assert_eq!(read, steps, "{}", preset.name);
        }
    }
}

/// All presets, as the users' page lists them.
pub fn presets_table() -> String {
    let row = |p: &Preset| format!("| `{}` | {} |\n", p.name, p.meaning);
    let rows: String = presets().iter().map(row).collect();
    format!("| Name | What it does |\n|---|---|\n{rows}")
}
