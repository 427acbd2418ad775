//! `bench control`: what the control plane takes: a long history on disk, and a thousand services
//! with a hundred rollouts under way, on a platform that is made up.

use super::{machine, options::Options, report, servers};
use crate::{
    command,
    failure::{Doing, Result},
};
use serde_json::{Value, json};
use std::{path::Path, process::Command};

/// Services and rollouts of each history; the second rolls every service out ten times, so that
/// what every judge was given is kept.
const HISTORIES: [(u32, u32); 2] = [(100, 10_000), (1000, 10_000)];

/// Services, and rollouts under way.
const LOAD: (u32, u32) = (1000, 100);

/// Seconds the load is measured at least.
const SECONDS: u32 = 60;

const MB: f64 = 1_000_000.0;

/// Measures and reports.
pub fn run(options: &Options) -> Result<()> {
    let machine = machine::describe();
    let package = ["-p", "serin-server", "--example", "control"];
    let program = super::program(options, &package, "release/examples/control")?;
    let mut histories = Vec::new();
    for (services, rollouts) in HISTORIES {
        histories.push(measure(&program, &["history", &text(services), &text(rollouts)])?);
    }
    let seconds = text(options.seconds.max(SECONDS));
    let load = measure(&program, &["load", &text(LOAD.0), &text(LOAD.1), &seconds])?;
    say(&histories, &load);
    report::save("control", &json!({ "machine": machine, "histories": histories, "load": load }))
}

fn text(number: u32) -> String {
    number.to_string()
}

/// Runs one measurement in a folder of its own.
fn measure(program: &Path, words: &[&str]) -> Result<Value> {
    let folder = servers::scratch("control")?;
    let said = command::capture(Command::new(program).args(words).arg(&folder))?;
    serde_json::from_str(&said).doing(|| format!("reading what `{}` said", words.join(" ")))
}

fn say(histories: &[Value], load: &Value) {
    let head = ["services", "rollouts", "ticks", "file MB", "KB a rollout", "start ms"];
    let head = [&head[..], &["step p99 ms", "slowest ms", "written MB"]].concat();
    let rows: Vec<_> = histories.iter().map(history).collect();
    println!("{}", report::table(&head, &rows));
    for history in histories {
        println!("{} services:\n{}", history["services"], tables(history));
    }
    let head = ["of one core", "memory MB", "most MB", "plans", "p50 ms", "p99 ms", "max ms"];
    let head = [&head[..], &["rollouts", "written KB/s", "start ms"]].concat();
    println!("{}", report::table(&head, &[loaded(load)]));
}

fn number(document: &Value, key: &str) -> f64 {
    document[key].as_f64().unwrap_or(f64::NAN)
}

fn history(said: &Value) -> Vec<String> {
    let (bytes, rollouts) = (number(said, "bytes"), number(said, "rollouts"));
    vec![
        said["services"].to_string(),
        said["rollouts"].to_string(),
        said["ticks"].to_string(),
        format!("{:.1}", bytes / MB),
        format!("{:.1}", bytes / rollouts / 1000.0),
        format!("{:.0}", number(said, "startMs")),
        format!("{:.1}", number(said, "stepP99Ms")),
        format!("{:.1}", number(said, "stepMaxMs")),
        format!("{:.0}", number(said, "written") / MB),
    ]
}

fn tables(history: &Value) -> String {
    let tables = history["tables"].as_array().map_or(&[][..], Vec::as_slice);
    let large = tables.iter().filter(|table| number(table, "bytes") >= MB / 10.0);
    let row = |table: &Value| {
        let name = table["table"].as_str().unwrap_or_default().to_owned();
        vec![name, table["rows"].to_string(), format!("{:.1}", number(table, "bytes") / MB)]
    };
    report::table(&["table", "rows", "MB"], &large.map(row).collect::<Vec<_>>())
}

fn loaded(said: &Value) -> Vec<String> {
    vec![
        format!("{:.1} %", number(said, "cpu") * 100.0),
        format!("{:.0}", number(said, "memoryMb")),
        format!("{:.0}", number(said, "memoryMostMb")),
        said["plans"].to_string(),
        format!("{:.1}", number(said, "p50Ms")),
        format!("{:.1}", number(said, "p99Ms")),
        format!("{:.1}", number(said, "maxMs")),
        said["rollouts"].to_string(),
        format!("{:.0}", number(said, "writtenPerSecond") / 1000.0),
        format!("{:.0}", number(said, "startMs")),
    ]
}
