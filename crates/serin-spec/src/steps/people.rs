//! Steps that wait for checks by name, and for people.

use super::{Ladder, MONTH, blocks};
use crate::{checks, field::Field, strategy::BAKE_DEADLINE, yaml::shown};
use serin_core::{Analyse, Approval, Millis, Step};
use serin_stats::threshold::Check;
use std::collections::BTreeSet;

/// Checks a step waits for, and those of them that no one knew before.
pub(crate) struct Named {
    pub(crate) step: Analyse,
    pub(crate) new: Vec<Check>,
}

impl<'a> Ladder<'a, '_> {
    pub(super) fn analysis(&mut self, field: &Field<'a>) -> Option<Step> {
        let named = named_checks(field, &self.judged.checks)?;
        let own = |name: &String| {
            let mut all = self.judged.checks.iter().chain(&named.new);
            all.any(|c| c.name == *name && checks::needs_no_request(c))
        };
        if !self.has_traffic() && !named.step.checks.iter().all(own) {
            let message = "this waits for numbers of the candidate's requests, and no step before \
                           gives it any: it would never end";
            let hint = "put a `setWeight` or a `setMirrorRoute` before it";
            field.report(blocks(field, message).hint(hint));
        }
        self.judged.checks.extend(named.new);
        for check in &mut self.judged.checks {
            if named.step.checks.contains(&check.name) {
                // The step says when it begins.
                check.starting_step = check.starting_step.min(self.index as u32);
            }
        }
        Some(Step::Analyse(named.step))
    }
}

/// `{ checks: [...] }`: names of checks in `known`, of presets, or checks written out.
pub(crate) fn named_checks(field: &Field<'_>, known: &[Check]) -> Option<Named> {
    let mut reader = field.map()?;
    let found = reader.need("checks", "[error-rate]", |f| named_or_new(&f, known));
    let deadline = reader.or("deadline", BAKE_DEADLINE, |f| f.duration(Millis::secs(1)..=MONTH));
    reader.finish();
    let (names, new) = found?;
    Some(Named { step: Analyse { checks: names, deadline }, new })
}

/// Names of all, and the checks that were not in `known`.
fn named_or_new(field: &Field<'_>, known: &[Check]) -> Option<(Vec<String>, Vec<Check>)> {
    let items = field.list()?;
    if items.is_empty() {
        let message = "`checks` is empty: there is nothing to wait for";
        field.report(field.problem("empty-value", message).hint("write `checks: [error-rate]`"));
        return None;
    }
    let (mut names, mut new): (Vec<String>, Vec<Check>) = (Vec::new(), Vec::new());
    for item in &items {
        let by_name = known.iter().find(|c| item.scalar() == Some(c.name.as_str()));
        if let Some(check) = by_name {
            names.push(check.name.clone());
            continue;
        }
        for mut check in checks::one(item)? {
            let differs = |name: &str, check: &Check| {
                let other = known.iter().chain(&new).find(|other| other.name == name);
                other.is_some_and(|other| *other != Check { name: name.into(), ..check.clone() })
            };
            // Presets that share a word for different limits are told apart by their own names.
            if let Some(preset) = item.scalar().filter(|_| differs(&check.name, &check)) {
                check.name = format!("{preset}/{}", check.name);
            }
            let there = known.iter().chain(&new).find(|other| other.name == check.name);
            if differs(&check.name, &check) {
                let message = format!("two different checks are called `{}`", shown(&check.name));
                let problem = item.problem("duplicate-check", message);
                item.report(problem.hint("give one of them another name"));
            }
            names.push(check.name.clone());
            if there.is_none() {
                new.push(check);
            }
        }
    }
    Some((names, new))
}

/// `approval: { from: [...], count: 2, timeout: 1d }`; everybody may when nobody is named.
pub(crate) fn approval(field: &Field<'_>) -> Option<Approval> {
    let mut reader = field.map_or_nothing()?;
    let from = reader.or("from", Vec::new(), |f| people(&f));
    let count = reader.or("count", 1, |f| f.integer(1..=20)) as u32;
    let timeout = reader.maybe("timeout", |f| f.duration(Millis::secs(1)..=MONTH));
    if !from.is_empty() && count as usize > from.len() {
        let message = format!(
            "{count} people must agree and only {} may: this step would never end",
            from.len()
        );
        let hint = "name more people in `from`, or make `count` smaller";
        reader.report(blocks(field, message).hint(hint));
    }
    reader.finish();
    Some(Approval { from, count, timeout })
}

fn people(field: &Field<'_>) -> Option<Vec<String>> {
    let mut known = BTreeSet::new();
    let mut found = Vec::new();
    for item in field.list()? {
        let Some(name) = item.word() else { continue };
        if known.insert(name) {
            found.push(name.to_owned());
        } else {
            let message = format!("`{}` is named twice, and counts once", shown(name));
            item.report(item.problem("duplicate-name", message).hint("remove one of the two"));
        }
    }
    Some(found)
}
