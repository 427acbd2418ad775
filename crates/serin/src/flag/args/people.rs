//! The words of the verbs about changes that others must agree to, and about flags on their way out.

use super::SetArg;
use crate::cli::{Why, duration};
use clap::Args;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, Args)]
pub struct PendingArgs {
    /// The flag; all of the set unless said
    pub key: Option<String>,
    #[command(flatten)]
    pub set: SetArg,
    /// Also those that were answered
    #[arg(long)]
    pub all: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
The last one that is needed makes the change, exactly as it was asked for. A flag that was changed
meanwhile has to be asked for again. `serin flag pending` has the numbers.

Example:
  serin flag approve 7 --reason \"seen on staging\"")]
pub struct ApproveArgs {
    /// The request
    pub request: u64,
    #[command(flatten)]
    pub why: Why,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  serin flag reject 7 --reason \"not before the sale\"")]
pub struct RejectArgs {
    /// The request
    pub request: u64,
    #[command(flatten)]
    pub why: Why,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Without a word for what to do it shows where the flag is, what comes next and why that waits. A stage
is over when everybody gets what stays, nobody has got anything else while it was watched, and, for
the code, no file mentions the flag and no client asks for it. Nothing goes on by itself.

Examples:
  serin flag retire new_checkout --start --background checkout_worker
  serin flag retire new_checkout
  serin flag retire new_checkout --next --code .
  serin flag retire new_checkout --start --keep on --no-background    # the feature stays")]
#[allow(clippy::struct_excessive_bools)] // each is a flag of its own
pub struct RetireArgs {
    /// The flag
    pub key: String,
    #[command(flatten)]
    pub set: SetArg,
    /// Begin: users get what stays, at once
    #[arg(long, group = "step")]
    pub start: bool,
    /// Go on to the next stage
    #[arg(long, group = "step")]
    pub next: bool,
    /// Leave the flag as it is
    #[arg(long, group = "step")]
    pub cancel: bool,
    /// The variant whose code stays; the off variant unless said
    #[arg(long, requires = "start", value_name = "VARIANT")]
    pub keep: Option<String>,
    /// Flags that drive its work in the background; they are switched off after it
    #[arg(long, requires = "start", value_delimiter = ',', value_name = "KEY,..")]
    pub background: Option<Vec<String>>,
    /// Nothing of it works in the background
    #[arg(long, requires = "start", conflicts_with = "background")]
    pub no_background: bool,
    /// How long each stage is watched; a day unless said
    #[arg(long, requires = "start", value_parser = duration, value_name = "TIME")]
    pub watch: Option<Duration>,
    /// A directory of a checkout: counts what it mentions
    #[arg(long, value_name = "PATH")]
    pub code: Option<PathBuf>,
    #[command(flatten)]
    pub why: Why,
}
