//! Conditions as alternatives (OR) of constraints (AND).

use super::constraint::{Constraint, alternatives};
use crate::{Clause, Rule, SetDefinition};

/// More alternatives than this are not written.
const MOST: usize = 40;

/// One of these lists holds whole. No list: nobody; an empty list: everybody.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Alternatives(pub Vec<Vec<Constraint>>);

impl Alternatives {
    pub fn everybody() -> Self {
        Self(vec![Vec::new()])
    }

    pub fn nobody() -> Self {
        Self(Vec::new())
    }

    pub fn one(constraint: Constraint) -> Self {
        Self(vec![vec![constraint]])
    }

    pub fn is_everybody(&self) -> bool {
        self.0.iter().any(Vec::is_empty)
    }

    pub fn or(mut self, other: Self) -> Result<Self, String> {
        self.0.extend(other.0);
        self.limited()
    }

    /// Both hold.
    pub fn and(&self, other: &Self) -> Result<Self, String> {
        if self.0.len() * other.0.len() > MOST {
            return Err(too_many());
        }
        let both = |ours: &Vec<Constraint>| {
            let ours = ours.clone();
            other.0.iter().map(move |theirs| ours.iter().chain(theirs).cloned().collect())
        };
        Ok(Self(self.0.iter().flat_map(both).collect()))
    }

    /// None holds: of each list one constraint does not.
    pub fn negated(&self) -> Result<Self, String> {
        let mut all = Self::everybody();
        for list in &self.0 {
            let one = list.iter().map(|constraint| vec![constraint.clone().inverted()]);
            all = all.and(&Self(one.collect()))?;
        }
        Ok(all)
    }

    fn limited(self) -> Result<Self, String> {
        if self.0.len() > MOST { Err(too_many()) } else { Ok(self) }
    }
}

fn too_many() -> String {
    format!("it needs more than {MOST} strategies")
}

/// Whom a rule fits.
pub(super) fn of_rule(set: &SetDefinition, rule: &Rule) -> Result<Alternatives, String> {
    of_segments(set, &rule.segments)?.and(&of_clauses(&rule.clauses)?)
}

pub(super) fn of_segments(set: &SetDefinition, names: &[String]) -> Result<Alternatives, String> {
    if names.is_empty() {
        return Ok(Alternatives::everybody());
    }
    names.iter().try_fold(Alternatives::nobody(), |all, name| all.or(of_segment(set, name)?))
}

/// Depth and circles of references were checked before.
fn of_segment(set: &SetDefinition, name: &str) -> Result<Alternatives, String> {
    let Some(segment) = set.segments.get(name) else { return Ok(Alternatives::nobody()) };
    let mut inside = Alternatives::nobody();
    if !segment.users.is_empty() {
        inside = inside.or(Alternatives::one(Constraint::listed(&segment.users)?))?;
    }
    for name in &segment.segments {
        inside = inside.or(of_segment(set, name)?)?;
    }
    for clauses in &segment.any {
        inside = inside.or(of_clauses(clauses)?)?;
    }
    if segment.excluded.is_empty() {
        return Ok(inside);
    }
    inside.and(&Alternatives::one(Constraint::listed(&segment.excluded)?.inverted()))
}

fn of_clauses(clauses: &[Clause]) -> Result<Alternatives, String> {
    let all = Alternatives::everybody();
    clauses.iter().try_fold(all, |all, clause| all.and(&alternatives(clause)?))
}
