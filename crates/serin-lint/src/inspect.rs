//! Everything that can be known of a plan before it runs on a database.

use crate::locate::locate;
use crate::own::finding;
use crate::session::said;
use crate::weigh::short;
use crate::{
    Copy, CopyError, Finding, Sizes, Speed, Trace, Where, against_declared, clear, lint_plan,
    rehearse, trace, weigh,
};
use serin_connect::Address;
use serin_migrate::{PhasedSet, Plan};
use tokio_postgres::Client;

/// Longest wait of a trace on the real database, ms.
const LIVE_MS: u32 = 50;

/// Differences of a rehearsal that are told.
const TOLD: usize = 5;

/// What was found.
#[derive(Debug, Clone, Default)]
pub struct Inspection {
    /// What the rules and the trace found.
    pub findings: Vec<Finding>,
    /// What the statements did, forward and at the contract.
    pub trace: Trace,
    /// How large the real tables are.
    pub sizes: Sizes,
    /// How fast the server is; `None` where it could not be measured.
    pub speed: Option<Speed>,
}

/// Traces a plan and weighs what it does by the sizes of the real tables; `rules` are what was
/// found in its text before.
///
/// # Errors
/// [`CopyError`] when the trace cannot be made.
pub async fn inspect(
    address: &Address,
    client: &Client,
    plan: &Plan,
    set: Option<&PhasedSet>,
    rules: Vec<Finding>,
    place: Where,
) -> Result<Inspection, CopyError> {
    let asked = |error: tokio_postgres::Error| CopyError::Connect(said(&error));
    let sizes = Sizes::read(client).await.map_err(asked)?;
    let mut seen = Inspection { findings: rules, sizes, ..Inspection::default() };
    if place == Where::Copy {
        let copy = Copy::make(address).await?;
        let done = on_copy(&copy, plan, &mut seen).await;
        copy.close().await;
        done?;
    } else {
        let place = Where::Live { limit_ms: LIVE_MS };
        seen.trace = trace(client, &plan.forward, place).await.map_err(asked)?;
    }
    clear(&mut seen.findings, &seen.trace);
    seen.findings.extend(lint_plan(plan, &seen.sizes));
    let (_, heavy) = weigh(&seen.trace, &seen.sizes, seen.speed.as_ref());
    let declared =
        set.map(|set| against_declared(set, &seen.trace, &seen.sizes, seen.speed.as_ref()));
    let declared = declared.unwrap_or_default();
    // What was declared and is so needs no further word but the time.
    seen.findings.extend(
        heavy.into_iter().filter(|finding| set.is_none() || finding.rule == "fails-on-copy"),
    );
    seen.findings.extend(declared);
    locate(&mut seen.findings, &plan.migration, set);
    Ok(seen)
}

fn one_way(path: String) -> Finding {
    let message = "this SQL has no `down`: a rollback leaves behind what it did";
    let hint = "say `down` where that matters";
    finding("no-way-back", message).hint(hint).path(path)
}

async fn on_copy(copy: &Copy, plan: &Plan, seen: &mut Inspection) -> Result<(), CopyError> {
    let asked = |error: tokio_postgres::Error| CopyError::Connect(said(&error));
    let session = copy.session().await?;
    let prepared = serin_migrate::prepare(&session).await;
    prepared.map_err(|error| CopyError::Restore(error.to_string()))?;
    seen.speed = Some(Speed::measure(&session).await.map_err(asked)?);
    let rehearsal = rehearse(&session, plan).await.map_err(asked)?;
    seen.trace = rehearsal.forward;
    seen.findings.extend(plan.without_way_back().into_iter().map(one_way));
    if let Some((step, sql, said)) = &rehearsal.failure {
        let message = format!("`{}` of `{step}` fails when it is run again: {said}", short(sql));
        let hint = "let the way back say IF EXISTS, so that it can be run at any time";
        seen.findings.push(finding("not-repeatable", message).of(sql).hint(hint));
        return Ok(());
    }
    if !rehearsal.left.is_empty() {
        let told: Vec<&str> = rehearsal.left.iter().take(TOLD).map(String::as_str).collect();
        let message = format!("the way back does not lead back: {}", told.join("; "));
        let hint = "let it take back everything, and nothing else";
        seen.findings.push(finding("not-repeatable", message).hint(hint));
    }
    if seen.trace.failure.is_none() {
        let contract = trace(&session, &plan.contract, Where::Copy).await.map_err(asked)?;
        seen.trace.statements.extend(contract.statements);
        seen.trace.failure = contract.failure;
    }
    Ok(())
}
