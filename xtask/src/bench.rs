//! `cargo xtask bench`: measures what `docs/benchmarks.md` reports, and `docs/statistics`.
//!
//! Figures go to stdout as a table and to `target/bench/<name>.json`. Nothing here passes or
//! fails by a figure: a busy machine is no reason for a red build.

mod control;
mod data_plane;
mod demo;
mod flags;
mod flips;
mod hostile;
mod idle;
mod machine;
mod migrate;
mod options;
mod process;
mod proxy;
mod report;
mod servers;
mod stats;
mod wrk;

use crate::{
    command,
    failure::{Failure, Result},
};
use options::Options;
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// Runs one benchmark.
pub fn run(words: &[&str]) -> Result<()> {
    match words {
        ["proxy", rest @ ..] => proxy::run(&Options::parse(rest)?),
        ["flags", rest @ ..] => flags::run(rest),
        ["flips", rest @ ..] => flips::run(&Options::parse(rest)?),
        ["control", rest @ ..] => control::run(&Options::parse(rest)?),
        ["demo", rest @ ..] => demo::run(&Options::parse(rest)?),
        ["hostile", rest @ ..] => hostile::run(rest),
        ["migrate", rest @ ..] => migrate::run(rest),
        ["idle", rest @ ..] => idle::run(&Options::parse(rest)?),
        ["stats", rest @ ..] => stats::run(rest),
        _ => Err(Failure::usage(
            "which benchmark? `bench proxy`, `flips`, `flags`, `idle`, `control`, `demo`, `migrate`, `stats` or `hostile`",
        )),
    }
}

/// Runs the demo with one seed; a failure unless it told the whole story.
pub fn soak_demo(program: &Path, seed: usize) -> Result<()> {
    demo::demo(program, seed).map(|document| println!("{document}"))
}

/// Flips weights for a long time; a failure if anybody noticed.
pub fn soak_flips(time: Duration) -> Result<()> {
    let options = Options::default();
    prepare(&options)?;
    let seconds = u32::try_from(time.as_secs().max(1)).unwrap_or(u32::MAX);
    let outcome = flips::flip(&options, seconds)?;
    println!("{} requests, {} flips\n", outcome.seen.requests, outcome.acknowledged.len());
    outcome.verdict()
}

/// Programs a benchmark needs, with Debian's package for each.
const PROGRAMS: [(&str, &str); 4] =
    [("nginx", "nginx-light"), ("haproxy", "haproxy"), ("wrk", "wrk"), ("taskset", "util-linux")];

/// Sees to it that nginx, haproxy, wrk and taskset are there.
fn prepare(options: &Options) -> Result<()> {
    let is_absent = |program: &&(&str, &str)| command::find(program.0).is_none();
    let packages: Vec<&str> = PROGRAMS.iter().filter(is_absent).map(|p| p.1).collect();
    if packages.is_empty() {
        return Ok(());
    }
    if !options.install {
        return Err(Failure::new(format!("missing: {}; install it", packages.join(", "))));
    }
    crate::ci::apt_install(&packages)
}

/// The data plane alone, as an executable of its own.
fn data_plane_program(options: &Options) -> Result<PathBuf> {
    program(options, &["-p", "serin-proxy", "--example", "proxy"], "release/examples/proxy")
}

/// All of Serin.
fn serin_program(options: &Options) -> Result<PathBuf> {
    program(options, &["-p", "serin"], "release/serin")
}

/// The program to measure: the one named, or one built now with optimisation.
fn program(options: &Options, package: &[&str], path: &str) -> Result<PathBuf> {
    if let Some(program) = &options.program {
        return Ok(program.clone());
    }
    command::run(command::cargo(&["build", "--quiet", "--release"]).args(package))?;
    Ok(crate::root::target().join(path))
}
