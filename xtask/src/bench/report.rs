//! Figures as a table for people and as JSON for everything else.

use crate::failure::{Doing, Result};
use serde_json::Value;
use std::fs;

/// The middle value; 0 without values.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (low, high) = (sorted.len().saturating_sub(1) / 2, sorted.len() / 2);
    match (sorted.get(low), sorted.get(high)) {
        (Some(low), Some(high)) => f64::midpoint(*low, *high),
        _ => 0.0,
    }
}

/// A Markdown table with columns of one width, ready for the documentation.
pub fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let mut lines: Vec<Vec<String>> = vec![head.iter().map(|&cell| cell.to_owned()).collect()];
    lines.push(head.iter().map(|_| "-".to_owned()).collect());
    lines.extend(rows.iter().cloned());
    let width = |column: usize| {
        let cells = lines.iter().filter_map(|line| line.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    lines.iter().map(|line| row(line, &widths)).collect()
}

fn row(cells: &[String], widths: &[usize]) -> String {
    let padded = cells.iter().zip(widths).map(|(cell, &width)| match cell.as_str() {
        "-" => format!(" {} ", "-".repeat(width)),
        _ => format!(" {cell:<width$} "),
    });
    format!("|{}|\n", padded.collect::<Vec<_>>().join("|"))
}

/// Writes `target/bench/<name>.json` and says where it is.
pub fn save(name: &str, document: &Value) -> Result<()> {
    let folder = crate::root::target().join("bench");
    fs::create_dir_all(&folder).doing(|| format!("making {}", folder.display()))?;
    let path = folder.join(format!("{name}.json"));
    let text = format!("{document:#}\n");
    fs::write(&path, text).doing(|| format!("writing {}", path.display()))?;
    println!("\nwritten to {}", path.display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert!((median(&[3.0, 1.0, 2.0]) - 2.0).abs() < 1e-9);
        assert!((median(&[4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < 1e-9);
        assert!(median(&[]).abs() < 1e-9);
    }

    #[test]
    fn tables_line_up() {
        let rows = [vec!["a".to_owned(), "12".to_owned()]];
        assert_eq!(table(&["name", "µs"], &rows), "| name | µs |\n| ---- | -- |\n| a    | 12 |\n");
    }
}
