//! `serin-calibration [--runs N] [--only NAME] [--out FOLDER]`: writes the tables and plots of the
//! statistics and prints which numbers were reached.

use serin_calibration::report::{self, Report};
use serin_calibration::tables;
use serin_calibration::watch::Effort;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

/// A part of the benchmark.
type Part = (&'static str, fn(Effort) -> Report);

/// The part that measures time.
const COST: &str = "cost";

const PARTS: [Part; 9] = [
    ("errors", tables::errors::run),
    ("seconds", tables::errors::every_second),
    ("latency", tables::latency::run),
    ("pass", tables::pass::run),
    ("paths", tables::paths::run),
    ("many", tables::many::run),
    ("rollout", tables::rollout::run),
    ("steered", tables::steered::run),
    (COST, tables::cost::run),
];

struct Options {
    effort: Effort,
    only: Option<String>,
    out: Option<PathBuf>,
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match parse(&words).and_then(|options| run(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::from(2)
        }
    }
}

fn parse(words: &[String]) -> Result<Options, String> {
    let mut options = Options { effort: Effort { runs: 2000, threads: 2 }, only: None, out: None };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("`{word}` needs a value"));
        match word.as_str() {
            "--runs" => options.effort.runs = whole(value()?)?,
            "--threads" => options.effort.threads = whole(value()?)?,
            "--only" => options.only = Some(known(value()?)?),
            "--out" => options.out = Some(PathBuf::from(value()?)),
            _ => return Err(format!("no such option: `{word}`")),
        }
    }
    Ok(options)
}

fn whole(value: &str) -> Result<usize, String> {
    let number = value.parse().ok().filter(|n| *n > 0);
    number.ok_or_else(|| format!("`{value}` is not a whole number from 1"))
}

fn known(name: &str) -> Result<String, String> {
    let names: Vec<&str> = PARTS.iter().map(|part| part.0).collect();
    if names.contains(&name) {
        return Ok(name.to_owned());
    }
    Err(format!("no part `{name}`; there are {}", names.join(", ")))
}

fn run(options: &Options) -> Result<(), String> {
    let mut all = Report::default();
    let mut timed = Vec::new();
    for (name, part) in PARTS {
        if options.only.as_deref().is_some_and(|only| only != name) {
            continue;
        }
        let start = Instant::now();
        let mut report = part(options.effort);
        eprintln!("{name}: {:.0} s", start.elapsed().as_secs_f64());
        for table in &report.tables {
            println!("{}", table.text());
        }
        if name == COST {
            timed.append(&mut report.goals);
        }
        all.add(report);
    }
    // Times differ from run to run, so they stay out of the file that does not.
    let goals = report::goals(&all.goals, options.effort.runs);
    println!("{}", goals.text());
    println!("{}", report::goals(&timed, usize::MAX).text());
    if options.only.is_none() {
        all.tables.push(goals);
    }
    options.out.as_deref().map_or(Ok(()), |out| save(out, &all))
}

fn save(out: &Path, report: &Report) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("writing to {}: {error}", out.display());
    std::fs::create_dir_all(out).map_err(failed)?;
    for table in &report.tables {
        std::fs::write(out.join(format!("{}.csv", table.name)), table.csv()).map_err(failed)?;
    }
    for (name, drawing) in &report.plots {
        std::fs::write(out.join(format!("{name}.svg")), drawing).map_err(failed)?;
    }
    Ok(())
}
