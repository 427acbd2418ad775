//! Tables that fit the terminal.

use crate::printer::{Line, Tone};
use crate::render::Frame;

/// Narrower than this, the last column is no use.
const NARROWEST: usize = 12;
const GAP: &str = "  ";

/// Rows under a heading. Only the last column may be cut to fit.
pub struct Table<'a> {
    heads: &'a [&'a str],
    right: &'a [usize],
    rows: Vec<Vec<Line>>,
}

impl<'a> Table<'a> {
    /// A table with these columns; those in `right` are set to the right.
    pub fn new(heads: &'a [&'a str], right: &'a [usize]) -> Self {
        Self { heads, right, rows: Vec::new() }
    }

    /// One more row.
    pub fn row(&mut self, cells: Vec<Line>) {
        self.rows.push(cells);
    }

    /// As lines, each beginning with `indent`. What is too wide even with its last column cut is
    /// set as one block for each row.
    pub fn lines(&self, frame: &Frame, indent: &str) -> Vec<Line> {
        let widths = self.widths();
        let Some(limit) = frame.width else { return self.grid(&widths, indent, None) };
        let last = widths.last().copied().unwrap_or(0);
        let all =
            indent.len() + widths.iter().sum::<usize>() + GAP.len() * (widths.len().max(1) - 1);
        let fixed = all - last;
        if all <= limit {
            self.grid(&widths, indent, None)
        } else if fixed + NARROWEST.min(last) <= limit {
            self.grid(&widths, indent, Some((limit, frame.glyphs.more)))
        } else {
            self.blocks(frame, indent, limit)
        }
    }

    fn widths(&self) -> Vec<usize> {
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column)).map(Line::width);
            cells.max().unwrap_or(0).max(self.heads[column].chars().count())
        };
        (0..self.heads.len()).map(width).collect()
    }

    fn grid(&self, widths: &[usize], indent: &str, cut: Option<(usize, &str)>) -> Vec<Line> {
        let heads = self.heads.iter().map(|head| Line::toned(Tone::Dim, head)).collect();
        let rows = std::iter::once(heads).chain(self.rows.iter().cloned());
        let lines = rows.map(|row| self.joined(row, widths, indent));
        lines.map(|line| cut.map_or(line.clone(), |(width, more)| line.cut(width, more))).collect()
    }

    fn joined(&self, row: Vec<Line>, widths: &[usize], indent: &str) -> Line {
        let mut line = Line::plain(indent);
        for (column, cell) in row.into_iter().enumerate() {
            let cell = match (self.right.contains(&column), column + 1 == widths.len()) {
                (true, _) => cell.pad_left(widths[column]),
                (false, true) => cell,
                (false, false) => cell.pad(widths[column]),
            };
            line = if column == 0 { line.then(cell) } else { line.text(GAP).then(cell) };
        }
        line
    }

    fn blocks(&self, frame: &Frame, indent: &str, limit: usize) -> Vec<Line> {
        let mut lines = Vec::new();
        for row in &self.rows {
            for (column, cell) in row.iter().enumerate().filter(|(_, cell)| cell.width() > 0) {
                let line = if column == 0 {
                    Line::plain(indent).then(cell.clone())
                } else {
                    let head = self.heads[column].to_lowercase();
                    Line::plain(format!("{indent}  "))
                        .add(Tone::Dim, head)
                        .text(" ")
                        .then(cell.clone())
                };
                lines.push(line.cut(limit, frame.glyphs.more));
            }
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::test_frame;

    fn shown(width: Option<usize>) -> Vec<String> {
        let mut table = Table::new(&["NAME", "N", "WAITING ON"], &[1]);
        table.row(vec![
            Line::plain("shop"),
            Line::plain("12"),
            Line::plain("more requests on the candidate"),
        ]);
        table.row(vec![Line::plain("a"), Line::plain("3"), Line::plain("nothing")]);
        table.lines(&test_frame(width), "").iter().map(|line| line.paint(false)).collect()
    }

    #[test]
    fn wide_enough_or_no_terminal_at_all() {
        let wide = [
            "NAME   N  WAITING ON",
            "shop  12  more requests on the candidate",
            "a      3  nothing",
        ];
        assert_eq!(shown(None), wide);
        assert_eq!(shown(Some(80)), wide);
    }

    #[test]
    fn the_last_column_is_cut_to_fit() {
        assert_eq!(shown(Some(30))[1], "shop  12  more requests on th…");
    }

    #[test]
    fn a_narrow_terminal_gets_blocks() {
        let lines = shown(Some(20));
        assert_eq!(lines[..3], ["shop", "  n 12", "  waiting on more r…"]);
    }
}
