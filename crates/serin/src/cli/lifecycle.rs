//! The words of the verbs that set what may be deployed, and when.

use super::{Stay, Why};
use clap::{Args, Subcommand, ValueEnum};

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  serin retry shop --reason \"the database was away\"")]
pub struct RetryArgs {
    /// The service; may be left out when there is only one
    pub service: Option<String>,
    /// Even if evidence or health decided against it; it gets fresh evidence
    #[arg(long)]
    pub allow_bad: bool,
    #[command(flatten)]
    pub why: Why,
    #[command(flatten)]
    pub stay: Stay,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  serin approve shop --reason \"looks right in the preview\"")]
pub struct ApproveArgs {
    /// The service; may be left out when there is only one
    pub service: Option<String>,
    #[command(flatten)]
    pub why: Why,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  serin release shop --reason \"the fix is in v3\"")]
pub struct ReleaseArgs {
    /// The service; may be left out when there is only one
    pub service: Option<String>,
    #[command(flatten)]
    pub why: Why,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  serin mark shop v2 bad --reason \"loses carts\"")]
pub struct MarkArgs {
    /// The service
    pub service: String,
    /// The revision: a version, or `version@digest`
    pub revision: String,
    /// What it is from now on
    #[arg(value_enum)]
    pub standing: Mark,
    #[command(flatten)]
    pub why: Why,
}

/// What a person says of a revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Mark {
    /// Never a way back, and not deployed again unless said
    Bad,
    /// A way back again
    Good,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  serin notify test shop")]
pub struct NotifyArgs {
    #[command(subcommand)]
    pub verb: NotifyVerb,
}

#[derive(Debug, Subcommand)]
pub enum NotifyVerb {
    /// Send a test message to everybody under `notify`; exit code 1 when one does not arrive
    Test {
        /// The service; may be left out when there is only one
        service: Option<String>,
    },
}
