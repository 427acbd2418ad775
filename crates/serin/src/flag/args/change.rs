//! The words of the verbs that change a flag.

use super::SetArg;
use crate::cli::Why;
use clap::{Args, ValueEnum};
use serin_flags::Timestamp;
use std::path::PathBuf;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  serin flag set new_checkout --owner shop --expires 40d --description \"one page instead of three\"
  serin flag set new_checkout --users ada,bob --percent 5
  serin flag set button --variants red=50,blue=50
  serin flag set new_checkout -f flag.json")]
#[allow(clippy::struct_excessive_bools)] // each is a flag of its own
pub struct SetArgs {
    /// The flag; made when it is not there and has an owner
    pub key: String,
    #[command(flatten)]
    pub set: SetArg,
    /// What it is for; decides how long it may live
    #[arg(long, value_enum, value_name = "KIND")]
    pub kind: Option<FlagKind>,
    /// Who answers for it
    #[arg(long, value_name = "TEAM")]
    pub owner: Option<String>,
    /// Until when: `40d`, `6w`, or a date such as 2027-01-31
    #[arg(long, value_parser = end, value_name = "WHEN")]
    pub expires: Option<End>,
    /// What it does
    #[arg(long, value_name = "TEXT")]
    pub description: Option<String>,
    /// Words to find it by
    #[arg(long, value_delimiter = ',', value_name = "WORD,..")]
    pub tags: Option<Vec<String>>,
    /// Its values, in order: `red,blue` are texts; `small=10,large=20` name numbers; the last is off
    #[arg(long, value_delimiter = ',', value_name = "NAME[=JSON],..")]
    pub values: Option<Vec<String>>,
    /// Everybody gets it
    #[arg(long, group = "who")]
    pub all: bool,
    /// Nobody gets it, but whom lists and rules name
    #[arg(long, group = "who")]
    pub none: bool,
    /// So many percent of users, to 0.001
    #[arg(long, group = "who", value_name = "P")]
    pub percent: Option<f64>,
    /// Its variants by percent, together 100
    #[arg(long, group = "who", value_delimiter = ',', value_name = "NAME=P,..")]
    pub variants: Option<Vec<String>>,
    /// These users get it before everything else; an empty list takes it away
    #[arg(long, value_delimiter = ',', value_name = "USER,..")]
    pub users: Option<Vec<String>>,
    /// Users whose attribute has one of these values get it
    #[arg(long, value_name = "NAME=VALUE,..")]
    pub attribute: Option<String>,
    /// The attribute that is put into buckets, such as `companyId`
    #[arg(long, value_name = "NAME")]
    pub bucket_by: Option<String>,
    /// Code that must serve everything before anybody gets it: `shop@v42`
    #[arg(long, value_name = "SERVICE@VERSION")]
    pub requires: Option<String>,
    #[command(flatten)]
    pub demand: DemandArgs,
    /// The whole flag as JSON; `-` for standard input
    #[arg(short, long, value_name = "FILE", conflicts_with_all = ["who", "users", "attribute"])]
    pub file: Option<PathBuf>,
    /// Only if its last change is still this one
    #[arg(long, value_name = "N")]
    pub if_at: Option<u64>,
    #[command(flatten)]
    pub why: Why,
}

/// Who must agree to changes.
#[derive(Debug, Clone, Default, Args)]
pub struct DemandArgs {
    /// So many others must agree to every change but a kill, `off` and a way back; 0: nobody
    #[arg(long, value_parser = clap::value_parser!(u32).range(0..=10), value_name = "N")]
    pub approvals: Option<u32>,
    /// Hours after which a change nobody agreed to is forgotten; 72 unless said
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=720), requires = "approvals", value_name = "HOURS")]
    pub approval_hours: Option<u32>,
    /// Whoever asks may be one of those who agree
    #[arg(long, requires = "approvals")]
    pub self_approval: bool,
}

/// What a flag is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FlagKind {
    /// Separates release from deployment; for a time
    Release,
    /// Compares variants; for a time
    Experiment,
    /// Changes how the system works; stays
    Ops,
    /// Switches something off in an emergency; stays
    KillSwitch,
    /// Who may use something; stays
    Permission,
}

/// The end of a flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// So many days from now.
    Days(u32),
    /// At this time.
    At(Timestamp),
}

impl End {
    /// The time, counted from `now`.
    pub fn at(self, now: Timestamp) -> Timestamp {
        match self {
            Self::Days(days) => now.plus_days(days),
            Self::At(at) => at,
        }
    }
}

fn end(text: &str) -> Result<End, String> {
    let number = |text: &str| text.parse::<u32>().ok().filter(|n| (1..=10_000).contains(n));
    let days = text.strip_suffix('d').and_then(number);
    let weeks = text.strip_suffix('w').and_then(number).map(|weeks| weeks * 7);
    match days.or(weeks) {
        Some(days) => Ok(End::Days(days)),
        None => text
            .parse()
            .map(End::At)
            .map_err(|_| "write it as 40d, 6w, 2027-01-31 or 2027-01-31T12:00:00Z".to_owned()),
    }
}

#[derive(Debug, Args)]
pub struct VerbArgs {
    /// The flag
    pub key: String,
    #[command(flatten)]
    pub set: SetArg,
    #[command(flatten)]
    pub why: Why,
}

#[derive(Debug, Args)]
#[command(after_help = "\
No approval is asked for. When it returns with code 0 the kill is on disk and every client that is
connected has been told. `serin flag on KEY` brings back what was before.

Example:
  serin flag kill new_checkout --reason \"errors at checkout\"")]
pub struct KillArgs {
    /// The flag
    pub key: String,
    #[command(flatten)]
    pub set: SetArg,
    /// Why, for the record
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  serin flag restore new_checkout --to 41 --reason \"was right before\""
)]
pub struct RestoreArgs {
    /// The flag
    pub key: String,
    #[command(flatten)]
    pub set: SetArg,
    /// The change after which it was as wanted; `serin flag history` has the numbers
    #[arg(long, value_name = "N")]
    pub to: u64,
    #[command(flatten)]
    pub why: Why,
}

#[derive(Debug, Args)]
pub struct ArchiveArgs {
    /// The flag
    pub key: String,
    #[command(flatten)]
    pub set: SetArg,
    /// Take it back
    #[arg(long, conflicts_with_all = ["delete", "force"])]
    pub undo: bool,
    /// Even though clients asked for it lately
    #[arg(long)]
    pub force: bool,
    /// Take an archived flag out for good; its history stays
    #[arg(long)]
    pub delete: bool,
    #[command(flatten)]
    pub why: Why,
}

#[derive(Debug, Args)]
pub struct SetsArgs {
    /// Show one set without its flags: segments, bucketing, metadata
    pub name: Option<String>,
    /// Change that set by a merge patch (JSON); `-` for standard input
    #[arg(long, value_name = "FILE", requires = "name")]
    pub patch: Option<PathBuf>,
    /// Take that set away; its history stays
    #[arg(long, requires = "name", conflicts_with = "patch")]
    pub remove: bool,
    /// Make a new, empty set
    #[arg(long, value_name = "NAME", conflicts_with = "name")]
    pub create: Option<String>,
    #[command(flatten)]
    pub demand: DemandArgs,
    #[command(flatten)]
    pub why: Why,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_spans_or_times() {
        assert_eq!(end("40d"), Ok(End::Days(40)));
        assert_eq!(end("6w"), Ok(End::Days(42)));
        assert_eq!(end("1970-01-02"), Ok(End::At(Timestamp(86_400))));
        for bad in ["", "d", "0d", "40", "99999999999d", "tomorrow"] {
            assert!(end(bad).is_err(), "{bad}");
        }
    }
}
