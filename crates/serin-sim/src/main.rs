//! `serin-sim`: plays scripts and seeds, and says what broke.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use serin_sim::campaign::{self, Campaign};
use serin_sim::world::Mode;
use serin_sim::{script, seed, shrink};
use std::process::ExitCode;

const USAGE: &str = "\
usage: serin-sim [seeds] [--until-broken] [--seeds N] [--from SEED]
                                                     plays seeds, makes the first that fails short;
                                                     or ends with the first that fails
       serin-sim run SCRIPT                          plays a script, prints the transcript
       serin-sim show SEED                           prints the script that chance writes for a seed
       serin-sim shrink SEED|SCRIPT                  prints the shortest script that fails alike
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["run", path] => run(path),
        ["show", number] => show(number),
        ["shrink", what] => make_short(what),
        ["seeds", rest @ ..] => seeds(rest),
        rest if rest.first().is_none_or(|word| word.starts_with("--")) => seeds(rest),
        _ => misuse(&format!("`{}` is nothing to do", words.join(" "))),
    }
}

fn misuse(what: &str) -> ExitCode {
    eprint!("error: {what}\n\n{USAGE}");
    ExitCode::from(2)
}

fn run(path: &str) -> ExitCode {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => return misuse(&format!("cannot read {path}: {error}")),
    };
    let played = script::play(&text, Mode { told: true, store: false, thorough: true });
    print!("{}", played.transcript);
    let Some(failed) = played.failed else { return ExitCode::SUCCESS };
    eprintln!("{path}: {failed}");
    if failed.broken { ExitCode::FAILURE } else { ExitCode::from(2) }
}

fn show(number: &str) -> ExitCode {
    match number.parse() {
        Ok(number) => {
            print!("{}", seed::script(number));
            ExitCode::SUCCESS
        }
        Err(_) => misuse(&format!("`{number}` is not a seed, a number from 0")),
    }
}

fn make_short(what: &str) -> ExitCode {
    let (text, mode) = match what.parse() {
        Ok(number) => (seed::script(number), campaign::mode(number)),
        Err(_) => match std::fs::read_to_string(what) {
            Ok(text) => (text, Mode { told: false, store: false, thorough: true }),
            Err(error) => return misuse(&format!("cannot read {what}: {error}")),
        },
    };
    print!("{}", shrink::shrink(&text, mode));
    ExitCode::SUCCESS
}

fn seeds(words: &[&str]) -> ExitCode {
    let mut campaign = Campaign { from: 0, seeds: 500, until_broken: false };
    let words = match words {
        ["--until-broken", rest @ ..] => {
            campaign.until_broken = true;
            rest
        }
        all => all,
    };
    for pair in words.chunks(2) {
        let number = pair.get(1).and_then(|word| word.parse().ok());
        match (pair[0], number) {
            ("--seeds", Some(number)) => campaign.seeds = number,
            ("--from", Some(number)) => campaign.from = number,
            _ => return misuse(&format!("`{}` is not understood", pair.join(" "))),
        }
    }
    let report = campaign.run();
    print!("{}", report.text());
    if report.broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
