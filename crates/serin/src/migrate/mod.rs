//! `serin migrate`: databases that change with the code.

mod compare;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::printer::Printer;
use clap::{Args, Subcommand};

/// What `serin migrate` is asked.
#[derive(Debug, Args)]
pub struct MigrateArgs {
    #[command(subcommand)]
    pub verb: MigrateVerb,
}

/// The parts of it.
#[derive(Debug, Subcommand)]
pub enum MigrateVerb {
    /// Find the rows in which two tables of two databases differ
    Compare(compare::CompareArgs),
}

/// `serin migrate`.
pub fn migrate(printer: &Printer, args: MigrateArgs) -> Result<Exit, Failure> {
    match args.verb {
        MigrateVerb::Compare(args) => compare::compare(printer, &args),
    }
}
