//! The words of `serin flag rollout`.

use super::SetArg;
use crate::cli::{Stay, Why, duration};
use clap::{Args, ValueEnum};
use serin_core::FlagEvidence;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, Args)]
#[command(after_help = "\
The release is a rollout named flag:SET:KEY: status, explain, pause, resume, promote, abort, history
and rollback take that name.

Examples:
  serin flag rollout new_checkout --service shop --steps 5,25,50,100 --until evidence
  serin flag rollout new_checkout --service shop -f release.yaml    # canary: { steps: [...] }
  serin flag rollout button --to green --service shop --goal 'POST /buy' --bake 1d --deadline 7d
  serin status flag:production:new_checkout
  serin abort flag:production:new_checkout --reason \"support is flooded\"")]
pub struct RolloutArgs {
    /// The flag
    pub key: String,
    /// The service whose users are judged; their requests carry the flag, if it has any
    #[arg(long, value_name = "NAME")]
    pub service: String,
    #[command(flatten)]
    pub set: SetArg,
    /// The variant; the first that is not the off variant unless said
    #[arg(long, value_name = "VARIANT")]
    pub to: Option<String>,
    /// Shares of users in percent, rising to 100
    #[arg(long, value_delimiter = ',', default_value = "5,25,50,100", value_name = "P,..")]
    pub steps: Vec<f64>,
    /// What ends a step
    #[arg(long, value_enum, default_value = "evidence", value_name = "WHAT")]
    pub until: Until,
    /// How long a step takes at least
    #[arg(long, value_parser = duration, default_value = "1m", value_name = "TIME")]
    pub bake: Duration,
    /// After this time without evidence a step waits for a person
    #[arg(long, value_parser = duration, default_value = "1h", value_name = "TIME")]
    pub deadline: Duration,
    /// Steps and analysis in the words of `strategy` in serin.yaml, in place of the above
    #[arg(short = 'f', long, value_name = "FILE", conflicts_with_all = ["steps", "until", "bake"])]
    pub file: Option<PathBuf>,
    /// What counts as success: a path, or METHOD and path; a `*` at its end stands for anything. The
    /// last step before 100 becomes an experiment: the better variant for this goal wins
    #[arg(long, value_parser = goal, value_name = "GOAL", conflicts_with = "file")]
    pub goal: Option<Goal>,
    /// What says how users fare: their requests through the data plane, or the outcomes that the
    /// app reports (POST /v1/flag-outcomes, or spans of OpenTelemetry). Traffic if the service has
    /// any, unless said
    #[arg(long, value_enum, value_name = "WHAT")]
    pub evidence: Option<Evidence>,
    /// Time in which a user counts once
    #[arg(long, value_parser = duration, default_value = "1m", value_name = "TIME")]
    pub window: Duration,
    /// Even if it was rolled back before with the same code behind it
    #[arg(long)]
    pub allow_bad: bool,
    /// Say what would be done, and do nothing
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub why: Why,
    #[command(flatten)]
    pub stay: Stay,
}

/// A request that counts as success when it is answered below 400.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Goal {
    /// Any when there is none.
    pub method: Option<String>,
    pub path: String,
    /// Whatever begins with the path.
    pub is_prefix: bool,
}

fn goal(text: &str) -> Result<Goal, String> {
    let (method, path) = match text.trim().split_once(' ') {
        Some((method, path)) => (Some(method.to_ascii_uppercase()), path.trim()),
        None => (None, text.trim()),
    };
    if !path.starts_with('/') || path.contains(['?', '#', ' ']) {
        return Err("a goal is a path or a method and a path, without a query: `POST /buy`".into());
    }
    let prefix = path.strip_suffix('*');
    let is_prefix = prefix.is_some();
    Ok(Goal { method, path: prefix.unwrap_or(path).to_owned(), is_prefix })
}

/// What says how users fare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Evidence {
    /// Their requests through the data plane
    Traffic,
    /// Outcomes that the app reports
    Reported,
}

impl From<Evidence> for FlagEvidence {
    fn from(evidence: Evidence) -> Self {
        match evidence {
            Evidence::Traffic => Self::Traffic,
            Evidence::Reported => Self::Reported,
        }
    }
}

/// What ends a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Until {
    /// Evidence that users are no worse off
    Evidence,
    /// Its time; harm still takes the flag back
    Time,
    /// A person: `serin promote`
    Person,
}
