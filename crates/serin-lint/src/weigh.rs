//! What a trace means for tables of their real sizes.

use crate::own::finding;
use crate::{Finding, Severity, Sizes, Speed, Trace, Traced};
use serde::Serialize;
use std::time::Duration;

/// Work under a lock that takes less is as good as none.
const SHORT: Duration = Duration::from_millis(100);

/// A statement, and how long it will take about.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Weighed<'a> {
    /// The statement.
    #[serde(flatten)]
    pub traced: &'a Traced,
    /// Seconds it works on tables of their present size; `None` when no speed was measured.
    pub seconds: Option<f64>,
}

/// Estimates every statement, and finds those that work long under a lock.
pub fn weigh<'a>(
    trace: &'a Trace,
    sizes: &Sizes,
    speed: Option<&Speed>,
) -> (Vec<Weighed<'a>>, Vec<Finding>) {
    let mut findings: Vec<Finding> = trace.failure.iter().map(fails).collect();
    let mut weighed = Vec::new();
    for traced in &trace.statements {
        let time = speed.map(|speed| duration(traced, sizes, speed));
        findings.extend(under_lock(traced, time));
        weighed.push(Weighed { traced, seconds: time.map(|time| time.as_secs_f64()) });
    }
    (weighed, findings)
}

/// How long a statement works.
pub(crate) fn duration(traced: &Traced, sizes: &Sizes, speed: &Speed) -> Duration {
    let rewrites = traced.rewrites.iter().map(|table| speed.rewriting(sizes.of(table)));
    let indexes = traced.indexes.iter().filter(|table| !traced.rewrites.contains(table));
    let indexes = indexes.map(|table| speed.indexing(sizes.of(table)));
    let counted =
        |table: &&String| !traced.rewrites.contains(table) && !traced.indexes.contains(table);
    let scans = traced.scans.iter().filter(counted).map(|table| speed.scanning(sizes.of(table)));
    rewrites.chain(indexes).chain(scans).fold(Duration::ZERO, Duration::saturating_add)
}

/// What a statement does to rows while others wait for a lock.
pub(crate) fn work_under_lock(traced: &Traced) -> Option<(&'static str, String, crate::LockMode)> {
    let strong = |table: &String| {
        let mode = traced.held.get(table).copied().filter(|mode| mode.blocks_writes());
        mode.map(|mode| (table.clone(), mode))
    };
    let work = [
        ("writes anew", &traced.rewrites),
        ("builds an index on", &traced.indexes),
        ("reads all of", &traced.scans),
    ];
    work.into_iter().find_map(|(word, tables)| {
        let (table, mode) = tables.iter().find_map(strong)?;
        Some((word, table, mode))
    })
}

fn under_lock(traced: &Traced, time: Option<Duration>) -> Option<Finding> {
    let (word, table, mode) = work_under_lock(traced)?;
    let rewrite = word == "writes anew";
    let rule = if rewrite { "rewrite-under-lock" } else { "scan-under-lock" };
    let waiting = if mode.blocks_reads() { "readers and writers" } else { "writers" };
    let long = time.map_or(String::new(), |time| format!(", for about {}", span(time)));
    let message = format!(
        "`{}` {word} {table} while {mode} is held on it{long}: {waiting} wait",
        short(&traced.sql)
    );
    let hint = if rewrite {
        "add a new column and let Serin fill it, instead of changing the old one"
    } else {
        "do it NOT VALID and validate later, or CONCURRENTLY, in a part of its own"
    };
    let found = finding(rule, message).of(&traced.sql).hint(hint);
    Some(match time {
        Some(time) if time < SHORT => Finding { severity: Severity::Info, ..found },
        Some(time) if time >= Duration::from_secs(1) => {
            Finding { severity: Severity::Block, ..found }
        }
        _ => found,
    })
}

fn fails((step, sql, said): &(String, String, String)) -> Finding {
    let message = format!("`{}` of the step `{step}` fails when it is tried: {said}", short(sql));
    finding("fails-on-copy", message).of(sql).hint("correct it; nothing after it was looked at")
}

/// A statement on one line, cut.
pub(crate) fn short(sql: &str) -> String {
    const MAX: usize = 70;
    let line = sql.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(MAX) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line,
    }
}

/// A time for people, with two digits.
pub(crate) fn span(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    match seconds {
        _ if seconds < 0.001 => "1 ms".into(),
        _ if seconds < 1.0 => format!("{:.0} ms", seconds * 1e3),
        _ if seconds < 120.0 => format!("{seconds:.1} s"),
        _ if seconds < 7_200.0 => format!("{:.0} min", seconds / 60.0),
        _ => format!("{:.1} h", seconds / 3_600.0),
    }
}
