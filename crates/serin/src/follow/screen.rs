//! Where a followed rollout is shown: a block kept up to date, appended lines, or documents.

use crate::printer::{Channel, Line, Live, Printer, Tone};
use crate::render::{self, Frame, now, words};
use serde::Serialize;
use serin_server::api::view::{JournalLine, ServiceView};
use std::time::{Duration, Instant};

/// A log without a line for longer than this looks dead, and some pipelines kill what looks dead.
const SILENCE: Duration = Duration::from_secs(30);

/// The output of a followed rollout.
pub struct Screen<'p> {
    printer: &'p Printer,
    channel: Channel,
    live: Option<Live<'p>>,
    spoke_at: Instant,
}

/// A journal line as a document of its own.
#[derive(Serialize)]
struct EventDocument<'a> {
    schema: &'static str,
    #[serde(flatten)]
    line: &'a JournalLine,
}

impl<'p> Screen<'p> {
    /// On `channel`.
    pub fn new(printer: &'p Printer, channel: Channel) -> Self {
        let live = printer.can_redraw(channel).then(|| printer.live(channel));
        Self { printer, channel, live, spoke_at: Instant::now() }
    }

    /// Whether a block is kept up to date.
    pub fn is_live(&self) -> bool {
        self.live.is_some()
    }

    /// A line of the journal.
    pub fn entry(&mut self, line: &JournalLine) {
        if self.printer.is_json() {
            self.spoke_at = Instant::now();
            self.printer.document(&EventDocument { schema: "serin.event/v1", line });
        } else {
            self.line(&render::entry(line, true));
        }
    }

    /// A line that stays.
    pub fn line(&mut self, line: &Line) {
        self.spoke_at = Instant::now();
        match (&mut self.live, self.channel) {
            (Some(live), _) => live.above(line),
            (None, Channel::Out) if !self.printer.is_json() => self.printer.data(line),
            (None, _) => self.printer.note(line),
        }
    }

    /// The state now.
    pub fn view(&mut self, view: &ServiceView) {
        let frame = Frame::of(self.printer, self.channel);
        if let Some(live) = &mut self.live {
            live.draw(&render::live(view, &frame));
        }
    }

    /// A sign of life where nothing is redrawn.
    pub fn beat(&mut self, waiting_for: &str) {
        if self.live.is_none() && self.spoke_at.elapsed() >= SILENCE {
            let line = Line::toned(Tone::Dim, words::clock(now())).text("  waiting on: ");
            self.line(&line.text(waiting_for));
        }
    }

    /// Takes the block away.
    pub fn clear(&mut self) {
        if let Some(live) = &mut self.live {
            live.clear();
        }
    }

    /// The last words: lasting lines on the channel of the story when it went well, on stderr when
    /// it did not.
    pub fn conclude(&mut self, end: &render::End, well: bool) {
        self.clear();
        if self.printer.is_json() && well {
            return;
        }
        for line in &end.lines {
            match (well, self.channel) {
                (true, Channel::Out) => self.printer.data(line),
                (true, Channel::Err) => self.printer.note(line),
                (false, _) => self.printer.alarm(line),
            }
        }
        if let Some(hint) = end.hint.as_ref().filter(|_| !well) {
            self.printer.hint(hint);
        }
    }
}
