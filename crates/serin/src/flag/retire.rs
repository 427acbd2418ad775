//! `serin flag retire`: takes a flag out of the system stage by stage.

use super::args::RetireArgs;
use super::change::asking;
use super::look::path_of;
use super::render::when;
use super::scan::Scan;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::printer::{Line, Tone};
use crate::render::words::count;
use serin_server::api::view::{FlagRetirement, RetireRequest, RetireStage};

/// `serin flag retire`.
pub async fn retire(context: &Context<'_>, args: RetireArgs) -> Result<Exit, Failure> {
    let path = path_of(&args.key, "/retirement", &args.set.set);
    let request = request(&args)?;
    let document = if request.what.is_none() && request.references.is_none() {
        context.client.document(&path).await?
    } else {
        context.client.submit(&path, &request).await?
    };
    if context.printer.is_json() {
        context.printer.pass(&document);
        return Ok(Exit::Reached);
    }
    let view: FlagRetirement = document.read()?;
    for line in lines(&view) {
        context.printer.data(&line);
    }
    Ok(Exit::Reached)
}

fn request(args: &RetireArgs) -> Result<RetireRequest, Failure> {
    let keeps = args.keep.is_some() || args.no_background;
    if args.start && args.background.is_none() && !keeps {
        let what = "nobody said what works in the background for this flag";
        return Err(Failure::usage("background-missing", what).hint(
            "name the flags that stop it with `--background KEY,..`, or say `--no-background`",
        ));
    }
    let references = match &args.code {
        None => None,
        Some(path) => {
            let keys = std::collections::BTreeSet::from([args.key.clone()]);
            Some(Scan::of(path, &keys)?.counts.get(&args.key).copied().unwrap_or(0))
        }
    };
    let step = [(args.start, "start"), (args.next, "next"), (args.cancel, "cancel")];
    let what = step.into_iter().find_map(|(said, what)| said.then(|| what.to_owned()));
    Ok(RetireRequest {
        asking: asking(args.why.reason.clone()),
        what,
        keep: args.keep.clone(),
        background: args.background.clone().unwrap_or_default(),
        watch_s: args.watch.map(|watch| u32::try_from(watch.as_secs()).unwrap_or(u32::MAX)),
        references,
    })
}

fn lines(view: &FlagRetirement) -> Vec<Line> {
    let head = Line::toned(Tone::Bold, &view.key).text(format!(" ({})", view.set));
    let Some(one) = &view.retirement else {
        let what = if view.archived { "was put away" } else { "is not being retired" };
        let start = format!("begin with `serin flag retire {} --start`", view.key);
        let next = (!view.archived).then(|| Line::toned(Tone::Dim, start));
        return [head.text(format!(" {what}"))].into_iter().chain(next).collect();
    };
    let mut all = vec![head.text(format!(": `{}` stays", one.keep))];
    for stage in &one.passed {
        let span = format!("{} to {}, then {}", when(stage.from), when(stage.to), stage.by);
        let name = Line::toned(Tone::Good, "done").pad(6);
        all.push(Line::plain("  ").then(name).text(format!("{}: {span}", word(stage.stage))));
    }
    let now = Line::toned(Tone::Accent, "now").pad(6);
    let since = format!("{}, since {}", word(one.stage), when(one.since));
    all.push(Line::plain("  ").then(now).text(since));
    if let Some(scanned) = &one.scanned {
        let found = format!("{}, {}", count(scanned.references, "mention"), when(scanned.at));
        let name = Line::toned(Tone::Dim, "code").pad(6);
        all.push(Line::plain("  ").then(name).text(found));
    }
    let next = Line::toned(Tone::Dim, "next").pad(6);
    all.push(Line::plain("  ").then(next).text(&view.next));
    for why in &view.waits {
        let name = Line::toned(Tone::Warn, "waits").pad(6);
        all.push(Line::plain("  ").then(name).text(why));
    }
    if view.waits.is_empty() {
        let text = format!("  go on: `serin flag retire {} --next`", view.key);
        all.push(Line::toned(Tone::Dim, text));
    }
    all
}

fn word(stage: RetireStage) -> &'static str {
    match stage {
        RetireStage::Users => "users get what stays",
        RetireStage::Background => "work in the background is off",
        RetireStage::Code => "code is taken out",
    }
}
