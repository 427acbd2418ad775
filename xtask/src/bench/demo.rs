//! `bench demo`: runs the demo with several seeds and reports how soon the bad version was caught
//! and how soon nobody reached it any more.

use super::{machine, options::Options, report};
use crate::{
    command,
    failure::{Doing, Failure, Result},
};
use serde_json::{Value, json};
use std::{path::Path, process::Command};

/// What is read from the demo's own document: key, and what it says.
const FIGURES: [(&str, &str); 5] = [
    ("requests", "requests served"),
    ("bad_version_requests", "requests that reached the bad version"),
    ("verdict_ms", "its first request to the verdict, ms"),
    ("verdict_to_zero_ms", "the verdict to zero traffic, ms"),
    ("dropped", "requests dropped"),
];

/// Runs the demo as often as asked and reports.
pub fn run(options: &Options) -> Result<()> {
    let machine = machine::describe();
    let program = super::serin_program(options)?;
    let mut documents = Vec::new();
    for seed in 1..=options.rounds {
        documents.push(demo(&program, seed)?);
        println!("demo {seed} of {} done", options.rounds);
    }
    let rows: Vec<Vec<String>> = FIGURES.iter().map(|figure| row(figure, &documents)).collect();
    println!("\n{}", report::table(&["of each run", "median", "most"], &rows));
    report::save(
        "demo",
        &json!({"schema": "serin.bench.demo/v1", "machine": machine, "runs": documents}),
    )
}

/// One demo; anything but a good version promoted and a bad one caught is a failure.
pub fn demo(program: &Path, seed: usize) -> Result<Value> {
    let mut demo = Command::new(program);
    let output =
        command::capture(demo.args(["--quiet", "demo", "--json", "--seed", &seed.to_string()]))?;
    let document: Value = serde_json::from_str(&output)
        .doing(|| format!("reading the demo's `{}`", output.trim()))?;
    if document["outcome"] != "ok" {
        return Err(Failure::new(format!("the demo with seed {seed} ended with {document}")));
    }
    Ok(document)
}

fn row((key, title): &(&str, &str), documents: &[Value]) -> Vec<String> {
    let values: Vec<f64> = documents.iter().filter_map(|d| d[*key].as_f64()).collect();
    let most = values.iter().copied().fold(0.0, f64::max);
    vec![(*title).to_owned(), format!("{:.0}", report::median(&values)), format!("{most:.0}")]
}
