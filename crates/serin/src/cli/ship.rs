//! The words of the verbs that change something.

use super::duration;
use clap::Args;
use clap::builder::FalseyValueParser;
use serin_core::Skips;
use std::path::PathBuf;
use std::time::Duration;

/// How long to stay.
#[derive(Debug, Clone, Copy, Args)]
pub struct Stay {
    /// Do not wait for the end of the rollout
    #[arg(long)]
    pub detach: bool,
    /// Stop waiting after this time, with exit code 5; the rollout goes on
    #[arg(long, value_parser = duration, default_value = "30m", value_name = "TIME")]
    pub timeout: Duration,
}

/// Why something is asked for.
#[derive(Debug, Clone, Args)]
pub struct Why {
    /// Why, for the record
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
}

/// What of its steps a deploy leaves out.
#[derive(Debug, Clone, Copy, Args)]
pub struct Skip {
    /// Leave out the tests of the steps; health and evidence are watched all the same
    #[arg(long, requires = "reason")]
    pub skip_tests: bool,
    /// A repair in a hurry: no waiting, instances are replaced as fast as they get ready. Health and
    /// evidence still take it back; approvals and the schema stay
    #[arg(long, requires = "reason", conflicts_with = "skip_tests")]
    pub hotfix: bool,
}

impl Skip {
    /// As the server takes it.
    pub fn skips(self) -> Skips {
        match (self.hotfix, self.skip_tests) {
            (true, _) => Skips::Waits,
            (false, true) => Skips::Tests,
            (false, false) => Skips::Nothing,
        }
    }
}

#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  serin apply -f serin.yaml --revision \"$(git rev-parse --short HEAD)\""
)]
pub struct ApplyArgs {
    /// The file; `-` for standard input
    #[arg(short, long, value_name = "FILE")]
    pub file: PathBuf,
    /// Revision to use instead of the file's, when the file has one service
    #[arg(short, long, value_name = "REV")]
    pub revision: Option<String>,
    /// Deploy even a revision that was rolled back before
    #[arg(long)]
    pub allow_bad: bool,
    /// Do not wait for the next release train
    #[arg(long, requires = "reason")]
    pub now: bool,
    #[command(flatten)]
    pub skip: Skip,
    /// Check everything, change nothing
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub why: Why,
    #[command(flatten)]
    pub stay: Stay,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  serin deploy shop --revision v2 || echo \"v2 is bad\"")]
pub struct DeployArgs {
    /// The service; may be left out when there is only one
    pub service: Option<String>,
    /// The revision to bring out
    #[arg(short, long, value_name = "REV")]
    pub revision: String,
    /// Deploy even a revision that was rolled back before
    #[arg(long)]
    pub allow_bad: bool,
    /// Do not wait for the next release train
    #[arg(long, requires = "reason")]
    pub now: bool,
    #[command(flatten)]
    pub skip: Skip,
    /// Check everything, change nothing
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub why: Why,
    #[command(flatten)]
    pub stay: Stay,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  serin promote shop --full --reason \"fixes the outage\"")]
pub struct PromoteArgs {
    /// The service; may be left out when there is only one
    pub service: Option<String>,
    /// Skip all steps that are left
    #[arg(long)]
    pub full: bool,
    /// List what would be skipped, change nothing
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub why: Why,
}

#[derive(Debug, Args)]
pub struct ActArgs {
    /// The service; may be left out when there is only one
    pub service: Option<String>,
    #[command(flatten)]
    pub why: Why,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  serin abort shop --reason \"wrong build\"")]
pub struct AbortArgs {
    /// The service; may be left out when there is only one
    pub service: Option<String>,
    #[command(flatten)]
    pub why: Why,
    #[command(flatten)]
    pub stay: Stay,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  serin rollback shop --reason \"errors since 14:03\"")]
pub struct RollbackArgs {
    /// The service; may be left out when there is only one
    pub service: Option<String>,
    /// Where to; the last good revision unless said
    #[arg(long, value_name = "REV")]
    pub to: Option<String>,
    #[command(flatten)]
    pub why: Why,
    #[command(flatten)]
    pub stay: Stay,
}

#[derive(Debug, Args)]
pub struct RemoveArgs {
    /// The service
    pub service: String,
    /// Do not ask
    #[arg(long, short = 'y', env = "SERIN_YES", value_parser = FalseyValueParser::new())]
    pub yes: bool,
    #[command(flatten)]
    pub why: Why,
    #[command(flatten)]
    pub stay: Stay,
}

#[derive(Debug, Args)]
pub struct WaitArgs {
    /// The service; may be left out when there is only one
    pub service: Option<String>,
    /// What to wait for: `promoted`, `paused` or `step=N`
    #[arg(long = "for", value_parser = goal, default_value = "promoted", value_name = "WHAT")]
    pub goal: Goal,
    /// Stop waiting after this time, with exit code 5; the rollout goes on
    #[arg(long, value_parser = duration, default_value = "30m", value_name = "TIME")]
    pub timeout: Duration,
}

/// The place in a rollout that is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// Its end, wanted as a promotion.
    Promoted,
    /// Its end, wanted as a return to stable.
    Stopped,
    /// Held by a person, for one, or for lack of evidence.
    Paused,
    /// At this step, from 1, or beyond.
    Step(usize),
}

fn goal(text: &str) -> Result<Goal, String> {
    let step = text.strip_prefix("step=").and_then(|n| n.parse().ok()).filter(|n| *n > 0);
    match (text, step) {
        ("promoted", _) => Ok(Goal::Promoted),
        ("paused", _) => Ok(Goal::Paused),
        (_, Some(step)) => Ok(Goal::Step(step)),
        _ => Err("allowed are `promoted`, `paused` and `step=N` with N from 1".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goals() {
        assert_eq!(goal("step=2"), Ok(Goal::Step(2)));
        assert!(goal("step=0").is_err());
    }
}
