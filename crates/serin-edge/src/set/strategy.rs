//! What a flag decides by, in one word for metrics.

use serin_flags::{Definition, Flag, Rule, Serve, State};

/// `all`, `none`, `user_list`, `attribute`, `percentage`, or several of these joined by `+`.
pub fn of(flag: &Flag, written: Option<&Definition>) -> String {
    let Some(written) = written else { return String::new() };
    if written.killed.is_some() || written.state != State::On {
        return "none".to_owned();
    }
    if written.raw.is_some() {
        return "rules".to_owned();
    }
    let by_attribute = |rule: &Rule| !rule.clauses.is_empty() || !rule.segments.is_empty();
    let by_share = |rule: &Rule| matches!(rule.serve, Serve::Split { .. });
    let words = [
        (!written.targets.is_empty(), "user_list"),
        (written.rules.iter().any(by_attribute), "attribute"),
        (written.release.is_some() || written.rules.iter().any(by_share), "percentage"),
    ];
    let words: Vec<&str> = words.into_iter().filter_map(|(is, word)| is.then_some(word)).collect();
    if words.is_empty() { everybody(flag).to_owned() } else { words.join("+") }
}

fn everybody(flag: &Flag) -> &'static str {
    let value = flag.default_variant().map(|(_, value)| value);
    let is_off = value.is_some_and(|value| value.as_bool() == Some(false));
    if value.is_none() || is_off { "none" } else { "all" }
}
