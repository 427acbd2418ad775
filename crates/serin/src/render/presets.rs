//! Schedules with a name.

use super::Frame;
use super::table::Table;
use crate::printer::{Line, Tone};
use serin_spec::Preset;

const HEADS: [&str; 2] = ["NAME", "WHAT IT DOES"];

/// One row each.
pub fn presets(presets: &[&Preset], frame: &Frame) -> Vec<Line> {
    let mut table = Table::new(&HEADS, &[]).whole();
    for preset in presets {
        table.row(vec![Line::toned(Tone::Bold, preset.name), Line::plain(preset.meaning)]);
    }
    table.lines(frame, "")
}
