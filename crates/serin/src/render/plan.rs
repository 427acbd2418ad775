//! What a deploy would do.

use super::table::Table;
use super::words::{count, moment, span, thousands};
use super::{Frame, class, version};
use crate::printer::{Line, Tone};
use serin_core::{Millis, OutlookStep};
use serin_server::api::view::{AdviceView, PlanPreview, WayBackView};

const HEADS: [&str; 6] = ["STEP", "WEIGHT", "OLD+NEW", "AT LEAST", "REQUESTS", "WHAT"];

/// Steps, the shortest time, the requests needed, the way back. With `full` the steps are written
/// out whatever they come from, and so is the strategy that is advised.
pub fn plan(plan: &PlanPreview, full: bool, frame: &Frame) -> Vec<Line> {
    let mut lines = vec![title(plan, frame)];
    if plan.action == "nothing" {
        return lines;
    }
    let mut table = Table::new(&HEADS, &[0, 1, 2, 3, 4]).whole();
    for (index, step) in plan.outlook.steps.iter().enumerate() {
        table.row(cells(index, step, plan));
    }
    if !plan.strategy.is_empty() {
        lines.push(fact("strategy", &plan.strategy));
    }
    if full || is_preset(&plan.strategy) {
        lines.extend(yaml(&plan.written, frame));
    }
    if plan.action == "first" && !plan.outlook.steps.is_empty() {
        lines.push(Line::toned(Tone::Dim, "  every later one goes through:"));
    }
    if !plan.outlook.steps.is_empty() {
        lines.extend(table.lines(frame, "  "));
    }
    let facts = totals(plan).into_iter().chain(takes(plan)).chain(way_back(plan));
    let facts = facts.chain(plan.advice.as_ref().map(|advice| advised(advice, full)));
    lines.extend(facts.flat_map(|fact| fact.hang(frame.columns(), 4)));
    let proposed = plan.advice.as_ref().and_then(|advice| advice.strategy.as_deref());
    lines.extend(proposed.filter(|_| full).into_iter().flat_map(|text| yaml(text, frame)));
    let note = |text: &String| Line::plain("  ").add(Tone::Warn, "note").text(": ").text(text);
    lines.extend(plan.outlook.notes.iter().flat_map(|text| note(text).hang(frame.columns(), 4)));
    lines
}

/// Whether the file has only its name, so that the steps are read nowhere else.
fn is_preset(name: &str) -> bool {
    serin_spec::presets().iter().any(|preset| preset.name == name)
}

/// Text for a file. A line that is too long goes on deeper, which means the same.
fn yaml(text: &str, frame: &Frame) -> Vec<Line> {
    let lines = text.lines().map(|line| Line::plain(format!("    {line}")));
    lines.flat_map(|line| line.hang(frame.columns(), 10)).collect()
}

/// What would find more, and where to read it.
fn advised(advice: &AdviceView, full: bool) -> Line {
    let more = match advice.strategy {
        None => "",
        Some(_) if full => "; under `strategy:` write",
        Some(_) => "; `serin plan --full` writes it out",
    };
    fact("advice", &format!("{}{more}", advice.sentence))
}

/// How one goes back, and how long it took before.
fn way_back(plan: &PlanPreview) -> Vec<Line> {
    let said = |way: &WayBackView| match plan.from {
        Some(_) => format!("{}: {}", class(way.class), way.text),
        // There is nothing to go back to, so nothing it takes.
        None => way.text.clone(),
    };
    let mut lines: Vec<_> = plan.way_back.iter().map(|way| fact("way back", &said(way))).collect();
    let routed: Vec<_> = plan.measured.iter().filter_map(|way| way.routed).collect();
    if let Some(longest) = routed.iter().max() {
        let ways = count(routed.len() as u64, "way");
        let text = format!("the last {ways} back took at most {longest} until the route was there");
        lines.push(fact("measured", &text));
    }
    lines
}

/// Instances, and time without any.
fn takes(plan: &PlanPreview) -> Vec<Line> {
    let takes = &plan.takes;
    let mut lines = Vec::new();
    if !takes.capacity.is_empty() {
        let more = match takes.extra_at_most {
            0 => "; never more instances than now".to_owned(),
            n => format!("; at most {} more than now", count(u64::from(n), "instance")),
        };
        lines.push(fact("instances", &format!("{}{more}", takes.capacity)));
    }
    if let Some(cost) = takes.extra_cost {
        let text = format!("{cost:.2} for {:.2} hours of further instances", takes.extra_hours);
        lines.push(fact("cost", &text));
    }
    let downtime = takes.downtime.as_ref();
    lines.extend(
        downtime.map(|text| Line::plain("  ").add(Tone::Warn, "downtime").text(": ").text(text)),
    );
    lines
}

fn title(plan: &PlanPreview, frame: &Frame) -> Line {
    let to = plan.to.split('@').next().unwrap_or(&plan.to);
    let name = Line::toned(Tone::Bold, plan.service.as_str()).text("  ");
    match (plan.action.as_str(), &plan.from) {
        ("refused", _) => name.add(Tone::Bad, format!("{to} would be refused")),
        ("queued", _) => name.text(format!("{to} would wait for the rollout under way")),
        ("boarded", _) => {
            let at = plan.departs.map_or_else(|| "next".into(), moment);
            name.text(format!("{to} would wait for the train that leaves at {at}"))
        }
        ("nothing", _) => name.text(format!("nothing to do: {to} runs already")),
        (_, Some(from)) => name.text(format!("{} {} {to}", version(from), frame.glyphs.arrow)),
        _ => name.text(format!("{to}, the first revision: it starts without steps")),
    }
}

fn cells(index: usize, step: &OutlookStep, plan: &PlanPreview) -> Vec<Line> {
    let room = plan.takes.steps.get(index);
    let room = room.map(|room| format!("{}+{}", room.stable, room.candidate));
    let requests = step.requests.map_or_else(|| "-".into(), thousands);
    let cells = [
        (index + 1).to_string(),
        step.weight.to_string(),
        room.unwrap_or_else(|| step.instances.to_string()),
        step.at_least.map_or_else(|| "a person".into(), span),
        requests,
        step.does.clone(),
    ];
    cells.into_iter().map(Line::plain).collect()
}

fn totals(plan: &PlanPreview) -> Vec<Line> {
    let mut lines = vec![fact("shortest time", &span(plan.outlook.shortest))];
    if let Some(requests) = plan.outlook.requests {
        let text = format!("{} judged requests on the candidate", thousands(requests));
        lines.push(fact("to promote", &text));
    }
    if let Some(requests) = plan.requests_to_catch {
        let text = format!("about {} requests on the candidate", thousands(requests));
        lines.push(fact("to catch a doubled error rate", &text));
    }
    match plan.requests_per_second {
        Some(rate) if rate > 0.0 => lines.push(fact("traffic now", &pace(plan, rate))),
        _ => lines.push(fact("traffic now", "none seen: evidence needs some")),
    }
    lines
}

/// What the present traffic means for the time that evidence takes.
fn pace(plan: &PlanPreview, rate: f64) -> String {
    let evidence = plan.outlook.steps.iter().filter_map(|step| {
        let share = super::words::share(step.weight);
        let needed = step.requests.filter(|_| share > 0.0)?;
        Some(needed as f64 / (rate * share))
    });
    let longest = evidence.fold(0.0, f64::max);
    if longest < 1.0 {
        return format!("{rate:.0} requests a second");
    }
    let time = span(Millis((longest * 1000.0) as u64));
    format!("{rate:.0} requests a second: the slowest step needs about {time} of it")
}

fn fact(label: &str, text: &str) -> Line {
    Line::plain("  ").add(Tone::Bold, label).text(": ").text(text)
}
