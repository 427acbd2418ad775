//! JsonLogic, written.

use super::Stop;
use crate::Attribute;
use serde_json::{Map, Value, json};

/// An operator with its arguments.
pub(super) fn call(operator: &str, arguments: Vec<Value>) -> Value {
    Value::Object(Map::from_iter([(operator.to_owned(), Value::Array(arguments))]))
}

/// `{"var": name}`.
pub(super) fn variable(name: &str) -> Value {
    json!({ "var": name })
}

/// All hold; none: true. What is decided is not written.
pub(super) fn all(parts: Vec<Value>) -> Value {
    joined("and", parts, true)
}

/// One holds; none: false. What is decided is not written.
pub(super) fn any(parts: Vec<Value>) -> Value {
    joined("or", parts, false)
}

/// Parts joined by an operator for which `neutral` changes nothing and its opposite decides.
fn joined(operator: &str, mut parts: Vec<Value>, neutral: bool) -> Value {
    if parts.contains(&Value::Bool(!neutral)) {
        return Value::Bool(!neutral);
    }
    parts.retain(|part| *part != Value::Bool(neutral));
    match parts.len() {
        0 => Value::Bool(neutral),
        1 => parts.remove(0),
        _ => call(operator, parts),
    }
}

/// The opposite.
pub(super) fn not(part: Value) -> Value {
    call("!", vec![part])
}

/// Whether an attribute is there and not empty.
pub(super) fn present(attribute: &str) -> Value {
    let value = variable(attribute);
    if attribute == Attribute::TARGETING_KEY {
        return value; // always text: its own truth is whether it is there
    }
    json!({ "and": [{ "!==": [value, null] }, { "!==": [value, ""] }] })
}

/// Conditions with their results, and what holds if none does.
pub(super) struct Chain {
    parts: Vec<Value>,
    end: Value,
}

impl Chain {
    /// A chain of which only the end is known.
    pub fn ending_in(end: Value) -> Self {
        Self { parts: Vec::new(), end }
    }

    /// Another link. Returns whether anything can come after it.
    pub fn link(&mut self, condition: Value, result: Value) -> bool {
        if condition == Value::Bool(true) {
            self.end = result;
            return false;
        }
        if condition != Value::Bool(false) {
            self.parts.extend([condition, result]);
        }
        true
    }

    /// The whole expression.
    pub fn finish(mut self) -> Value {
        if self.parts.is_empty() {
            return self.end;
        }
        self.parts.push(self.end);
        call("if", self.parts)
    }
}

/// How much may still be written. Segments and prerequisites are inlined, so that a small set
/// could else become an endless document.
pub(super) struct Size {
    per_flag: usize,
    flag: usize,
    rest: usize,
}

impl Size {
    pub fn new(per_flag: usize, all: usize) -> Self {
        Self { per_flag, flag: per_flag, rest: all }
    }

    pub fn next_flag(&mut self) {
        self.flag = self.per_flag;
    }

    /// Takes nodes from what is left.
    pub fn take(&mut self, nodes: usize) -> Result<(), Stop> {
        let left = self.flag.checked_sub(nodes).zip(self.rest.checked_sub(nodes));
        let Some((flag, rest)) = left else {
            let found = "its rules are too large once segments and prerequisites are inlined";
            return Err(Stop::Cannot(found.to_owned(), "fewer or smaller references"));
        };
        (self.flag, self.rest) = (flag, rest);
        Ok(())
    }
}

/// Nodes of an expression.
pub(super) fn nodes(value: &Value) -> usize {
    match value {
        Value::Array(parts) => 1 + parts.iter().map(nodes).sum::<usize>(),
        Value::Object(parts) => 1 + parts.values().map(nodes).sum::<usize>(),
        _ => 1,
    }
}

/// Whether any operator call of an expression satisfies a test (name, arguments).
pub(super) fn rule_uses(rule: &Value, test: &dyn Fn(&str, &Value) -> bool) -> bool {
    match rule {
        Value::Array(parts) => parts.iter().any(|part| rule_uses(part, test)),
        Value::Object(parts) => {
            parts.iter().any(|(name, below)| test(name, below) || rule_uses(below, test))
        }
        _ => false,
    }
}
