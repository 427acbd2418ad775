//! One row for each method, one panel for each scenario.

use super::{Anchor, Axis, Drawing};

/// What is shown at the crossing of a row and a panel.
#[derive(Clone, Debug)]
pub enum Cell {
    /// A bar from zero, with its number.
    Bar(f64, String),
    /// A median with a line to the 90th percentile, and the number.
    Dot(f64, f64, String),
    /// Bars one after the other: good, bad, neither.
    Parts([f64; 3], String),
    /// Only a word.
    Word(&'static str),
}

/// A row.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its name.
    pub name: String,
    /// In the colour of our own.
    pub is_ours: bool,
    /// Drawn pale.
    pub is_pale: bool,
    /// One for each panel.
    pub cells: Vec<Cell>,
}

/// A column.
#[derive(Clone, Debug)]
pub struct Panel {
    /// What stands above it.
    pub title: String,
    /// The range it shows.
    pub range: (f64, f64),
    /// Whether the range is logarithmic.
    pub logarithmic: bool,
    /// Values with a line and their names.
    pub ticks: Vec<(f64, String)>,
    /// A promise, drawn as a dashed line.
    pub limit: Option<f64>,
}

/// The whole.
#[derive(Clone, Debug)]
pub struct Rows {
    /// Its title.
    pub title: String,
    /// What else there is to know.
    pub note: String,
    /// Columns.
    pub panels: Vec<Panel>,
    /// Rows.
    pub rows: Vec<Row>,
}

const ROW: f64 = 20.0;
const TOP: f64 = 66.0;
/// Room right of each bar for its number.
const ROOM: f64 = 62.0;

impl Rows {
    /// The drawing.
    pub fn svg(&self) -> String {
        let longest = self.rows.iter().map(|row| row.name.chars().count()).max().unwrap_or(0);
        let left = 24.0 + 6.4 * longest as f64;
        let wide = if self.panels.len() > 1 { 190.0 } else { 500.0 };
        let bottom = TOP + ROW * self.rows.len() as f64;
        let width = left + wide * self.panels.len() as f64;
        let mut drawing = Drawing::new(width, bottom + 46.0, &self.title);
        drawing.text(12.0, bottom + 36.0, Anchor::Start, "small", &self.note);
        for (at, row) in self.rows.iter().enumerate() {
            let y = TOP + ROW * at as f64 + 14.0;
            let weight = if row.is_ours { "ours" } else { "" };
            drawing.text(left - 10.0, y, Anchor::End, weight, &row.name);
        }
        for (at, panel) in self.panels.iter().enumerate() {
            let start = left + wide * at as f64;
            let axis = Axis {
                low: panel.range.0,
                high: panel.range.1,
                start,
                end: start + wide - ROOM,
                logarithmic: panel.logarithmic,
            };
            drawing.text(start, TOP - 12.0, Anchor::Start, "", &panel.title);
            panel.scale(&mut drawing, &axis, bottom);
            self.column(&mut drawing, at, &axis);
        }
        drawing.finish()
    }

    fn column(&self, drawing: &mut Drawing, panel: usize, axis: &Axis) {
        for (at, row) in self.rows.iter().enumerate() {
            let y = TOP + ROW * at as f64 + 4.0;
            if let Some(cell) = row.cells.get(panel) {
                cell.draw(drawing, axis, y, row);
            }
        }
    }
}

impl Panel {
    fn scale(&self, drawing: &mut Drawing, axis: &Axis, bottom: f64) {
        for (value, name) in &self.ticks {
            let x = axis.at(*value);
            drawing.line((x, TOP), (x, bottom), "grid");
            drawing.text(x, bottom + 14.0, Anchor::Middle, "small", name);
        }
        if let Some(limit) = self.limit {
            let x = axis.at(limit);
            drawing.line((x, TOP - 4.0), (x, bottom), "limit");
        }
    }
}

impl Cell {
    fn draw(&self, drawing: &mut Drawing, axis: &Axis, y: f64, row: &Row) {
        let pale = if row.is_pale { " pale" } else { "" };
        let color = format!("{}{pale}", if row.is_ours { "ours" } else { "other" });
        let number = |drawing: &mut Drawing, x: f64, text: &str| {
            drawing.text(x + 6.0, y + 10.0, Anchor::Start, "small", text);
        };
        match self {
            Self::Bar(value, text) => {
                drawing.bar(axis.start, y, axis.at(*value) - axis.start, &color);
                number(drawing, axis.at(*value), text);
            }
            Self::Dot(median, p90, text) => {
                let line = if row.is_ours { "line-ours" } else { "line-other" };
                let (from, to) = (axis.at(*median), axis.at(*p90));
                drawing.line((from, y + 6.0), (to, y + 6.0), &format!("{line}{pale}"));
                drawing.dot(from, y + 6.0, &color);
                number(drawing, to, text);
            }
            Self::Parts(parts, text) => {
                let mut x = axis.start;
                for (part, class) in parts.iter().zip(["good", "bad", "other"]) {
                    let width = axis.at(*part) - axis.start;
                    drawing.bar(x, y, width, class);
                    x += width;
                }
                number(drawing, x, text);
            }
            Self::Word(word) => number(drawing, axis.start - 6.0, word),
        }
    }
}
