//! Bugs made by hand, kept as data: `cargo xtask soak mutants` puts them in one at a time and sees
//! to it that seeds find each. Here only that they still fit the sources.

use serde::Deserialize;
use std::collections::BTreeSet;
use std::path::Path;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Mutant {
    name: String,
    file: String,
    text: String,
    instead: String,
    breaks: String,
}

/// So many at least.
const LEAST: usize = 30;

fn mutants() -> Vec<Mutant> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mutants/engine.json");
    let text = std::fs::read_to_string(path).expect("the list of mutants");
    serde_json::from_str(&text).expect("a list of mutants")
}

#[test]
fn every_mutant_changes_one_place() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut wrong = Vec::new();
    for mutant in mutants() {
        let source = std::fs::read_to_string(root.join(&mutant.file)).unwrap_or_default();
        let found = source.matches(&mutant.text).count();
        if found != 1 || mutant.text == mutant.instead || mutant.breaks.is_empty() {
            wrong.push(format!("{}: its text is {found} times in {}", mutant.name, mutant.file));
        }
    }
    assert!(
        wrong.is_empty(),
        "follow the engine in tests/mutants/engine.json:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn there_are_enough_and_each_has_a_name() {
    let mutants = mutants();
    let names: BTreeSet<_> = mutants.iter().map(|mutant| &mutant.name).collect();
    assert_eq!(names.len(), mutants.len());
    assert!(mutants.len() >= LEAST, "{} mutants", mutants.len());
}
