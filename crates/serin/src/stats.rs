//! `serin stats`: the statistics by themselves, without a server.

mod counts;
mod judge;
mod judging;
mod line;
mod named;
mod report;
mod run;
mod settings;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::power::{self, PowerArgs};
use crate::printer::Printer;
use clap::{Args, Subcommand};

/// What `serin stats` is asked.
#[derive(Debug, Args)]
pub struct StatsArgs {
    #[command(subcommand)]
    pub verb: StatsVerb,
}

/// The parts of it.
#[derive(Debug, Subcommand)]
pub enum StatsVerb {
    /// Judge recorded counts: an audit of any decision
    Judge(Box<settings::JudgeArgs>),
    /// Requests and time a decision needs, before any is spent
    Power(PowerArgs),
}

/// `serin stats`.
pub fn stats(printer: &Printer, args: &StatsArgs) -> Result<Exit, Failure> {
    match &args.verb {
        StatsVerb::Judge(args) => judge::judge(printer, args),
        StatsVerb::Power(args) => power::power(printer, args),
    }
}
