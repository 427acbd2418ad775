//! The users that `serin demo --keep` leaves behind, so that there is evidence for what is
//! deployed next. They go away when there is nothing left to visit.

use super::{CONNECTIONS, Load, Visitors};
use std::{
    env,
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

/// Environment of the process: address, requests a second, seed.
pub(in crate::demo) const TARGET: &str = "DEMO_LOAD_TARGET";
pub(in crate::demo) const RATE: &str = "DEMO_LOAD_RATE";
pub(in crate::demo) const SEED: &str = "DEMO_LOAD_SEED";

/// Without an answer for this long, there is nothing left to visit.
const LONELY: Duration = Duration::from_secs(10);

/// Sends requests to `target` for as long as somebody answers there.
pub(in crate::demo) fn stay(target: &str) -> ExitCode {
    let read = |name| env::var(name).ok();
    let visitors = target.parse().ok().and_then(|target| {
        let rate = read(RATE)?.parse().ok().filter(|rate| *rate > 0.0)?;
        let seed = read(SEED)?.parse().ok()?;
        Some(Visitors { target, rate, seed, connections: CONNECTIONS })
    });
    match visitors.map(Load::start) {
        Some(Ok(load)) => visit(&load),
        _ => ExitCode::FAILURE,
    }
}

fn visit(load: &Load) -> ExitCode {
    let (mut answered, mut answered_at) = (0, Instant::now());
    while answered_at.elapsed() < LONELY {
        thread::sleep(Duration::from_secs(1));
        let tally = load.tally();
        let now = tally.done() - tally.dropped();
        if now > answered {
            (answered, answered_at) = (now, Instant::now());
        }
    }
    ExitCode::SUCCESS
}
