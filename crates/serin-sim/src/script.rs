//! Scenario scripts: one command a line, the whole transcript is the golden file.
//!
//! The transcript echoes each command after `> `, tells the journal as it is written with the time
//! since the script began, and marks with `!` what the made-up world does that no journal tells.
//! One service a script; a fixed seed, so that a script always gives the same transcript.

mod check;
mod command;
mod life;
mod settings;
mod show;
mod words;
mod world;

use command::Command;
use world::World;

/// Why a script did not run to its end.
#[derive(Debug, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct Error {
    /// Line of the script, from 1.
    pub line: usize,
    /// What is wrong, and what is allowed.
    pub what: String,
}

/// Runs a script and gives its transcript.
///
/// # Errors
/// A line that is no command or not possible now, or a broken rule: weights that do not add up,
/// a log that does not lead to the present state.
pub fn run(script: &str) -> Result<String, Error> {
    let mut world = World::new();
    let mut last = 0;
    for (number, text) in (1..).zip(script.lines()) {
        last = number;
        let at = |what| Error { line: number, what };
        world.echo(text);
        if let Some(command) = Command::parse(text).map_err(at)? {
            world.run(command).map_err(at)?;
        }
    }
    world.end().map_err(|what| Error { line: last, what })
}
