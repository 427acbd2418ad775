//! The judge under hostile conditions, through the real data plane.
//!
//! A program of its own does the work, with optimisation. It writes `docs/statistics/hostile.csv`,
//! except when it is asked for less than all of it.

use crate::{
    command,
    failure::{Failure, Result},
};

const ALLOWED: &str = "allowed are --runs N, --only NAME,.., --services N, --notes";

/// Builds and runs it.
pub fn run(words: &[&str]) -> Result<()> {
    let arguments = arguments(words)?;
    let program = ["-p", "serin-hostile"];
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
            "--notes" => arguments.push(word.to_owned()),
            "--runs" | "--only" | "--services" => {
                let value = words.next();
                let value =
                    value.ok_or_else(|| Failure::usage(format!("`{word}` needs a value")))?;
                arguments.extend([word, value].map(str::to_owned));
                is_whole &= word == "--services";
            }
            _ => return Err(Failure::usage(format!("no such option: `{word}`; {ALLOWED}"))),
        }
    }
    let folder = if is_whole {
        crate::root::path().join("docs/statistics")
    } else {
        crate::root::target().join("bench")
    };
    let out = folder.join("hostile.csv").display().to_string();
    Ok([vec!["--out".to_owned(), out], arguments].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn less_than_all_does_not_touch_the_documentation() {
        let file = |words: &[&str]| arguments(words).unwrap()[1].clone();
        assert!(file(&[]).ends_with("docs/statistics/hostile.csv"));
        assert!(file(&["--services", "20"]).ends_with("docs/statistics/hostile.csv"));
        for words in [&["--runs", "5"] as &[&str], &["--only", "plain"]] {
            assert!(file(words).ends_with("bench/hostile.csv"));
        }
    }

    #[test]
    fn wrong_words_are_refused() {
        for words in [&["--rounds", "2"] as &[&str], &["--runs"]] {
            assert_eq!(arguments(words).unwrap_err().code(), 2);
        }
    }
}
