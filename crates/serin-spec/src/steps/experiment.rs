//! `experiment`: variants beside stable and the candidate for a time.

use super::{Ladder, MONTH, route, weight};
use crate::{field::Field, reader::Reader, run, yaml::shown};
use serin_core::{
    Experiment, Goal, Millis, NoWinner, Step, Variant, VariantOf, Weight, WinnerRule,
};
use std::{collections::BTreeMap, path::Path};

const HOUR: Millis = Millis::secs(3600);
const MAX_VARIANTS: usize = 10;
/// Chance to name a winner that is none, unless said.
const ALPHA: f64 = 0.05;
/// Units of each arm before anything is decided, unless said.
const MIN_UNITS: u64 = 100;

impl<'a> Ladder<'a, '_> {
    pub(super) fn experiment(&mut self, field: &Field<'a>) -> Option<Step> {
        if self.around.worker {
            let message = "`experiment` shares out requests, and a worker has none";
            field.report(field.key_problem("worker", message).hint("remove it"));
        }
        let mut reader = field.map()?;
        let base = self.around.base;
        let variants = reader.or("variants", Some(Vec::new()), |f| Some(variants(&f, base)));
        let at_least = reader.need("duration", "1h", |f| f.duration(Millis::secs(1)..=MONTH));
        let usual = at_least.unwrap_or(HOUR);
        let deadline =
            reader.or("deadline", usual_deadline(usual), |f| f.duration(Millis::secs(1)..=MONTH));
        let winner = reader.maybe("winner", |f| winner(&f));
        let readable = winner.is_some() || !reader.has("winner");
        check_deadline(&reader, usual, deadline);
        if !reader.has("variants") && !reader.has("winner") {
            let message = "`experiment` has neither `variants` nor a `winner` to find";
            let hint = "add `variants: [{ name: blue, weight: 10 }]`, or a `winner` between stable \
                        and the candidate";
            reader.report(reader.key_problem("missing-key", message).hint(hint));
        }
        reader.finish();
        let variants = variants?;
        let candidate = self.last.as_ref().map_or(Weight::NONE, |(weight, _)| *weight);
        check_shares(field, candidate, &variants);
        let at_least = at_least?;
        readable.then_some(Step::Experiment(Experiment { variants, at_least, deadline, winner }))
    }
}

/// Twice the time it takes at least, and not less than an hour.
pub(crate) fn usual_deadline(at_least: Millis) -> Millis {
    Millis(at_least.0 * 2).max(HOUR)
}

pub(crate) fn check_deadline(reader: &Reader<'_>, at_least: Millis, deadline: Millis) {
    if deadline < at_least {
        let message =
            format!("the deadline of {deadline} comes before the {at_least} it takes at least");
        let hint = "write a `deadline` longer than `duration`";
        reader.report(reader.key_problem("deadline-too-short", message).hint(hint));
    }
}

/// Stable keeps something to be compared with.
pub(crate) fn check_shares(field: &Field<'_>, candidate: Weight, variants: &[Variant]) {
    let asked: u32 = variants.iter().map(|v| v.weight.parts()).sum();
    if asked + candidate.parts() < Weight::ALL.parts() {
        return;
    }
    let percent = |parts: u32| f64::from(parts) / 1000.0;
    let message = format!(
        "the variants ask for {} % and the candidate has {candidate}: nothing of the traffic is \
         left to stable",
        percent(asked)
    );
    let hint = format!(
        "let the variants ask for less than {} % together",
        candidate.rest().parts() / 1000
    );
    field.report(field.key_problem("shares-above-whole", message).hint(hint));
}

/// Arms beside stable and the candidate.
pub(crate) fn variants(field: &Field<'_>, base: &Path) -> Option<Vec<Variant>> {
    let items = field.list()?;
    if items.is_empty() || items.len() > MAX_VARIANTS {
        return field.outside(format!("a list of {}", items.len()), 1, MAX_VARIANTS);
    }
    let found: Vec<_> = items.iter().map(|item| variant(item, base)).collect();
    let mut known: Vec<&str> = Vec::new();
    for (item, variant) in items.iter().zip(found.iter().flatten()) {
        if known.contains(&variant.name.as_str()) {
            let message = format!("two variants are called `{}`", variant.name);
            item.report(item.problem("duplicate-name", message).hint("give one another name"));
        }
        known.push(&variant.name);
    }
    found.into_iter().collect()
}

fn variant(field: &Field<'_>, base: &Path) -> Option<Variant> {
    let mut reader = field.map()?;
    let name = reader.need("name", "blue-button", |f| name(&f));
    let of = reader.or("of", VariantOf::Candidate, |f| {
        f.choice(&[("candidate", VariantOf::Candidate), ("stable", VariantOf::Stable)])
    });
    let env = reader.or("env", BTreeMap::new(), |f| run::env(&f, base));
    let weight = reader.need("weight", "10", |f| weight(&f));
    let instances = reader.maybe("instances", |f| f.integer(1..=100)).map(|n| n as u32);
    reader.finish();
    Some(Variant { name: name?, of, env, weight: weight?, instances })
}

/// It becomes a part of a revision's name.
fn name(field: &Field<'_>) -> Option<String> {
    let text = field.word()?;
    let inside = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    if text.len() <= 20 && text.bytes().all(inside) && !text.starts_with('-') {
        return Some(text.into());
    }
    let message = format!("`{}` cannot be the name of a variant", shown(text));
    field.report(field.problem("bad-name", message).hint("use 1 to 20 of a-z, 0-9 and `-`"));
    None
}

fn winner(field: &Field<'_>) -> Option<WinnerRule> {
    let mut reader = field.map()?;
    let rule = rule(&mut reader);
    reader.finish();
    rule
}

/// The keys that say how a winner is found.
pub(crate) fn rule(reader: &mut Reader<'_>) -> Option<WinnerRule> {
    let goal = reader.need("goal", "{ path: { exact: /buy } }", |f| goal(&f));
    let alpha = reader.or("alpha", ALPHA, |f| alpha(&f));
    let min_units = reader.or("minUnits", MIN_UNITS, |f| f.integer(1..=1_000_000_000));
    let otherwise = reader.or("otherwise", NoWinner::Stable, |f| {
        f.choice(&[
            ("stable", NoWinner::Stable),
            ("pause", NoWinner::Pause),
            ("candidate", NoWinner::Candidate),
        ])
    });
    Some(WinnerRule { goal: goal?, alpha, min_units, otherwise })
}

fn alpha(field: &Field<'_>) -> Option<f64> {
    let alpha = field.decimal()?;
    if (1e-9..0.5).contains(&alpha) {
        return Some(alpha);
    }
    field.outside(alpha, "1e-9", "0.5")
}

/// What counts as success.
pub(crate) fn goal(field: &Field<'_>) -> Option<Goal> {
    let mut reader = field.map()?;
    let method = reader.maybe("method", |f| route::method(&f));
    let path = reader.need("path", "{ exact: /buy }", |f| route::text_match(&f, true));
    reader.finish();
    Some(Goal { method, path: path? })
}
