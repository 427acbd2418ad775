//! How a rehearsal of the way back went.

use super::Frame;
use super::words::{count, span, thousands};
use crate::printer::{Line, Tone};
use serde::Serialize;
use serin_core::Millis;
use serin_server::api::view::DrillRecord;

/// The same for programs.
#[derive(Debug, Serialize)]
pub struct DrillDocument<'a> {
    schema: &'static str,
    service: &'a str,
    #[serde(flatten)]
    drill: &'a DrillRecord,
}

impl<'a> DrillDocument<'a> {
    /// A drill of `service`.
    pub fn of(service: &'a str, drill: &'a DrillRecord) -> Self {
        Self { schema: "serin.drill/v1", service, drill }
    }
}

/// Passed or not, and every time.
pub fn drill(service: &str, drill: &DrillRecord, frame: &Frame) -> Vec<Line> {
    let (tone, glyph, word) = if drill.passed {
        (Tone::Good, frame.glyphs.done, "PASS")
    } else {
        (Tone::Bad, frame.glyphs.failed, "FAIL")
    };
    let head = Line::toned(tone, format!("{glyph} {word}"))
        .text(format!("  {service}: way back to {}, rehearsed on a copy", drill.version));
    let start = if drill.judged { "verdict" } else { "order" };
    let (requests, failed) = drill.requests;
    let (after, after_failed) = drill.after;
    let mut lines = vec![head];
    if drill.judged {
        lines.push(fact("first bad request to verdict", &time(drill.detected)));
    }
    lines.push(fact(&format!("{start} to route confirmed"), &time(drill.routed)));
    if drill.judged {
        lines.push(fact(&format!("{start} to last bad request"), &time(drill.silent)));
        lines.push(fact(&format!("{start} to errors back"), &time(drill.recovered)));
        let seen = format!("{}, {} failed", count(requests, "request"), thousands(failed));
        lines.push(fact("its users, in all", &seen));
        let seen = format!("{}, {} failed", count(after, "request"), thousands(after_failed));
        lines.push(fact("its users, after it", &seen));
    }
    lines.push(fact("target", &span(drill.target)));
    lines
}

/// A time that may not be known.
fn time(time: Option<Millis>) -> String {
    time.map_or_else(|| "not measured".into(), |time| time.to_string())
}

fn fact(label: &str, text: &str) -> Line {
    Line::plain(format!("  {label:<30}")).add(Tone::Bold, text)
}
