//! How the story is told: lasting lines as things happen, and on a terminal a sentence below
//! them that is kept up to date.

use crate::printer::{Channel, Line, Live, Printer, Tone, wrap};
use std::time::{Duration, Instant};

/// Columns of the first word, which stands on the right.
const VERB: usize = 11;

/// Widest text after it, and the least it is given however narrow the terminal is.
const WIDEST: usize = 88;
const NARROWEST: usize = 24;

/// Where lines cannot be redrawn, one says this often what is waited for.
const BEAT: Duration = Duration::from_secs(5);

/// Tells the story on stderr; stdout is for its result.
pub(super) struct Teller<'p> {
    printer: &'p Printer,
    live: Option<Live<'p>>,
    said_at: Instant,
}

impl<'p> Teller<'p> {
    pub(super) fn new(printer: &'p Printer) -> Self {
        let live = printer.can_redraw(Channel::Err).then(|| printer.live(Channel::Err));
        Self { printer, live, said_at: Instant::now() }
    }

    pub(super) fn printer(&self) -> &'p Printer {
        self.printer
    }

    /// Something happened.
    pub(super) fn say(&mut self, verb: &str, text: &str) {
        self.tell(Tone::Bold, verb, text);
    }

    /// Something happened that is well or not well.
    pub(super) fn tell(&mut self, tone: Tone, verb: &str, text: &str) {
        self.said_at = Instant::now();
        for line in lines(tone, verb, text, width()) {
            match &mut self.live {
                Some(live) => live.above(&line),
                None => self.printer.note(&line),
            }
        }
    }

    /// What is waited for now.
    pub(super) fn progress(&mut self, verb: &str, text: &str) {
        match &mut self.live {
            Some(live) => live.draw(&lines(Tone::Dim, verb, text, width())),
            None if self.said_at.elapsed() >= BEAT => self.tell(Tone::Dim, verb, text),
            None => {}
        }
    }

    /// Takes away what is only there while something is under way.
    pub(super) fn clear(&mut self) {
        if let Some(live) = &mut self.live {
            live.clear();
        }
    }
}

/// Columns of the terminal.
fn width() -> usize {
    Channel::Err.size().map_or(80, |(columns, _)| columns)
}

fn line(tone: Tone, verb: &str, text: &str) -> Line {
    Line::toned(tone, verb).pad_left(VERB).text("  ").text(text)
}

fn lines(tone: Tone, verb: &str, text: &str, width: usize) -> Vec<Line> {
    let room = width.saturating_sub(VERB + 3).clamp(NARROWEST, WIDEST);
    let parts = wrap(text, room).into_iter().enumerate();
    parts
        .map(|(index, part)| line(tone, if index == 0 { verb } else { "" }, part.as_str()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_text_goes_on_below_its_beginning() {
        let text = "errors 5.00 % vs 0.00 % on stable";
        let lines: Vec<_> = lines(Tone::Bad, "Rolled back", text, 38)
            .iter()
            .map(|line| line.paint(false))
            .collect();
        assert_eq!(lines, ["Rolled back  errors 5.00 % vs 0.00 %", "             on stable"]);
    }
}
