//! A flag's rules.

use super::{
    Compiler, Expression, Stop,
    clause::now,
    expression::{Chain, all, call, nodes, not, rule_uses},
    is_forced_off,
    segment::listed,
    split::Unit,
};
use crate::{Definition, FlagKey, Prerequisite, Release, Rule, Serve, State, WHOLE};
use serde_json::{Value, json};

/// Whose rules are written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum For {
    /// The flag's own: null where nothing decides, and the client takes the default variant.
    Itself,
    /// Another flag's prerequisite: always a variant's name, because it is compared with one.
    Other,
}

impl<'a> Compiler<'a> {
    /// A flag's targeting; null: it needs none.
    pub(super) fn targeting(&mut self, key: &'a FlagKey, definition: &'a Definition) -> Expression {
        if is_forced_off(definition) || definition.state == State::Disabled {
            return Ok(Value::Null);
        }
        self.decided(key, definition, For::Itself)
    }

    fn decided(&mut self, key: &'a FlagKey, definition: &'a Definition, whose: For) -> Expression {
        let end = match whose {
            For::Itself => Value::Null,
            For::Other => json!(definition.default_variant),
        };
        let body = self.body(key, definition, whose, end.clone())?;
        let Some(expiry) = definition.expires_at else { return Ok(body) };
        if body == end {
            return Ok(body);
        }
        Ok(call("if", vec![now("<", expiry), body, end]))
    }

    fn body(
        &mut self,
        key: &'a FlagKey,
        definition: &'a Definition,
        whose: For,
        end: Value,
    ) -> Expression {
        let mut chain = Chain::ending_in(end.clone());
        let off = json!(definition.off_variant);
        for needs in &definition.prerequisites {
            let met = self.met(needs)?;
            if !chain.link(negated(met), off.clone()) {
                return Ok(chain.finish());
            }
        }
        if let Some(raw) = &definition.raw {
            let raw = self.raw(raw, whose, end)?;
            chain.link(Value::Bool(true), raw);
            return Ok(chain.finish());
        }
        for target in definition.targets.iter().filter(|target| !target.users.is_empty()) {
            self.size.take(4 + target.users.len())?;
            chain.link(listed(&target.users), json!(target.variant));
        }
        for rule in &definition.rules {
            let (condition, result) = self.rule(key, definition, rule)?;
            if !chain.link(condition, result) {
                return Ok(chain.finish());
            }
        }
        if let Some(release) = &definition.release {
            let (condition, result) = self.released(definition, release, whose)?;
            chain.link(condition, result);
        }
        Ok(chain.finish())
    }

    /// When a rule fits, and what it gives then. A split does not fit who cannot be bucketed,
    /// unless one variant has everything.
    pub(super) fn rule(
        &mut self,
        key: &FlagKey,
        definition: &'a Definition,
        rule: &'a Rule,
    ) -> Result<(Value, Value), Stop> {
        let mut parts = self.conditions(&rule.segments)?;
        if !rule.clauses.is_empty() {
            parts.push(self.clauses(&rule.clauses)?);
        }
        let result = match &rule.serve {
            Serve::Variant(name) => json!(name),
            Serve::Split { shares, by, salt } => {
                let unit = Unit::of(definition, by.as_ref());
                let salt = salt.as_deref().or(definition.salt.as_deref()).unwrap_or(key.as_str());
                let split = self.split(definition, salt, &unit, shares)?;
                if !split.is_string() {
                    parts.push(unit.present);
                }
                split
            }
        };
        Ok((all(parts), result))
    }

    fn conditions(&mut self, segments: &'a [String]) -> Result<Vec<Value>, Stop> {
        let inside = self.in_segments(segments)?;
        Ok(if inside == Value::Bool(true) { Vec::new() } else { vec![inside] })
    }

    /// Who takes part in a release, and what they get. Released to everybody means everybody.
    pub(super) fn released(
        &mut self,
        definition: &Definition,
        release: &'a Release,
        whose: For,
    ) -> Result<(Value, Value), Stop> {
        let mut parts = self.conditions(&release.segments)?;
        let unit = Unit::of(definition, None);
        let result = self.release(definition, release, &unit, whose == For::Itself)?;
        if release.exposure < WHOLE || release.arm < WHOLE {
            parts.push(unit.present);
            return Ok((all(parts), result));
        }
        let counted = !result.is_string();
        let everybody = json!(release.on);
        let result =
            if counted { call("if", vec![unit.present, result, everybody]) } else { result };
        Ok((all(parts), result))
    }

    /// Whether a prerequisite is met.
    pub(super) fn met(&mut self, needs: &'a Prerequisite) -> Expression {
        let set = self.set;
        let Some(parent) = set.flags.get(&needs.flag) else { return Ok(Value::Bool(false)) };
        if parent.killed.is_none() && parent.state == State::Disabled {
            return Ok(Value::Bool(false));
        }
        let value = if is_forced_off(parent) {
            json!(parent.off_variant)
        } else {
            self.decided(&needs.flag, parent, For::Other)?
        };
        if let Value::Null | Value::String(_) = &value {
            let name = value.as_str();
            return Ok(Value::Bool(needs.variants.iter().any(|wanted| name == Some(wanted))));
        }
        self.size.take(4 + needs.variants.len())?;
        Ok(match needs.variants.as_slice() {
            [one] => json!({ "==": [value, one] }),
            several => json!({ "in": [value, several] }),
        })
    }

    /// Rules kept word for word. Inlined into another flag they must not depend on their own key.
    fn raw(&mut self, raw: &Value, whose: For, end: Value) -> Expression {
        self.size.take(nodes(raw))?;
        if whose == For::Itself {
            return Ok(raw.clone());
        }
        if rule_uses(raw, &depends_on_key) {
            let found = "a prerequisite's raw targeting uses the flag's own key as salt";
            return Err(Stop::Cannot(found.to_owned(), "a literal salt in its `fractional`"));
        }
        self.size.take(nodes(raw))?;
        let mut chain = Chain::ending_in(raw.clone());
        chain.link(json!({ "===": [raw, null] }), end);
        Ok(chain.finish())
    }
}

fn negated(met: Value) -> Value {
    match met {
        Value::Bool(met) => Value::Bool(!met),
        met => not(met),
    }
}

/// flagd's shorthand hashes the key of the flag it stands in, as does a rule that reads it.
fn depends_on_key(name: &str, arguments: &Value) -> bool {
    let first = arguments.get(0);
    let literal = first.is_some_and(|first| first.is_string() || first.get("cat").is_some());
    let reads = |value: &Value| value.as_str().is_some_and(|name| name.starts_with("$flagd"));
    (name == "fractional" && !literal)
        || (name == "var" && (reads(arguments) || first.is_some_and(reads)))
}
