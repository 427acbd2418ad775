//! The words of the command line.

mod back;
mod lifecycle;
mod ship;
mod token;

pub use back::{DrillArgs, GcArgs, RunbookArgs};
pub use lifecycle::{ApproveArgs, Mark, MarkArgs, NotifyArgs, NotifyVerb, ReleaseArgs, RetryArgs};
pub use ship::{
    AbortArgs, ActArgs, ApplyArgs, DeployArgs, Goal, PromoteArgs, RemoveArgs, RollbackArgs, Stay,
    WaitArgs, Why,
};

pub use token::TokenArgs;

use crate::analysis::AnalysisArgs;
use crate::demo::DemoArgs;
use crate::flag::FlagArgs;
use crate::flags_edge::FlagsEdgeArgs;
use crate::migrate::MigrateArgs;
use crate::printer::{ColorChoice, Settings};
use crate::stats::StatsArgs;
use clap::builder::{FalseyValueParser, Resettable};
use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// What `serin -h` prints.
pub const SHORT_HELP: &str = include_str!("cli/short_help.txt");

/// Ships new versions of a service without fear.
#[derive(Debug, Parser)]
#[command(
    name = "serin",
    version,
    disable_help_subcommand = true,
    arg_required_else_help = true,
    after_help = "Exit codes: `serin help exit-codes`. Every verb: `serin help VERB`."
)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub verb: Verb,
}

/// Flags of every command.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
#[allow(clippy::struct_excessive_bools)] // each is a flag of its own
pub struct Global {
    /// Where the server listens: `unix:/path/serin.sock` or `http://127.0.0.1:7171`
    #[arg(long, global = true, env = "SERIN_SERVER", value_name = "URL")]
    pub server: Option<String>,
    /// Data directory of the server on this machine
    #[arg(long, global = true, env = "SERIN_DATA", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Print documents with a schema instead of text; JSON lines where it takes time
    #[arg(long, global = true, env = "SERIN_JSON", value_parser = FalseyValueParser::new())]
    pub json: bool,
    /// Print only what was asked for, and errors
    #[arg(short, long, global = true, env = "SERIN_QUIET", value_parser = FalseyValueParser::new())]
    pub quiet: bool,
    /// Also print what goes on behind it
    #[arg(short, long, global = true, env = "SERIN_VERBOSE", value_parser = FalseyValueParser::new())]
    pub verbose: bool,
    /// Append lines instead of redrawing them, also on a terminal
    #[arg(long, global = true, env = "SERIN_NO_PROGRESS", value_parser = FalseyValueParser::new())]
    pub no_progress: bool,
    /// When to use colours
    #[arg(
        long,
        global = true,
        env = "SERIN_COLOR",
        value_enum,
        default_value_t,
        value_name = "WHEN"
    )]
    pub color: ColorChoice,
}

impl Global {
    /// What the printer needs to know.
    pub fn settings(&self) -> Settings {
        Settings {
            json: self.json,
            quiet: self.quiet,
            verbose: self.verbose,
            color: self.color,
            no_progress: self.no_progress,
        }
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Run Serin on this machine: load balancer, processes, judge
    Serve(ServeArgs),
    /// Watch a bad version being caught; needs nothing
    Demo(DemoArgs),
    /// Find all errors of a file, without a server
    Check(CheckArgs),
    /// Say what a deploy would do: steps, times, requests needed
    Plan(PlanArgs),
    /// The schedules that have a name, written out
    Presets(PresetsArgs),
    /// Make the services of a file so; a new revision starts a rollout
    Apply(ApplyArgs),
    /// Bring out another revision of a service, step by step
    Deploy(DeployArgs),
    /// Skip what the rollout waits for
    Promote(PromoteArgs),
    /// Hold the rollout; traffic stays as it is
    Pause(ActArgs),
    /// Go on after a pause
    Resume(ActArgs),
    /// Stop the rollout, all traffic to stable
    Abort(AbortArgs),
    /// Go back to an older revision
    Rollback(RollbackArgs),
    /// Try the last candidate again from its first step
    Retry(RetryArgs),
    /// Agree to what an approval step asks
    Approve(ApproveArgs),
    /// Take deploys again after a rollback
    Release(ReleaseArgs),
    /// Say that a revision is bad, or that it is not
    Mark(MarkArgs),
    /// Rehearse the way back on a copy of a service
    ///
    /// Starts a copy of the service beside it, with the revision that runs, at an address of its own;
    /// sends it some users; deploys a version of the copy that fails every request of theirs; and
    /// measures how it is found and taken back. The service itself is not touched. The copy has the
    /// same environment: what it reads and writes there, it reads and writes. A worker without users is
    /// ordered back instead. Exit code 0 when it passed, 1 when it did not.
    Drill(DrillArgs),
    /// What runs and serves nobody, what it costs, and let it go
    Gc(GcArgs),
    /// Write the page for the day a version is bad, from live facts
    Runbook(RunbookArgs),
    /// Stop a service and forget it
    Remove(RemoveArgs),
    /// Wait for a rollout, or for a place in it
    Wait(WaitArgs),
    /// What is running, and what it is waiting for
    Status(ServiceArg),
    /// Follow a rollout live; leaves when it is over
    Watch(ServiceArg),
    /// Why it is waiting, or why it ended
    Explain(ServiceArg),
    /// All rollouts of a service
    History(ServiceArg),
    /// The last lines of a service's instances
    Logs(LogsArgs),
    /// What a rollout was judged by
    Analysis(AnalysisArgs),
    /// The statistics by themselves: audit a decision, plan one
    Stats(StatsArgs),
    /// Feature flags: list, set, kill, explain, find what is stale
    #[command(visible_alias = "flags")]
    Flag(Box<FlagArgs>),
    /// Schema migrations of Postgres: lint, start, contract, roll back
    Migrate(Box<MigrateArgs>),
    /// Tokens of people who use this server over the network
    Token(TokenArgs),
    /// Whether messages reach those whom a service calls
    Notify(NotifyArgs),
    /// Serve flags from a copy, near the apps
    FlagsEdge(FlagsEdgeArgs),
    /// An annotated file with every key
    Docs,
    /// Help on a verb, or on `exit-codes`
    Help(HelpArgs),
    /// The version of this binary
    Version,
    /// A completion script for a shell
    Completions(CompletionsArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  serin serve --data-dir ./data &\n  serin apply -f serin.yaml")]
pub struct ServeArgs {
    /// Also offer the API on this TCP address, with a token (in DIR/token)
    #[arg(long, env = "SERIN_API_LISTEN", value_name = "ADDR")]
    pub api_listen: Option<SocketAddr>,
    /// Serve feature flags here; without it on 127.0.0.1:8016, as soon as there is one
    #[arg(long, env = "SERIN_FLAGS_LISTEN", value_name = "ADDR")]
    pub flags_listen: Option<SocketAddr>,
    /// Serve them on flagd's ports too: 8013, 8015 and 8016 of this machine
    #[arg(long, env = "SERIN_FLAGD_COMPAT", value_parser = FalseyValueParser::new())]
    pub flagd_compat: bool,
    /// End when the process with this number has ended
    #[arg(long, hide = true, value_name = "PID", value_parser = clap::value_parser!(i32).range(1..))]
    pub while_pid: Option<i32>,
}

#[derive(Debug, Args)]
pub struct CheckArgs {
    /// The file; `-` for standard input
    #[arg(default_value = "serin.yaml", conflicts_with = "named")]
    file: PathBuf,
    /// The same, as `serin apply` has it
    #[arg(short = 'f', long = "file", value_name = "FILE", id = "named")]
    named: Option<PathBuf>,
}

impl CheckArgs {
    /// The file that is meant.
    pub fn file(&self) -> &std::path::Path {
        self.named.as_deref().unwrap_or(&self.file)
    }
}

#[derive(Debug, Args)]
pub struct ServiceArg {
    /// The service; may be left out when there is only one
    pub service: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  serin presets amazon")]
pub struct PresetsArgs {
    /// One of them, as it would stand in a file
    pub name: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  serin plan -f serin.yaml --revision v2")]
pub struct PlanArgs {
    /// The service; may be left out when there is only one
    #[arg(conflicts_with = "file")]
    pub service: Option<String>,
    /// What an apply of this file would do; `-` for standard input
    #[arg(short, long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// The revision that would be deployed
    #[arg(short, long, value_name = "REV")]
    pub revision: Option<String>,
    /// Write out the steps, and the strategy that is advised
    #[arg(long)]
    pub full: bool,
}

#[derive(Debug, Args)]
pub struct LogsArgs {
    /// The service; may be left out when there is only one
    pub service: Option<String>,
    /// Only instances of this revision
    #[arg(short, long, value_name = "REV")]
    pub revision: Option<String>,
    /// Lines of each instance
    #[arg(short = 'n', long, default_value_t = 100, value_name = "N")]
    pub lines: u32,
}

#[derive(Debug, Args)]
pub struct HelpArgs {
    /// A verb with those under it, such as `migrate start`, or `exit-codes`
    pub topic: Vec<String>,
}

#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// Which shell
    pub shell: clap_complete::Shell,
}

/// `30m`, `90s`, `1h 30m`.
pub fn duration(text: &str) -> Result<Duration, String> {
    let span = text.parse::<jiff::SignedDuration>().map_err(|_| "write it as 90s, 30m or 1h")?;
    Duration::try_from(span).map_err(|_| "it must not be negative".into())
}

/// The whole grammar, with the short help where `--help` does not ask for the long one.
pub fn grammar(long: bool) -> clap::Command {
    let command = Cli::command();
    if long { command } else { command.override_help(SHORT_HELP) }
}

/// Reads the words of a command line.
pub fn parse(words: &[OsString]) -> Result<Cli, clap::Error> {
    let long = words.iter().any(|word| word == "--help");
    let matches = grammar(long).try_get_matches_from(words).map_err(|error| {
        // What the environment sets would stand in the usage line as if it were required.
        let plain = without_environment(grammar(long));
        plain.try_get_matches_from(words).err().unwrap_or(error)
    })?;
    Cli::from_arg_matches(&matches)
}

fn without_environment(command: clap::Command) -> clap::Command {
    command.mut_args(|arg| arg.env(Resettable::Reset)).mut_subcommands(without_environment)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Cli, clap::Error> {
        parse(&line.split(' ').map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn the_grammar_is_consistent() {
        grammar(true).debug_assert();
    }

    #[test]
    fn short_help_is_short_and_names_every_verb() {
        assert!(SHORT_HELP.lines().count() <= 25);
        assert!(SHORT_HELP.lines().all(|line| line.chars().count() <= 80));
        for verb in grammar(true).get_subcommands() {
            assert!(SHORT_HELP.contains(&format!(" {}", verb.get_name())), "{}", verb.get_name());
        }
    }

    #[test]
    fn the_page_on_commands_has_every_verb_and_code() {
        let page = include_str!("../../../docs/commands.md");
        for verb in grammar(true).get_subcommands() {
            assert!(page.contains(&format!("`{}`", verb.get_name())), "{}", verb.get_name());
        }
        for row in crate::exit::TABLE.lines().skip(1) {
            let code = row.split_whitespace().next().unwrap();
            assert!(page.contains(&format!("\n| {code} | ")), "{row}");
        }
    }

    #[test]
    fn global_flags_may_stand_anywhere() {
        assert!(read("serin --json status shop").unwrap().global.json);
        assert!(read("serin status shop --json").unwrap().global.json);
    }

    #[test]
    fn wrong_words_are_usage_errors() {
        for line in ["serin deploi", "serin deploy shop", "serin wait shop --for never"] {
            assert_eq!(read(line).unwrap_err().exit_code(), 2, "{line}");
        }
    }

    #[test]
    fn durations() {
        assert_eq!(duration("1h 30m"), Ok(Duration::from_secs(5400)));
        assert!(duration("30").is_err() && duration("-5s").is_err());
    }
}
