//! `bench flips`: the weight is flipped 100 times a second under 64 connections. No request may
//! fail, and each flip must be acknowledged.

use super::{
    data_plane::{Control, DataPlane, WEIGHT_TOTAL},
    machine,
    options::Options,
    report,
    servers::{self, LOAD_CORE, Upstream},
    wrk::{self, Seen},
};
use crate::failure::{Failure, Result};
use serde_json::json;
use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

const CONNECTIONS: u32 = 64;
const FLIPS_PER_SECOND: u32 = 100;

/// What a run of flips came to.
#[derive(Debug)]
pub struct Outcome {
    /// What the load saw.
    pub seen: Seen,
    /// How long each flip took to be acknowledged.
    pub acknowledged: Vec<Duration>,
    /// Requests the data plane itself says it dropped.
    pub dropped: u64,
}

/// Measures for ten seconds, or as long as asked, and reports.
pub fn run(options: &Options) -> Result<()> {
    super::prepare(options)?;
    let machine = machine::describe();
    let seconds = options.seconds.max(10);
    let outcome = flip(options, seconds)?;
    let micros: Vec<f64> =
        outcome.acknowledged.iter().map(|time| time.as_secs_f64() * 1e6).collect();
    let (middle, slowest) = (report::median(&micros), micros.iter().copied().fold(0.0, f64::max));
    println!(
        "{} requests in {seconds} s, {} flips acknowledged (median {middle:.0} µs, slowest \
         {slowest:.0} µs), {} errors seen by users, {} dropped by the data plane",
        outcome.seen.requests,
        micros.len(),
        outcome.seen.errors,
        outcome.dropped,
    );
    report::save(
        "flips",
        &json!({
            "schema": "serin.bench.flips/v1", "machine": machine, "seconds": seconds,
            "connections": CONNECTIONS, "requests": outcome.seen.requests,
            "flips": micros.len(), "flip_us_median": middle, "flip_us_max": slowest,
            "errors": outcome.seen.errors, "dropped": outcome.dropped,
        }),
    )?;
    outcome.verdict()
}

impl Outcome {
    /// A failure if anybody noticed the flips.
    pub fn verdict(&self) -> Result<()> {
        match self.seen.errors + self.dropped {
            0 => Ok(()),
            lost => Err(Failure::new(format!("{lost} requests failed while weights moved"))),
        }
    }
}

/// Loads a fresh data plane while its weights are flipped.
pub fn flip(options: &Options, seconds: u32) -> Result<Outcome> {
    let program = super::data_plane_program(options)?;
    let folder = servers::scratch("flips")?;
    let upstream = Upstream::start(&folder)?;
    let data_plane = DataPlane::start(&program, &folder, &upstream)?;
    data_plane.split()?;
    let mut control = data_plane.control()?;
    let stop = AtomicBool::new(false);
    let (seen, acknowledged) = thread::scope(|scope| {
        let flipping = scope.spawn(|| flip_until(&stop, &data_plane, &mut control));
        let url = format!("http://{}/", data_plane.address);
        let seen = wrk::run(&url, LOAD_CORE, CONNECTIONS, seconds);
        stop.store(true, Ordering::Relaxed);
        let flips = flipping.join().map_err(|_| Failure::new("the flipping thread panicked"));
        Ok((seen?, flips??))
    })?;
    let dropped = data_plane.control()?.dropped()?;
    Ok(Outcome { seen, acknowledged, dropped })
}

/// Flips all traffic from one version to the other and back, on a fixed beat.
fn flip_until(
    stop: &AtomicBool,
    data_plane: &DataPlane,
    control: &mut Control,
) -> Result<Vec<Duration>> {
    let beat = Duration::from_secs(1) / FLIPS_PER_SECOND;
    let mut times = Vec::new();
    let mut next = Instant::now();
    for n in 2.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let weight = if n % 2 == 0 { WEIGHT_TOTAL } else { 0 };
        let asked = Instant::now();
        control.apply(&data_plane.route(n, weight))?;
        times.push(asked.elapsed());
        next += beat;
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    Ok(times)
}
