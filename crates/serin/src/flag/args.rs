//! The words of `serin flag`.

mod carry;
mod change;
mod offline;
mod people;
mod rollout;

pub use carry::{ExplainArgs, ExportArgs, ImportArgs, ScheduleArgs, TestArgs, TokenArgs};
pub use change::{
    ArchiveArgs, DemandArgs, FlagKind, KillArgs, RestoreArgs, SetArgs, SetsArgs, VerbArgs,
};
pub use offline::{EvalArgs, Hash, ScanArgs};
pub use people::{ApproveArgs, PendingArgs, RejectArgs, RetireArgs};
pub use rollout::{Goal, RolloutArgs, Until};

use clap::{Args, Subcommand};
use std::path::PathBuf;

/// What `serin flag` is asked.
#[derive(Debug, Args)]
pub struct FlagArgs {
    #[command(subcommand)]
    pub verb: FlagVerb,
}

/// The verbs about flags.
#[derive(Debug, Subcommand)]
pub enum FlagVerb {
    /// All flags: what everybody gets, and what is to be done
    List(ListArgs),
    /// One flag, whole
    Get(KeyArgs),
    /// Say who gets a flag, and what it is; makes a new one
    Set(Box<SetArgs>),
    /// Its rules decide again; a flag without rules is given to everybody
    On(VerbArgs),
    /// Everybody gets the off variant
    Off(VerbArgs),
    /// Everybody gets what the app's code says
    Disable(VerbArgs),
    /// The off variant for everybody, at once, whatever else is written
    Kill(KillArgs),
    /// Give it to more and more users, as evidence allows
    Rollout(Box<RolloutArgs>),
    /// Every change, with who and why
    History(HistoryArgs),
    /// Make a flag what it was after an earlier change
    Restore(RestoreArgs),
    /// Changes that others must agree to
    Pending(PendingArgs),
    /// Agree to a change that somebody else asked for
    Approve(ApproveArgs),
    /// Refuse a change, or take one's own back
    Reject(RejectArgs),
    /// Take a flag out of the system stage by stage: users, background work, code, flag
    Retire(RetireArgs),
    /// Put a flag away that no code asks for any more
    Archive(ArchiveArgs),
    /// Why a user gets what they get
    Explain(ExplainArgs),
    /// Changes that are to come at a time
    Schedule(ScheduleArgs),
    /// Both paths of a flag, for tests
    Test(TestArgs),
    /// A set for elsewhere
    Export(ExportArgs),
    /// Flags from elsewhere
    Import(ImportArgs),
    /// Who may ask for values
    Token(TokenArgs),
    /// The sets of flags; one for each environment
    Sets(SetsArgs),
    /// Flags that have had their time, and which can go
    Stale(StaleArgs),
    /// The flags for a bad day: read-only, maintenance, expensive queries, integrations
    Ops(OpsArgs),
    /// Answer questions from a file of flags, without a server
    Eval(EvalArgs),
    /// Where a checkout mentions flags, and which it need not
    Scan(ScanArgs),
}

/// Which set.
#[derive(Debug, Clone, Args)]
pub struct SetArg {
    /// The set of flags, which is the environment
    #[arg(
        long = "set",
        visible_alias = "environment",
        env = "SERIN_FLAG_SET",
        default_value = "production",
        value_name = "NAME"
    )]
    pub set: String,
}

#[derive(Debug, Args)]
pub struct ListArgs {
    #[command(flatten)]
    pub set: SetArg,
    /// Also those that were put away
    #[arg(long)]
    pub archived: bool,
}

#[derive(Debug, Args)]
pub struct KeyArgs {
    /// The flag
    pub key: String,
    #[command(flatten)]
    pub set: SetArg,
}

#[derive(Debug, Args)]
pub struct HistoryArgs {
    /// The flag; all of the set unless said
    pub key: Option<String>,
    #[command(flatten)]
    pub set: SetArg,
    /// Only changes before this one
    #[arg(long, value_name = "N")]
    pub before: Option<u64>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
A flag is ready to remove only when three witnesses agree: what is configured, what clients asked
for, and what the code mentions.

Example:
  serin flag stale --code .")]
pub struct StaleArgs {
    #[command(flatten)]
    pub set: SetArg,
    /// A directory of a checkout, to see what the code mentions
    #[arg(long, value_name = "PATH")]
    pub code: Option<PathBuf>,
    /// How many days are a while; 14 unless said
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=3650), value_name = "N")]
    pub days: Option<u32>,
    /// Exit code 2 when a flag has had its time
    #[arg(long)]
    pub strict: bool,
}

#[derive(Debug, Args)]
pub struct OpsArgs {
    #[command(flatten)]
    pub set: SetArg,
    /// Make those that are not there yet
    #[arg(long)]
    pub create: bool,
    /// Who answers for those that are made
    #[arg(long, value_name = "TEAM")]
    pub owner: Option<String>,
}
