//! `bench migrate`: what a migration costs the clients of the database, beside the statements that
//! pgroll emits, and pgroll itself where it is installed.

use super::{machine, options::Options, report};
use crate::{
    command,
    failure::{Doing, Result},
};
use serde_json::{Value, json};
use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// Names the program of pgroll.
const PGROLL: &str = "SERIN_PGROLL";

/// What Go builds it from.
const MODULE: &str = "github.com/xataio/pgroll@v0.14.0";

/// What is measured, in this order, and with how many rows.
const PARTS: [(&str, &str); 7] = [
    ("backfill", "1000000"),
    ("gentle", "1000000"),
    ("trigger", "100000"),
    ("locks", ""),
    ("swap", "500000"),
    ("resume", "200000"),
    ("progress", "10000000"),
];

/// Measures and reports: everything, or some parts.
pub fn run(words: &[&str]) -> Result<()> {
    let named = words.iter().take_while(|word| PARTS.iter().any(|part| part.0 == **word)).count();
    let (only, rest) = words.split_at(named);
    let options = Options::parse(rest)?;
    let machine = machine::describe();
    let package = ["-p", "serin-migrate", "--example", "measure"];
    let program = super::program(&options, &package, "release/examples/measure")?;
    let mut document = json!({"schema": "serin.bench.migrate/v1", "machine": machine});
    let pgroll = pgroll(&options);
    for (part, rows) in PARTS.iter().filter(|part| only.is_empty() || only.contains(&part.0)) {
        println!("{part}");
        let figures = measure(&program, pgroll.as_deref(), part, rows)?;
        println!("{}", told(part, &figures));
        document[*part] = figures;
    }
    report::save("migrate", &document)
}

/// pgroll itself, built by Go where that is installed; `None`, said loudly, where it is not.
fn pgroll(options: &Options) -> Option<PathBuf> {
    if let Some(found) = std::env::var_os(PGROLL).map(PathBuf::from) {
        return Some(found);
    }
    if let Some(found) = command::find("pgroll") {
        return Some(found);
    }
    let folder = crate::root::path().join("target/tools");
    let built = folder.join("pgroll");
    if built.is_file() {
        return Some(built);
    }
    let Some(go) = command::find("go").filter(|_| options.install) else {
        println!("SKIPPED: pgroll itself: neither it nor Go is here; its statements are measured");
        return None;
    };
    match build(&go, &built) {
        Ok(()) => Some(built),
        Err(failure) => {
            println!(
                "SKIPPED: pgroll itself cannot be built ({failure}); its statements are measured"
            );
            None
        }
    }
}

/// From its source as the module proxy has it; `go install` would ask for other versions, too.
fn build(go: &Path, program: &Path) -> Result<()> {
    let said = command::capture(Command::new(go).args(["mod", "download", "-json", MODULE]))?;
    let said: Value = serde_json::from_str(&said).doing(|| "reading what Go said".into())?;
    let folder = said["Dir"].as_str().unwrap_or_default();
    let mut build = Command::new(go);
    build.args(["build", "-o"]).arg(program).arg(".").current_dir(folder);
    command::run(&mut build)
}

fn measure(program: &Path, pgroll: Option<&Path>, part: &str, rows: &str) -> Result<Value> {
    let mut measure = Command::new(program);
    if let Some(pgroll) = pgroll {
        measure.env(PGROLL, pgroll);
    }
    measure.arg(part).args(Some(rows).filter(|rows| !rows.is_empty()));
    let said = command::capture(&mut measure)?;
    serde_json::from_str(&said).doing(|| format!("reading what `measure {part}` said"))
}

fn told(part: &str, figures: &Value) -> String {
    match part {
        "backfill" => backfill(figures),
        "gentle" => gentle(figures),
        "trigger" => trigger(figures),
        "locks" => locks(figures),
        "swap" => swap(figures),
        "progress" => format!(
            "{} rows in {} s, {} looks, at most {} % off\n",
            figures["rows"],
            figures["seconds"].as_f64().unwrap_or(0.0).round(),
            figures["looks"].as_array().map_or(0, Vec::len),
            number(&figures["mostPercentOff"], 2),
        ),
        _ => format!("{figures:#}\n"),
    }
}

fn number(value: &Value, digits: usize) -> String {
    value.as_f64().map_or_else(|| "-".into(), |value| format!("{value:.digits$}"))
}

fn each(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn backfill(figures: &Value) -> String {
    let head = ["", "rows/s", "alone p50 ms", "p99", "during p50", "p99", "max", "clients/s"];
    let row = |one: &Value| {
        let (alone, during) = (&one["alone"], &one["during"]);
        vec![
            one["way"].as_str().unwrap_or_default().to_owned(),
            number(&one["rowsPerSecond"], 0),
            number(&alone["p50Ms"], 1),
            number(&alone["p99Ms"], 1),
            number(&during["p50Ms"], 1),
            number(&during["p99Ms"], 1),
            number(&during["maxMs"], 1),
            number(&during["perSecond"], 0),
        ]
    };
    report::table(&head, &each(figures).map(row).collect::<Vec<_>>())
}

fn gentle(figures: &Value) -> String {
    let head = ["clients", "p50 ms", "p99 ms", "max ms", "clients/s"];
    let row = |name: &str, one: &Value| {
        let mut row = vec![name.to_owned()];
        row.extend(["p50Ms", "p99Ms", "maxMs"].map(|key| number(&one[key], 2)));
        row.push(number(&one["perSecond"], 0));
        row
    };
    let rows = [
        row("before the migration", &figures["before"]),
        row("while it is held", &figures["held"]),
        row("while it works", &figures["working"]),
    ];
    let (times, rate) = (number(&figures["times"], 2), number(&figures["rowsPerSecond"], 0));
    format!("{}{times} times the p99, at {rate} rows/s\n", report::table(&head, &rows))
}

fn trigger(figures: &Value) -> String {
    let head = ["µs a row", "no trigger", "serin", "pgroll", "serin more", "pgroll more"];
    let keys = ["bareUs", "serinUs", "pgrollUs", "serinMoreUs", "pgrollMoreUs"];
    let row = |what: &str| {
        let mut row = vec![what.to_owned()];
        row.extend(keys.map(|key| number(&figures[what][key], 2)));
        row
    };
    report::table(&head, &["column", "unrelated"].map(row))
}

fn locks(figures: &Value) -> String {
    let head = ["", "requests", "p50 ms", "p99 ms", "max ms", "stalled ms"];
    let row = |name: &str, one: &Value| {
        let mut row = vec![name.to_owned(), one["requests"].to_string()];
        row.extend(["p50Ms", "p99Ms", "maxMs", "stalledMs"].map(|key| number(&one[key], 1)));
        row
    };
    let rows = [
        row("start", &figures["alone"]["start"]),
        row("contract", &figures["alone"]["contract"]),
        row("start behind a reader of 6 s", &figures["behindReader"]["start"]),
        row("contract behind it", &figures["behindReader"]["contract"]),
        row("one column, 500 ms in the queue", &figures["queueOf500ms"]),
        row("one column, no limit", &figures["queueWithoutEnd"]),
    ];
    report::table(&head, &rows)
}

fn swap(figures: &Value) -> String {
    let row = |step: &Value| {
        let title = step["step"].as_str().unwrap_or_default();
        vec![title.to_owned(), step["swap"].to_string(), number(&step["ms"], 1)]
    };
    report::table(&["step", "swap", "ms"], &each(&figures["steps"]).map(row).collect::<Vec<_>>())
}
