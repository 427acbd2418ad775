//! `serin migrate lint`.

use super::args::LintArgs;
use super::chosen;
use super::inspected::{blocking, inspected, rules};
use super::order;
use super::render::{finding_lines, put};
use super::source::{self, Written};
use super::target::failed;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::file::File;
use crate::printer::{Channel, Line, Printer, Tone};
use crate::render::words::count;
use serde::Serialize;
use serin_lint::{Finding, Setting, Severity, lint as lint_sql};
use std::cmp::Ordering;

/// What was found in one file.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Looked {
    file: String,
    name: String,
    /// `applied`, `traced` or `read`.
    how: &'static str,
    findings: Vec<Found>,
}

/// A finding and where it stands.
#[derive(Serialize)]
struct Found {
    at: String,
    #[serde(flatten)]
    finding: Finding,
}

#[derive(Serialize)]
struct LintDocument<'a> {
    schema: &'static str,
    files: &'a [Looked],
    blocking: usize,
    warnings: usize,
}

/// `serin migrate lint`.
pub async fn lint(printer: &Printer, args: LintArgs) -> Result<Exit, Failure> {
    let mut looked = match (!args.offline).then(|| args.target.address()).transpose()?.flatten() {
        Some(_) => against_database(printer, &args).await?,
        None => files(printer, &args)?.iter().map(|written| read(written, "read")).collect(),
    };
    for path in &args.app_sql {
        looked.push(of_app(&File::read(path)?));
    }
    Ok(told(printer, &looked, args.strict))
}

fn files(printer: &Printer, args: &LintArgs) -> Result<Vec<Written>, Failure> {
    source::all(&args.files.path, printer.has_color(Channel::Err))
}

fn read(written: &Written, how: &'static str) -> Looked {
    looked(written, how, rules(written, None))
}

fn looked(written: &Written, how: &'static str, findings: Vec<Finding>) -> Looked {
    let found = |finding: Finding| {
        let line = finding.place.as_ref().map(|place| place.line);
        Found { at: written.place(&finding.path, line), finding }
    };
    let findings = findings.into_iter().map(found).collect();
    Looked { file: written.file.name.clone(), name: written.name().into(), how, findings }
}

/// What was applied is passed over; the next one is tried; those after it build on it, and are
/// only read.
async fn against_database(printer: &Printer, args: &LintArgs) -> Result<Vec<Looked>, Failure> {
    let named = args.target.named()?;
    let files = files(printer, args)?;
    let past = named.runner.history().await.map_err(failed)?;
    let names: Vec<&str> = files.iter().map(Written::name).collect();
    let applied = if args.files.path.is_dir() {
        order::applied(&names, &past, true).map_err(|mismatch| {
            Failure::new(Exit::Refused, "mismatched-history", mismatch.message).hint(mismatch.hint)
        })?
    } else {
        0
    };
    let mut all = Vec::new();
    for (at, written) in files.iter().enumerate() {
        all.push(match at.cmp(&applied) {
            Ordering::Less => looked(written, "applied", Vec::new()),
            Ordering::Equal => {
                let plan = chosen::plan(printer, &named, written).await?;
                let seen = inspected(printer, &named, written, &plan, &args.trying).await?;
                let how = if args.trying.no_trace { "read" } else { "traced" };
                looked(written, how, seen.findings)
            }
            Ordering::Greater => read(written, "read"),
        });
    }
    Ok(all)
}

/// What an app sends must work on views.
fn of_app(file: &File) -> Looked {
    let setting = Setting { phase: None, ..Setting::default() };
    let found = |finding: Finding| {
        let place = finding.place.as_ref().map_or((1, 1), |place| (place.line, place.column));
        Found { at: format!("{}:{}:{}", file.name, place.0, place.1), finding }
    };
    let findings = lint_sql(&file.text, &setting).into_iter().map(found).collect();
    Looked { file: file.name.clone(), name: file.name.clone(), how: "read", findings }
}

fn told(printer: &Printer, looked: &[Looked], strict: bool) -> Exit {
    let findings: Vec<&Finding> =
        looked.iter().flat_map(|l| &l.findings).map(|f| &f.finding).collect();
    let owned: Vec<Finding> = findings.iter().map(|finding| (*finding).clone()).collect();
    let blocking = blocking(&owned, strict);
    let is_warning =
        |finding: &&&Finding| finding.severity == Severity::Warn && finding.allowed.is_none();
    let warnings = findings.iter().filter(is_warning).count();
    if printer.is_json() {
        let schema = "serin.migrate.lint/v1";
        printer.document(&LintDocument { schema, files: looked, blocking, warnings });
    } else {
        for one in looked {
            for found in &one.findings {
                put(printer, finding_lines(&found.finding, &found.at));
            }
        }
        put(printer, vec![summary(printer, looked, blocking, warnings)]);
    }
    if blocking > 0 { Exit::Refused } else { Exit::Reached }
}

fn summary(printer: &Printer, looked: &[Looked], blocking: usize, warnings: usize) -> Line {
    let how = |word: &str| looked.iter().filter(|one| one.how == word).count();
    let (tone, sign) = match blocking {
        0 => (Tone::Good, printer.glyphs().done),
        _ => (Tone::Bad, "error"),
    };
    let mut parts = vec![count(looked.len() as u64, "file")];
    for (word, text) in [("applied", "applied already"), ("traced", "tried on a server")] {
        let n = how(word);
        if n > 0 {
            parts.push(format!("{n} {text}"));
        }
    }
    parts.push(match blocking {
        0 => "nothing blocks".to_owned(),
        1 => "1 finding blocks".to_owned(),
        n => format!("{n} findings block"),
    });
    if warnings > 0 {
        parts.push(count(warnings as u64, "warning"));
    }
    Line::toned(tone, sign).text(" ").text(parts.join(", "))
}
