//! Strategies with a name: schedules people know from books, talks and other tools. Each is text in
//! the user's own words, so that it can be printed, copied and changed.

use crate::{
    field::Field,
    nearest::nearest,
    problem::Severity,
    reader::Context,
    strategy::{self, Around},
    yaml::{self, Node, shown},
};
use serin_core::{Millis, Schedule, Weight};
use std::fmt::Write as _;

/// A strategy with a name.
#[derive(Debug, Clone, Copy)]
pub struct Preset {
    /// Its name, as `strategy: <name>`.
    pub name: &'static str,
    /// What it does and whom it is for, in one sentence.
    pub meaning: &'static str,
    shape: Shape,
}

#[derive(Debug, Clone, Copy)]
enum Shape {
    /// Percent of the traffic and how long, then everything.
    Ladder(&'static [(f64, &'static str)]),
    /// What stands under `strategy`.
    Written(&'static str),
}

use Shape::{Ladder, Written};

const fn ladder_of(
    name: &'static str,
    meaning: &'static str,
    rungs: &'static [(f64, &'static str)],
) -> Preset {
    Preset { name, meaning, shape: Ladder(rungs) }
}

const fn written(name: &'static str, meaning: &'static str, text: &'static str) -> Preset {
    Preset { name, meaning, shape: Written(text) }
}

const PRESETS: [Preset; 32] = [
    ladder_of("1-10-50", "three stages of 15 min", &[(1.0, "15m"), (10.0, "15m"), (50.0, "15m")]),
    ladder_of(
        "5-10-25-50",
        "four stages of 15 min",
        &[(5.0, "15m"), (10.0, "15m"), (25.0, "15m"), (50.0, "15m")],
    ),
    ladder_of("5-25-50", "three stages of 10 min", &[(5.0, "10m"), (25.0, "10m"), (50.0, "10m")]),
    ladder_of(
        "10-25-50-75",
        "four stages of 10 min",
        &[(10.0, "10m"), (25.0, "10m"), (50.0, "10m"), (75.0, "10m")],
    ),
    ladder_of(
        "10-25-50-75-quick",
        "the same stages, the last one of 5 min",
        &[(10.0, "10m"), (25.0, "10m"), (50.0, "10m"), (75.0, "5m")],
    ),
    written("ab-half", "half of the users for an hour, the better version by a goal wins", AB_HALF),
    written(
        "amazon",
        "one instance for 10 min, then waves of 5, 10, 25 and 50 % of 10 min each",
        AMAZON,
    ),
    written("blue-green", "one atomic switch, the old colour kept for an hour", "blueGreen: {}\n"),
    written(
        "blue-green-manual",
        "a person switches, watched for 2 min, the old colour kept for 30 s",
        "blueGreen:\n  autoPromotion: false\n  keepOld: 30s\n  postPromotion: { watch: 2m }\n",
    ),
    written(
        "blue-green-soak",
        "the new colour waits an hour before the switch and is watched for an hour after it",
        "blueGreen:\n  autoPromotionAfter: 1h\n  keepOld: 2h\n  postPromotion: { watch: 1h }\n",
    ),
    written(
        "blue-green-standby",
        "the old colour is kept for two days after the switch",
        "blueGreen:\n  keepOld: 2d\n  postPromotion: { watch: 2m }\n",
    ),
    written(
        "blue-green-canary",
        "two colours, and the traffic moves from one to the other in stages of 5 min",
        BLUE_GREEN_CANARY,
    ),
    ladder_of(
        "clusters",
        "0.1 % for an hour, then twice as much every hour: for very large fleets",
        &[
            (0.1, "1h"),
            (0.2, "1h"),
            (0.4, "1h"),
            (0.8, "1h"),
            (1.6, "1h"),
            (3.2, "1h"),
            (6.4, "1h"),
            (12.8, "1h"),
            (25.6, "1h"),
            (51.2, "1h"),
        ],
    ),
    written("evidence", "5, 25 and 50 %, each until the evidence says no harm", EVIDENCE),
    written(
        "flagger",
        "10 % more each minute up to 50 %, then everything, with Flagger's limits",
        FLAGGER,
    ),
    ladder_of(
        "google",
        "1, 5, 25 and 50 %, an hour each",
        &[(1.0, "1h"), (5.0, "1h"), (25.0, "1h"), (50.0, "1h")],
    ),
    ladder_of(
        "guarded",
        "25 and 50 % of 30 s each: what a service without a strategy gets",
        &[(25.0, "30s"), (50.0, "30s")],
    ),
    ladder_of(
        "high-traffic",
        "over 10 million requests a day: 1, 5, 25 and 50 % within 65 min",
        &[(1.0, "10m"), (5.0, "15m"), (25.0, "20m"), (50.0, "20m")],
    ),
    ladder_of(
        "low-traffic",
        "below a million requests a day: 25 and 50 % of 20 min each",
        &[(25.0, "20m"), (50.0, "20m")],
    ),
    written("manual", "10 and 50 %, a person promotes each", MANUAL),
    ladder_of(
        "medium-traffic",
        "1 to 10 million requests a day: 10, 25 and 50 % within 50 min",
        &[(10.0, "15m"), (25.0, "15m"), (50.0, "20m")],
    ),
    written("one-box", "one instance for 10 min, then 25 and 50 % of 5 min", "oneBox: {}\n"),
    ladder_of(
        "proper-windows",
        "longer the more users: crashes show in minutes, leaks in half an hour",
        &[(5.0, "10m"), (10.0, "15m"), (25.0, "20m"), (50.0, "30m")],
    ),
    written(
        "recreate",
        "stop the old version, start the new one; users wait meanwhile",
        "recreate: {}\n",
    ),
    written("rolling", "a quarter of the instances at a time", "rolling: {}\n"),
    written(
        "rolling-one-by-one",
        "one instance at a time, one more and one fewer allowed",
        "rolling: { maxSurge: 1, maxUnavailable: 1, batch: 1 }\n",
    ),
    written(
        "shadow",
        "copies of all reads for 10 min at least, until the evidence is there; then a person",
        "shadow: { percent: 100, for: 10m, until: evidence, then: pause }\n",
    ),
    ladder_of(
        "stages-5-25-50-quick",
        "5, 25 and 50 % of 5 min: for a version that was tried elsewhere",
        &[(5.0, "5m"), (25.0, "5m"), (50.0, "5m")],
    ),
    written("testers-first", "people with a header try it first, then 10 and 50 %", TESTERS),
    ladder_of("two-stages", "10 and 50 % of 15 min each", &[(10.0, "15m"), (50.0, "15m")]),
    ladder_of(
        "waves",
        "1, 5, 10, 25 and 50 % of 10 min each",
        &[(1.0, "10m"), (5.0, "10m"), (10.0, "10m"), (25.0, "10m"), (50.0, "10m")],
    ),
    ladder_of(
        "weekday-afternoon",
        "10 % for 15 min, 50 % for 20 min: done in about 40 min",
        &[(10.0, "15m"), (50.0, "20m")],
    ),
];

const AB_HALF: &str = "\
ab:
  weight: 50
  duration: 1h
  goal: { path: { exact: /buy } }
";
const AMAZON: &str = "\
oneBox:
  bake: 10m
  waves: [5, 10, 25, 50, 100]
  between: 10m
";
const BLUE_GREEN_CANARY: &str = "\
blueGreen:
  traffic:
    steps:
      - setWeight: 10
      - bake: { atLeast: 5m }
      - setWeight: 50
      - bake: { atLeast: 5m }
      - setWeight: 100
";
const EVIDENCE: &str = "\
canary:
  steps:
    - setWeight: 5
    - bake: { atLeast: 30s, until: evidence }
    - setWeight: 25
    - bake: { atLeast: 30s, until: evidence }
    - setWeight: 50
    - bake: { atLeast: 30s, until: evidence }
    - setWeight: 100
";
const FLAGGER: &str = "\
canary:
  stepWeight: 10
  maxWeight: 50
  interval: 1m
  analysis: { checks: [flagger] }
";
const MANUAL: &str = "\
canary:
  steps:
    - setWeight: 10
    - pause: {}
    - setWeight: 50
    - pause: {}
    - setWeight: 100
";
const TESTERS: &str = "\
canary:
  steps:
    - setCanaryScale: { replicas: 1 }
    - setHeaderRoute:
        name: testers
        match: [{ headerName: x-tester, headerValue: { exact: \"yes\" } }]
    - pause: { duration: 10m }
    - setHeaderRoute: { name: testers }
    - setCanaryScale: { matchTrafficWeight: true }
    - setWeight: 10
    - bake: { atLeast: 10m }
    - setWeight: 50
    - bake: { atLeast: 10m }
    - setWeight: 100
";

/// All presets, by name.
pub fn presets() -> &'static [Preset] {
    &PRESETS
}

impl Preset {
    /// What a user would write under `strategy` to get the same.
    pub fn text(&self) -> String {
        match self.shape {
            Written(text) => text.into(),
            Ladder(rungs) => {
                let mut text = String::from("canary:\n  steps:\n");
                for (weight, span) in rungs {
                    let _ = writeln!(text, "    - setWeight: {weight}");
                    let _ = writeln!(text, "    - pause: {{ duration: {span} }}");
                }
                text + "    - setWeight: 100\n"
            }
        }
    }

    /// Its weights and times, if it is a ladder.
    fn rungs(&self) -> Option<Vec<(Weight, Millis)>> {
        let Ladder(rungs) = self.shape else { return None };
        let read = |(percent, span): &(f64, &str)| {
            let weight = Weight::try_from((percent * 1000.0).round() as u64).ok()?;
            Some((weight, crate::quantity::duration(span).ok()?))
        };
        rungs.iter().map(read).collect()
    }
}

/// `strategy: <name>`.
pub(crate) fn named(field: &Field<'_>, around: &Around<'_>) -> Option<Schedule> {
    let name = match field.word()? {
        "blueGreen" => "blue-green",
        "oneBox" => "one-box",
        "canary" | "ab" => {
            let message = format!("{} has to be told more than its name", shown(field.word()?));
            let hint = "write `strategy: { canary: { steps: [...] } }`, or the name of a preset: \
                        `strategy: evidence`";
            field.report(field.problem("missing-key", message).hint(hint));
            return None;
        }
        name => name,
    };
    let Some(preset) = PRESETS.iter().find(|preset| preset.name == name) else {
        unknown(field, name, &|_| true);
        return None;
    };
    let text = preset.text();
    let parsed = yaml::parse(&text);
    let schedule =
        parsed.documents.first().and_then(|node| lowered(field, preset, &text, node, around));
    schedule.map(|schedule| Schedule { strategy: preset.name.into(), ..schedule })
}

/// The preset's text read like the user's own; what is wrong with it here is told at its name.
fn lowered(
    field: &Field<'_>,
    preset: &Preset,
    text: &str,
    node: &Node,
    around: &Around<'_>,
) -> Option<Schedule> {
    let cx = Context::new(text);
    let (what, path, key) = ("`strategy`".into(), "strategy".into(), node.span.clone());
    let inner = Field { cx: &cx, what, path, key, node };
    let schedule = strategy::read(&inner, around);
    for problem in cx.into_problems() {
        let message = format!("the preset `{}`: {}", preset.name, problem.message);
        let told = field.problem(problem.code, message);
        let told = if problem.severity == Severity::Warning { told.warning() } else { told };
        field.report(match problem.hint {
            Some(hint) => told.hint(hint),
            None => told,
        });
    }
    schedule
}

/// `canary: { preset: <name> }`: weights and times of a ladder.
pub(crate) fn ladder(field: &Field<'_>) -> Option<Vec<(Weight, Millis)>> {
    let name = field.word()?;
    let Some(preset) = PRESETS.iter().find(|preset| preset.name == name) else {
        unknown(field, name, &|preset| matches!(preset.shape, Ladder(_)));
        return None;
    };
    let rungs = preset.rungs();
    if rungs.is_none() {
        let message = format!("the preset `{name}` is more than weights and times");
        let hint = format!("write `strategy: {name}`, or copy it from `serin presets {name}`");
        field.report(field.problem("wrong-choice", message).hint(hint));
    }
    rungs
}

fn unknown(field: &Field<'_>, name: &str, allowed: &dyn Fn(&Preset) -> bool) {
    let names: Vec<_> = PRESETS.iter().filter(|p| allowed(p)).map(|p| p.name).collect();
    let message = format!("there is no preset `{}`", shown(name));
    let problem = field.problem("unknown-preset", message);
    let problem = problem.hint(format!("presets: {}", names.join(", ")));
    field.report(match nearest(name, names.iter().copied()) {
        Some(near) => problem.label(format!("did you mean `{near}`?")),
        None => problem,
    });
}
