//! Clients beside a migration: pgbench with a fixed rate of arrivals.

use crate::{Result, lab::quantile};
use serde_json::{Value, json};
use serin_postgres::Cluster;
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tempfile::TempDir;

/// Transactions a second.
const RATE: &str = "500";

/// Longest run.
const LONGEST: &str = "600";

/// Clients under way.
pub struct Clients {
    child: Child,
    folder: TempDir,
}

/// Milliseconds from when a transaction was due until it was answered, by when it was answered.
pub struct Seen(Vec<(f64, f64)>);

impl Clients {
    /// One row read and one written a transaction, of `rows`.
    pub fn start(cluster: &Cluster, database: &str, rows: u64) -> Result<Self> {
        let folder = TempDir::with_prefix("serin-clients-")?;
        let script = folder.path().join("script.sql");
        let text = format!(
            "\\set id random(1, {rows})\nUPDATE t SET amount = amount + 1 WHERE id = :id;\n\
             SELECT amount FROM t WHERE id = :id;\n"
        );
        fs::write(&script, text)?;
        let mut pgbench = Command::new(cluster.client("pgbench"));
        pgbench.current_dir(folder.path()).args(["-n", "-M", "prepared", "-c", "4", "-j", "1"]);
        pgbench.args(["-R", RATE, "-T", LONGEST, "-l", "--log-prefix=seen", "-f"]).arg(&script);
        pgbench.args(["-h", "127.0.0.1", "-U", "postgres", "-p", &cluster.port().to_string()]);
        let child = pgbench.arg(database).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        Ok(Self { child, folder })
    }

    /// Ends them; what they saw.
    pub fn end(mut self) -> Result<Seen> {
        // Interrupted, it writes down what it has seen.
        let pid = self.child.id().to_string();
        Command::new("kill").args(["-INT", &pid]).status()?;
        self.child.wait()?;
        let mut seen = Vec::new();
        for entry in fs::read_dir(self.folder.path())? {
            let path: PathBuf = entry?.path();
            if path.extension().is_none_or(|extension| extension != "sql") {
                seen.extend(fs::read_to_string(path)?.lines().filter_map(line));
            }
        }
        Ok(Seen(seen))
    }
}

/// `client number time_us script epoch_s epoch_us lag_us`; the time counts from when it was due.
fn line(text: &str) -> Option<(f64, f64)> {
    let words: Vec<f64> = text.split(' ').map_while(|word| word.parse().ok()).collect();
    Some((words.get(4)? + words.get(5)? / 1e6, words.get(2)? / 1_000.0))
}

impl Seen {
    /// Figures of those answered between two times, s since 1970.
    pub fn between(&self, from: f64, to: f64) -> Value {
        self.within(&[(from, to)])
    }

    /// Figures of those answered within some stretches of time, s since 1970.
    pub fn within(&self, windows: &[(f64, f64)]) -> Value {
        let is_in = |at: f64| windows.iter().any(|(from, to)| (*from..*to).contains(&at));
        let within = self.0.iter().filter(|seen| is_in(seen.0));
        let mut ms: Vec<f64> = within.map(|seen| seen.1).collect();
        ms.sort_by(f64::total_cmp);
        let seconds: f64 = windows.iter().map(|(from, to)| to - from).sum();
        json!({
            "transactions": ms.len(), "perSecond": ms.len() as f64 / seconds.max(1e-9),
            "p50Ms": quantile(&ms, 0.5), "p99Ms": quantile(&ms, 0.99), "maxMs": quantile(&ms, 1.0),
        })
    }
}

/// Now, s since 1970.
pub fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64())
}

/// Lets time pass.
pub fn pass(time: Duration) {
    let until = Instant::now() + time;
    while let Some(left) = until.checked_duration_since(Instant::now()) {
        std::thread::park_timeout(left);
    }
}
