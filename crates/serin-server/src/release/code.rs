//! Whether the code that a flag needs serves everything. Pure.

use serin_core::{Service, Weight};
use serin_flags::CodeVersion;
use std::cmp::Ordering;

/// Why users must not be exposed to a flag that needs `code`; `service` is the one it names, if it
/// is there.
pub(crate) fn lacking(code: &CodeVersion, service: Option<&Service>) -> Option<String> {
    let wanted = format!("it needs {} {} or newer to serve everything", code.service, code.version);
    let Some(service) = service else {
        return Some(format!("{wanted}, and there is no such service"));
    };
    let Some(plan) = service.plan.as_ref() else {
        return Some(format!("{wanted}, and nothing of it serves"));
    };
    let serving = plan.revisions.iter().filter(|(_, planned)| planned.weight > Weight::NONE);
    let versions: Vec<&str> = serving.map(|(id, _)| id.version.as_str()).collect();
    let old = versions.iter().find(|version| order(version, &code.version) != Some(true));
    match (old, versions.is_empty() || !service.is_applied()) {
        (Some(old), _) => Some(format!("{wanted}, and {old} serves")),
        (None, true) => Some(format!("{wanted}, and it does not yet")),
        (None, false) => None,
    }
}

/// Whether `version` is `least` or newer; `None` when the two cannot be compared. Numbers in them
/// count as numbers: v10 is newer than v9, and 1.2 is older than 1.10.
fn order(version: &str, least: &str) -> Option<bool> {
    if version == least {
        return Some(true);
    }
    let (a, b) = (parts(version), parts(least));
    let mut pairs = 0;
    for (a, b) in a.iter().zip(&b) {
        let compared = match (a, b) {
            (Part::Number(a), Part::Number(b)) => a.cmp(b),
            (Part::Word(a), Part::Word(b)) if a == b => Ordering::Equal,
            _ => return None,
        };
        if compared != Ordering::Equal {
            return Some(compared == Ordering::Greater);
        }
        pairs += 1;
    }
    // 2.0 is as new as 2; what follows a number as a word, as in 2.0-rc1, comes before it.
    let rest = |parts: &[Part]| parts[pairs..].iter().all(|part| matches!(part, Part::Number(_)));
    match (rest(&a), rest(&b)) {
        (true, true) => Some(a.len() >= b.len()),
        (true, false) => Some(true),
        (false, true) => Some(false),
        (false, false) => None,
    }
}

#[derive(PartialEq)]
enum Part {
    Number(u64),
    Word(String),
}

fn parts(version: &str) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    for piece in version.split(['.', '-', '_', '+']) {
        let digits_from = piece.find(|c: char| c.is_ascii_digit()).unwrap_or(piece.len());
        let (word, number) = piece.split_at(digits_from);
        if !word.is_empty() {
            parts.push(Part::Word(word.to_ascii_lowercase()));
        }
        match number.parse() {
            Ok(number) => parts.push(Part::Number(number)),
            Err(_) if number.is_empty() => {}
            Err(_) => parts.push(Part::Word(number.to_owned())),
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_their_numbers() {
        for (version, least, wanted) in [
            ("v2", "v2", Some(true)),
            ("v10", "v9", Some(true)),
            ("v1", "v2", Some(false)),
            ("1.10.0", "1.9", Some(true)),
            ("1.2", "1.10", Some(false)),
            ("2.0", "2", Some(true)),
            ("2.0-rc1", "2.0", Some(false)),
            ("2.0", "2.0-rc1", Some(true)),
            ("2026-11-29", "2026-11-30", Some(false)),
            ("abc1234", "v2", None),
            ("main", "v2", None),
        ] {
            assert_eq!(order(version, least), wanted, "{version} for {least}");
        }
    }
}
