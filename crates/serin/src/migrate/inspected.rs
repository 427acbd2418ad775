//! What rules and a trace find in a migration, before it runs.

use super::args::Trying;
use super::source::{What, Written};
use super::target::{Named, failed};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::printer::{Line, Printer};
use serin_lint::{
    Finding, Inspection, Severity, Sizes, Where, inspect, lint_migration, lint_phased, lint_plan,
};
use serin_migrate::Plan;

/// What the rules find in the text alone.
pub fn rules(written: &Written, sizes: Option<&Sizes>) -> Vec<Finding> {
    match &written.what {
        What::Operations(migration) => lint_migration(migration, sizes),
        What::Phased(set) => lint_phased(set, sizes),
    }
}

/// Everything that can be known of a plan.
pub async fn inspected(
    printer: &Printer,
    named: &Named,
    written: &Written,
    plan: &Plan,
    trying: &Trying,
) -> Result<Inspection, Failure> {
    let client = named.runner.connect().await.map_err(failed)?;
    let sizes = Sizes::read(&client).await.map_err(|error| {
        let message = format!("the sizes of the tables cannot be read: {error}");
        Failure::new(Exit::Unreachable, "unreachable", message).hint("see that the database runs")
    })?;
    let rules = rules(written, Some(&sizes));
    if trying.no_trace {
        let mut seen = Inspection { findings: rules, sizes, ..Inspection::default() };
        seen.findings.extend(lint_plan(plan, &seen.sizes));
        return Ok(seen);
    }
    let place = if trying.trace_live { Where::Live { limit_ms: 50 } } else { Where::Copy };
    if place == Where::Copy {
        printer.note(&Line::plain("trying the statements on a copy of the schema"));
    }
    let set = match &written.what {
        What::Phased(set) => Some(set.as_ref()),
        What::Operations(_) => None,
    };
    inspect(&named.address, &client, plan, set, rules, place).await.map_err(|error| {
        let message = format!("the statements cannot be tried: {error}");
        Failure::new(Exit::Refused, "no-trace", message)
            .hint(format!("{}; --no-trace goes without", error.hint()))
    })
}

/// How many findings stand in the way; with `strict`, warnings do.
pub fn blocking(findings: &[Finding], strict: bool) -> usize {
    let heavy = |finding: &&Finding| {
        finding.blocks()
            || strict && finding.severity == Severity::Warn && finding.allowed.is_none()
    };
    findings.iter().filter(heavy).count()
}
