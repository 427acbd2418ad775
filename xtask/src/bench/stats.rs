//! The statistics: what the judge promises, measured on simulated traffic.
//!
//! A program of its own does the work, with optimisation. It writes `docs/statistics`, except when
//! it is asked for less than all of it.

use crate::{
    command,
    failure::{Failure, Result},
};

const ALLOWED: &str = "allowed are --runs N, --only NAME, --quick";

/// Builds and runs it.
pub fn run(words: &[&str]) -> Result<()> {
    let arguments = arguments(words)?;
    let program = ["-p", "serin-calibration"];
    command::run(
        command::cargo(&["run", "--quiet", "--release"]).args(program).arg("--").args(arguments),
    )
}

/// The program's own words. What is less than the documented measurement goes to `target`.
fn arguments(words: &[&str]) -> Result<Vec<String>> {
    let mut arguments = Vec::new();
    let mut is_whole = true;
    let mut words = words.iter();
    while let Some(&word) = words.next() {
        match word {
            "--quick" => arguments.extend(["--runs", "200"].map(str::to_owned)),
            "--runs" | "--only" => {
                let value = words.next();
                let value =
                    value.ok_or_else(|| Failure::usage(format!("`{word}` needs a value")))?;
                arguments.extend([word, value].map(str::to_owned));
            }
            _ => return Err(Failure::usage(format!("no such option: `{word}`; {ALLOWED}"))),
        }
        is_whole &= word == "--only";
    }
    let folder = if is_whole {
        crate::root::path().join("docs")
    } else {
        crate::root::target().join("bench")
    };
    let out = folder.join("statistics").display().to_string();
    Ok([vec!["--out".to_owned(), out], arguments].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn less_runs_do_not_touch_the_documentation() {
        let folder = |words: &[&str]| arguments(words).unwrap()[1].clone();
        assert!(folder(&[]).ends_with("docs/statistics"));
        assert!(folder(&["--only", "pass"]).ends_with("docs/statistics"));
        for words in [&["--quick"] as &[&str], &["--runs", "50"]] {
            assert!(folder(words).ends_with("bench/statistics"));
        }
    }

    #[test]
    fn wrong_words_are_refused() {
        for words in [&["--rounds", "2"] as &[&str], &["--runs"]] {
            assert_eq!(arguments(words).unwrap_err().code(), 2);
        }
    }
}
