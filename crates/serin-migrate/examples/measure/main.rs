//! What a migration costs, on a Postgres of its own: `measure PART [ROWS] [WAY]` prints figures as
//! JSON at the end, and each on standard error as soon as it is known.
//!
//! Parts: `backfill` (under client load, beside the SQL that pgroll emits), `gentle` (what clients
//! notice of one that gives way), `trigger` (what a written row costs), `locks` (what clients wait for a change behind a long reader), `swap` (the
//! contract's one transaction), `resume` (what a killed connection costs), `progress` (whether the
//! percentage told is right).

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "figures")]

mod backfill;
mod clients;
mod gentle;
mod lab;
mod locks;
mod peer;
mod progress;
mod resume;
mod service;
mod swap;
mod written;

use std::error::Error;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let part = words.first().map(String::as_str).unwrap_or_default();
    let rows = words.get(1).map(|rows| rows.parse()).transpose()?;
    let figures = match part {
        "backfill" => {
            let way = words.get(2).map_or("", String::as_str);
            backfill::run(rows.unwrap_or(1_000_000), way)
        }
        "gentle" => gentle::run(rows.unwrap_or(1_000_000)),
        "trigger" => written::run(rows.unwrap_or(100_000)),
        "locks" => locks::run(),
        "swap" => swap::run(rows.unwrap_or(500_000)),
        "resume" => resume::run(rows.unwrap_or(200_000)),
        "progress" => progress::run(rows.unwrap_or(10_000_000)),
        _ => Err("which part? backfill, gentle, trigger, locks, swap, resume or progress".into()),
    }?;
    println!("{figures}");
    Ok(())
}

/// A figure that is known now; all together come at the end.
fn known(figure: &str) {
    eprintln!("  {figure}");
}
