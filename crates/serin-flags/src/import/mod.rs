//! Sets of flags from elsewhere. What cannot be kept is reported, never silently changed.

mod mission;

pub use mission::{Remainder, mission};

use crate::{Problem, SetDefinition, validate};

/// A set that was taken over.
#[derive(Debug, Clone, PartialEq)]
pub struct Imported {
    /// The set; it can be served as it is.
    pub set: SetDefinition,
    /// What is not as it was where it came from, and why.
    pub notes: Vec<Problem>,
}

impl Imported {
    fn checked(set: SetDefinition, notes: Vec<Problem>) -> Result<Self, Vec<Problem>> {
        let problems = validate(&set);
        if problems.is_empty() { Ok(Self { set, notes }) } else { Err(problems) }
    }
}
