//! The words of the verbs that need no server.

use super::SetArg;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

#[derive(Debug, Args)]
#[command(after_help = "\
Reads JSON lines {\"flag\":..,\"context\":{..}}; a line may also name the `type` it expects: boolean,
string, integer, float or object. Prints one OFREP answer for each.

Example:
  echo '{\"flag\":\"new_checkout\",\"context\":{\"targetingKey\":\"u1\"}}' |
    serin flag eval --flags flags.json")]
pub struct EvalArgs {
    /// A flagd document (schema 0.2.15)
    #[arg(long, value_name = "FILE")]
    pub flags: PathBuf,
    /// Where the questions are; standard input unless said
    #[arg(long, value_name = "FILE")]
    pub input: Option<PathBuf>,
    /// Which of flagd's hashes splits the users
    #[arg(long, value_enum, default_value_t = Hash::V3, value_name = "HASH")]
    pub bucketing: Hash,
    /// The time of the evaluation, seconds since 1970; now unless said
    #[arg(long, value_name = "SECONDS")]
    pub now: Option<i64>,
}

/// flagd's hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Hash {
    /// Of the text itself
    V2,
    /// Of the value in canonical CBOR
    V3,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Reads the files that git tracks. Code that asks for a flag nobody has defined is an error: exit code
2. With --strict a flag that no code mentions is one too.

Example:
  serin flag scan . --flags flags.json")]
pub struct ScanArgs {
    /// A directory of a checkout
    #[arg(default_value = ".", value_name = "PATH")]
    pub path: PathBuf,
    /// Which flags there are: a flagd document; the server's unless said
    #[arg(long, value_name = "FILE")]
    pub flags: Option<PathBuf>,
    #[command(flatten)]
    pub set: SetArg,
    /// Only of this flag
    #[arg(long, value_name = "KEY")]
    pub flag: Option<String>,
    /// Exit code 2 also where a flag is mentioned nowhere
    #[arg(long)]
    pub strict: bool,
}
