//! Counts tests from the lines `cargo test` prints.

/// Tests seen so far.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Tests that passed.
    pub passed: u64,
    /// Tests that failed.
    pub failed: u64,
    /// Names of the failed ones.
    pub failed_tests: Vec<String>,
}

impl Counts {
    /// Takes one line of output in.
    pub fn absorb(&mut self, line: &str) {
        if let Some(summary) = line.trim_start().strip_prefix("test result: ") {
            self.passed += number_before(summary, " passed");
            self.failed += number_before(summary, " failed");
        } else if let Some(name) = failed_name(line) {
            self.failed_tests.push(name.to_owned());
        }
    }
}

fn failed_name(line: &str) -> Option<&str> {
    line.strip_prefix("test ")?.strip_suffix(" ... FAILED")
}

/// The number right before `word`, as in `ok. 12 passed; 0 failed`; 0 if there is none.
fn number_before(summary: &str, word: &str) -> u64 {
    let before = summary.split(word).next().unwrap_or_default();
    let is_other = |c: char| !c.is_ascii_digit();
    before.rsplit(is_other).next().and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(output: &str, passed: u64, failed: u64, failed_tests: &[&str]) {
        let mut counts = Counts::default();
        output.lines().for_each(|line| counts.absorb(line));
        let failed_tests = failed_tests.iter().map(|&name| name.to_owned()).collect();
        assert_eq!(counts, Counts { passed, failed, failed_tests });
    }

    #[test]
    fn summaries_of_several_binaries_are_added() {
        check(
            "test result: ok. 12 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out\n\
             running 3 tests\n\
             test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured",
            14,
            1,
            &[],
        );
    }

    #[test]
    fn failed_tests_are_named() {
        check(
            "test engine::a ... ok\ntest engine::b - should panic ... FAILED\n\
             test result: FAILED. 1 passed; 1 failed; 0 ignored",
            1,
            1,
            &["engine::b - should panic"],
        );
    }

    #[test]
    fn other_lines_do_not_count() {
        check("7 passed, 3 failed\nthe test result: 9 passed\n", 0, 0, &[]);
    }
}
