//! A deploy that waits for its train, or for another rollout to end.

use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::printer::Line;
use crate::render::words;
use serin_core::{Millis, RevisionId};
use serin_server::api::view::ServiceView;
use std::time::Duration;
use tokio::time::{sleep, timeout};

const PACE: Duration = Duration::from_millis(200);

/// Waits until it is the turn of `revision`; the number of its rollout.
pub async fn turn(
    context: &Context<'_>,
    service: &str,
    revision: &RevisionId,
    patience: Duration,
) -> Result<u64, Failure> {
    let waiting = async {
        loop {
            if let Some(rollout) = begun(&context.view(service).await?, revision)? {
                return Ok(rollout);
            }
            sleep(PACE).await;
        }
    };
    tokio::select! {
        ended = timeout(patience, waiting) => ended.unwrap_or_else(|_| Err(too_late(service, revision, patience))),
        _ = tokio::signal::ctrl_c() => {
            let text = format!("detached: {} of {service} still waits", revision.version);
            context.printer.alarm(&Line::plain(text));
            Err(Failure::new(Exit::Detached, "detached", "its rollout has not begun")
                .hint(format!("see it with `serin status {service}`")))
        }
    }
}

/// The rollout of `revision`, if it has begun; an error when it will not.
fn begun(view: &ServiceView, revision: &RevisionId) -> Result<Option<u64>, Failure> {
    let running = view.rollout.as_ref().filter(|rollout| rollout.candidate == *revision);
    let ended = view.last.as_ref().filter(|record| record.to == *revision);
    let id = running.map(|rollout| rollout.id).or(ended.map(|record| record.id));
    let waits = view.queued.as_ref().is_some_and(|queued| queued.revision == *revision)
        || view.boarded.iter().any(|boarded| boarded.revision == *revision);
    if waits || id.is_some() {
        return Ok(id.filter(|_| !waits));
    }
    let message = format!("{} does not wait any more", revision.version);
    Err(Failure::new(Exit::Aborted, "superseded", message)
        .hint(format!("see what took its place with `serin explain {}`", view.name)))
}

fn too_late(service: &str, revision: &RevisionId, patience: Duration) -> Failure {
    let time = words::span(Millis(u64::try_from(patience.as_millis()).unwrap_or(u64::MAX)));
    let message = format!("{} of {service} still waits after {time}", revision.version);
    Failure::new(Exit::TimedOut, "timeout", message)
        .hint(format!("see what it waits for with `serin status {service}`"))
}
