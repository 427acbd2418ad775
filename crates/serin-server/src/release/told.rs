//! What the history of a flag says of what its release did. Pure.

use serin_core::{Outcome, Phase, Role, Rollout, Service};

/// Why the flag was changed; `first` when it carried no release until then.
pub(crate) fn why(service: &Service, first: bool) -> String {
    match &service.rollout {
        Some(rollout) => format!("release {} {}", rollout.id, going(service, rollout, first)),
        None => ended(service),
    }
}

fn going(service: &Service, rollout: &Rollout, first: bool) -> String {
    let off = service.spec.flag.as_ref().map(|spec| &spec.off);
    if let Phase::Reverting { cause, .. } = &rollout.phase {
        return format!("was taken back: {}", cause.text);
    }
    if off == Some(&rollout.candidate) {
        return format!(
            "gives everybody `{}` again: {}",
            rollout.candidate.version,
            asked(rollout)
        );
    }
    let plan = service.plan.as_ref();
    let tried = plan.and_then(|plan| plan.in_role(Role::Candidate));
    match tried {
        _ if first => format!("began: {}", asked(rollout)),
        Some((id, planned)) if matches!(rollout.phase, Phase::Stepping) => {
            format!("gives `{}` to {} of users", id.version, planned.weight)
        }
        _ => format!("gives `{}` to everybody", rollout.candidate.version),
    }
}

/// Who wanted it, and why.
fn asked(rollout: &Rollout) -> String {
    let why = rollout.reason.as_ref().map(|why| format!(", {why}")).unwrap_or_default();
    format!("asked for by {}{why}", rollout.by.0)
}

fn ended(service: &Service) -> String {
    let Some(last) = &service.last else { return "the release is over".to_owned() };
    let end = match (&last.cause, last.outcome) {
        (_, Outcome::Promoted) => format!("is over: everybody has `{}`", last.to.version),
        (Some(cause), _) => format!("was taken back: {}", cause.text),
        (None, outcome) => format!("is over: {}", outcome.as_str()),
    };
    format!("release {} {end}", last.id)
}
