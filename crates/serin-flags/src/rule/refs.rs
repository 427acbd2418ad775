//! `$evaluators`: pieces of rules that other rules refer to by name.

use serde_json::{Map, Value};
use std::{borrow::Cow, collections::BTreeMap};

/// How deep a rule may be after its references are replaced.
const DEPTH_MAX: usize = 250;

/// Why references could not be replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TooLarge {
    /// More of one rule than is allowed.
    Nodes,
    /// Deeper than is allowed.
    Depth,
    /// Evaluators that lead back to themselves, in order.
    Cycle(Vec<String>),
}

/// The evaluators of a document, with what they refer to inside them.
pub(crate) struct Evaluators<'d> {
    source: Option<&'d Map<String, Value>>,
    resolved: BTreeMap<&'d str, Value>,
    /// Nodes that one rule may have.
    limit: usize,
}

impl<'d> Evaluators<'d> {
    pub fn new(source: Option<&'d Map<String, Value>>, limit: usize) -> Self {
        Self { source, resolved: BTreeMap::new(), limit }
    }

    /// Replaces the references in all evaluators, so that a cycle is found even if no flag uses it.
    pub fn check(&mut self) -> Result<(), (String, TooLarge)> {
        for name in self.source.into_iter().flat_map(Map::keys) {
            self.resolve(name, &mut Vec::new(), 0).map_err(|error| (name.clone(), error))?;
        }
        Ok(())
    }

    /// A rule without references, except to what is not there.
    pub fn replace<'r>(&mut self, rule: &'r Value) -> Result<Cow<'r, Value>, TooLarge> {
        if self.source.is_none_or(Map::is_empty) || !refers(rule) {
            return Ok(Cow::Borrowed(rule));
        }
        let mut left = self.limit;
        self.copy(rule, &mut left, &mut Vec::new(), 0).map(Cow::Owned)
    }

    fn copy(
        &mut self,
        rule: &Value,
        left: &mut usize,
        chain: &mut Vec<&'d str>,
        depth: usize,
    ) -> Result<Value, TooLarge> {
        *left = left.checked_sub(1).ok_or(TooLarge::Nodes)?;
        let inner = depth + 1;
        if inner > DEPTH_MAX {
            return Err(TooLarge::Depth);
        }
        Ok(match rule {
            Value::Array(items) => {
                let items = items.iter().map(|item| self.copy(item, left, chain, inner));
                Value::Array(items.collect::<Result<_, _>>()?)
            }
            Value::Object(object) => {
                if let Some(name) = self.referred(object) {
                    let found = self.resolve(name, chain, inner)?;
                    let (nodes, deep) = measure(found);
                    *left = left.checked_sub(nodes).ok_or(TooLarge::Nodes)?;
                    if inner + deep > DEPTH_MAX {
                        return Err(TooLarge::Depth);
                    }
                    return Ok(found.clone());
                }
                let entries = object.iter();
                let entries = entries
                    .map(|(name, value)| Ok((name.clone(), self.copy(value, left, chain, inner)?)));
                Value::Object(entries.collect::<Result<_, _>>()?)
            }
            _ => rule.clone(),
        })
    }

    /// The name of an evaluator that is there.
    fn referred(&self, object: &Map<String, Value>) -> Option<&'d str> {
        let name = reference(object)?;
        self.source?.get_key_value(name).map(|(name, _)| name.as_str())
    }

    fn resolve(
        &mut self,
        name: &'d str,
        chain: &mut Vec<&'d str>,
        depth: usize,
    ) -> Result<&Value, TooLarge> {
        if let Some(at) = chain.iter().position(|other| *other == name) {
            let cycle = chain[at..].iter().chain([&name]).map(|&name| name.to_owned());
            return Err(TooLarge::Cycle(cycle.collect()));
        }
        if !self.resolved.contains_key(name) {
            chain.push(name);
            let rule = self.source.and_then(|source| source.get(name)).unwrap_or(&Value::Null);
            let mut left = self.limit;
            let value = self.copy(rule, &mut left, chain, depth)?;
            chain.pop();
            self.resolved.insert(name, value);
        }
        Ok(&self.resolved[name])
    }
}

fn reference(object: &Map<String, Value>) -> Option<&str> {
    let only = object.len() == 1;
    object.get("$ref").filter(|_| only).and_then(Value::as_str)
}

fn refers(rule: &Value) -> bool {
    match rule {
        Value::Array(items) => items.iter().any(refers),
        Value::Object(object) => reference(object).is_some() || object.values().any(refers),
        _ => false,
    }
}

/// How many values there are in a value, and how deep it is.
pub(crate) fn measure(value: &Value) -> (usize, usize) {
    let add = |(nodes, depth): (usize, usize), value: &Value| {
        let (more, deep) = measure(value);
        (nodes + more, depth.max(deep))
    };
    let (nodes, depth) = match value {
        Value::Array(items) => items.iter().fold((0, 0), add),
        Value::Object(object) => object.values().fold((0, 0), add),
        _ => (0, 0),
    };
    (nodes + 1, depth + 1)
}
