//! Evaluations in process.

use crate::{
    bench::report,
    command,
    failure::{Doing, Result},
    root,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Serin's own figures with their goals, and the same rules in other engines.
pub fn measure() -> Result<Value> {
    let mut own = Vec::new();
    for package in ["serin-flags", "serin-edge"] {
        own.extend(lines(&["run", "--quiet", "--release", "-p", package, "--example", "cost"])?);
    }
    println!("\n{}", own_table(&own));
    let manifest = root::path().join("xtask/bench-peers/Cargo.toml");
    let manifest = manifest.display().to_string();
    let target = root::target().join("bench-peers").display().to_string();
    // A target folder of its own, or cargo would build all of Serin anew afterwards.
    let words = ["run", "--quiet", "--release", "--manifest-path", &manifest];
    let peers = lines(&[&words[..], &["--target-dir", &target]].concat())?;
    println!("{}", peers_table(&peers));
    Ok(json!({"serin": own, "peers": peers}))
}

/// Runs cargo and reads its lines of JSON.
fn lines(words: &[&str]) -> Result<Vec<Value>> {
    let text = command::capture(&mut command::cargo(words))?;
    let read = |line: &str| serde_json::from_str(line).doing(|| format!("reading {line:?}"));
    text.lines().map(read).collect()
}

fn own_table(lines: &[Value]) -> String {
    let row = |line: &Value| {
        let unit = if line["nanoseconds"].is_null() { "milliseconds" } else { "nanoseconds" };
        let short = if unit == "milliseconds" { "ms" } else { "ns" };
        let figure = |value: &Value| match value.as_f64() {
            Some(figure) => format!("{figure:.1} {short}"),
            None => String::new(),
        };
        let allocations = line["allocations"].as_u64().map(|count| count.to_string());
        vec![
            line["name"].as_str().unwrap_or_default().to_owned(),
            figure(&line[unit]),
            figure(&line["target"]),
            allocations.unwrap_or_default(),
        ]
    };
    let rows: Vec<Vec<String>> = lines.iter().map(row).collect();
    report::table(&["in process, one thread", "time", "goal: at most", "allocations"], &rows)
}

fn peers_table(lines: &[Value]) -> String {
    let text = |line: &Value, key: &str| line[key].as_str().unwrap_or_default().to_owned();
    let mut engines = Vec::new();
    let mut rules = Vec::new();
    let mut figures = BTreeMap::new();
    for line in lines {
        let (engine, rule) = (text(line, "engine"), text(line, "rule"));
        figures.insert((engine.clone(), rule.clone()), line["ns"].as_f64());
        for (list, name) in [(&mut engines, engine), (&mut rules, rule)] {
            if !list.contains(&name) {
                list.push(name);
            }
        }
    }
    let row = |rule: &String| {
        let figure = |engine: &String| {
            let figure = figures.get(&(engine.clone(), rule.clone())).copied().flatten();
            figure.map_or_else(String::new, |ns| format!("{ns:.0} ns"))
        };
        std::iter::once(rule.clone()).chain(engines.iter().map(figure)).collect()
    };
    let rows: Vec<Vec<String>> = rules.iter().map(row).collect();
    let head: Vec<&str> =
        std::iter::once("the same rule").chain(engines.iter().map(String::as_str)).collect();
    report::table(&head, &rows)
}
