//! Scripts: one command a line, the whole transcript is the golden file.
//!
//! The transcript echoes each command after `> `, tells the journal as it is written with the time
//! since the script began, and marks with `!` what the made-up world does that no journal tells.
//! A fixed seed, so that a script always gives the same transcript.

mod capacity;
mod check;
pub(crate) mod command;
mod life;
pub(crate) mod settings;
pub(crate) mod show;
mod side;
mod words;

use crate::log::SimLog;
use crate::tally::Tally;
use crate::world::{Mode, World};
use command::Command;

/// Why a script did not run to its end.
#[derive(Debug, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct Error {
    /// Line of the script, from 1.
    pub line: usize,
    /// What is wrong, and what is allowed.
    pub what: String,
    /// A rule was broken; otherwise the script itself is wrong.
    pub broken: bool,
}

/// What a script came to.
#[derive(Debug)]
pub struct Played {
    /// As far as it came.
    pub transcript: String,
    /// The numbers.
    pub tally: Tally,
    /// Why it ended early.
    pub failed: Option<Error>,
}

/// Runs a script and gives its transcript.
///
/// # Errors
/// A line that is no command or not possible now, or a broken rule: weights that do not add up,
/// a log that does not lead to the present state.
pub fn run(script: &str) -> Result<String, Error> {
    let played = play(script, Mode { told: true, store: false, thorough: true });
    played.failed.map_or(Ok(played.transcript), Err)
}

/// Plays a script to its end, or to the first thing that is wrong.
pub fn play(script: &str, mode: Mode) -> Played {
    let mut world = World::new(mode, log_for(script, mode));
    let mut failed = None;
    let mut last = 0;
    for (line, text) in (1..).zip(script.lines()) {
        last = line;
        world.echo(text);
        if let Err(what) = play_line(&mut world, text) {
            failed = Some(Error { line, what, broken: world.is_broken() });
            break;
        }
    }
    if failed.is_none() && mode.thorough {
        world.check_log();
        let what = world.sound().err();
        failed = what.map(|what| Error { line: last, what, broken: true });
    }
    let (transcript, tally) = world.into_parts();
    Played { transcript, tally, failed }
}

/// The shipped store, unless chance decides; to make one for each seed would cost much.
fn log_for(script: &str, mode: Mode) -> SimLog {
    let rolls = |text| matches!(Command::parse(text), Ok(Some(Command::Dice(_))));
    match script.lines().any(rolls) {
        true if mode.store => SimLog::store(false),
        true => SimLog::memory(),
        false => SimLog::store(true),
    }
}

fn play_line(world: &mut World, text: &str) -> Result<(), String> {
    match Command::parse(text)? {
        Some(command) => world.run(command),
        None => Ok(()),
    }
}
