//! Lines that are too long for the page go on in the next one, behind an indent.

use super::style::{Line, Tone};

/// A word with its tones, and the spaces before it.
struct Word {
    gap: usize,
    body: Line,
}

impl Line {
    /// In lines of at most `width` columns where spaces allow it, all but the first behind `indent`
    /// spaces. A number and its percent sign stay together.
    #[must_use]
    pub fn hang(self, width: usize, indent: usize) -> Vec<Self> {
        if self.width() <= width {
            return vec![self];
        }
        let (mut lines, mut line, mut is_empty) = (Vec::new(), Self::new(), true);
        for Word { gap, body } in words(self) {
            if is_empty || line.width() + gap + body.width() <= width {
                line = line.text(" ".repeat(gap)).then(body);
            } else {
                lines.push(line);
                line = Self::plain(" ".repeat(indent)).then(body);
            }
            is_empty = false;
        }
        lines.push(line);
        lines
    }
}

fn words(line: Line) -> Vec<Word> {
    let mut words: Vec<Word> = Vec::new();
    let mut gap = 0;
    let mut is_open = false;
    for (tone, c) in line.into_chars() {
        if c == ' ' {
            (gap, is_open) = (gap + 1, false);
            continue;
        }
        let glued = c == '%' && gap == 1;
        match words.last_mut() {
            Some(word) if is_open || glued => {
                if glued {
                    word.body.push(Tone::Plain, " ");
                }
                word.body.push(tone, c.encode_utf8(&mut [0; 4]));
            }
            _ => words.push(Word { gap, body: Line::toned(tone, c.to_string()) }),
        }
        (gap, is_open) = (0, true);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hung(text: &str, width: usize) -> Vec<String> {
        Line::plain(text).hang(width, 4).iter().map(|line| line.paint(false)).collect()
    }

    #[test]
    fn breaks_at_spaces_and_hangs_the_rest() {
        assert_eq!(hung("  note: short", 20), ["  note: short"]);
        assert_eq!(hung("  note: one two three", 13), ["  note: one", "    two three"]);
        assert_eq!(hung("abcdefghijkl mn", 6), ["abcdefghijkl", "    mn"]);
        assert_eq!(hung("up to 100 % of it", 11), ["up to 100 %", "    of it"]);
        assert_eq!(hung("up to 100 % of it", 9), ["up to", "    100 %", "    of it"]);
    }

    #[test]
    fn tones_are_kept() {
        let line = Line::toned(Tone::Bold, "name").text("  rest and more");
        let lines = line.hang(12, 2);
        assert_eq!(lines[0].paint(true), "\x1b[1mname\x1b[0m  rest");
        assert_eq!(lines[1].paint(true), "  and more");
    }
}
