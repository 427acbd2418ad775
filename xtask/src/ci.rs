//! `cargo xtask ci`: everything a change must pass, in order. `.ci/run` is exactly this.
//!
//! Each step is named before it starts and timed when it ends; the first failure stops the run.
//! The last line is always `N passed, N failed`, so that a reader of the log need not scroll.

mod clients;
mod counts;
mod room;
mod suite;
mod tools;
mod versions;

use crate::{
    command,
    failure::{Failure, Result},
    sim::{self, Built},
    tidy,
};
pub use clients::task as clients;
pub use tools::{apt_install, is_root};
pub use versions::task as postgres;

use counts::Counts;
use std::{
    io::Write,
    time::{Duration, Instant},
};

/// Simulated seeds on each change: a fixed set, so that a red run can be repeated.
const SIMULATION_SEEDS: u64 = 2000;

/// What was asked for.
struct Options {
    /// Missing tools may be installed.
    install: bool,
    /// A tool that is still missing is a failure, not a skip.
    strict: bool,
}

/// How a step ended.
enum Ended {
    Done,
    Skipped(String),
}

/// Runs all steps.
pub fn run(words: &[&str]) -> Result<()> {
    let options = parse(words)?;
    let started = Instant::now();
    let mut run = Run::default();
    let result = steps(&options, &mut run);
    conclude(&result, &mut run, started.elapsed());
    result.map_err(Failure::said)
}

fn parse(words: &[&str]) -> Result<Options> {
    let strict =
        std::env::var("CI").is_ok_and(|value| !matches!(value.as_str(), "" | "0" | "false"));
    match words {
        [] => Ok(Options { install: true, strict }),
        ["--no-install"] => Ok(Options { install: false, strict }),
        _ => Err(Failure::usage(format!(
            "`ci` does not know `{}`; it takes --no-install only",
            words.join(" ")
        ))),
    }
}

fn steps(options: &Options, run: &mut Run) -> Result<()> {
    run.step("room", |_| room::check())?;
    run.step("tools", |_| tools::prepare(options))?;
    run.step("clients", |_| clients::prepare(options))?;
    run.step("postgres", |_| versions::prepare(options))?;
    run.step("format", |_| formatting())?;
    run.step("clippy", |_| clippy())?;
    run.step("tidy", |_| tidy::run().map(|()| Ended::Done))?;
    run.step("tests", |counts| suite::run(counts).map(|()| Ended::Done))?;
    run.step("postgres versions", versions::test)?;
    // A second build of everything for the sake of speed would cost more than it saves.
    let simulation = || sim::play(Built::AsTested, 0, SIMULATION_SEEDS);
    run.step("simulation", |_| simulation().map(|()| Ended::Done))
}

/// What happened so far.
#[derive(Default)]
struct Run {
    counts: Counts,
    /// Steps that were skipped, with the reason.
    skipped: Vec<String>,
}

impl Run {
    fn step(&mut self, name: &str, work: impl FnOnce(&mut Counts) -> Result<Ended>) -> Result<()> {
        println!("==> {name}");
        let started = Instant::now();
        let ended = work(&mut self.counts);
        let took = seconds(started.elapsed());
        match ended {
            Ok(Ended::Done) => println!("<== {name}: ok in {took}\n"),
            Ok(Ended::Skipped(why)) => {
                println!("<== {name}: SKIPPED: {why}\n");
                self.skipped.push(format!("{name}: {why}"));
            }
            Err(failure) => {
                return Err(Failure::new(format!("{name} failed in {took}: {failure}")));
            }
        }
        Ok(())
    }
}

/// Cargo alone builds Serin; the toolchain's extra parts are checked with where they are.
fn not_installed(component: &str) -> Ended {
    Ended::Skipped(format!("{component} is not installed; `rustup component add {component}`"))
}

fn formatting() -> Result<Ended> {
    if !command::succeeds(&mut command::cargo(&["fmt", "--version"])) {
        return Ok(not_installed("rustfmt"));
    }
    command::run(&mut command::cargo(&["fmt", "--all", "--check"])).map(|()| Ended::Done)
}

fn clippy() -> Result<Ended> {
    if !command::succeeds(&mut command::cargo(&["clippy", "--version"])) {
        return Ok(not_installed("clippy"));
    }
    let arguments =
        ["clippy", "--quiet", "--workspace", "--all-targets", "--", "--deny", "warnings"];
    command::run(&mut command::cargo(&arguments)).map(|()| Ended::Done)
}

/// Prints what failed, and the closing line. A red run must never close with `0 failed`, so a
/// failed step without a failed test counts as one.
fn conclude(result: &Result<()>, run: &mut Run, took: Duration) {
    for skipped in &run.skipped {
        println!("ci: SKIPPED {skipped}");
    }
    let counts = &mut run.counts;
    match result {
        Ok(()) => println!("ci: all steps passed in {}", seconds(took)),
        Err(failure) => {
            for test in &counts.failed_tests {
                println!("ci: failed test: {test}");
            }
            println!("ci: {failure}");
            counts.failed = counts.failed.max(1);
        }
    }
    println!("{} passed, {} failed", counts.passed, counts.failed);
    // A closed pipe is the reader's choice; the exit code says the rest.
    let _ = std::io::stdout().flush();
}

fn seconds(time: Duration) -> String {
    let whole = time.as_secs();
    if whole >= 60 {
        return format!("{} min {:02} s", whole / 60, whole % 60);
    }
    format!("{:.1} s", time.as_secs_f64())
}
