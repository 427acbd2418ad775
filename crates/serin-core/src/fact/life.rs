//! Sentences of the facts about a service's life beside the steps.

use super::Fact;
use crate::{Actor, KeptFor, Recovery, RevisionId};
use std::fmt::{Formatter, Result};

pub(super) fn fmt(fact: &Fact, f: &mut Formatter<'_>) -> Result {
    match fact {
        Fact::Unchanged { revision, running: true } => {
            write!(f, "{} runs already; nothing changes", revision.version)
        }
        Fact::Unchanged { revision, running: false } => {
            write!(f, "{} is on its way already; nothing changes", revision.version)
        }
        Fact::Scaled { from, to, by } => {
            let less = if to * 2 < *from { ", less than half" } else { "" };
            write!(f, "{from} instances become {to}{less}, by {}", by.0)
        }
        Fact::Queued { revision, behind, by } => write!(
            f,
            "{} by {} waits for the rollout of {} to end",
            revision.version, by.0, behind.version
        ),
        Fact::Unqueued { revision, by, why } => {
            write!(f, "{} by {} does not wait any more: {why}", revision.version, by.0)
        }
        Fact::Boarded { .. } | Fact::Departed { .. } | Fact::TrainWaived { .. } => {
            fmt_train(fact, f)
        }
        Fact::Replanned { by, step, steps, weight } => {
            write!(f, "steps replaced by {}; at {weight} it goes on ", by.0)?;
            if step > steps {
                f.write_str("to its end")
            } else {
                write!(f, "with step {step} of {steps}")
            }
        }
        Fact::FastTracked { revision, steps } => write!(
            f,
            "{} was good and its instances are ready: {steps} steps are not gone through",
            revision.version
        ),
        Fact::Kept { revision, why, instances, span } => {
            let what = match why {
                KeptFor::WayBack => "for a way back at once",
                KeptFor::Inspection => "to be looked at",
            };
            write!(f, "{instances} instances of {} are kept for {span} {what}", revision.version)
        }
        Fact::LetGo { revision } => {
            write!(f, "the kept instances of {} are let go", revision.version)
        }
        Fact::Survived { revision } => write!(f, "{} counts as good now", revision.version),
        other => fmt_judged(other, f),
    }
}

fn fmt_train(fact: &Fact, f: &mut Formatter<'_>) -> Result {
    match fact {
        Fact::Boarded { revision, by, span, .. } => {
            write!(f, "{} by {} waits for the train that leaves in {span}", revision.version, by.0)
        }
        Fact::TrainWaived { revision, by, why, .. } => {
            write!(f, "{} does not wait for its train, by {}{why}", revision.version, by.0)
        }
        Fact::Departed { revision, by } => {
            write!(f, "the train of {} by {} leaves", revision.version, by.0)
        }
        _ => Ok(()),
    }
}

/// What is thought of revisions, and ways back.
fn fmt_judged(fact: &Fact, f: &mut Formatter<'_>) -> Result {
    match fact {
        Fact::Held { left } => write!(
            f,
            "{} and older revisions are not deployed until something newer comes or `serin release`",
            left.version
        ),
        Fact::Released { left, by } => fmt_released(f, left, by.as_ref()),
        Fact::Marked { revision, bad, by, reason } => {
            let what = if *bad { "bad" } else { "not bad" };
            write!(f, "{} marked {what} by {}", revision.version, by.0)?;
            reason.as_ref().map_or(Ok(()), |why| write!(f, ": {why}"))
        }
        Fact::Convicted { cause, confirm: None } => {
            write!(f, "held, not rolled back (onFailure: hold): {}", cause.text)
        }
        Fact::Convicted { cause, confirm: Some(span) } => {
            write!(f, "goes back in {span} unless somebody says no: {}", cause.text)
        }
        Fact::Overridden { by, reason, cause } => {
            write!(f, "{} goes on against the verdict", by.0)?;
            reason.as_ref().map_or(Ok(()), |why| write!(f, " ({why})"))?;
            write!(f, ": {}", cause.text)
        }
        Fact::Routed { revision, after } => {
            write!(f, "all traffic is on {} again, confirmed after {after}", revision.version)
        }
        Fact::Silent { left, after } => {
            write!(f, "no new request reaches {}, after {after}", left.version)
        }
        Fact::BackProven { recovery, after } => fmt_recovery(f, recovery, &after.to_string()),
        Fact::NoWayBack { text } | Fact::Formats { text } => f.write_str(text),
        Fact::RollbackFailed { to, stays, cause } => {
            let stays = stays.as_ref().map_or("nothing serves".to_owned(), |id| {
                format!("{} keeps all traffic", id.version)
            });
            write!(f, "rollback to {} failed, {stays}: {}", to.version, cause.text)
        }
        _ => super::steps::fmt(fact, f),
    }
}

fn fmt_released(f: &mut Formatter<'_>, left: &RevisionId, by: Option<&Actor>) -> Result {
    let version = &left.version;
    match by {
        Some(by) => write!(f, "{version} and older revisions may be deployed again, by {}", by.0),
        None => write!(f, "the hold on {version} is over: something newer was deployed"),
    }
}

fn fmt_recovery(f: &mut Formatter<'_>, recovery: &Recovery, after: &str) -> Result {
    match recovery {
        Recovery::Recovered { rate, limit, .. } => write!(
            f,
            "errors are back at {:.2} % (limit {:.2} %), after {after}",
            rate * 100.0,
            limit * 100.0
        ),
        Recovery::NotRecovered { rate, limit, .. } => write!(
            f,
            "errors are not back after {after}: {:.2} %, the limit is {:.2} %; what was left was \
             not the reason, and nothing flips again; look at what both versions use",
            rate * 100.0,
            limit * 100.0
        ),
        Recovery::NotMeasured { why, .. } => {
            write!(f, "whether errors came back is not known: {why}")
        }
    }
}
