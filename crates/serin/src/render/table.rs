//! Tables that fit the terminal.

use crate::printer::{Line, Tone, wrap};
use crate::render::Frame;

/// Narrower than this, the last column is no use.
const NARROWEST: usize = 12;
/// Narrower than this, a wrapped column is a ladder.
const WRAPPED: usize = 24;
const GAP: &str = "  ";

/// Rows under a heading. Only the last column may be cut or wrapped to fit.
pub struct Table<'a> {
    heads: &'a [&'a str],
    right: &'a [usize],
    rows: Vec<Row>,
    whole: bool,
}

/// A row, or what stands above those that follow.
enum Row {
    Cells(Vec<Line>),
    Title(Line),
}

impl Row {
    fn cells(&self) -> &[Line] {
        match self {
            Self::Cells(cells) => cells,
            Self::Title(_) => &[],
        }
    }
}

impl<'a> Table<'a> {
    /// A table with these columns; those in `right` are set to the right.
    pub fn new(heads: &'a [&'a str], right: &'a [usize]) -> Self {
        Self { heads, right, rows: Vec::new(), whole: false }
    }

    /// Nothing is cut: the last column, plain text, goes on in the next line.
    pub fn whole(self) -> Self {
        Self { whole: true, ..self }
    }

    /// One more row.
    pub fn row(&mut self, cells: Vec<Line>) {
        self.rows.push(Row::Cells(cells));
    }

    /// A line above the rows that follow; it may be as wide as it likes.
    pub fn title(&mut self, line: Line) {
        self.rows.push(Row::Title(line));
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
        } else if self.whole && fixed + WRAPPED.min(last) <= limit {
            self.wrapped(limit - fixed).grid(&widths, indent, None)
        } else if !self.whole && fixed + NARROWEST.min(last) <= limit {
            self.grid(&widths, indent, Some((limit, frame.glyphs.more)))
        } else {
            self.blocks(indent, limit)
        }
    }

    /// The same with the last column in pieces of `room` columns, each in a row of its own.
    fn wrapped(&self, room: usize) -> Self {
        let rows = self.rows.iter().map(Row::cells).flat_map(|row| {
            let text = row.last().map_or_else(String::new, |cell| cell.paint(false));
            let pieces = wrap(&text, room).into_iter().enumerate();
            pieces.map(|(index, piece)| {
                let front = row.iter().take(row.len().saturating_sub(1));
                let front = front.map(|cell| if index == 0 { cell.clone() } else { Line::new() });
                Row::Cells(front.chain([Line::plain(piece)]).collect())
            })
        });
        Self { heads: self.heads, right: self.right, rows: rows.collect(), whole: false }
    }

    fn widths(&self) -> Vec<usize> {
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.cells().get(column)).map(Line::width);
            cells.max().unwrap_or(0).max(self.heads[column].chars().count())
        };
        (0..self.heads.len()).map(width).collect()
    }

    fn grid(&self, widths: &[usize], indent: &str, cut: Option<(usize, &str)>) -> Vec<Line> {
        let heads = self.heads.iter().map(|head| Line::toned(Tone::Dim, head)).collect();
        let rows = self.rows.iter().map(|row| match row {
            Row::Cells(cells) => self.joined(cells.clone(), widths, indent),
            Row::Title(line) => Line::plain(indent).then(line.clone()),
        });
        let lines = std::iter::once(self.joined(heads, widths, indent)).chain(rows);
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

    /// Each row as its first cell and `head value` pairs, as many in a line as fit. Nothing is cut.
    fn blocks(&self, indent: &str, limit: usize) -> Vec<Line> {
        let block = |row: &Row| match row {
            Row::Cells(cells) => self.block(cells, indent, limit),
            Row::Title(line) => {
                Line::plain(indent).then(line.clone()).hang(limit, indent.len() + 2)
            }
        };
        self.rows.iter().flat_map(block).collect()
    }

    fn block(&self, row: &[Line], indent: &str, limit: usize) -> Vec<Line> {
        let hang = indent.len() + 2;
        let mut cells = row.iter().enumerate();
        let first = cells.next().map(|(_, cell)| Line::plain(indent).then(cell.clone()));
        let (mut lines, mut line) = (Vec::new(), first.unwrap_or_default());
        for (column, cell) in cells.filter(|(_, cell)| cell.width() > 0) {
            let head = Line::toned(Tone::Dim, self.heads[column].to_lowercase());
            let pair = head.text(" ").then(cell.clone());
            if line.width() + GAP.len() + pair.width() <= limit {
                line = line.text(GAP).then(pair);
            } else {
                lines.push(line);
                line = Line::plain(" ".repeat(hang)).then(pair);
            }
        }
        lines.push(line);
        lines.into_iter().flat_map(|line| line.hang(limit, hang)).collect()
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
    fn a_whole_table_cuts_nothing() {
        let mut table = Table::new(&["STEP", "WHAT"], &[0]).whole();
        table.row(vec![Line::plain("1"), Line::plain("bake at least 30 s and 2000 requests")]);
        let lines = |width| -> Vec<String> {
            table.lines(&test_frame(Some(width)), "").iter().map(|line| line.paint(false)).collect()
        };
        assert_eq!(
            lines(34),
            ["STEP  WHAT", "   1  bake at least 30 s and 2000", "      requests"]
        );
        let narrow = ["1", "  what bake at", "  least 30 s and", "  2000 requests"];
        assert_eq!(lines(16), narrow);
    }

    #[test]
    fn a_narrow_terminal_gets_blocks() {
        let lines = shown(Some(20));
        assert_eq!(
            lines,
            [
                "shop  n 12",
                "  waiting on more",
                "  requests on the",
                "  candidate",
                "a  n 3",
                "  waiting on nothing"
            ]
        );
    }
}
