//! Other people's evaluators beside Serin's: random flags and contexts get the same answers, but
//! for the differences that are documented.
//!
//! `cargo xtask clients` installs the evaluators.
#![allow(clippy::unwrap_used)]

mod answer;
mod cases;
#[path = "../../../serin/tests/flag_clients/installed.rs"]
mod installed;
mod known;
mod oracle;
mod rules;

use answer::{Answer, ours};
use cases::{CONTEXTS, Case, FLAGS};
use known::{KNOWN, Known, Who};
use oracle::Answers;
use serde_json::{Value, json};
use serin_flags::Bucketing;
use std::collections::BTreeMap;
use std::thread;

/// Documents that are compared: at least 50,000 pairs of a flag and a context.
const DOCUMENTS: u64 = 520;
const SEED: u64 = 1;
/// Most pairs in a hundred that may differ, whatever the reason.
const EXCUSED_MAX: usize = 8;

/// One evaluator's answer that is not Serin's.
struct Difference<'a> {
    who: Who,
    case: &'a Case,
    key: &'a str,
    context: &'a Value,
    ours: &'a Answer,
    theirs: &'a Answer,
    /// Serin's answer with the percentages of the arbiter, and the arbiter's.
    arbitrated: (&'a Answer, &'a Answer),
}

impl Difference<'_> {
    /// The documented difference it is an instance of.
    fn known(&self) -> Option<&'static Known> {
        if self.arbitrated.0 != self.arbitrated.1 {
            return None;
        }
        let rule = self.case.rule(self.key);
        let is_sign = |known: &&Known| (known.sign)(&rule, self.context, self.theirs);
        KNOWN.iter().filter(|known| known.who == self.who).find(is_sign)
    }

    fn tell(&self) -> String {
        format!(
            "{:?}: {}\n  rule {}\n  context {}\n  ours {:?}\n  theirs {:?}\n  arbiter {:?}",
            self.who,
            self.key,
            self.case.rule(self.key),
            self.context,
            self.ours,
            self.theirs,
            self.arbitrated.1
        )
    }
}

#[test]
fn fifty_thousand_random_answers_are_the_same() {
    let cases: Vec<Case> = (0..DOCUMENTS).map(|number| Case::new(SEED, number)).collect();
    let asked = thread::scope(|scope| {
        let javascript = scope.spawn(|| oracle::javascript(&cases));
        let python = scope.spawn(|| oracle::python(&cases));
        Some((javascript.join().unwrap()?, python.join().unwrap()?))
    });
    let Some((javascript, python)) = asked else { return };
    let v2: Vec<Answers> = cases.iter().map(|case| ours(case, Bucketing::V2)).collect();
    let v3: Vec<Answers> = cases.iter().map(|case| ours(case, Bucketing::V3)).collect();
    let narrowed: Vec<Case> = (0..cases.len())
        .map(|at| {
            let differs = |flag: &usize| {
                v2[at][*flag] != javascript[at][*flag] || v3[at][*flag] != python[at][*flag]
            };
            let keys = cases[at].keys();
            let keys: Vec<&str> = (0..FLAGS).filter(differs).map(|flag| keys[flag]).collect();
            cases[at].only(&keys)
        })
        .collect();
    let arbiter = oracle::arbiter(&narrowed).unwrap();
    let mut differences = Vec::new();
    for (at, case) in cases.iter().enumerate() {
        let keys = case.keys();
        for (row, key) in narrowed[at].keys().into_iter().enumerate() {
            let flag = keys.binary_search(&key).unwrap();
            for column in 0..CONTEXTS {
                let arbitrated = (&v2[at][flag][column], &arbiter[at][row][column]);
                let sides = [
                    (Who::JavaScript, &v2[at][flag][column], &javascript[at][flag][column]),
                    (Who::Python, &v3[at][flag][column], &python[at][flag][column]),
                ];
                for (who, ours, theirs) in sides.into_iter().filter(|side| side.1 != side.2) {
                    let (key, context) = (keys[flag], &case.contexts[column]);
                    differences.push(Difference {
                        who,
                        case,
                        key,
                        context,
                        ours,
                        theirs,
                        arbitrated,
                    });
                }
            }
        }
    }
    judge(&differences, cases.len() * FLAGS * CONTEXTS);
}

/// Every difference is a documented one, and there are few.
fn judge(differences: &[Difference], pairs: usize) {
    let mut counts = BTreeMap::<(String, &str), usize>::new();
    let mut unknown = Vec::new();
    for difference in differences {
        match difference.known() {
            Some(known) => {
                *counts.entry((format!("{:?}", known.who), known.name)).or_default() += 1;
            }
            None => unknown.push(difference),
        }
    }
    println!("{pairs} pairs of a flag and a context, for each of two evaluators");
    for ((who, name), count) in &counts {
        println!("{count:6}  {who}: {name}");
    }
    unknown.sort_by_key(|difference| difference.tell().len());
    let told: Vec<String> = unknown.iter().take(5).map(|difference| difference.tell()).collect();
    assert!(unknown.is_empty(), "{} unknown differences:\n{}", unknown.len(), told.join("\n"));
    assert!(pairs >= 50_000);
    let share = differences.len() * 100 / (2 * pairs);
    assert!(share < EXCUSED_MAX, "{share} % differ");
}

#[test]
fn the_documented_differences_are_there() {
    let cases: Vec<Case> = KNOWN.iter().map(example).collect();
    let (Some(javascript), Some(python)) = (oracle::javascript(&cases), oracle::python(&cases))
    else {
        return;
    };
    for (at, known) in KNOWN.iter().enumerate() {
        let (theirs, bucketing) = match known.who {
            Who::JavaScript => (&javascript[at][0][0], Bucketing::V2),
            Who::Python => (&python[at][0][0], Bucketing::V3),
        };
        let ours = &ours(&cases[at], bucketing)[0][0];
        let told = (short(ours), short(theirs));
        assert_eq!(told, (known.ours, known.theirs), "{:?}: {}", known.who, known.name);
    }
}

fn example(known: &Known) -> Case {
    let (targeting, context) = (known.example)();
    let variants = json!({"on": "on", "off": "off", "true": "true", "false": "false"});
    let flag = json!({
        "state": "ENABLED", "variants": variants, "defaultVariant": "off", "targeting": targeting,
    });
    Case { document: json!({"flags": {"flag": flag}}), contexts: vec![context] }
}

fn short(answer: &Answer) -> &str {
    answer.variant.as_deref().or(answer.error.as_deref()).unwrap_or("code default")
}

#[test]
fn the_documentation_tells_every_difference() {
    let page = include_str!("../../../../docs/flags-differences.md");
    for known in KNOWN {
        assert!(page.contains(&format!("### {}\n", known.name)), "{}", known.name);
    }
}
