//! `fractional`: parts of all users by weight.

use super::{Lowering, Result, is_constant, keep};
use crate::{
    Bucketing,
    rule::{
        program::Op,
        split::{Key, Method, Split, Weights, literal_weight},
    },
};
use serde_json::Value;

impl Lowering {
    /// `{"fractional": [key, [variant, weight], ...]}`, or without a key. One that is written wrong
    /// gives null: flagd's rule.
    pub(super) fn fractional(&mut self, arguments: &[Value], depth: usize) -> Result {
        let first = match arguments.first() {
            Some(Value::Array(_)) | None => 0,
            Some(_) => 1,
        };
        let parts = arguments[first..].iter().map(Part::read).collect::<Option<Vec<_>>>();
        let Some(parts) = parts else { return self.null() };
        let Some(weights) = weights(&parts) else { return self.null() };
        let key = match arguments.first() {
            Some(Value::Null) if self.bucketing == Bucketing::V2 => Key::Implicit,
            Some(key) if first == 1 => self.key(key, depth)?,
            _ => Key::Implicit,
        };
        let method = match self.bucketing {
            Bucketing::V2 => Method::V2,
            Bucketing::V3 => Method::V3,
        };
        if matches!(weights, Weights::Dynamic(_)) {
            self.weights(&parts, first, depth + key.values())?;
        }
        let variants = parts.iter().map(|part| part.variant);
        self.split(Split::new(method, key, weights), variants, first, depth)
    }

    /// What is hashed. A text put together is hashed piece by piece and never built.
    fn key(&mut self, key: &Value, depth: usize) -> Result<Key> {
        if let Some(Value::Array(pieces)) = key.get("cat") {
            let count = self.placed("0/cat", |lowering| lowering.arguments(pieces, depth))?;
            return Ok(Key::Cat(count));
        }
        self.argument(key, 0, depth)?;
        Ok(Key::Value)
    }

    /// Weights that are worked out each time.
    fn weights(&mut self, parts: &[Part], first: usize, depth: usize) -> Result {
        let one = Value::from(1);
        for (place, part) in parts.iter().enumerate() {
            self.argument(part.weight.unwrap_or(&one), first + place, depth + place)?;
        }
        Ok(())
    }

    /// Emits a split and the code of its parts, of which only the chosen one is run.
    pub(super) fn split<'v>(
        &mut self,
        split: Split,
        variants: impl Iterator<Item = &'v Value>,
        first: usize,
        depth: usize,
    ) -> Result {
        let at = keep(&mut self.program.splits, split)?;
        self.emit_placed(Op::Split(at));
        let mut ends = Vec::new();
        for (place, variant) in variants.enumerate() {
            let here = self.here();
            self.program.splits[at as usize].targets.push(here);
            self.placed(first + place, |lowering| lowering.argument(variant, 0, depth))?;
            ends.push(self.emit(Op::Jump(0)));
        }
        self.aim_all_here(ends);
        self.program.splits[at as usize].end = self.here();
        Ok(())
    }
}

/// Weights that are all written out are added up now. `None` if they cannot be used.
fn weights(parts: &[Part]) -> Option<Weights> {
    if parts.iter().any(|part| part.weight.is_some_and(|weight| !is_constant(weight))) {
        return Some(Weights::Dynamic(parts.len()));
    }
    let weights: Option<Vec<u32>> = parts.iter().map(Part::literal).collect();
    Weights::literal(weights?)
}

/// `[variant, weight]`; without a weight it weighs 1.
struct Part<'v> {
    variant: &'v Value,
    weight: Option<&'v Value>,
}

impl<'v> Part<'v> {
    fn read(part: &'v Value) -> Option<Self> {
        match part.as_array()?.as_slice() {
            [variant] => Some(Self { variant, weight: None }),
            [variant, weight] => Some(Self { variant, weight: Some(weight) }),
            _ => None,
        }
    }

    fn literal(&self) -> Option<u32> {
        self.weight.map_or(Some(1), literal_weight)
    }
}
