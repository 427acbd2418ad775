//! Splits a line into words and reads the numbers in them.

use serin_core::{Millis, Weight};

/// The words of a line; `"..."` keeps spaces, `#` outside of it begins a comment.
pub(super) fn split(line: &str) -> Result<Vec<String>, String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '"' => quoted = !quoted,
            '#' if !quoted => break,
            c if c.is_whitespace() && !quoted => words.push(String::new()),
            c => words.last_mut().expect("never empty").push(c),
        }
    }
    words.retain(|word| !word.is_empty());
    if quoted { Err("a `\"` is not closed".into()) } else { Ok(words) }
}

/// A span such as `200ms`, `30s`, `5m` or `1h`.
pub(super) fn span(word: &str) -> Result<Millis, String> {
    let unit = word.trim_start_matches(|c: char| c.is_ascii_digit());
    let number = word[..word.len() - unit.len()].parse::<u64>().ok();
    let factor = match unit {
        "ms" => Some(1),
        "s" => Some(1000),
        "m" => Some(60_000),
        "h" => Some(3_600_000),
        _ => None,
    };
    let millis = number.zip(factor).and_then(|(n, factor)| n.checked_mul(factor));
    millis.map(Millis).ok_or_else(|| format!("`{word}` is not a time such as 200ms, 30s, 5m or 1h"))
}

/// Whole seconds, at most a day: a script is played second by second.
pub(super) fn seconds(word: &str) -> Result<u64, String> {
    match span(word)? {
        Millis(ms) if ms % 1000 == 0 && (1000..=86_400_000).contains(&ms) => Ok(ms / 1000),
        _ => Err(format!("`{word}` is not a time in whole seconds, from 1s to 24h")),
    }
}

/// A share such as `4%`, as 0 to 1.
pub(super) fn share(word: &str) -> Result<f64, String> {
    let percent = word.strip_suffix('%').and_then(|number| number.parse::<f64>().ok());
    let percent = percent.filter(|p| (0.0..=100.0).contains(p));
    percent.map(|p| p / 100.0).ok_or_else(|| format!("`{word}` is not a share from 0% to 100%"))
}

/// A weight in percent without the sign, such as `5` or `0.1`.
pub(super) fn weight(word: &str) -> Result<Weight, String> {
    let percent = word.parse::<f64>().ok().filter(|p| (0.001..=100.0).contains(p));
    let weight = percent.and_then(|p| Weight::try_from((p * 1000.0).round() as u64).ok());
    weight.ok_or_else(|| format!("`{word}` is not a weight from 0.001 to 100"))
}

/// A number in the range.
pub(super) fn number(word: &str, least: u64, most: u64) -> Result<u64, String> {
    let number = word.parse().ok().filter(|n| (least..=most).contains(n));
    number.ok_or_else(|| format!("`{word}` is not a number from {least} to {most}"))
}
