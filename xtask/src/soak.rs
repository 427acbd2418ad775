//! `cargo xtask soak`: long runs, for a night rather than for each change.
//!
//! Three runs in turn: simulated rollouts with seeds nobody has run yet, weight flips under load,
//! and the demo again and again. The first failure ends it and says how to repeat it.

mod mutants;

use crate::{
    bench, command,
    failure::{Failure, Result},
    sim,
};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Simulated seeds in one call of the simulator.
const SEEDS_PER_CALL: usize = 2_000;

/// Mangled documents in one soak of flags.
const MANGLED: u64 = 1_000_000;

/// Releases of variants that change nothing, by real traffic, in one soak of flags.
const SAME: u64 = 300;

/// A short soak of flags, to see that a long one would work, is this part of one.
const SHORT: u64 = 50;

/// Kills in one soak of migrations.
const KILLS: &str = "200";

/// Runs the long runs one after the other, each for a third of the time.
pub fn run(words: &[&str]) -> Result<()> {
    if let ["mutants", rest @ ..] = words {
        return mutants::run(rest);
    }
    if words == ["strategies"] {
        return strategies();
    }
    match words {
        ["flags"] => return flags(1),
        ["flags", "--short"] => return flags(SHORT),
        _ => {}
    }
    if words == ["migrate"] {
        return migrate();
    }
    let each = Duration::from_secs(parse(words)? * 60 / 3);
    println!("==> simulation, {} s", each.as_secs());
    simulation(each)?;
    println!("==> weight flips, {} s", each.as_secs());
    bench::soak_flips(each)?;
    println!("==> demo, {} s", each.as_secs());
    demo(each)
}

/// Every strategy ships ten versions in a row under load, and 120 times something is killed.
fn strategies() -> Result<()> {
    let mut tests = command::cargo(&["test", "-p", "serin", "--test", "strategies"]);
    tests.env("SERIN_VERSIONS", "10").env("SERIN_KILLS", "120");
    command::run(&mut tests)
}

/// Migrations while both versions write, and 200 times something is killed.
fn migrate() -> Result<()> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut tests =
        command::cargo(&["test", "-p", "serin-migrate", "--test", "proof", "--", "--nocapture"]);
    tests.env("SERIN_SEED", now.as_secs().to_string()).env("SERIN_KILLS", KILLS);
    command::run(&mut tests)
}

/// Mangled documents of flags, contexts and imports, then releases of what changes nothing, with
/// seeds nobody has run yet: one part in so many of all.
fn flags(part: u64) -> Result<()> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let words =
        ["test", "--release", "-p", "serin-flags", "--test", "mangled", "--", "--nocapture"];
    let mut tests = command::cargo(&words);
    tests.env("SERIN_SEED", (now.as_secs() * MANGLED).to_string());
    command::run(tests.env("SERIN_MANGLED", (MANGLED / part).to_string()))?;
    let words = ["test", "-p", "serin", "--test", "releases", "changes_nothing", "--"];
    let mut same = command::cargo(&[&words[..], &["--nocapture"]].concat());
    same.env("SERIN_SEED", now.as_secs().to_string());
    command::run(same.env("SERIN_AA", (SAME / part).to_string()))
}

/// Minutes to run for.
fn parse(words: &[&str]) -> Result<u64> {
    match words {
        [] => Ok(30),
        ["--minutes", minutes] => match minutes.parse() {
            Ok(minutes) if minutes > 0 => Ok(minutes),
            _ => Err(Failure::usage(format!("`--minutes` is a number from 1, not `{minutes}`"))),
        },
        _ => Err(Failure::usage(
            "`soak` takes --minutes N, `mutants`, `strategies`, `flags [--short]` or `migrate`",
        )),
    }
}

/// Calls `work` with 0, 1, 2... until time is up, at least once.
fn repeat(time: Duration, mut work: impl FnMut(usize) -> Result<()>) -> Result<usize> {
    let started = Instant::now();
    for count in 0.. {
        if count > 0 && started.elapsed() >= time {
            return Ok(count);
        }
        work(count)?;
    }
    Ok(0)
}

/// Seeds follow the clock, so that each soak runs new ones; the printed command repeats one.
fn simulation(time: Duration) -> Result<()> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let first = now.as_secs() as usize * SEEDS_PER_CALL;
    let calls = repeat(time, |count| {
        let first = (first + count * SEEDS_PER_CALL) as u64;
        sim::play(sim::Built::ForSpeed, first, SEEDS_PER_CALL as u64)
    })?;
    println!("{} simulated seeds\n", calls * SEEDS_PER_CALL);
    Ok(())
}

fn demo(time: Duration) -> Result<()> {
    command::run(&mut command::cargo(&["build", "--quiet", "--release", "-p", "serin"]))?;
    let program = crate::root::target().join("release/serin");
    let runs = repeat(time, |seed| bench::soak_demo(&program, seed))?;
    println!("{runs} demos, each promoted the good version and caught the bad one");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_done_at_least_once_and_failures_end_it() {
        assert_eq!(repeat(Duration::ZERO, |_| Ok(())).unwrap(), 1);
        let failing = |count| if count == 3 { Err(Failure::new("four")) } else { Ok(()) };
        assert_eq!(repeat(Duration::MAX, failing).unwrap_err().to_string(), "four");
    }

    #[test]
    fn minutes_are_read() {
        assert_eq!(parse(&[]).unwrap(), 30);
        assert_eq!(parse(&["--minutes", "6"]).unwrap(), 6);
        assert_eq!(parse(&["--minutes", "0"]).unwrap_err().code(), 2);
        assert_eq!(parse(&["6"]).unwrap_err().code(), 2);
    }
}
