//! What a benchmark found: tables, goals and plots.

use std::fmt::Write as _;

/// Everything a part of the benchmark has to say.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// One CSV file each.
    pub tables: Vec<Table>,
    /// Numbers to reach.
    pub goals: Vec<Goal>,
    /// File name without ending, and the drawing.
    pub plots: Vec<(String, String)>,
}

impl Report {
    /// Adds all of another part.
    pub fn add(&mut self, other: Self) {
        self.tables.extend(other.tables);
        self.goals.extend(other.goals);
        self.plots.extend(other.plots);
    }

    /// Notes a number to reach.
    pub fn goal(&mut self, what: impl Into<String>, at_most: f64, figure: f64, unit: Unit) {
        self.goals.push(Goal { what: what.into(), at_most, figure, unit });
    }
}

/// How a figure is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A share, shown in percent.
    Share,
    /// Seconds.
    Seconds,
    /// Canary requests.
    Requests,
    /// Microseconds.
    Microseconds,
    /// Kilobytes (1024 bytes).
    Kilobytes,
}

impl Unit {
    fn show(self, value: f64) -> String {
        match self {
            Self::Share => format!("{:.2} %", 100.0 * value),
            Self::Seconds => format!("{value:.0} s"),
            Self::Requests => format!("{value:.0} requests"),
            Self::Microseconds => format!("{value:.2} us"),
            Self::Kilobytes => format!("{value:.1} KB"),
        }
    }
}

/// A number to reach: the figure is at most so much.
#[derive(Clone, Debug)]
pub struct Goal {
    /// What was measured.
    pub what: String,
    /// The goal.
    pub at_most: f64,
    /// What came out.
    pub figure: f64,
    /// Of both.
    pub unit: Unit,
}

impl Goal {
    /// Whether it was reached; a figure that is not a number is a miss. A share up to two standard
    /// errors above a promise is what a share equal to the promise would give in 1 of 40 cases.
    pub fn reached(&self, runs: usize) -> &'static str {
        let error = match self.unit {
            Unit::Share => libm::sqrt(self.at_most * (1.0 - self.at_most) / runs.max(1) as f64),
            _ => 0.0,
        };
        if self.figure <= self.at_most {
            "met"
        } else if self.figure <= self.at_most + 2.0 * error {
            "within noise"
        } else {
            "missed"
        }
    }
}

/// The goals as a table, after so many runs of a cell.
pub fn goals(goals: &[Goal], runs: usize) -> Table {
    let mut table = Table::new("goals", &["what", "goal", "figure", "reached"]);
    for goal in goals {
        let (limit, figure) = (goal.unit.show(goal.at_most), goal.unit.show(goal.figure));
        table.row([goal.what.clone(), limit, figure, goal.reached(runs).to_owned()]);
    }
    table
}

/// Rows of text under one head.
#[derive(Clone, Debug)]
pub struct Table {
    /// File name without ending.
    pub name: &'static str,
    head: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty table.
    pub fn new(name: &'static str, head: &[&'static str]) -> Self {
        Self { name, head: head.to_vec(), rows: Vec::new() }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// As CSV (RFC 4180, with line feeds).
    pub fn csv(&self) -> String {
        let head: Vec<String> = self.head.iter().map(|&cell| cell.to_owned()).collect();
        std::iter::once(&head).chain(&self.rows).map(|row| csv_line(row)).collect()
    }

    /// With columns of one width.
    pub fn text(&self) -> String {
        let mut lines: Vec<Vec<String>> = vec![self.head.iter().map(|&c| c.to_owned()).collect()];
        lines.extend(self.rows.iter().cloned());
        let width = |column: usize| {
            lines.iter().filter_map(|l| l.get(column)).map(|c| c.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.head.len()).map(width).collect();
        let mut text = format!("{}\n", self.name);
        for line in &lines {
            for (cell, width) in line.iter().zip(&widths) {
                // Writing to a string cannot fail.
                let _ = write!(text, "  {cell:<width$}");
            }
            text.truncate(text.trim_end().len());
            text.push('\n');
        }
        text
    }
}

fn csv_line(cells: &[String]) -> String {
    let cells: Vec<String> = cells.iter().map(|cell| csv_cell(cell)).collect();
    format!("{}\n", cells.join(","))
}

fn csv_cell(cell: &str) -> String {
    if cell.contains([',', '"', '\n']) {
        return format!("\"{}\"", cell.replace('"', "\"\""));
    }
    cell.to_owned()
}

/// A share as percent with so many decimals.
pub fn percent(share: f64, decimals: usize) -> String {
    format!("{:.decimals$}", 100.0 * share)
}

/// A number, or nothing where there is none.
pub fn number(value: f64, decimals: usize) -> String {
    if value.is_finite() { format!("{value:.decimals$}") } else { String::new() }
}
