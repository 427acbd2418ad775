//! `serin-sim [--seeds N] [--first SEED] [--seed SEED]`: runs seeds and says what broke.
#![allow(clippy::print_stdout)]

use serin_sim::{Report, run};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |name: &str| {
        let at = args.iter().position(|a| a == name)?;
        args.get(at + 1)?.parse::<u64>().ok()
    };
    let (first, count) = match number("--seed") {
        Some(seed) => (seed, 1),
        None => (number("--first").unwrap_or(0), number("--seeds").unwrap_or(500)),
    };
    let total = run_all(first, count);
    summary(&total, count)
}

/// Spreads the seeds over the processors; the sum does not depend on how.
fn run_all(first: u64, count: u64) -> Report {
    let next = AtomicU64::new(first);
    let total = Mutex::new(Report::default());
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + count {
                        return;
                    }
                    let report = run(seed);
                    if let Ok(mut total) = total.lock() {
                        total.add(report);
                    }
                }
            });
        }
    });
    total.into_inner().unwrap_or_default()
}

fn summary(total: &Report, count: u64) -> ExitCode {
    for violation in total.violations.iter().take(20) {
        println!("seed {} turn {}: {}", violation.seed, violation.turn, violation.what);
    }
    println!(
        "{count} seeds, {} events, {} crashes, rollouts {:?}, false rollbacks {} of {}, {} rules broken",
        total.events,
        total.crashes,
        total.outcomes,
        total.false_rollbacks,
        total.good_trials,
        total.violations.len()
    );
    if total.violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
