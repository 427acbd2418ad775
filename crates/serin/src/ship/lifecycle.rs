//! What may be deployed, and when: retry, approve, release, mark.

use super::{act, asked, stay_with, submitted};
use crate::cli::{ApproveArgs, Goal, Mark, MarkArgs, ReleaseArgs, RetryArgs};
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::printer::{Line, Tone};
use serin_server::api::view::VerbRequest;

/// `serin retry`: the last candidate again, from its first step.
pub async fn retry(context: &Context<'_>, args: RetryArgs) -> Result<Exit, Failure> {
    let service = context.service(args.service).await?;
    let request = VerbRequest { allow_bad: args.allow_bad, reason: args.why.reason, ..asked() };
    let view = submitted(context, &service, "retry", &request).await?;
    let Some(rollout) = view.rollout else { return Ok(Exit::Reached) };
    if !context.printer.is_json() {
        let text = format!(": rollout {} tries {} again", rollout.id, rollout.candidate.version);
        context.printer.data(&Line::toned(Tone::Bold, &service).text(text));
    }
    if args.stay.detach {
        return Ok(Exit::Reached);
    }
    stay_with(context, service, rollout.id, Goal::Promoted, args.stay.timeout).await
}

/// `serin approve`.
pub async fn approve(context: &Context<'_>, args: ApproveArgs) -> Result<Exit, Failure> {
    let service = context.moving_service(args.service).await?;
    act(context, &service, "approve", &VerbRequest { reason: args.why.reason, ..asked() }).await
}

/// `serin release`: deploys are taken again after a rollback.
pub async fn release(context: &Context<'_>, args: ReleaseArgs) -> Result<Exit, Failure> {
    let service = context.service(args.service).await?;
    let request = VerbRequest { reason: args.why.reason, ..asked() };
    submitted(context, &service, "release", &request).await?;
    said(context, &service, "deploys are taken again");
    Ok(Exit::Reached)
}

/// `serin mark`.
pub async fn mark(context: &Context<'_>, args: MarkArgs) -> Result<Exit, Failure> {
    let bad = args.standing == Mark::Bad;
    let revision = Some(args.revision.clone());
    let request = VerbRequest { revision, bad, reason: args.why.reason, ..asked() };
    submitted(context, &args.service, "mark", &request).await?;
    let what = if bad {
        "is marked bad: never a way back, and not deployed again without --allow-bad"
    } else {
        "is not bad: it may be deployed, and gone back to"
    };
    said(context, &args.service, &format!("{} {what}", args.revision));
    Ok(Exit::Reached)
}

fn said(context: &Context<'_>, service: &str, what: &str) {
    if !context.printer.is_json() {
        context.printer.data(&Line::toned(Tone::Bold, service).text(format!(": {what}")));
    }
}
