//! The words of the verbs that explain, carry and plan.

use super::SetArg;
use crate::cli::{Why, duration};
use clap::Args;
use serin_flags::Timestamp;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  serin flag explain new_checkout --user u1 --context '{\"plan\":\"pro\"}'"
)]
pub struct ExplainArgs {
    /// The flag
    pub key: String,
    #[command(flatten)]
    pub set: SetArg,
    /// The user: the targeting key
    #[arg(long, value_name = "USER")]
    pub user: Option<String>,
    /// What else is known of the user, as JSON
    #[arg(long, value_name = "JSON")]
    pub context: Option<String>,
}

#[derive(Debug, Args)]
pub struct TestArgs {
    /// The flag
    pub key: String,
    #[command(flatten)]
    pub set: SetArg,
    /// As a matrix for a pipeline: the variable and all its values
    #[arg(long)]
    pub matrix: bool,
}

#[derive(Debug, Args)]
pub struct ExportArgs {
    #[command(flatten)]
    pub set: SetArg,
    /// `serin`, `flagd` or `unleash`
    #[arg(long, value_parser = ["serin", "flagd", "unleash"], default_value = "serin", value_name = "FORMAT")]
    pub format: String,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Flags that are there already stay as they are.\n\nExample:\n  serin flag import unleash.json --format unleash --dry-run"
)]
pub struct ImportArgs {
    /// The file; `-` for standard input
    pub file: PathBuf,
    #[command(flatten)]
    pub set: SetArg,
    /// Where it comes from
    #[arg(long, value_parser = ["serin", "flagd", "unleash", "launchdarkly", "growthbook", "mission"], value_name = "FORMAT")]
    pub format: String,
    /// The environment in the file; the same as the set unless said
    #[arg(long, value_name = "NAME")]
    pub from: Option<String>,
    /// Say what would be done, change nothing
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub why: Why,
}

#[derive(Debug, Args)]
#[command(after_help = "\
What is late, because nobody was there, is done as soon as somebody is. A flag that was killed
meanwhile stays killed: what was to come is dropped. What a cause has changed stays so until a person
takes it back; it acts again only after it was calm, at half its bound, for its whole time.

Examples:
  serin flag schedule new_checkout --on --at 2027-01-31T09:00:00Z
  serin flag schedule maintenance_mode --on --when-rolled-back shop
  serin flag schedule expensive_queries --off --when-errors shop=5% --for 2m
  serin flag schedule read_only_mode --on --when-burn shop=14.4 --objective 99.9 --for 5m
  serin flag schedule new_checkout --ramp 1,5,25,50,100 --every 24h")]
pub struct ScheduleArgs {
    /// The flag
    pub key: String,
    #[command(flatten)]
    pub set: SetArg,
    /// When; a ramp begins now unless said
    #[arg(long, value_name = "TIME")]
    pub at: Option<Timestamp>,
    /// Its rules decide again
    #[arg(long, group = "what")]
    pub on: bool,
    /// Everybody gets the off variant
    #[arg(long, group = "what")]
    pub off: bool,
    /// So many percent of users
    #[arg(long, group = "what", value_name = "P")]
    pub percent: Option<f64>,
    /// Percentages one after the other
    #[arg(long, group = "what", value_delimiter = ',', value_name = "P,..")]
    pub ramp: Option<Vec<f64>>,
    /// Time between two percentages of a ramp; a day unless said
    #[arg(long, value_parser = duration, requires = "ramp", value_name = "TIME")]
    pub every: Option<Duration>,
    /// Instead of a time: whenever a rollout of this service is taken back
    #[arg(long, group = "when", value_name = "SERVICE", conflicts_with_all = ["at", "ramp"])]
    pub when_rolled_back: Option<String>,
    /// Instead of a time: when more than this share of a service's requests fail
    #[arg(long, group = "when", value_name = "SERVICE=P", conflicts_with_all = ["at", "ramp"])]
    pub when_errors: Option<String>,
    /// Instead of a time: when a service burns its error budget so many times as fast as it may
    #[arg(long, group = "when", value_name = "SERVICE=N", conflicts_with_all = ["at", "ramp"])]
    pub when_burn: Option<String>,
    /// Instead of a time: when this breaker opens (`POST /api/v1/breakers/NAME:open`)
    #[arg(long, group = "when", value_name = "NAME", conflicts_with_all = ["at", "ramp"])]
    pub when_breaker: Option<String>,
    /// How long it must last; a minute unless said
    #[arg(long = "for", value_parser = duration, value_name = "TIME")]
    pub lasting: Option<Duration>,
    /// Requests in that time without which it says nothing; 50 unless said
    #[arg(long, value_name = "N")]
    pub least: Option<u64>,
    /// Percent of requests that must work, for the error budget; 99.9 unless said
    #[arg(long, requires = "when_burn", value_name = "P")]
    pub objective: Option<f64>,
    /// Take all changes to come away
    #[arg(long, conflicts_with = "what")]
    pub clear: bool,
    #[command(flatten)]
    pub why: Why,
}

#[derive(Debug, Args)]
#[command(
    after_help = "With the first token, clients without one are refused.\n\nExample:\n  serin flag token --create web --only production --frontend"
)]
pub struct TokenArgs {
    /// Make one; it is printed this once
    #[arg(long, value_name = "NAME", conflicts_with = "revoke")]
    pub create: Option<String>,
    /// Take one away
    #[arg(long, value_name = "NAME")]
    pub revoke: Option<String>,
    /// Only for this set
    #[arg(long, value_name = "SET")]
    pub only: Option<String>,
    /// For web pages and apps: values for one user only, never whole rules
    #[arg(long)]
    pub frontend: bool,
    #[command(flatten)]
    pub why: Why,
}
