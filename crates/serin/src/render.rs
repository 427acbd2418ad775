//! Views of the API as lines of text. Pure: the view, the width and the time go in.

mod back;
mod beside;
mod detail;
mod drill;
mod end;
mod explain;
mod gc;
mod history;
mod live;
mod plan;
mod presets;
mod runbook;
mod status;
pub mod table;
#[cfg(test)]
mod tests;
mod verdict;
pub mod words;

pub use back::{heading, is_unwell};
pub use beside::{skipped, skips};
pub use detail::detail;
pub use drill::{DrillDocument, drill};
pub use end::{End, Ended, end, removed};
pub use explain::{entry, explain};
pub use gc::leftovers;
pub use history::history;
pub use live::live;
pub use plan::plan;
pub use presets::presets;
pub use runbook::runbook;
pub use status::status;

use crate::printer::{Channel, Glyphs, Line, Printer, Tone};
use serin_core::{RevisionId, RollbackClass, Timestamp};

/// What the page looks like.
#[derive(Debug, Clone, Copy)]
pub struct Frame {
    /// Columns; no limit unless it is a terminal.
    pub width: Option<usize>,
    /// The signs to use.
    pub glyphs: Glyphs,
    /// Now.
    pub now: Timestamp,
}

impl Frame {
    /// For what is written to `channel` now.
    pub fn of(printer: &Printer, channel: Channel) -> Self {
        let width = channel.size().map(|(columns, _)| columns);
        Self { width, glyphs: printer.glyphs(), now: now() }
    }

    /// Columns of a line; without end where it is no terminal.
    pub fn columns(&self) -> usize {
        self.width.unwrap_or(usize::MAX)
    }
}

/// The time by this machine's clock.
pub fn now() -> Timestamp {
    Timestamp(jiff::Timestamp::now().as_millisecond())
}

/// A revision as its owner calls it.
fn version(revision: &RevisionId) -> &str {
    revision.version.as_str()
}

/// `waiting on: the sentence`.
fn waiting(sentence: &str, indent: &str) -> Line {
    Line::plain(indent).add(Tone::Bold, "waiting on").text(": ").text(sentence)
}

/// What a way back takes, in a word or two.
fn class(class: RollbackClass) -> &'static str {
    match class {
        RollbackClass::Routing => "by routing",
        RollbackClass::Flag => "by a flag",
        RollbackClass::Config => "by configuration",
        RollbackClass::Redeploy => "by starting it again",
        RollbackClass::Data => "needs data brought back",
    }
}

/// The tone of a service's or a rollout's state.
fn state_tone(state: &str) -> Tone {
    match state {
        "stable" | "promoted" => Tone::Good,
        "rolling-back" | "down" | "rolled-back" => Tone::Bad,
        "paused" | "removing" | "aborted" | "superseded" => Tone::Warn,
        _ => Tone::Accent,
    }
}

#[cfg(test)]
fn test_frame(width: Option<usize>) -> Frame {
    Frame { width, glyphs: Glyphs::UNICODE, now: Timestamp(1_760_000_100_000) }
}
