//! What phased SQL says of itself, against what the trace shows.

use crate::own::finding;
use crate::weigh::{duration, short, span, work_under_lock};
use crate::{Finding, Severity, Sizes, Speed, Trace, Traced};
use serin_migrate::{PhasedMigration, PhasedSet};
use std::time::Duration;

/// Compares `requires_lock`, `affects_writes` and `estimated_duration` with a trace of the set.
pub fn against_declared(
    set: &PhasedSet,
    trace: &Trace,
    sizes: &Sizes,
    speed: Option<&Speed>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (at, part) in set.migrations.iter().enumerate() {
        let title = part.title();
        let own: Vec<&Traced> = trace.statements.iter().filter(|t| t.step == title).collect();
        let found = locks(part, &own).into_iter().chain(times(part, &own, sizes, speed));
        findings.extend(found.map(|finding| finding.path(format!("migrations[{at}]"))));
    }
    findings
}

fn locks(part: &PhasedMigration, statements: &[&Traced]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for traced in statements {
        let Some((word, table, mode)) = work_under_lock(traced) else { continue };
        let what = format!("`{}` {word} {table} under {mode}", short(&traced.sql));
        if mode.blocks_reads() && !part.requires_lock {
            let message = format!("{what}, but `requires_lock` is false");
            let hint = "say `requires_lock: true` if nobody needs the table then, or do it without";
            findings.push(finding("lock-not-declared", message).of(&traced.sql).hint(hint));
        } else if !mode.blocks_reads() && !part.affects_writes {
            let message = format!("{what}, but `affects_writes` is false");
            let hint = "say `affects_writes: true`, or do it CONCURRENTLY or NOT VALID";
            findings.push(finding("writes-not-declared", message).of(&traced.sql).hint(hint));
        }
    }
    findings
}

fn times(
    part: &PhasedMigration,
    statements: &[&Traced],
    sizes: &Sizes,
    speed: Option<&Speed>,
) -> Option<Finding> {
    let declared = Duration::from_millis(part.estimated_duration_ms?);
    let speed = speed?;
    let time: Duration = statements.iter().map(|traced| duration(traced, sizes, speed)).sum();
    if time <= declared {
        return None;
    }
    let message = format!(
        "it will take about {}, and `estimated_duration` says {}; it is stopped after three times that",
        span(time),
        span(declared)
    );
    let found = finding("longer-than-declared", message).hint("raise `estimated_duration`");
    let stopped = time > declared.saturating_mul(3);
    Some(if stopped { Finding { severity: Severity::Block, ..found } } else { found })
}
