//! Changes that others must agree to.

use super::args::{DemandArgs, PendingArgs};
use super::change::asking;
use super::render::when;
use crate::client::Document;
use crate::context::{Context, query};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::look::show;
use crate::printer::{Line, Tone};
use crate::render::Frame;
use crate::render::words::count;
use serde_json::{Value, json};
use serin_server::api::view::{Difference, FlagRequest, FlagRequests, RequestState};

/// Characters of a value that are shown.
const SHOWN: usize = 60;

/// The schema of a change that waits.
const WAITS: &str = "serin.flag-request/";

/// Who must agree, as a field of a patch; none: nothing was said about it.
pub fn demand(args: &DemandArgs) -> Option<Value> {
    Some(match args.approvals? {
        0 => Value::Null,
        count => {
            let mut demand = json!({ "count": count, "own": args.self_approval });
            if let Some(hours) = args.approval_hours {
                demand["expiresHours"] = hours.into();
            }
            demand
        }
    })
}

/// How a command ends whose change has to wait for others; none: it has not.
pub fn waits(context: &Context<'_>, document: &Document) -> Result<Option<Exit>, Failure> {
    let found: Value = document.read()?;
    if !found["schema"].as_str().is_some_and(|schema| schema.starts_with(WAITS)) {
        return Ok(None);
    }
    let view: FlagRequest = document.read()?;
    if context.printer.is_json() {
        context.printer.pass(document);
    } else {
        for line in lines(&view) {
            context.printer.data(&line);
        }
    }
    let others = count(u64::from(view.lacking), "other");
    let text = format!(": it waits for {others}: `serin flag approve {}`", view.request.id);
    context.printer.alarm(&Line::toned(Tone::Warn, "not yet").text(text));
    Ok(Some(Exit::TimedOut))
}

/// `serin flag pending`.
pub async fn pending(context: &Context<'_>, args: PendingArgs) -> Result<Exit, Failure> {
    let all = args.all.then(|| "true".to_owned());
    let query = query(&[("set", Some(args.set.set)), ("key", args.key), ("all", all)]);
    show(context, format!("/api/v1/flag-requests{query}"), list).await
}

fn list(found: &FlagRequests, _: &Frame) -> Vec<Line> {
    if found.requests.is_empty() {
        return vec![Line::toned(Tone::Dim, format!("no change of {} waits", found.set))];
    }
    found.requests.iter().flat_map(lines).collect()
}

/// `serin flag approve` and `reject`.
pub async fn answer(
    context: &Context<'_>,
    request: u64,
    verb: &str,
    reason: Option<String>,
) -> Result<Exit, Failure> {
    let path = format!("/api/v1/flag-requests/{request}:{verb}");
    let document = context.client.submit(&path, &asking(reason)).await?;
    let view: FlagRequest = document.read()?;
    if context.printer.is_json() {
        context.printer.pass(&document);
    } else {
        for line in lines(&view) {
            context.printer.data(&line);
        }
    }
    match view.request.state {
        RequestState::Approved { .. } if !view.pushed => {
            let text = ": it is stored, and the data plane did not answer; it is told again";
            context.printer.alarm(&Line::toned(Tone::Warn, "warning").text(text));
            Ok(Exit::TimedOut)
        }
        _ => Ok(Exit::Reached),
    }
}

fn lines(view: &FlagRequest) -> Vec<Line> {
    let request = &view.request;
    let name = if request.key.is_empty() { "the set itself" } else { &request.key };
    let why = request.reason.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
    let head = Line::toned(Tone::Bold, request.id.to_string())
        .text("  ")
        .add(Tone::Bold, name)
        .text(format!(" ({}), {} by {}{why}", request.set, when(request.at), request.by));
    let mut all = vec![head, Line::plain(format!("   {}", view.says))];
    all.extend(view.differences.iter().map(difference));
    all.push(Line::toned(Tone::Dim, format!("   {}", state(view))));
    all
}

fn state(view: &FlagRequest) -> String {
    let request = &view.request;
    let agreed: Vec<_> = request.agreed.iter().map(|one| one.by.as_str()).collect();
    let agreed = if agreed.is_empty() { "nobody".to_owned() } else { agreed.join(", ") };
    match &request.state {
        RequestState::Pending => {
            format!("{agreed} agreed, {} more needed until {}", view.lacking, when(request.ends))
        }
        RequestState::Approved { change: Some(n) } => format!("{agreed} agreed: change {n}"),
        RequestState::Approved { change: None } => format!("{agreed} agreed: done"),
        RequestState::Rejected { answer } => {
            let why = answer.reason.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
            format!("rejected by {}{why}", answer.by)
        }
        RequestState::Lapsed => "nobody answered in time".into(),
        RequestState::Outdated => "the flag was changed meanwhile: ask again".into(),
    }
}

fn difference(one: &Difference) -> Line {
    let text = |value: &Option<Value>| match value {
        None => "nothing".to_owned(),
        Some(value) => {
            let whole = value.to_string();
            let short: String = whole.chars().take(SHOWN).collect();
            if short.len() < whole.len() { format!("{short}...") } else { short }
        }
    };
    let field = if one.field.is_empty() { "all of it" } else { &one.field };
    Line::plain(format!("   {field}: {} -> {}", text(&one.before), text(&one.after)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_demand_is_a_field_or_takes_it_away() {
        let of = |approvals| DemandArgs { approvals, ..DemandArgs::default() };
        assert_eq!(demand(&of(None)), None);
        assert_eq!(demand(&of(Some(0))), Some(Value::Null));
        let two = DemandArgs { approval_hours: Some(4), ..of(Some(2)) };
        let wanted = json!({ "count": 2, "own": false, "expiresHours": 4 });
        assert_eq!(demand(&two), Some(wanted));
    }

    #[test]
    fn long_values_are_cut_where_a_character_ends() {
        let long = Value::from("ü".repeat(200));
        let one = Difference { field: "a".into(), before: None, after: Some(long) };
        let line = difference(&one).paint(false);
        assert!(line.starts_with("   a: nothing -> \"ü") && line.ends_with("..."), "{line}");
    }
}
