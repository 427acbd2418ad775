//! `serin flag`: feature flags, with a server and without.

mod args;
mod eval;
mod offline;
mod scan;

pub use args::FlagArgs;

use crate::cli::Global;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::printer::Printer;
use args::FlagVerb;

/// `serin flag`.
pub fn flag(_global: &Global, printer: &Printer, args: FlagArgs) -> Result<Exit, Failure> {
    match args.verb {
        FlagVerb::Eval(args) => eval::eval(printer, &args),
        FlagVerb::Scan(args) => offline::scan(printer, &args),
    }
}
