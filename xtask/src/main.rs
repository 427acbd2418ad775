//! Project tasks: `cargo xtask ci`, `clients`, `postgres`, `tidy`, `bench`, `sim`, `soak`.
//!
//! Plain Rust and cargo, so that whoever can build Serin can also check it; nothing to install.

mod bench;
mod ci;
mod command;
mod failure;
mod root;
mod sim;
mod soak;
mod tidy;

use failure::{Failure, Result};
use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask <task>

  ci [--no-install]       everything a change must pass, in order; the first failure stops it
  clients                 installs the npm and pip packages that tests of feature flags run against
  postgres                installs the versions of Postgres that migrations are tested on, and says
                          where; one is used where SERIN_PG_BIN names its folder
  tidy                    the house rules that no compiler knows
  bench proxy|flips|flags|idle|demo|control|migrate
                          what docs/benchmarks.md reports (tables, and JSON in target/bench);
                          flags also in parts: flags engines|requests|streams; migrate too:
                          backfill, trigger, locks, swap, resume, progress
  bench stats [--runs N] [--only NAME] [--quick]
                          the tables and plots of docs/statistics, from simulated traffic
  sim [--seeds N] [--from SEED]
                          plays seeds in the simulator (docs/simulator.md)
  soak mutants            breaks the engine by hand, bug by bug; the simulator must notice each
  soak strategies         every strategy ships ten versions under load, and everything is killed
  soak flags [--short]    a million mangled documents of flags, contexts and imports, and 300
                          releases of what changes nothing; a fiftieth of it
  soak migrate            migrations while both versions write; 200 times something is killed
  soak [--minutes N]      long runs: simulation seeds, weight flips, the demo again and again
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match dispatch(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !failure.is_said() {
                eprintln!("error: {failure}");
            }
            ExitCode::from(failure.code())
        }
    }
}

fn dispatch(words: &[&str]) -> Result<()> {
    match words {
        ["ci", rest @ ..] => ci::run(rest),
        ["clients"] => ci::clients(),
        ["postgres"] => ci::postgres(),
        ["tidy"] => tidy::run(),
        ["bench", rest @ ..] => bench::run(rest),
        ["sim", rest @ ..] => sim::run(rest),
        ["soak", rest @ ..] => soak::run(rest),
        ["help" | "--help" | "-h"] => {
            print!("{USAGE}");
            Ok(())
        }
        _ => Err(Failure::usage(format!("no such task: `{}`\n\n{USAGE}", words.join(" ")))),
    }
}
