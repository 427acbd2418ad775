//! A schedule as text: the steps that a strategy or a preset comes to, in the user's own words.

use serin_core::{
    Analyse, Approval, EnvValue, Experiment, FlagChange, FlagStep, HeaderMatch, Hook, HookKind,
    Millis, MirrorRoute, RequestMatch, Scale, Schedule, Step, TextMatch, Variant, VariantOf,
    Weight,
};
use std::{collections::BTreeMap, fmt::Write as _};

/// The steps of `schedule` as a list in YAML, one line each, with its stages as comments where it
/// has several. Written under `canary.steps` they say the same again. Values of environment
/// variables are not shown.
pub fn written_out(schedule: &Schedule) -> String {
    let mut text = String::new();
    for stage in &schedule.stages {
        if schedule.stages.len() > 1 {
            let _ = writeln!(text, "# {}", stage.name);
        }
        for step in &stage.steps {
            let _ = writeln!(text, "- {}", written(step));
        }
    }
    text
}

/// One step.
fn written(step: &Step) -> String {
    match step {
        Step::SetWeight(weight) => format!("setWeight: {}", percent(*weight)),
        Step::Pause(None) => "pause: {}".into(),
        Step::Pause(Some(span)) => format!("pause: {{ duration: {} }}", time(*span)),
        Step::Bake(bake) => {
            let mut parts = Vec::new();
            if bake.at_least > Millis(0) {
                parts.push(format!("atLeast: {}", time(bake.at_least)));
            }
            if bake.requests > 0 {
                parts.push(format!("requests: {}", bake.requests));
            }
            if bake.until_evidence {
                parts.push("until: evidence".into());
            }
            if bake.deadline != Millis::secs(3600) {
                parts.push(format!("deadline: {}", time(bake.deadline)));
            }
            format!("bake: {{ {} }}", parts.join(", "))
        }
        Step::Expose(e) => format!(
            "expose: {{ budget: {}, upTo: {}, deadline: {} }}",
            e.budget,
            percent(e.up_to),
            time(e.deadline)
        ),
        Step::SetScale(Scale::MatchWeight) => "setCanaryScale: { matchTrafficWeight: true }".into(),
        Step::SetScale(Scale::Instances(n)) => format!("setCanaryScale: {{ replicas: {n} }}"),
        Step::SetScale(Scale::Share(w)) => format!("setCanaryScale: {{ weight: {} }}", percent(*w)),
        Step::SetHeaderRoute(route) => {
            let matches = list(&route.matches, header);
            let matches = format!("{}match: {matches}", ", ");
            let matches = if route.matches.is_empty() { "" } else { &matches };
            format!("setHeaderRoute: {{ name: {}{matches} }}", quoted(&route.name))
        }
        Step::SetMirror(route) => mirror(route),
        Step::Analyse(Analyse { checks, deadline }) => {
            let checks = list(checks, |name| quoted(name));
            format!("analysis: {{ checks: {checks}, deadline: {} }}", time(*deadline))
        }
        Step::Approve(approval) => approve(approval),
        Step::Run(hooks) => format!("run: {}", list(hooks, hook)),
        Step::Experiment(trial) => experiment(trial),
        Step::Flag(step) => flag(step),
        Step::Migrate(step) => format!("migrate: {}", quoted(&step.path)),
    }
}

fn flag(step: &FlagStep) -> String {
    let does = match &step.change {
        FlagChange::On => "to: on".into(),
        FlagChange::Off => "to: off".into(),
        FlagChange::Variant(name) => format!("to: {}", quoted(name)),
        FlagChange::Percent(share) => format!("percent: {}", percent(*share)),
    };
    format!("flag: {{ key: {}, set: {}, {does} }}", quoted(&step.key), quoted(&step.set))
}

fn mirror(route: &MirrorRoute) -> String {
    let name = quoted(&route.name);
    if route.share == Weight::NONE {
        return format!("setMirrorRoute: {{ name: {name} }}");
    }
    let reads =
        [RequestMatch { path: Some(TextMatch::Prefix("/".into())), ..RequestMatch::default() }];
    let matches: &[_] = if route.matches.is_empty() { &reads } else { &route.matches };
    let (matches, share) = (list(matches, request), percent(route.share));
    format!("setMirrorRoute: {{ name: {name}, match: {matches}, percentage: {share} }}")
}

fn approve(approval: &Approval) -> String {
    let mut parts = Vec::new();
    if !approval.from.is_empty() {
        parts.push(format!("from: {}", list(&approval.from, |name| quoted(name))));
    }
    if approval.count != 1 {
        parts.push(format!("count: {}", approval.count));
    }
    parts.extend(approval.timeout.map(|span| format!("timeout: {}", time(span))));
    if parts.is_empty() {
        "approval: {}".into()
    } else {
        format!("approval: {{ {} }}", parts.join(", "))
    }
}

fn hook(hook: &Hook) -> String {
    let does = match &hook.kind {
        HookKind::Command { argv, env } => {
            format!("command: {}{}", list(argv, |text| quoted(text)), environment(env))
        }
        HookKind::Http { method, url, status, contains } => {
            let contains = contains.as_ref().map(|text| format!(", contains: {}", quoted(text)));
            format!(
                "http: {{ method: {method}, url: {}, status: {}-{}{} }}",
                quoted(url),
                status.0,
                status.1,
                contains.unwrap_or_default()
            )
        }
    };
    let (name, span, tries) = (quoted(&hook.name), time(hook.timeout), hook.tries);
    format!("{{ name: {name}, {does}, timeout: {span}, tries: {tries} }}")
}

/// Names alone: values may be secrets.
fn environment(env: &BTreeMap<String, EnvValue>) -> String {
    if env.is_empty() {
        return String::new();
    }
    let parts: Vec<_> = env.keys().map(|name| format!("{name}: \"...\"")).collect();
    format!(", env: {{ {} }}", parts.join(", "))
}

fn experiment(trial: &Experiment) -> String {
    let least = time(trial.at_least);
    let variants = match trial.variants.as_slice() {
        [] => String::new(),
        some => format!(", variants: {}", list(some, variant)),
    };
    let winner = trial.winner.as_ref().map(|rule| {
        let method = rule.goal.method.as_ref().map(|m| format!("method: {m}, ")).unwrap_or_default();
        let otherwise = match rule.otherwise {
            serin_core::NoWinner::Stable => "stable",
            serin_core::NoWinner::Pause => "pause",
            serin_core::NoWinner::Candidate => "candidate",
        };
        format!(
            ", winner: {{ goal: {{ {method}path: {} }}, alpha: {}, minUnits: {}, otherwise: {otherwise} }}",
            text(&rule.goal.path),
            rule.alpha,
            rule.min_units
        )
    });
    format!(
        "experiment: {{ duration: {least}, deadline: {}{variants}{} }}",
        time(trial.deadline),
        winner.unwrap_or_default()
    )
}

fn variant(variant: &Variant) -> String {
    let of = match variant.of {
        VariantOf::Candidate => "candidate",
        VariantOf::Stable => "stable",
    };
    let instances = variant.instances.map(|n| format!(", instances: {n}")).unwrap_or_default();
    let (name, weight) = (quoted(&variant.name), percent(variant.weight));
    let env = environment(&variant.env);
    format!("{{ name: {name}, of: {of}, weight: {weight}{instances}{env} }}")
}

fn header(wanted: &HeaderMatch) -> String {
    let name = quoted(&wanted.header);
    match wanted.value {
        TextMatch::Present => format!("{{ headerName: {name} }}"),
        _ => format!("{{ headerName: {name}, headerValue: {} }}", text(&wanted.value)),
    }
}

fn request(wanted: &RequestMatch) -> String {
    let mut parts = Vec::new();
    if !wanted.methods.is_empty() {
        parts.push(format!("method: [{}]", wanted.methods.join(", ")));
    }
    parts.extend(wanted.path.as_ref().map(|path| format!("path: {}", text(path))));
    if !wanted.headers.is_empty() {
        let one = |h: &HeaderMatch| format!("{}: {}", quoted(&h.header), text(&h.value));
        let headers: Vec<_> = wanted.headers.iter().map(one).collect();
        parts.push(format!("headers: {{ {} }}", headers.join(", ")));
    }
    format!("{{ {} }}", parts.join(", "))
}

fn text(wanted: &TextMatch) -> String {
    match wanted {
        TextMatch::Exact(text) => format!("{{ exact: {} }}", quoted(text)),
        TextMatch::Prefix(text) => format!("{{ prefix: {} }}", quoted(text)),
        TextMatch::Regex(text) => format!("{{ regex: {} }}", quoted(text)),
        TextMatch::Present => "{ prefix: \"\" }".into(),
    }
}

fn list<T>(items: &[T], one: impl Fn(&T) -> String) -> String {
    format!("[{}]", items.iter().map(one).collect::<Vec<_>>().join(", "))
}

/// Without quotes where YAML takes a word for a word.
fn quoted(text: &str) -> String {
    let word = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
        && text.chars().all(word)
        && !matches!(text.to_ascii_lowercase().as_str(), "true" | "false" | "null" | "yes" | "no");
    if plain { text.into() } else { format!("{text:?}") }
}

fn percent(weight: Weight) -> f64 {
    f64::from(weight.parts()) / 1000.0
}

/// `1h30m`, as it is read.
fn time(span: Millis) -> String {
    const UNITS: [(&str, u64); 5] =
        [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];
    let (mut rest, mut text) = (span.0, String::new());
    for (unit, size) in UNITS {
        if rest >= size {
            let _ = write!(text, "{}{unit}", rest / size);
            rest %= size;
        }
    }
    if text.is_empty() { "0s".into() } else { text }
}
