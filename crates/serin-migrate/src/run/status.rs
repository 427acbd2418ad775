//! How far a migration is, for people and programs.

use super::State;
use serde::{Deserialize, Serialize};

/// How far a migration is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Its number in this database.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// The schema whose tables change.
    pub schema: String,
    /// The schema of views that old clients use; `None` when they use the tables themselves.
    pub old_view: Option<String>,
    /// The schema of views that new clients use.
    pub new_view: String,
    /// How far it is.
    pub state: State,
    /// The step being done, or the next one.
    pub step: Option<StepStatus>,
    /// How far the rows are, while they are filled in.
    pub progress: Option<Progress>,
    /// What it waits for, in one sentence; `None` while it works or rests.
    pub waiting: Option<String>,
    /// Somebody asked it to pause.
    pub paused: bool,
    /// Share of the time the backfill works when somebody set it, 0 to 1.
    pub duty: Option<f64>,
    /// What stopped it, in one sentence.
    pub error: Option<String>,
    /// The process that works on it; `None` when none does.
    pub holder: Option<String>,
    /// When it started, ms since 1970.
    pub started_ms: i64,
    /// When both shapes came into use, ms since 1970.
    pub dual_ms: Option<i64>,
    /// When it ended, ms since 1970.
    pub ended_ms: Option<i64>,
    /// Values written by the new version that the old shape could not hold, so far.
    pub irreversible: i64,
    /// Steps after the end that wait for the grace time: things hidden, not yet dropped.
    pub hidden: usize,
    /// What is worth knowing.
    pub warnings: Vec<String>,
}

/// One step among those of its part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StepStatus {
    /// What it does.
    pub title: String,
    /// Its place, from 1.
    pub number: usize,
    /// How many there are.
    pub of: usize,
    /// Times its locks could not be had at once.
    pub lock_waits: i32,
}

/// How far the rows are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// The table.
    pub table: String,
    /// Rows gone through.
    pub rows_done: i64,
    /// Rows there were when it began.
    pub rows_total: i64,
    /// Rows a second, lately.
    pub rows_per_second: f64,
    /// Share of the rows gone through, 0 to 100.
    pub percent: f64,
    /// Time left at this rate, ms.
    pub left_ms: Option<i64>,
    /// Rows one batch has.
    pub batch_rows: i32,
}

impl Progress {
    /// Works out share and time left.
    pub fn new(table: String, rows_done: i64, rows_total: i64, rows_per_second: f64) -> Self {
        let share = rows_done as f64 / rows_total.max(1) as f64;
        let left = rows_total.saturating_sub(rows_done).max(0) as f64;
        let left_ms = (rows_per_second > 0.0).then(|| (left / rows_per_second * 1_000.0) as i64);
        let percent = (share * 100.0).clamp(0.0, 100.0);
        Self { table, rows_done, rows_total, rows_per_second, percent, left_ms, batch_rows: 0 }
    }
}

/// A migration that is over or under way, in the list of all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Past {
    /// Its number in this database.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// Its views.
    pub new_view: String,
    /// How far it came.
    pub state: State,
    /// Who started it.
    pub who: String,
    /// When it started, ms since 1970.
    pub started_ms: i64,
    /// When it ended, ms since 1970.
    pub ended_ms: Option<i64>,
}

/// One thing that was done to a migration, by whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Deed {
    /// When, ms since 1970.
    pub at_ms: i64,
    /// Who.
    pub who: String,
    /// What: `step`, `override`, `pause`, `takeover`.
    pub what: String,
    /// More about it.
    pub detail: String,
}

#[cfg(test)]
mod tests {
    use super::Progress;

    #[test]
    fn share_and_time_left() {
        let cases = [
            (0, 100, 10.0, 0.0, Some(10_000)),
            (50, 100, 10.0, 50.0, Some(5_000)),
            (50, 100, 0.0, 50.0, None),
            (120, 100, 10.0, 100.0, Some(0)),
            (0, 0, 10.0, 0.0, Some(0)),
        ];
        for (done, total, rate, percent, left) in cases {
            let progress = Progress::new("t".into(), done, total, rate);
            assert_eq!((progress.percent, progress.left_ms), (percent, left), "{done}/{total}");
        }
    }
}
