//! Groups of users, inlined.

use super::{
    Compiler, Expression,
    expression::{all, any, nodes, not, variable},
};
use crate::{Attribute, Segment};
use serde_json::{Value, json};

impl<'a> Compiler<'a> {
    /// In one of these segments; no names: everybody.
    pub(super) fn in_segments(&mut self, names: &'a [String]) -> Expression {
        if names.is_empty() {
            return Ok(Value::Bool(true));
        }
        let parts = names.iter().map(|name| self.in_segment(name));
        Ok(any(parts.collect::<Result<_, _>>()?))
    }

    /// Each segment is written once and copied; the depth of references is checked before.
    fn in_segment(&mut self, name: &'a str) -> Expression {
        if let Some((known, size)) = self.segments.get(name) {
            self.size.take(*size)?;
            return Ok(known.clone());
        }
        let set = self.set;
        let Some(segment) = set.segments.get(name) else { return Ok(Value::Bool(false)) };
        let expression = self.segment(segment)?;
        self.segments.insert(name, (expression.clone(), nodes(&expression)));
        Ok(expression)
    }

    fn segment(&mut self, segment: &'a Segment) -> Expression {
        self.size.take(8 + segment.users.len() + segment.excluded.len())?;
        let mut inside = Vec::new();
        if !segment.users.is_empty() {
            inside.push(listed(&segment.users));
        }
        for name in &segment.segments {
            inside.push(self.in_segment(name)?);
        }
        for clauses in &segment.any {
            inside.push(self.clauses(clauses)?);
        }
        let inside = any(inside);
        if segment.excluded.is_empty() || inside == Value::Bool(false) {
            return Ok(inside);
        }
        Ok(all(vec![not(listed(&segment.excluded)), inside]))
    }
}

/// The user is one of these.
pub(super) fn listed(users: &[String]) -> Value {
    json!({ "in": [variable(Attribute::TARGETING_KEY), users] })
}
