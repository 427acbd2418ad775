//! Text with a meaning, apart from how a terminal shows it.

use std::fmt::Write as _;

/// What a piece of text means. Never the only sign of it: the words say the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tone {
    /// Nothing special.
    #[default]
    Plain,
    /// A heading or a name.
    Bold,
    /// Beside the point.
    Dim,
    /// Well.
    Good,
    /// Not well.
    Bad,
    /// Look here.
    Warn,
    /// A hint, a command, a path.
    Accent,
}

impl Tone {
    fn sgr(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Bold => Some("1"),
            Self::Dim => Some("2"),
            Self::Good => Some("32"),
            Self::Bad => Some("1;31"),
            Self::Warn => Some("33"),
            Self::Accent => Some("36"),
        }
    }
}

/// One line: pieces of text, each with its tone.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Line(Vec<(Tone, String)>);

impl Line {
    /// An empty line.
    pub fn new() -> Self {
        Self::default()
    }

    /// A line of plain text.
    pub fn plain(text: impl AsRef<str>) -> Self {
        Self::new().text(text)
    }

    /// A line of one tone.
    pub fn toned(tone: Tone, text: impl AsRef<str>) -> Self {
        Self::new().add(tone, text)
    }

    /// With more text; control characters become spaces, so that nothing a server or an app said
    /// can move the cursor.
    #[must_use]
    pub fn add(mut self, tone: Tone, text: impl AsRef<str>) -> Self {
        let text = text.as_ref().replace(|c: char| c.is_control(), " ");
        self.0.push((tone, text));
        self
    }

    /// With more plain text.
    #[must_use]
    pub fn text(self, text: impl AsRef<str>) -> Self {
        self.add(Tone::Plain, text)
    }

    /// With the pieces of another line.
    #[must_use]
    pub fn then(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// Its characters with their tones.
    pub(super) fn into_chars(self) -> impl Iterator<Item = (Tone, char)> {
        let chars =
            |(tone, text): (Tone, String)| text.chars().map(move |c| (tone, c)).collect::<Vec<_>>();
        self.0.into_iter().flat_map(chars)
    }

    /// More text at its end, in the last piece where the tone is the same.
    pub(super) fn push(&mut self, tone: Tone, text: &str) {
        match self.0.last_mut().filter(|(last, _)| *last == tone) {
            Some((_, last)) => last.push_str(text),
            None => self.0.push((tone, text.to_owned())),
        }
    }

    /// Columns on a terminal.
    pub fn width(&self) -> usize {
        self.0.iter().flat_map(|(_, text)| text.chars()).map(columns).sum()
    }

    /// Filled with spaces to a width.
    #[must_use]
    pub fn pad(self, width: usize) -> Self {
        let missing = width.saturating_sub(self.width());
        if missing == 0 { self } else { self.text(" ".repeat(missing)) }
    }

    /// Spaces before it up to a width.
    #[must_use]
    pub fn pad_left(self, width: usize) -> Self {
        let missing = width.saturating_sub(self.width());
        Self::plain(" ".repeat(missing)).then(self)
    }

    /// Cut to a width; `more` shows that something is missing.
    #[must_use]
    pub fn cut(self, width: usize, more: &str) -> Self {
        if self.width() <= width {
            return self;
        }
        let mut left = width.saturating_sub(more.chars().count());
        let mut out = Self::new();
        for (tone, text) in self.0 {
            let mut kept = String::new();
            for c in text.chars() {
                let Some(rest) = left.checked_sub(columns(c)) else {
                    out.0.push((tone, kept));
                    return out.text(more);
                };
                left = rest;
                kept.push(c);
            }
            out.0.push((tone, kept));
        }
        out.text(more)
    }

    /// As text, with colours if asked for.
    pub fn paint(&self, color: bool) -> String {
        let mut out = String::new();
        for (tone, text) in &self.0 {
            match tone.sgr().filter(|_| color && !text.is_empty()) {
                Some(sgr) => {
                    let _ = write!(out, "\x1b[{sgr}m{text}\x1b[0m");
                }
                None => out.push_str(text),
            }
        }
        out.truncate(out.trim_end_matches(' ').len());
        out
    }
}

/// Columns of a character: two for the wide ones of East Asia and for pictures, none for marks
/// that join the one before. Rough, and on the safe side for cutting.
fn columns(c: char) -> usize {
    match u32::from(c) {
        0x300..=0x36f | 0x200b..=0x200f | 0xfe00..=0xfe0f => 0,
        0x1100..=0x115f
        | 0x2e80..=0xa4cf
        | 0xac00..=0xd7a3
        | 0xf900..=0xfaff
        | 0xfe30..=0xfe6f
        | 0xff00..=0xff60
        | 0xffe0..=0xffe6
        | 0x1f300..=0x1faff
        | 0x20000..=0x3fffd => 2,
        _ => 1,
    }
}

/// Breaks text at spaces so that each line has at most `width` columns, where that can be. A number
/// and its percent sign stay together.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in whole_words(text) {
        let last = lines.last_mut().expect("there is always a line");
        if last.is_empty() {
            last.push_str(&word);
        } else if last.chars().count() + 1 + word.chars().count() <= width {
            last.push(' ');
            last.push_str(&word);
        } else {
            lines.push(word);
        }
    }
    lines
}

fn whole_words(text: &str) -> Vec<String> {
    let mut words = Vec::<String>::new();
    for word in text.split_whitespace() {
        match words.last_mut().filter(|_| word.starts_with('%')) {
            Some(number) => *number = format!("{number} {word}"),
            None => words.push(word.to_owned()),
        }
    }
    words
}

/// The signs of the output, in a form the terminal can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Glyphs {
    /// Done, well.
    pub done: &'static str,
    /// Failed.
    pub failed: &'static str,
    /// Under way.
    pub now: &'static str,
    /// Held.
    pub paused: &'static str,
    /// Still to come.
    pub later: &'static str,
    /// From here to there.
    pub arrow: &'static str,
    /// Something was cut.
    pub more: &'static str,
    /// The filled part of a bar.
    pub full: &'static str,
    /// The empty part of a bar.
    pub empty: &'static str,
    /// Before a line of a log.
    pub rule: &'static str,
}

impl Glyphs {
    /// For a UTF-8 locale.
    pub const UNICODE: Self = Self {
        done: "✔",
        failed: "✖",
        now: "◷",
        paused: "⏸",
        later: "·",
        arrow: "→",
        more: "…",
        full: "━",
        empty: "─",
        rule: "│",
    };
    /// For any other.
    pub const ASCII: Self = Self {
        done: "+",
        failed: "x",
        now: ">",
        paused: "=",
        later: ".",
        arrow: "->",
        more: "..",
        full: "#",
        empty: "-",
        rule: "|",
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_only_when_asked_and_no_trailing_spaces() {
        let line = Line::toned(Tone::Good, "ok").text("  ");
        assert_eq!(line.paint(false), "ok");
        assert_eq!(line.paint(true), "\x1b[32mok\x1b[0m");
    }

    #[test]
    fn cutting_keeps_the_width_and_the_tone() {
        let line = Line::toned(Tone::Bold, "abcdef").text("ghi");
        let cut = line.clone().cut(5, "…");
        assert_eq!((cut.paint(false).as_str(), cut.width()), ("abcd…", 5));
        assert_eq!(line.clone().cut(9, "…"), line);
        assert_eq!(Line::plain("日本語").cut(5, "…").width(), 5);
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(Line::plain("a\x1b[2Jb\n").paint(false), "a [2Jb");
    }

    #[test]
    fn wrapping_breaks_at_spaces() {
        assert_eq!(wrap("one two three", 8), ["one two", "three"]);
        assert_eq!(wrap("", 8), [""]);
        assert_eq!(wrap("from 0.60 %, so", 11), ["from", "0.60 %, so"]);
    }
}
