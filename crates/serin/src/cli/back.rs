//! The words of the verbs about the way back.

use super::{Why, duration};
use clap::Args;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  serin runbook shop -o ROLLBACK.md --contacts docs/contacts.md")]
pub struct RunbookArgs {
    /// The service; may be left out when there is only one
    pub service: Option<String>,
    /// Write it to this file instead of printing it
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Markdown that names whom to call, put in as it is
    #[arg(long, env = "SERIN_CONTACTS", value_name = "FILE")]
    pub contacts: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  serin drill shop --target 5s")]
pub struct DrillArgs {
    /// The service; may be left out when there is only one
    pub service: Option<String>,
    /// How long the way back may take
    #[arg(long, value_parser = duration, default_value = "10s", value_name = "TIME")]
    pub target: Duration,
    /// Give up after this time, with exit code 5
    #[arg(long, value_parser = duration, default_value = "5m", value_name = "TIME")]
    pub timeout: Duration,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  serin gc --dry-run")]
pub struct GcArgs {
    /// Only of this service
    pub service: Option<String>,
    /// Only show what is kept, since when, until when, and what it costs
    #[arg(long, conflicts_with = "now")]
    pub dry_run: bool,
    /// Let go of it before its time: kept old revisions and failed candidates
    #[arg(long)]
    pub now: bool,
    #[command(flatten)]
    pub why: Why,
}
