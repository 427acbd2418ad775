//! `cargo xtask sim`: seeds of the simulator, built for speed.

use crate::{
    command,
    failure::{Failure, Result},
    root,
};
use std::process::Command;

/// Seeds unless said.
const SEEDS: u64 = 2000;

/// Plays the seeds that were asked for.
pub fn run(words: &[&str]) -> Result<()> {
    let (from, seeds) = parse(words)?;
    play(Built::ForSpeed, from, seeds)
}

/// How the simulator is built.
#[derive(Clone, Copy)]
pub enum Built {
    /// As the tests left it: a third as fast, nothing more to build, and sums that overflow are
    /// told.
    AsTested,
    /// As it is shipped.
    ForSpeed,
}

impl Built {
    /// The simulator. One that the tests left is not asked for through cargo: for one package
    /// alone it would build most of the others anew, with fewer features.
    fn simulator(self) -> Command {
        let left = root::target().join("debug/serin-sim");
        match self {
            Self::AsTested if left.is_file() => Command::new(left),
            Self::AsTested => command::cargo(&["run", "--quiet", "-p", "serin-sim", "--"]),
            Self::ForSpeed => {
                command::cargo(&["run", "--quiet", "--release", "-p", "serin-sim", "--"])
            }
        }
    }
}

/// Plays `seeds` seeds from `from` on; a broken rule is a failure.
pub fn play(built: Built, from: u64, seeds: u64) -> Result<()> {
    let mut simulator = built.simulator();
    simulator.arg("seeds").args(["--seeds", &seeds.to_string(), "--from", &from.to_string()]);
    command::run(&mut simulator)
}

fn parse(words: &[&str]) -> Result<(u64, u64)> {
    let (mut from, mut seeds) = (0, SEEDS);
    for pair in words.chunks(2) {
        let number = pair.get(1).and_then(|word| word.parse().ok());
        match (pair[0], number) {
            ("--seeds", Some(number)) if number > 0 => seeds = number,
            ("--from", Some(number)) => from = number,
            _ => {
                return Err(Failure::usage(format!(
                    "`sim` does not know `{}`; it takes --seeds N and --from SEED",
                    pair.join(" ")
                )));
            }
        }
    }
    Ok((from, seeds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_read() {
        assert_eq!(parse(&[]).unwrap(), (0, SEEDS));
        assert_eq!(parse(&["--from", "7", "--seeds", "30"]).unwrap(), (7, 30));
        assert_eq!(parse(&["--seeds", "0"]).unwrap_err().code(), 2);
        assert_eq!(parse(&["--seeds"]).unwrap_err().code(), 2);
    }
}
