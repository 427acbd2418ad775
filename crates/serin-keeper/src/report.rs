//! The keeper's own words, on stderr.

use std::fmt::Arguments;
use std::io::Write as _;

/// Says something to the operator. A closed or full stderr must not hurt the keeper.
pub(crate) fn say(message: Arguments<'_>) {
    let _ = writeln!(std::io::stderr(), "serin keeper: {message}");
}
