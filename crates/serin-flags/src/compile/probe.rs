//! A flag's conditions one by one, for explaining which of them held.

use super::{Compiler, Form, Stop, document, flag::For};
use crate::{Definition, FlagKey, Problem, Serve, SetDefinition};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The parts of a flag as flags of their own, in the server form. Each is called by its place:
/// `prerequisite.0`, `target.0`, `rule.0`, `rule.0.segments`, `rule.0.clause.0`, `rule.0.serve`,
/// `release`, `release.serve`.
pub(crate) struct Probes {
    /// A flagd document of them all. Conditions answer `yes` or `no`, the others a variant.
    pub document: Value,
}

/// Takes a flag apart. The set is taken to be in order.
pub(crate) fn probes(set: &SetDefinition, key: &FlagKey) -> Result<Probes, Problem> {
    let place = format!("flags.{key}");
    let Some((key, definition)) = set.flags.get_key_value(key) else {
        return Err(Problem::new(place, "there is no such flag"));
    };
    let mut parts = Parts { compiler: Compiler::new(set, Form::Server), flags: BTreeMap::new() };
    match parts.all(key, definition) {
        Ok(()) => {
            let flags: Map<String, Value> = parts.flags.into_iter().collect();
            Ok(Probes { document: document::whole(set, flags) })
        }
        Err(Stop::NotPortable(found)) => Err(Problem::new(place, found)),
        Err(Stop::Cannot(found, allowed)) => Err(Problem::new(place, found).allowed(allowed)),
    }
}

struct Parts<'a> {
    compiler: Compiler<'a>,
    flags: BTreeMap<String, Value>,
}

impl<'a> Parts<'a> {
    fn all(&mut self, key: &'a FlagKey, definition: &'a Definition) -> Result<(), Stop> {
        for (at, needs) in definition.prerequisites.iter().enumerate() {
            let met = self.compiler.met(needs)?;
            self.condition(format!("prerequisite.{at}"), &met);
        }
        for (at, target) in definition.targets.iter().enumerate() {
            self.condition(format!("target.{at}"), &super::segment::listed(&target.users));
        }
        for (at, rule) in definition.rules.iter().enumerate() {
            let place = format!("rule.{at}");
            let segments = self.compiler.in_segments(&rule.segments)?;
            self.condition(format!("{place}.segments"), &segments);
            for (at, clause) in rule.clauses.iter().enumerate() {
                let clause = self.compiler.clause(clause)?;
                self.condition(format!("{place}.clause.{at}"), &clause);
            }
            let (condition, serve) = self.compiler.rule(key, definition, rule)?;
            self.condition(place.clone(), &condition);
            if matches!(rule.serve, Serve::Split { .. }) {
                self.served(format!("{place}.serve"), definition, &serve);
            }
        }
        if let Some(release) = &definition.release {
            let (condition, serve) = self.compiler.released(definition, release, For::Itself)?;
            self.condition("release".to_owned(), &condition);
            self.served("release.serve".to_owned(), definition, &serve);
        }
        Ok(())
    }

    fn condition(&mut self, name: String, condition: &Value) {
        let flag = json!({
            "state": "ENABLED",
            "variants": { "yes": true, "no": false },
            "defaultVariant": "no",
            "targeting": { "if": [condition, "yes", "no"] },
        });
        self.flags.insert(name, flag);
    }

    fn served(&mut self, name: String, definition: &Definition, serve: &Value) {
        // In an `if`, because a bare name would be no rule.
        let serve = json!({ "if": [true, serve, null] });
        self.flags.insert(name, document::flag(definition, serve));
    }
}
