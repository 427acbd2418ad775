//! What tests, approvals, routes and experiments tell.

use super::Fact;
use crate::{FlagChange, FlagEnd, MigrationTold, Weight};
use std::fmt;

pub(super) fn fmt(fact: &Fact, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match fact {
        Fact::TestEnded { name, passed: true, .. } => write!(f, "test {name} passed"),
        Fact::TestEnded { name, attempt, tries, text, .. } => match tries {
            1 => write!(f, "test {name} failed: {text}"),
            _ => write!(f, "test {name} failed (try {attempt} of {tries}): {text}"),
        },
        Fact::Approved { step, by, have, wanted, reason } => {
            write!(f, "step {step} approved by {} ({have} of {wanted})", by.0)?;
            reason.as_ref().map_or(Ok(()), |why| write!(f, ": {why}"))
        }
        Fact::HeaderRoute { name, what, .. } if what.is_empty() => {
            write!(f, "route {name} taken away")
        }
        Fact::HeaderRoute { revision, name, what } => {
            write!(f, "route {name}: requests with {what} go to {}", revision.version)
        }
        Fact::Mirror { share: Weight::NONE, .. } => f.write_str("no more copies are sent"),
        Fact::Mirror { revision, share } => write!(
            f,
            "{} gets copies of {share} of the requests; users see stable alone",
            revision.version
        ),
        Fact::ExperimentBegun { variants } if variants.is_empty() => {
            f.write_str("experiment begun")
        }
        Fact::ExperimentBegun { variants } => {
            write!(f, "experiment begun with {}", variants.join(", "))
        }
        Fact::VariantDropped { revision, cause } => {
            write!(f, "{} left the experiment: {}", revision.version, cause.text)
        }
        Fact::ExperimentEnded { text } => f.write_str(text),
        Fact::Flag { set, key, change, ended } => {
            write!(f, "flag {key} of {set}")?;
            flag(f, change.as_ref(), ended)
        }
        Fact::Migration { name, told } => {
            write!(f, "migration {name}")?;
            migration(f, told)
        }
        // Every other fact is told elsewhere.
        _ => Ok(()),
    }
}

fn flag(f: &mut fmt::Formatter<'_>, change: Option<&FlagChange>, ended: &FlagEnd) -> fmt::Result {
    match (ended, change) {
        (FlagEnd::Changed { .. }, Some(change)) => write!(f, " is {change}"),
        (FlagEnd::Changed { .. } | FlagEnd::Back, _) => f.write_str(" is as it was before"),
        (FlagEnd::Refused { why }, Some(change)) => write!(f, " cannot be {change} yet: {why}"),
        (FlagEnd::Refused { why } | FlagEnd::Left { why }, _) => {
            write!(f, " was left alone: {why}")
        }
    }
}

fn migration(f: &mut fmt::Formatter<'_>, told: &MigrationTold) -> fmt::Result {
    match told {
        MigrationTold::Begun { revision } => write!(f, " begins, for {}", revision.version),
        MigrationTold::Ready { after } => write!(f, ": both shapes are in use, after {after}"),
        MigrationTold::Applied => f.write_str(" was in the database already"),
        MigrationTold::Stopped { why } => write!(f, " does not go on: {why}"),
        MigrationTold::Open { after, by_hand } => {
            write!(f, ": both shapes stay in use, for a way back within {after}")?;
            let how = if *by_hand { "when a person says so" } else { "by itself" };
            write!(f, "; afterwards the old one goes {how}")
        }
        MigrationTold::GoesBack => f.write_str(" goes back once nothing uses the new shape"),
        MigrationTold::Back => f.write_str(" is taken back: only the old shape is left"),
        MigrationTold::Contract { by, against } => {
            write!(f, ": the old shape is to go, by {}", by.0)?;
            against.as_ref().map_or(Ok(()), |why| write!(f, ", although {why}"))
        }
        MigrationTold::Refused { why } => write!(f, ": the old shape stays: {why}"),
        MigrationTold::Contracted => f.write_str(" is done: only the new shape is left"),
        MigrationTold::Halts { by, to } => {
            write!(f, ": the contract is to stop, by {}, for a way back to {}", by.0, to.version)
        }
        MigrationTold::Halted => f.write_str(": the contract was stopped; both shapes are in use"),
        MigrationTold::TooLate { why } => write!(f, ": the contract could not be stopped: {why}"),
        MigrationTold::Doubted { doubt } => write!(f, ": {doubt}"),
        MigrationTold::Together => {
            f.write_str(": both shapes say the same again in what is looked at")
        }
        MigrationTold::Left => f.write_str(
            " is left open in the database, with both shapes; end it there with `serin migrate`",
        ),
    }
}
