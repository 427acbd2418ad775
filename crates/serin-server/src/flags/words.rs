//! What a flag does, in words.

use super::held::{Mark, Served, one_for_all};
use super::strategy;
use serin_flags::{Definition, Kind, State, Timestamp};

/// Days at one value for everybody after which a flag that is for a time should be removed.
pub(crate) const REMIND_DAYS: u64 = 14;

/// Its state in a word: `killed`, `archived`, `off`, `disabled`, `releasing`, `on`.
pub(crate) fn state(flag: &Definition) -> &'static str {
    match flag.state {
        _ if flag.archived_at.is_some() => "archived",
        _ if flag.killed.is_some() => "killed",
        State::Off => "off",
        State::Disabled => "disabled",
        State::On if flag.release.as_ref().is_some_and(|one| !one.generation.is_empty()) => {
            "releasing"
        }
        State::On => "on",
    }
}

/// Who gets what, as a sentence.
pub(crate) fn serving(flag: &Definition) -> String {
    if flag.archived_at.is_some() {
        return "nobody gets it: it is archived".into();
    }
    let (killed, raw) = (flag.killed.as_ref(), flag.raw.is_some());
    let why = match flag.state {
        _ if killed.is_some() => "killed: ",
        State::Off => "off: ",
        State::Disabled => "disabled: ",
        State::On => "",
    };
    match one_for_all(flag) {
        Some(Served::Variant(variant)) => format!("{why}everybody gets `{variant}`"),
        Some(Served::Code) => format!("{why}everybody gets what the code says"),
        None if raw => "its own rules decide".into(),
        None => by_rules(flag),
    }
}

fn by_rules(flag: &Definition) -> String {
    let on = strategy::on_variant(flag).unwrap_or("on");
    let mut parts = Vec::new();
    let users: usize = flag.targets.iter().map(|target| target.users.len()).sum();
    if users > 0 {
        parts.push(format!("{users} named user{}", plural(users)));
    }
    let conditions =
        flag.rules.iter().filter(|rule| !(rule.segments.is_empty() && rule.clauses.is_empty()));
    let conditions = conditions.count();
    if conditions > 0 {
        parts.push(format!("{conditions} rule{}", plural(conditions)));
    }
    if flag.variants.0.len() > 2 && flag.release.is_none() {
        parts.push("the rest by shares".into());
    } else if let Some(percent) = strategy::percent(flag) {
        let rest = if parts.is_empty() { "of users" } else { "of the rest" };
        parts.push(format!("{percent} % {rest} get `{on}`"));
    }
    parts.join(", ")
}

fn plural(n: usize) -> &'static str {
    if n == 1 { "" } else { "s" }
}

/// What a person should know about it.
pub(crate) fn notes(flag: &Definition, mark: &Mark, now: Timestamp) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(killed) = &flag.killed {
        notes.push(format!("killed by {}: {}", killed.by, killed.reason));
    }
    if flag.archived_at.is_none() && flag.expires_at.is_some_and(|end| end <= now) {
        notes.push("expired: everybody gets its default; remove it from the code".into());
    }
    notes.extend(reminder(flag, mark, now));
    notes
}

/// Two weeks after everybody got the same it is time to remove the flag.
pub(crate) fn reminder(flag: &Definition, mark: &Mark, now: Timestamp) -> Option<String> {
    let constant = mark.constant.as_ref()?;
    let days = constant.since.days_until(now);
    let lives_on = flag.kind.lifetime_days().is_none() || flag.archived_at.is_some();
    // One that nobody got yet may still be on its way.
    let waits = flag.killed.is_none() && constant.variant.as_ref() == Some(&flag.off_variant);
    if lives_on || waits || days < REMIND_DAYS {
        return None;
    }
    let variant = constant.variant.as_deref().unwrap_or("what the code says");
    Some(format!("everybody has got `{variant}` for {days} days: remove it from the code"))
}

/// Whether it stands before all others: somebody may need it in a hurry.
pub(crate) fn is_pinned(flag: &Definition) -> bool {
    matches!(flag.kind, Kind::Ops | Kind::KillSwitch) && flag.archived_at.is_none()
}

#[cfg(test)]
mod tests {
    use super::super::edit::{Who, Wish, edit};
    use super::super::held::Stamp;
    use super::super::strategy::Strategy;
    use super::*;

    const DAY: i64 = 86_400;

    fn after(wishes: &[Wish]) -> Definition {
        let who = Who { by: "ada", reason: Some("errors"), at: Timestamp(0) };
        let first = Definition::boolean(Kind::Release, "shop");
        wishes.iter().fold(first, |flag, wish| edit(&flag, wish, who).unwrap())
    }

    fn users(names: &[&str]) -> Wish {
        Wish::Strategy(Strategy::UserList(names.iter().map(ToString::to_string).collect()))
    }

    #[test]
    fn who_gets_what_is_one_sentence() {
        let five = Wish::Strategy(Strategy::Percentage(5.0));
        let cases = [
            (after(&[]), "on", "everybody gets `off`"),
            (after(&[Wish::On]), "on", "everybody gets `on`"),
            (after(std::slice::from_ref(&five)), "on", "5 % of users get `on`"),
            (
                after(&[five.clone(), users(&["u1"])]),
                "on",
                "1 named user, 5 % of the rest get `on`",
            ),
            (after(&[five.clone(), Wish::Kill]), "killed", "killed: everybody gets `off`"),
            (after(&[five, Wish::Off]), "off", "off: everybody gets `off`"),
            (after(&[Wish::Disable]), "disabled", "disabled: everybody gets what the code says"),
            (after(&[Wish::Archive]), "archived", "nobody gets it: it is archived"),
        ];
        for (flag, word, sentence) in cases {
            assert_eq!((state(&flag), serving(&flag).as_str()), (word, sentence));
        }
    }

    #[test]
    fn two_weeks_at_one_value_are_told() {
        let stamp = Stamp {
            n: 1,
            at: Timestamp(0),
            by: "ada".into(),
            reason: None,
            verb: "set".into(),
            approved: vec![],
            request: None,
        };
        let told = |flag: &Definition, at: i64| {
            reminder(flag, &Mark::after(flag, stamp.clone(), None), Timestamp(at)).is_some()
        };
        let on = after(&[Wish::On]);
        assert!(!told(&on, 14 * DAY - 1) && told(&on, 14 * DAY));
        assert!(!told(&after(&[]), 90 * DAY), "nobody got it yet");
        assert!(!told(&after(&[users(&["u1"])]), 90 * DAY), "users differ");
        let ops = Definition { kind: Kind::Ops, ..on };
        assert!(!told(&ops, 900 * DAY), "it stays for ever");
    }
}
