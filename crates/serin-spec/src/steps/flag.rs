//! A step that changes who gets a flag.

use super::Ladder;
use crate::{field::Field, yaml::shown};
use serin_core::{FlagChange, FlagStep, Step, Weight};

/// Characters of a set's name, at most.
const SET_MAX: usize = 63;
/// Characters of a flag's key, at most.
const KEY_MAX: usize = 200;

impl Ladder<'_, '_> {
    /// `{ key: new_checkout, percent: 50 }` or `{ key: new_checkout, to: on }`; the set is the
    /// service's environment unless said.
    pub(super) fn flag(&self, field: &Field<'_>) -> Option<Step> {
        let mut reader = field.map()?;
        let key = reader.need("key", "new_checkout", |f| name(&f, KEY_MAX));
        let set = reader.take("set");
        let (to, percent) = (reader.take("to"), reader.take("percent"));
        if to.is_some() == percent.is_some() {
            let how = if to.is_some() { "both `to` and" } else { "neither `to` nor" };
            let message = format!("{} says {how} `percent`; it needs one of them", field.what);
            let hint = "write `to: on`, `to: off`, `to: VARIANT` or `percent: 50`";
            reader.report(reader.key_problem("wrong-choice", message).hint(hint));
        }
        reader.finish();
        let set = match &set {
            Some(set) => name(set, SET_MAX)?,
            None => self.around.environment.to_owned(),
        };
        let change = match (&to, &percent) {
            (Some(to), None) => served(to)?,
            (None, Some(percent)) => FlagChange::Percent(users(percent)?),
            _ => return None,
        };
        Some(Step::Flag(FlagStep { set, key: key?, change }))
    }
}

fn name(field: &Field<'_>, most: usize) -> Option<String> {
    let text = field.word()?;
    let fits = |c: u8| c.is_ascii_alphanumeric() || b"._-/:".contains(&c);
    if text.len() <= most && text.bytes().all(fits) {
        return Some(text.to_owned());
    }
    let message = format!("{} cannot be `{}`", field.what, shown(text));
    let hint = format!("use 1 to {most} of A-Z, a-z, 0-9, `.`, `_`, `-`, `/` and `:`");
    field.report(field.problem("bad-name", message).hint(hint));
    None
}

fn served(field: &Field<'_>) -> Option<FlagChange> {
    Some(match name(field, KEY_MAX)?.as_str() {
        "on" => FlagChange::On,
        "off" => FlagChange::Off,
        variant => FlagChange::Variant(variant.to_owned()),
    })
}

/// A share of users in percent, in [0, 100], with up to three decimals.
fn users(field: &Field<'_>) -> Option<Weight> {
    let percent = field.decimal()?;
    let parts = (percent * 1000.0).round();
    if !(0.0..=100.0).contains(&percent) || (parts - percent * 1000.0).abs() > 1e-6 {
        let message =
            format!("{} is {percent}; allowed are 0 to 100 in steps of 0.001", field.what);
        let hint = "it is the share of users who get the flag, in percent";
        field.report(field.problem("out-of-range", message).hint(hint));
        return None;
    }
    Weight::try_from(parts as u64).ok()
}
