//! `serin flag stale`: which flags have had their time.

use super::args::StaleArgs;
use super::change::asking;
use super::look::all;
use super::scan::Scan;
use crate::context::{Context, query};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::printer::{Line, Tone};
use crate::render::Frame;
use crate::render::table::Table;
use crate::render::words::count;
use serin_server::api::view::{Ready, StaleFlag, StaleReport, StaleRequest, Verdict};

/// `serin flag stale`.
pub async fn stale(context: &Context<'_>, args: StaleArgs) -> Result<Exit, Failure> {
    let set = args.set.set;
    let references = match &args.code {
        None => None,
        Some(path) => {
            let flags = all(context, &set).await?.flags;
            let keys = flags.into_iter().map(|flag| flag.key).collect();
            Some(Scan::of(path, &keys)?.counts)
        }
    };
    let looked = references.is_some();
    let request = StaleRequest { days: args.days, references };
    let path = format!("/api/v1/flag-stale{}", query(&[("set", Some(set))]));
    let document = context.client.submit(&path, &request).await?;
    let report: StaleReport = document.read()?;
    if context.printer.is_json() {
        context.printer.pass(&document);
    } else {
        for line in lines(&report, looked, &context.frame()) {
            context.printer.data(&line);
        }
    }
    let found = !report.flags.is_empty() || !report.unknown.is_empty();
    Ok(if args.strict && found { Exit::Usage } else { Exit::Reached })
}

fn lines(report: &StaleReport, looked: bool, frame: &Frame) -> Vec<Line> {
    let mut table = Table::new(&["FLAG", "OWNER", "WHAT IS SO", "NEXT"], &[]).whole();
    for flag in &report.flags {
        let verdicts: Vec<_> = flag.found.verdicts.iter().map(|one| words(*one)).collect();
        table.row(vec![
            Line::toned(Tone::Bold, &flag.key),
            Line::plain(&flag.owner),
            Line::plain(verdicts.join(", ")),
            Line::plain(next(flag, looked)),
        ]);
    }
    let mut lines = if report.flags.is_empty() { vec![] } else { table.lines(frame, "") };
    for unknown in &report.unknown {
        let text =
            format!(": clients ask for it, {}, and there is no such flag", times(unknown.count));
        lines.push(Line::toned(Tone::Bold, &unknown.key).add(Tone::Warn, text));
    }
    lines.push(debt(report));
    lines
}

fn times(n: u64) -> String {
    if n == 1 { "once".into() } else { format!("{n} times") }
}

/// What is to be tested while flags differ between users.
fn debt(report: &StaleReport) -> Line {
    let flags = count(report.temporary as u64, "flag");
    let combinations = match u32::try_from(report.varied).ok().and_then(|n| 2_u64.checked_pow(n)) {
        Some(n) => count(n, "combination"),
        None => format!("2^{} combinations", report.varied),
    };
    let varied = report.varied;
    let text = format!(
        "{flags} for a time, {varied} of them with users on both sides: {combinations} to test"
    );
    Line::toned(Tone::Dim, text)
}

fn words(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Expired => "expired",
        Verdict::PastLifetime => "older than its kind should get",
        Verdict::OneSided => "the same for everybody",
        Verdict::AlwaysTrue => "always true",
        Verdict::AlwaysFalse => "always false",
        Verdict::AlwaysOne => "always one answer",
        Verdict::NeverEvaluated => "never evaluated",
        Verdict::NotEvaluated => "not evaluated lately",
        Verdict::NoReferences => "no code mentions it",
    }
}

fn next(flag: &StaleFlag, looked: bool) -> String {
    let survivor = flag.found.survivor.as_deref().unwrap_or_default();
    match flag.found.ready {
        Some(Ready::Archive) => format!("ready to remove: `serin flag archive {}`", flag.key),
        Some(Ready::RemoveCode) => format!("ready to remove: keep `{survivor}` in the code"),
        None if !looked => "look at the code too: add `--code PATH`".into(),
        None => "the witnesses do not agree yet".into(),
    }
}

/// `serin flag list` of operational flags, made if they are not there.
pub async fn ops(context: &Context<'_>, args: super::args::OpsArgs) -> Result<Exit, Failure> {
    let set = args.set.set;
    if args.create {
        let owner = args.owner.unwrap_or_else(|| "operations".into());
        let known = all(context, &set).await?.flags;
        for (key, description, on) in OPS {
            if known.iter().any(|flag| flag.key == key) {
                continue;
            }
            let strategy = if on { "all" } else { "none" };
            let request = serin_server::api::view::FlagPatch {
                asking: asking(Some("operational flags".into())),
                patch: patch(description, &owner),
                strategies: vec![serde_json::json!({ "strategy": strategy })],
                create: true,
            };
            let path = super::look::path_of(key, "", &set);
            context.client.send(http::Method::PATCH, &path, &request, None).await?;
        }
    }
    super::look::pinned(context, &set).await
}

fn patch(description: &str, owner: &str) -> serde_json::Map<String, serde_json::Value> {
    let fields = [("kind", "ops"), ("owner", owner), ("description", description)];
    fields.into_iter().map(|(name, text)| (name.to_owned(), text.into())).collect()
}

/// What every service may need in a hurry, and whether it is on from the beginning.
const OPS: [(&str, &str, bool); 4] = [
    ("maintenance_mode", "Users see a page that says so, workers stop", false),
    ("read_only_mode", "Nothing is written", false),
    ("expensive_queries", "Searches and reports that cost much; off under load", true),
    ("external_integrations", "Calls of other companies' services; off when they fail", true),
];
