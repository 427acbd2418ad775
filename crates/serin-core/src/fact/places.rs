//! Sentences of the facts about instances that trade places.

use super::Fact;
use std::fmt::{Formatter, Result};

pub(super) fn fmt(fact: &Fact, f: &mut Formatter<'_>) -> Result {
    match fact {
        Fact::Places { candidate, has, stable, keeps, of } => write!(
            f,
            "of {of} places {} has {has} and {} has {keeps}",
            candidate.version, stable.version
        ),
        Fact::PlaceBack { revision, text, retry } => {
            write!(f, "the place of a failed instance of {} goes back: {text}", revision.version)?;
            retry.map_or(Ok(()), |span| write!(f, "; it is tried again in {span}"))
        }
        Fact::Watching { revision, span } => write!(
            f,
            "{} has all traffic and all places; it is watched for {span}",
            revision.version
        ),
        Fact::Down { revision } => {
            write!(f, "nobody answers users until {} is ready", revision.version)
        }
        Fact::Up { revision, after } => {
            write!(f, "{} answers users, after {after} without anybody", revision.version)
        }
        _ => Ok(()),
    }
}
