//! `serin notify`: whether messages reach those whom a service calls.

use crate::cli::{NotifyArgs, NotifyVerb};
use crate::context::{Context, path_of};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::printer::{Line, Tone};
use serin_server::api::view::{NotifyTest, NotifyTested};

/// `serin notify test`.
pub async fn notify(context: &Context<'_>, args: NotifyArgs) -> Result<Exit, Failure> {
    let NotifyVerb::Test { service } = args.verb;
    let service = context.service(service).await?;
    let path = path_of(&service, "/notify-test");
    let tested: NotifyTest = context.client.post(&path, &serde_json::json!({})).await?;
    if context.printer.is_json() {
        context.printer.document(&tested);
    } else {
        tested.targets.iter().for_each(|target| context.printer.data(&line(target)));
    }
    let failed = tested.targets.iter().any(|target| target.failed.is_some());
    Ok(if failed { Exit::Internal } else { Exit::Reached })
}

fn line(tested: &NotifyTested) -> Line {
    let on = if tested.on.is_empty() { "nothing".into() } else { tested.on.join(", ") };
    let name = Line::toned(Tone::Bold, &tested.target);
    match &tested.failed {
        None => name.add(Tone::Good, "  told").text(format!("; it is told of {on}")),
        Some(why) => name.add(Tone::Bad, "  not told").text(format!(": {why}")),
    }
}
