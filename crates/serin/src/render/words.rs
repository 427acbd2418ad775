//! Numbers and times as people read them.

use jiff::tz::TimeZone;
use serin_core::{Millis, Timestamp, Weight};

/// `1,204`.
pub fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A share from 0 to 1 as `0.31 %`.
pub fn percent(share: f64) -> String {
    let percent = share * 100.0;
    let digits = match percent {
        p if p >= 99.95 || p == 0.0 => 0,
        p if p >= 10.0 => 1,
        _ => 2,
    };
    format!("{percent:.digits$} %")
}

/// A share that may be unknown.
pub fn percent_or(share: Option<f64>, glyph: &str) -> String {
    share.map_or_else(|| glyph.to_owned(), percent)
}

/// Milliseconds, which may be unknown.
pub fn millis_or(ms: Option<f64>, glyph: &str) -> String {
    match ms {
        None => glyph.to_owned(),
        Some(ms) if ms < 10.0 => format!("{ms:.1} ms"),
        Some(ms) if ms < 10_000.0 => format!("{ms:.0} ms"),
        Some(ms) => format!("{:.1} s", ms / 1000.0),
    }
}

/// `12 MB`, in units of 1024.
pub fn bytes(n: u64) -> String {
    let units = ["B", "KB", "MB", "GB", "TB"];
    let mut value = n as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    let digits = usize::from(unit > 0 && value < 10.0);
    format!("{value:.digits$} {}", units[unit])
}

/// A span rounded to what matters: `41 s`, `2 min 3 s`.
pub fn span(time: Millis) -> String {
    if time.0 < 1000 { time.to_string() } else { Millis(time.0 / 1000 * 1000).to_string() }
}

/// `2 min 3 s ago`.
pub fn ago(at: Timestamp, now: Timestamp) -> String {
    let time = now.since(at);
    if time.0 < 1000 { "just now".into() } else { format!("{} ago", span(time)) }
}

/// Local time of day: `14:03:22`.
pub fn clock(at: Timestamp) -> String {
    local(at, "%H:%M:%S")
}

/// Local date and time: `2026-11-20 14:03`.
pub fn moment(at: Timestamp) -> String {
    local(at, "%Y-%m-%d %H:%M")
}

fn local(at: Timestamp, format: &str) -> String {
    let zoned = jiff::Timestamp::from_millisecond(at.0).map(|t| t.to_zoned(TimeZone::system()));
    zoned.map_or_else(|_| format!("{} ms", at.0), |t| t.strftime(format).to_string())
}

/// A weight as a share from 0 to 1.
pub fn share(weight: Weight) -> f64 {
    f64::from(weight.parts()) / 100_000.0
}

/// `1 instance`, `2 instances`.
pub fn count(n: u64, thing: &str) -> String {
    let plural = if n == 1 { "" } else { "s" };
    format!("{} {thing}{plural}", thousands(n))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        assert_eq!(thousands(1_234_567), "1,234,567");
        assert_eq!(
            [0.0, 0.0031, 0.197, 0.9999, 1.0].map(percent),
            ["0 %", "0.31 %", "19.7 %", "100 %", "100 %"]
        );
        assert_eq!([512, 2048, 50 << 20].map(bytes), ["512 B", "2.0 KB", "50 MB"]);
        assert_eq!(millis_or(Some(9.96), "-"), "10.0 ms");
        assert_eq!(span(Millis(123_456)), "2 min 3 s");
        assert_eq!(count(1, "step"), "1 step");
    }
}
