//! Steps beside shares and waiting, in words.

use crate::engine::routes::words;
use crate::{
    Approval, Experiment, Hook, HookKind, Scale, Step, Variant, VariantOf, Weight, WinnerRule,
};

pub(super) fn describe(step: &Step) -> String {
    match step {
        Step::SetScale(scale) => size(*scale),
        Step::SetHeaderRoute(route) if route.matches.is_empty() => {
            format!("take route {} away", route.name)
        }
        Step::SetHeaderRoute(route) => {
            format!("lead requests with {} to the candidate", words(&route.matches))
        }
        Step::SetMirror(route) if route.share == Weight::NONE => "send no more copies".into(),
        Step::SetMirror(route) => {
            let which = if route.matches.is_empty() { "safe" } else { "matching" };
            format!("send copies of {} of the {which} requests to the candidate", route.share)
        }
        Step::Analyse(step) => {
            format!("wait until {} is good (at most {})", step.checks.join(", "), step.deadline)
        }
        Step::Approve(asked) => approval(asked),
        Step::Run(hooks) => format!("run tests: {}; all must pass", list(hooks)),
        Step::Experiment(step) => experiment(step),
        Step::Flag(step) => format!("flag {} of {}: {}", step.key, step.set, step.change),
        Step::Migrate(step) => format!("bring the schema of migration {}", step.name()),
        // Said by whoever asks.
        Step::SetWeight(_) | Step::Pause(_) | Step::Bake(_) | Step::Expose(_) => String::new(),
    }
}

fn size(scale: Scale) -> String {
    match scale {
        Scale::MatchWeight => "size the candidate by its share".into(),
        Scale::Instances(1) => "give the candidate 1 instance".into(),
        Scale::Instances(n) => format!("give the candidate {n} instances"),
        Scale::Share(share) => format!("give the candidate {share} of the instances"),
    }
}

fn approval(asked: &Approval) -> String {
    let count = match asked.count {
        0 | 1 => "approval".to_owned(),
        n => format!("{n} approvals"),
    };
    let from = if asked.from.is_empty() {
        String::new()
    } else {
        format!(" from {}", asked.from.join(", "))
    };
    let most = asked.timeout.map_or(String::new(), |span| format!(", abort after {span}"));
    format!("wait for {count}{from}{most}")
}

fn list(hooks: &[Hook]) -> String {
    let one = |hook: &Hook| match &hook.kind {
        HookKind::Command { .. } => format!("{} (a command)", hook.name),
        HookKind::Http { method, .. } => format!("{} ({method})", hook.name),
    };
    hooks.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn experiment(step: &Experiment) -> String {
    let one = |v: &Variant| {
        let of = if v.of == VariantOf::Stable { " of stable" } else { "" };
        format!("{}{of} ({})", v.name, v.weight)
    };
    let variants: Vec<_> = step.variants.iter().map(one).collect();
    let with = if variants.is_empty() {
        String::new()
    } else {
        format!(" with {} beside", variants.join(", "))
    };
    let until = |rule: &WinnerRule| format!(", until an arm wins (alpha {})", rule.alpha);
    let until = step.winner.as_ref().map_or(String::new(), until);
    let (least, most) = (step.at_least, step.deadline);
    format!("experiment{with} for at least {least}{until}, at most {most}")
}
