//! The data plane as an executable of its own, for benchmarks and experiments.
//!
//! `proxy --control PATH --table PATH [--keeper PATH] [--workers N] [--drain-seconds N]`

use serin_proxy::{Options, run};
use std::process::ExitCode;
use std::time::Duration;

fn main() -> ExitCode {
    let mut options = Options {
        control: "proxy/control.sock".into(),
        table: "proxy/table.json".into(),
        keeper: None,
        workers: 0,
        drain_deadline: Duration::from_secs(30),
    };
    let mut args = std::env::args().skip(1);
    while let (Some(key), Some(value)) = (args.next(), args.next()) {
        let number = || value.parse::<u32>().expect("a number");
        match key.as_str() {
            "--control" => options.control = value.into(),
            "--table" => options.table = value.into(),
            "--keeper" => options.keeper = Some(value.into()),
            "--workers" => options.workers = number() as usize,
            "--drain-seconds" => options.drain_deadline = Duration::from_secs(number().into()),
            _ => {
                eprintln!("unknown option {key}");
                return ExitCode::from(2);
            }
        }
    }
    match run(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
