//! A threshold check in short: `errors<5%`, `service.errors<2%`, `p99<200ms`, with terms behind
//! commas: `every=10s`, `in=30s`, `count=3`, `total=2`, `row=3`, `least=50`, `warmup=20s`,
//! `ceiling` (an anytime test at 1 % instead of points).

use super::words;
use serin_stats::threshold::{Ceiling, Check, Failures, Population, Range, Signal};

pub(super) fn check(text: &str) -> Result<Check, String> {
    let mut terms = text.split(',');
    let head = terms.next().unwrap_or_default();
    let (what, limit) =
        head.split_once('<').ok_or_else(|| format!("`{head}` is not WHAT<LIMIT"))?;
    let mut check = Check { population: population(what), ..Check::of(what, signal(what)?) };
    let most = match check.signal {
        Signal::Latency { .. } => words::span(limit)?.0 as f64,
        _ => words::share(limit)?,
    };
    check.success = Some(Range::at_most(most));
    terms.try_for_each(|word| term(&mut check, word, most))?;
    Ok(check)
}

fn population(what: &str) -> Population {
    if what.starts_with("service.") { Population::Service } else { Population::Canary }
}

fn signal(what: &str) -> Result<Signal, String> {
    match what.trim_start_matches("service.") {
        "errors" => Ok(Signal::ErrorRate),
        "p99" => Ok(Signal::Latency { quantile: 0.99 }),
        other => Err(format!("`{other}` is not a signal; allowed: errors, p99")),
    }
}

fn term(check: &mut Check, word: &str, most: f64) -> Result<(), String> {
    let small = |word: &str| words::number(word, 1, 1_000_000);
    match word.split_once('=') {
        None if word == "ceiling" => {
            check.success = None;
            check.ceiling = Some(Ceiling { p_max: most, alpha: 0.01 });
        }
        Some(("every", time)) => check.interval_ms = words::span(time)?.0,
        Some(("in", time)) => check.window_ms = words::span(time)?.0,
        Some(("warmup", time)) => check.initial_delay_ms = words::span(time)?.0,
        Some(("count", n)) => check.count = Some(small(n)? as u32),
        Some(("total", n)) => check.failures = Failures::Total(small(n)? as u32),
        Some(("row", n)) => check.failures = Failures::Consecutive(small(n)? as u32),
        Some(("least", n)) => check.min_samples = small(n)?,
        _ => return Err(format!("`{word}` is not a term of a check")),
    }
    Ok(())
}
