//! `serin migrate start`, `resume`, `contract` and `rollback`: what runs in the foreground.

use super::args::{GoArgs, ResumeArgs, StartArgs, Stay};
use super::chosen::{self, Chosen};
use super::follow::{contracted, ended, follow, stopped};
use super::inspected::{blocking, inspected};
use super::render::finding_lines;
use super::source::{What, Written};
use super::target::{Named, failed};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::printer::{Line, Printer};
use crate::render::words::count;
use crate::who::actor;
use serin_lint::{Finding, Severity};
use serin_migrate::{Error, Plan, Say, State, Status, note_open, unpause};

/// `serin migrate start`.
pub async fn start(printer: &Printer, args: StartArgs) -> Result<Exit, Failure> {
    let named = args.target.named()?;
    let Some(Chosen { written, after }) = chosen::next(printer, &named, &args.files.path).await?
    else {
        printer.note(&Line::plain("every migration of this directory was applied"));
        let status = named.runner.status().await.map_err(failed)?;
        super::look::show(printer, status.as_ref());
        return Ok(Exit::Reached);
    };
    let plan = match chosen::is_open(&named, written.name()).await? {
        Some(_) => open_plan(&named, &written).await?,
        None => judged(printer, &named, &written, &args).await?,
    };
    let result =
        follow(printer, &named.runner, &args.stay, Box::pin(named.runner.start(&plan))).await;
    note(&named, &written, &args).await;
    let exit = match result? {
        Err(error) if error.is_own_fault() && matches!(written.what, What::Phased(_)) => {
            return taken_back(printer, &named, &args.stay, error).await;
        }
        result => concluded(printer, result)?,
    };
    if after > 0 {
        let text = format!(
            "{} more after it, once this one is contracted",
            count(after as u64, "migration")
        );
        printer.note(&Line::plain(text));
    }
    Ok(exit)
}

/// The plan that was kept when it started, if the file still says the same.
async fn open_plan(named: &Named, written: &Written) -> Result<Plan, Failure> {
    let open = named.runner.open_plan().await.map_err(failed)?;
    let Some(plan) = open else { return Err(failed(Error::None("open"))) };
    let same = match &written.what {
        What::Operations(migration) => plan.migration == **migration,
        // The plan of phased SQL does not keep its text.
        What::Phased(_) => true,
    };
    if same {
        return Ok(plan);
    }
    let message = format!("{} was changed since this migration started", written.file.name);
    Err(Failure::new(Exit::Refused, "changed-file", message)
        .hint("take it back with `serin migrate rollback`, then start it again"))
}

/// A new plan, unless something blocks it.
async fn judged(
    printer: &Printer,
    named: &Named,
    written: &Written,
    args: &StartArgs,
) -> Result<Plan, Failure> {
    if let Some(open) = named.runner.open_plan().await.map_err(failed)? {
        return Err(other_is_open(named, &open).await);
    }
    let plan = chosen::plan(printer, named, written).await?;
    let seen = inspected(printer, named, written, &plan, &args.trying).await?;
    tell(printer, written, &seen.findings);
    let blocking = blocking(&seen.findings, false);
    if blocking == 0 || args.r#override.is_some() {
        return Ok(plan);
    }
    let what = if blocking == 1 { "a finding blocks" } else { "findings block" };
    let message = format!("{} is not started: {what}", written.name());
    Err(Failure::new(Exit::Refused, "blocked", message).hint(
        "correct it, allow a rule with `-- serin:allow RULE REASON`, or say --override REASON",
    ))
}

async fn other_is_open(named: &Named, open: &Plan) -> Failure {
    let state = named.runner.status().await.ok().flatten().map_or(State::Planned, |s| s.state);
    failed(Error::Open {
        name: open.migration.name.clone(),
        schema: open.schema.as_str().into(),
        state,
    })
}

fn tell(printer: &Printer, written: &Written, findings: &[Finding]) {
    for finding in findings.iter().filter(|finding| finding.severity > Severity::Info) {
        let line = finding.place.as_ref().map(|place| place.line);
        let lines = finding_lines(finding, &written.place(&finding.path, line));
        for line in lines {
            printer.note(&line);
        }
    }
}

/// What was set aside stays with the migration; that it cannot be noted does not stop it.
async fn note(named: &Named, written: &Written, args: &StartArgs) {
    if let Some(reason) = &args.r#override {
        let _ = note_open(&named.runner, &actor(), written.name(), ("override", reason)).await;
    }
}

/// Phased SQL that failed is taken back at once, as its author wrote it.
async fn taken_back(
    printer: &Printer,
    named: &Named,
    stay: &Stay,
    error: Error,
) -> Result<Exit, Failure> {
    printer.note(&Line::plain(format!("{error}; taking it back")));
    let say = Say::default();
    let back = follow(printer, &named.runner, stay, Box::pin(named.runner.revert(&say))).await?;
    let status = back.map_err(not_back)?;
    if printer.is_json() {
        ended(printer, &status);
    }
    let message = format!("{} was taken back: {error}", status.name);
    Err(Failure::new(Exit::RolledBack, "taken-back", message)
        .hint("correct it, then `serin migrate start`"))
}

/// `serin migrate resume`.
pub async fn resume(printer: &Printer, args: ResumeArgs) -> Result<Exit, Failure> {
    let named = args.target.named()?;
    let status = named.runner.status().await.map_err(failed)?;
    if let Some(holder) = status.as_ref().and_then(|status| status.holder.as_ref()) {
        unpause(&named.runner, &actor()).await.map_err(failed)?;
        printer.note(&Line::plain(format!("{holder} works on it, and goes on")));
        return Ok(Exit::Reached);
    }
    let say = Say { accept_foreign: args.accept_foreign, ..Say::default() };
    let work = Box::pin(named.runner.resume(&say));
    let result = follow(printer, &named.runner, &args.stay, work).await?;
    concluded(printer, result)
}

/// `serin migrate contract`.
pub async fn contract(printer: &Printer, args: GoArgs) -> Result<Exit, Failure> {
    let named = args.target.used_by(&args.applications)?;
    let say = said(&args);
    let work = Box::pin(named.runner.contract(&say));
    let result = follow(printer, &named.runner, &args.stay, work).await?;
    let status = result.map_err(asks_for_backup)?;
    contracted(printer, &named.runner, &status).await;
    Ok(Exit::Reached)
}

/// `serin migrate rollback`.
pub async fn rollback(printer: &Printer, args: GoArgs) -> Result<Exit, Failure> {
    let named = args.target.used_by(&args.applications)?;
    let say = said(&args);
    let work = Box::pin(named.runner.revert(&say));
    let result = follow(printer, &named.runner, &args.stay, work).await?;
    result.map_err(not_back).and_then(|status| concluded(printer, Ok(status)))
}

/// Where SQL fails on the way back, the hint says how to get past it.
fn not_back(error: Error) -> Failure {
    let is_own = error.is_own_fault();
    let failure = stopped(error);
    if is_own {
        return failure.hint(
            "correct what is in its way, then `serin migrate rollback`; SQL of your own that fails \
             is passed over with `--override REASON`, once you did by hand what it should do",
        );
    }
    failure
}

fn said(args: &GoArgs) -> Say {
    Say {
        override_reason: args.r#override.clone(),
        backup: args.backup.clone(),
        accept_foreign: args.accept_foreign,
    }
}

/// Where only the backup is missing, the hint says how to name it.
fn asks_for_backup(error: Error) -> Failure {
    let only_backup = matches!(&error, Error::Refused { reasons, .. }
        if reasons.len() == 1 && reasons[0].contains("backup"));
    let failure = stopped(error);
    if only_backup {
        return failure.hint("say `--backup 'nightly of 3 May'`, or `--backup 'none: test data'`");
    }
    failure
}

fn concluded(printer: &Printer, result: Result<Status, Error>) -> Result<Exit, Failure> {
    match result {
        Ok(status) => {
            ended(printer, &status);
            Ok(Exit::Reached)
        }
        Err(Error::Applied(name)) => {
            printer
                .note(&Line::plain(format!("`{name}` was applied already; nothing is to be done")));
            Ok(Exit::Reached)
        }
        Err(error) => Err(stopped(error)),
    }
}
