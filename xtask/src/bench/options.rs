//! What a benchmark is asked to do.

use crate::failure::{Failure, Result};
use std::path::PathBuf;

/// Options all benchmarks share.
#[derive(Debug, PartialEq, Eq)]
pub struct Options {
    /// Missing programs may be installed.
    pub install: bool,
    /// How often each cell is measured.
    pub rounds: usize,
    /// How long each measurement takes.
    pub seconds: u32,
    /// What to measure, when it is already built.
    pub program: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self { install: true, rounds: 5, seconds: 3, program: None }
    }
}

impl Options {
    /// Reads the words after the benchmark's name.
    pub fn parse(words: &[&str]) -> Result<Self> {
        let mut options = Self::default();
        let mut words = words.iter();
        while let Some(&word) = words.next() {
            let mut value = || {
                let value = words.next().copied();
                value.ok_or_else(|| Failure::usage(format!("`{word}` needs a value")))
            };
            match word {
                "--no-install" => options.install = false,
                "--rounds" => options.rounds = number(word, value()?)?,
                "--seconds" => options.seconds = number(word, value()?)?,
                "--program" => options.program = Some(PathBuf::from(value()?)),
                _ => return Err(Failure::usage(format!("no such option: `{word}`; {ALLOWED}"))),
            }
        }
        Ok(options)
    }
}

const ALLOWED: &str = "allowed are --rounds N, --seconds N, --program PATH, --no-install";

fn number<T: TryFrom<u32>>(word: &str, value: &str) -> Result<T> {
    let number = value.parse::<u32>().ok().filter(|&number| number > 0);
    number
        .and_then(|number| T::try_from(number).ok())
        .ok_or_else(|| Failure::usage(format!("`{word}` is a number from 1, not `{value}`")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_become_options() {
        let options = Options::parse(&["--rounds", "2", "--no-install"]).unwrap();
        assert_eq!(options, Options { install: false, rounds: 2, ..Options::default() });
    }

    #[test]
    fn wrong_words_are_refused() {
        for words in [&["--round"] as &[&str], &["--rounds"], &["--rounds", "0"]] {
            assert_eq!(Options::parse(words).unwrap_err().code(), 2);
        }
    }
}
