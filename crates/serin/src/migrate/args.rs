//! The words of `serin migrate`.

use super::compare::CompareArgs;
use crate::cli::duration;
use clap::{Args, Subcommand};
use std::path::PathBuf;
use std::time::Duration;

/// What `serin migrate` is asked.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub struct MigrateArgs {
    #[command(subcommand)]
    pub verb: MigrateVerb,
}

const HELP: &str = "\
A migration is a file in pgroll's format, or phased SQL; a directory of them is a history, in the
order of their names. Put the database's address in SERIN_DATABASE_URL: on a command line others can
read it. What it leaves out comes from PGHOST, PGUSER, PGPASSWORD and so on, and from ~/.pgpass, as
for psql. docs/migrations.md tells the rest.

Examples:
  serin migrate lint migrations/
  serin migrate start migrations/
  serin migrate contract --backup 'nightly of 3 May'";

/// The verbs about migrations.
#[derive(Debug, Subcommand)]
pub enum MigrateVerb {
    /// What would lock, rewrite or break; with a database, tried on a copy of its schema
    Lint(LintArgs),
    /// Every statement that would be run, with its lock and how long it takes
    Plan(PlanArgs),
    /// Take the next migration to where both shapes are in use
    Start(StartArgs),
    /// How far it is, and what it waits for
    #[command(after_help = "Example:\n  serin migrate status")]
    Status(Target),
    /// Stop filling rows after the batch under way
    #[command(after_help = "Example:\n  serin migrate pause")]
    Pause(Target),
    /// Go on after a pause, an error or a crash
    Resume(ResumeArgs),
    /// How much of the time rows are filled: `25%`, or `default`
    Rate(RateArgs),
    /// Drop the old shape, once nothing uses it
    Contract(ContractArgs),
    /// Go back to the old shape; what it cannot hold is kept aside
    #[command(after_help = "Who uses the new shape must be gone first: its views go.\n\n\
        Example:\n  serin migrate rollback")]
    Rollback(GoArgs),
    /// All migrations of the schema, with who and when
    #[command(after_help = "Example:\n  serin migrate history")]
    History(Target),
    /// Drop what earlier migrations only hid, once its time is over
    #[command(after_help = "Example:\n  serin migrate clean")]
    Clean(Target),
    /// Go on with a history that pgroll began
    #[command(after_help = "Example:\n  serin migrate adopt-pgroll")]
    AdoptPgroll(Target),
    /// The same migrations without what pgroll does not know
    Export(ExportArgs),
    /// Find the rows in which two tables of two databases differ
    Compare(Box<CompareArgs>),
}

/// Which database, and which schema of it.
#[derive(Debug, Clone, Args)]
pub struct Target {
    /// The database: postgres://user@host:5432/name [env: SERIN_DATABASE_URL,
    /// DATABASE_URL, PGHOST and PGDATABASE]
    #[arg(long, value_name = "URL")]
    pub database: Option<String>,
    /// The schema whose tables change
    #[arg(long, env = "SERIN_DATABASE_SCHEMA", default_value = "public", value_name = "NAME")]
    pub schema: String,
}

/// Which files.
#[derive(Debug, Clone, Args)]
pub struct Files {
    /// A migration, or a directory of them
    #[arg(default_value = "migrations", value_name = "PATH")]
    pub path: PathBuf,
}

/// How statements are tried.
#[derive(Debug, Clone, Args)]
pub struct Trying {
    /// Try the statements on the database itself, rolled back, waiting 50 ms at most
    #[arg(long, conflicts_with = "no_trace")]
    pub trace_live: bool,
    /// Only read the text and the catalogue; try nothing
    #[arg(long)]
    pub no_trace: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Exit code 6 when something blocks, 2 when a file is invalid.\n\n\
    Example:\n  serin migrate lint migrations/ --app-sql queries.sql")]
pub struct LintArgs {
    #[command(flatten)]
    pub files: Files,
    #[command(flatten)]
    pub target: Target,
    #[command(flatten)]
    pub trying: Trying,
    /// SQL that the app sends: does it work on views?
    #[arg(long, value_name = "FILE")]
    pub app_sql: Vec<PathBuf>,
    /// Warnings block, too
    #[arg(long)]
    pub strict: bool,
    /// Do not look at a database, also when the environment names one
    #[arg(long)]
    pub offline: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  serin migrate plan migrations/03_total.yaml")]
pub struct PlanArgs {
    #[command(flatten)]
    pub files: Files,
    #[command(flatten)]
    pub target: Target,
    #[command(flatten)]
    pub trying: Trying,
}

#[derive(Debug, Args)]
#[command(after_help = "It runs here, in the foreground. Interrupted or killed at any moment, it \
    can be gone on with\n(`resume`) or taken back (`rollback`).\n\n\
    Example:\n  serin migrate start migrations/")]
pub struct StartArgs {
    #[command(flatten)]
    pub files: Files,
    #[command(flatten)]
    pub target: Target,
    #[command(flatten)]
    pub trying: Trying,
    /// Start although something blocks it, for this reason, which is kept
    #[arg(long, value_name = "REASON")]
    pub r#override: Option<String>,
    #[command(flatten)]
    pub stay: Stay,
}

/// How long the command stays.
#[derive(Debug, Clone, Args)]
pub struct Stay {
    /// Stop after this time, such as 2h; it can be gone on with
    #[arg(long, value_parser = duration, value_name = "TIME")]
    pub timeout: Option<Duration>,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  serin migrate resume")]
pub struct ResumeArgs {
    #[command(flatten)]
    pub target: Target,
    /// Changes that somebody else made to the tables are accepted as they are
    #[arg(long)]
    pub accept_foreign: bool,
    #[command(flatten)]
    pub stay: Stay,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  serin migrate rate 25%")]
pub struct RateArgs {
    /// A share such as `25%`, or `default` for what the migration says
    #[arg(value_parser = rate, value_name = "SHARE")]
    pub share: Rate,
    #[command(flatten)]
    pub target: Target,
}

#[derive(Debug, Args)]
pub struct GoArgs {
    #[command(flatten)]
    pub target: Target,
    /// What speaks against it is set aside, for this reason, which is kept
    #[arg(long, value_name = "REASON")]
    pub r#override: Option<String>,
    /// The backup there is, or why none is needed
    #[arg(long, value_name = "TEXT")]
    pub backup: Option<String>,
    /// Clients of the version that goes: how their application_name begins, as in pg_stat_activity.
    /// Refused while one is connected
    #[arg(long = "app", value_name = "NAME")]
    pub applications: Vec<String>,
    /// Changes that somebody else made to the tables are accepted as they are
    #[arg(long)]
    pub accept_foreign: bool,
    #[command(flatten)]
    pub stay: Stay,
}

#[derive(Debug, Args)]
#[command(after_help = "Of a service the server does it, and knows what runs.\n\n\
    Example:\n  serin migrate contract shop --backup 'nightly of 3 May'")]
pub struct ContractArgs {
    /// The service whose migration it is; without it that of the database
    #[arg(conflicts_with = "applications")]
    pub service: Option<String>,
    #[command(flatten)]
    pub go: GoArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  serin migrate export --pgroll migrations/ --to pgroll/")]
pub struct ExportArgs {
    #[command(flatten)]
    pub files: Files,
    /// As files that pgroll takes
    #[arg(long, required = true)]
    pub pgroll: bool,
    /// Where to write them; a single one goes to stdout without it
    #[arg(long, value_name = "DIR")]
    pub to: Option<PathBuf>,
}

/// Share of the time the backfill works; `None` for what the migration says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate(pub Option<f64>);

fn rate(text: &str) -> Result<Rate, String> {
    if text == "default" {
        return Ok(Rate(None));
    }
    let number = text.strip_suffix('%').map_or(text, str::trim);
    let scale = if text.ends_with('%') { 100.0 } else { 1.0 };
    match number.parse::<f64>().map(|number| number / scale) {
        Ok(share) if (0.01..=1.0).contains(&share) => Ok(Rate(Some(share))),
        _ => Err("write a share from 1% to 100%, or `default`".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_read() {
        assert_eq!(rate("25%"), Ok(Rate(Some(0.25))));
        assert_eq!(rate("0.5"), Ok(Rate(Some(0.5))));
        assert_eq!(rate("default"), Ok(Rate(None)));
        for wrong in ["0", "0%", "101%", "fast", "NaN", ""] {
            assert!(rate(wrong).is_err(), "{wrong}");
        }
    }
}
