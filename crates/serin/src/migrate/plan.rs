//! `serin migrate plan`: every statement, its lock, and how long it takes.

use super::args::PlanArgs;
use super::chosen::{self, Chosen};
use super::inspected::inspected;
use super::render::{finding_lines, put};
use super::source::Written;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::printer::{Line, Printer, Tone};
use crate::render::words::{bytes, count, span, thousands};
use serde::Serialize;
use serin_core::Millis;
use serin_lint::{
    Finding, Inspection, Lock, LockMode, Severity, TableSize, Traced, Weighed, weigh,
};
use serin_migrate::{Action, Ident, Plan, Stage, Step, is_check, split};
use std::time::Duration;

/// Characters of a statement that are shown.
const LONGEST: usize = 240;

#[derive(Serialize)]
struct PlanDocument<'a> {
    schema: &'static str,
    plan: &'a Plan,
    statements: &'a [Weighed<'a>],
    findings: &'a [Finding],
    speed: Option<serin_lint::Speed>,
}

/// `serin migrate plan`.
pub async fn plan(printer: &Printer, args: PlanArgs) -> Result<Exit, Failure> {
    let named = args.target.named()?;
    let chosen = chosen::next(printer, &named, &args.files.path).await?;
    let Some(Chosen { written, .. }) = chosen else {
        printer.note(&Line::plain("every migration of this directory was applied"));
        return Ok(Exit::Reached);
    };
    let plan = chosen::plan(printer, &named, &written).await?;
    let seen = inspected(printer, &named, &written, &plan, &args.trying).await?;
    let (weighed, _) = weigh(&seen.trace, &seen.sizes, seen.speed.as_ref());
    if printer.is_json() {
        printer.document(&PlanDocument {
            schema: "serin.migrate.plan/v1",
            plan: &plan,
            statements: &weighed,
            findings: &seen.findings,
            speed: seen.speed,
        });
    } else {
        let shown = Shown { plan: &plan, seen: &seen, weighed: &weighed };
        put(printer, shown.lines(&written));
    }
    Ok(Exit::Reached)
}

struct Shown<'a> {
    plan: &'a Plan,
    seen: &'a Inspection,
    weighed: &'a [Weighed<'a>],
}

impl Shown<'_> {
    fn lines(&self, written: &Written) -> Vec<Line> {
        let mut lines = self.head();
        let parts = [
            ("now, with `serin migrate start`", &self.plan.forward),
            ("later, with `serin migrate contract`", &self.plan.contract),
            ("or back, with `serin migrate rollback`", &self.plan.back),
        ];
        for (title, steps) in parts {
            lines.push(Line::new());
            lines.push(Line::toned(Tone::Bold, title));
            lines.extend(steps.iter().flat_map(|step| self.step(step)));
        }
        let heavy: Vec<&Finding> =
            self.seen.findings.iter().filter(|f| f.severity > Severity::Info).collect();
        if !heavy.is_empty() {
            lines.push(Line::new());
        }
        for finding in heavy {
            let line = finding.place.as_ref().map(|place| place.line);
            lines.extend(finding_lines(finding, &written.place(&finding.path, line)));
        }
        let note = |text: &serin_migrate::Flaw| {
            Line::toned(Tone::Warn, "note").text(": ").text(text.to_string())
        };
        lines.extend(self.plan.warnings.iter().map(note));
        lines
    }

    fn head(&self) -> Vec<Line> {
        let Plan { migration, schema, old_view, new_view, tables, .. } = self.plan;
        let old = old_view.as_ref().unwrap_or(schema).as_str();
        let views = if new_view == schema {
            "both versions use the tables themselves".to_owned()
        } else {
            format!("clients go from schema {old} to {}", new_view.as_str())
        };
        let mut lines = vec![Line::toned(Tone::Bold, &migration.name).text(": ").text(views)];
        for table in tables {
            let size = self.size(table);
            lines.push(Line::plain(format!(
                "  {}: about {}, {} and {} of indexes",
                table.as_str(),
                count(size.rows, "row"),
                bytes(size.bytes),
                bytes(size.index_bytes),
            )));
        }
        lines
    }

    fn size(&self, table: &Ident) -> TableSize {
        self.seen.sizes.of(&format!("{}.{}", self.plan.schema.as_str(), table.as_str()))
    }

    fn step(&self, step: &Step) -> Vec<Line> {
        let title =
            Line::plain("  ").add(Tone::Accent, stage(step.stage)).text("  ").text(&step.title);
        let mut lines = vec![title];
        match &step.action {
            Action::Transaction { sql, .. } => {
                let all = sql.iter().flat_map(|sql| split(sql)).filter(|sql| !is_check(sql));
                lines.extend(all.flat_map(|sql| self.statement(step, sql)));
            }
            Action::IndexConcurrently { create, .. } => lines.extend(self.statement(step, create)),
            Action::DropIndexConcurrently { index, .. } => {
                lines.extend(self.statement(step, &format!("DROP INDEX CONCURRENTLY {index}")));
            }
            Action::Backfill { sync } => {
                let table = self.plan.syncs.get(*sync).map(|sync| &sync.table);
                lines.extend(table.map(|table| self.filling(table)));
            }
            Action::Fill(fill) => lines.push(self.filling(&fill.table)),
            Action::Check { sql } | Action::Violations { query: sql, .. } => {
                lines.push(indented(sql).then(Line::toned(Tone::Dim, "  only reads")));
            }
            Action::AllDone { .. } | Action::Salvage { .. } | Action::Restore { .. } => {}
        }
        lines
    }

    fn filling(&self, table: &Ident) -> Line {
        let size = self.size(table);
        let duty = self.plan.migration.settings.backfill.duty;
        let time = self.seen.speed.as_ref().map(|speed| speed.filling(size, duty));
        let time = time.map_or(String::new(), |time| format!(", about {}", words(time)));
        Line::plain("      ").add(
            Tone::Dim,
            format!(
                "{} in batches, each its own transaction, {:.0} % of the time{time}",
                thousands(size.rows) + " rows",
                duty * 100.0,
            ),
        )
    }

    /// A statement with its lock and time, as far as they were traced.
    fn statement(&self, step: &Step, sql: &str) -> Vec<Line> {
        let is_it =
            |weighed: &&Weighed<'_>| weighed.traced.step == step.title && weighed.traced.sql == sql;
        let Some(weighed) = self.weighed.iter().find(is_it) else { return vec![indented(sql)] };
        let traced = weighed.traced;
        let strongest = traced.locks.iter().max_by_key(|lock| lock.mode);
        let work = [
            ("writes anew", &traced.rewrites),
            ("builds an index on", &traced.indexes),
            ("reads all of", &traced.scans),
        ];
        let work = work.into_iter().find(|(_, tables)| !tables.is_empty());
        let work = work.map_or_else(
            || "touches no row".to_owned(),
            |(word, tables)| format!("{word} {}", tables.join(", ")),
        );
        let time = weighed.seconds.map(Duration::from_secs_f64);
        let time = time.map_or(String::new(), |time| format!(", about {}", words(time)));
        let lock = strongest.map_or_else(|| no_lock(traced), lock);
        let tone = match strongest.map(|lock| lock.mode) {
            Some(mode) if mode.blocks_writes() && !work.starts_with("touches") => Tone::Warn,
            _ => Tone::Dim,
        };
        let said = Line::plain("          ").add(tone, format!("{lock}; {work}{time}"));
        vec![indented(sql), said]
    }
}

/// What is held still, where a statement takes no further lock.
fn no_lock(traced: &Traced) -> String {
    match traced.held.iter().max_by_key(|(_, mode)| **mode) {
        Some((table, mode)) => format!("no further lock; {mode} on {table} is held"),
        None => "no lock on a table of yours".to_owned(),
    }
}

fn lock(lock: &Lock) -> String {
    let who = match lock.mode {
        LockMode::AccessExclusive => ", for a moment nobody else",
        mode if mode.blocks_writes() => ", writers wait",
        _ => "",
    };
    format!("{} on {}{who}", lock.mode, lock.table)
}

fn words(time: Duration) -> String {
    span(Millis((time.as_millis() as u64).max(1)))
}

fn indented(sql: &str) -> Line {
    let one = sql.split_whitespace().collect::<Vec<_>>().join(" ");
    match one.char_indices().nth(LONGEST) {
        Some((end, _)) => {
            Line::plain("      ").text(&one[..end]).add(Tone::Dim, " … (`--json` has it whole)")
        }
        None => Line::plain("      ").text(one),
    }
}

fn stage(stage: Stage) -> &'static str {
    match stage {
        Stage::Expand => "expand",
        Stage::Backfill => "backfill",
        Stage::Verify => "verify",
        Stage::Publish => "publish",
        Stage::Validate => "validate",
        Stage::Swap => "swap",
        Stage::Grace => "after the grace time",
        Stage::Unpublish => "unpublish",
        Stage::Salvage => "salvage",
        Stage::Revert => "revert",
    }
}
