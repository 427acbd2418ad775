//! A block of lines that is kept up to date in place, with lasting lines above it.

use super::{Channel, Line, Printer};
use std::fmt::Write as _;
use std::time::{Duration, Instant};

/// No more often than this is anything redrawn.
const PACE: Duration = Duration::from_millis(100);

/// The block. Only lines that changed are written again.
pub struct Live<'p> {
    printer: &'p Printer,
    channel: Channel,
    shown: Vec<String>,
    width: usize,
    drawn_at: Option<Instant>,
}

impl<'p> Live<'p> {
    pub(super) fn new(printer: &'p Printer, channel: Channel) -> Self {
        Self { printer, channel, shown: Vec::new(), width: 0, drawn_at: None }
    }

    /// Shows the block as it is now, unless the last time was a moment ago.
    pub fn draw(&mut self, lines: &[Line]) {
        if self.drawn_at.is_some_and(|at| at.elapsed() < PACE) {
            return;
        }
        self.drawn_at = Some(Instant::now());
        let (width, rows) = self.channel.size().unwrap_or((80, 24));
        let fitting = lines.iter().take(rows.saturating_sub(1));
        let next: Vec<String> = fitting.map(|line| self.paint(line, width)).collect();
        let before = if width == self.width { self.shown.as_slice() } else { &[] };
        if before == next {
            return;
        }
        let text = update(self.shown.len(), before, &next);
        self.width = width;
        self.printer.raw(self.channel, &text);
        self.shown = next;
    }

    /// Writes a lasting line above the block.
    pub fn above(&mut self, line: &Line) {
        let painted = self.printer.paint(self.channel, line);
        let mut text = up(self.shown.len());
        let _ = write!(text, "{painted}\x1b[K\n\x1b[J");
        for line in &self.shown {
            let _ = writeln!(text, "{line}");
        }
        self.printer.raw(self.channel, &text);
    }

    /// Takes the block away.
    pub fn clear(&mut self) {
        if !self.shown.is_empty() {
            let text = format!("{}\x1b[J", up(self.shown.len()));
            self.printer.raw(self.channel, &text);
            self.shown.clear();
        }
    }

    /// One column stays free, or the terminal would break the line itself.
    fn paint(&self, line: &Line, width: usize) -> String {
        let cut = line.clone().cut(width.saturating_sub(1), self.printer.glyphs().more);
        self.printer.paint(self.channel, &cut)
    }
}

fn up(lines: usize) -> String {
    if lines == 0 { String::new() } else { format!("\x1b[{lines}A\r") }
}

/// What has to be written to turn `before`, of which `height` lines are on the screen, into `next`.
fn update(height: usize, before: &[String], next: &[String]) -> String {
    let mut text = up(height);
    for (index, line) in next.iter().enumerate() {
        if before.get(index) == Some(line) {
            text.push('\n');
        } else {
            let _ = writeln!(text, "{line}\x1b[K");
        }
    }
    if next.len() < height {
        text.push_str("\x1b[J");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &[&str]) -> Vec<String> {
        text.iter().map(|line| (*line).to_owned()).collect()
    }

    #[test]
    fn only_changed_lines_are_written() {
        let before = lines(&["a", "b", "c"]);
        let text = update(3, &before, &lines(&["a", "B", "c"]));
        assert_eq!(text, "\x1b[3A\r\nB\x1b[K\n\n");
    }

    #[test]
    fn a_shorter_block_clears_what_is_left() {
        let before = lines(&["a", "b"]);
        assert_eq!(update(2, &before, &lines(&["a"])), "\x1b[2A\r\n\x1b[J");
        assert_eq!(update(0, &[], &lines(&["a"])), "a\x1b[K\n");
    }
}
