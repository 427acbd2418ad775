//! Makes a script that fails shorter, until nothing more can be left out.

use crate::script::{Error, play};
use crate::world::Mode;
use std::cell::Cell;

/// Scripts that are tried at most.
const PLAYS: u32 = 3000;

/// The shortest script found that breaks the same rule as `script`, which does.
pub fn shrink(script: &str, mode: Mode) -> String {
    let Some(kind) = failure(script, mode) else { return script.to_owned() };
    let mut lines: Vec<String> = script.lines().map(ToOwned::to_owned).collect();
    let plays = Cell::new(PLAYS);
    let fails = |shorter: &[String]| {
        plays.set(plays.get().saturating_sub(1));
        plays.get() > 0 && fails(shorter, &kind, mode)
    };
    loop {
        let before = lines.clone();
        leave_out(&mut lines, fails);
        shorten(&mut lines, fails);
        if lines == before {
            return lines.join("\n") + "\n";
        }
    }
}

/// The rule a script breaks, without the numbers.
fn failure(script: &str, mode: Mode) -> Option<String> {
    play(script, mode).failed.filter(|error| error.broken).map(|error| kind(&error))
}

fn kind(error: &Error) -> String {
    let first = error.what.split("; ").next().unwrap_or_default();
    first.chars().filter(|c| !c.is_ascii_digit()).collect()
}

fn fails(lines: &[String], kind: &str, mode: Mode) -> bool {
    failure(&lines.join("\n"), mode).is_some_and(|found| found == kind)
}

/// Leaves out chunks: first halves, in the end single lines.
fn leave_out(lines: &mut Vec<String>, fails: impl Fn(&[String]) -> bool) {
    let mut size = lines.len() / 2;
    while size > 0 {
        let mut at = 0;
        while at < lines.len() {
            let mut shorter = lines.clone();
            shorter.drain(at..(at + size).min(lines.len()));
            if fails(&shorter) {
                *lines = shorter;
            } else {
                at += size;
            }
        }
        size /= 2;
    }
}

/// Makes single lines plainer: fewer words, less time.
fn shorten(lines: &mut [String], fails: impl Fn(&[String]) -> bool) {
    for at in 0..lines.len() {
        for plainer in plainer(&lines[at]) {
            let before = std::mem::replace(&mut lines[at], plainer);
            if fails(lines) {
                break;
            }
            lines[at] = before;
        }
    }
}

/// A line with one word less, or with half the time.
fn plainer(line: &str) -> Vec<String> {
    if let Some(seconds) = line.strip_prefix("advance ").and_then(|time| time.strip_suffix('s')) {
        let seconds: u64 = seconds.parse().unwrap_or(1);
        return [1, seconds / 2]
            .iter()
            .filter(|s| **s > 0 && **s < seconds)
            .map(|s| format!("advance {s}s"))
            .collect();
    }
    let words = words(line);
    let optional = words.iter().enumerate().filter(|(_, word)| word.contains('='));
    let without = optional.map(|(skip, _)| {
        let kept = words.iter().enumerate().filter(|(at, _)| *at != skip);
        kept.map(|(_, word)| word.as_str()).collect::<Vec<_>>().join(" ")
    });
    without.collect()
}

/// Words, where `"..."` keeps spaces.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for c in line.chars() {
        quoted ^= c == '"';
        match words.last_mut() {
            Some(word) if c != ' ' || quoted => word.push(c),
            _ => words.push(String::new()),
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_matter_is_left_out() {
        let mut lines: Vec<String> = (0..40).map(|n| format!("line {n}")).collect();
        let fails = |lines: &[String]| {
            lines.iter().any(|l| l == "line 7") && lines.iter().any(|l| l == "line 31")
        };
        leave_out(&mut lines, fails);
        assert_eq!(lines, ["line 7", "line 31"]);
    }

    #[test]
    fn words_and_times_get_fewer() {
        assert_eq!(plainer("advance 8s"), ["advance 1s", "advance 4s"]);
        assert_eq!(plainer("advance 1s"), [""; 0]);
        let line = "service a steps=\"20 100\" replicas=3";
        assert_eq!(plainer(line), ["service a replicas=3", "service a steps=\"20 100\""]);
    }
}
