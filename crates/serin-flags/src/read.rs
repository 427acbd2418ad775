//! Reading a flagd document: all of it or nothing.

use crate::{
    Bucketing, Flag, FlagSet, FlagType, FlagValue, Limits, Metadata, Problem, Scalar,
    problem::nearest_name,
    rule::{Broken, Evaluators, TooLarge, lower, measure},
    set::Rule,
};
use serde_json::{Map, Value};

type Object = Map<String, Value>;

/// Reads a document, or says everything that is wrong with it.
pub(crate) fn document(
    text: &[u8],
    bucketing: Bucketing,
    limits: &Limits,
) -> Result<FlagSet, Vec<Problem>> {
    if text.len() > limits.bytes {
        let what = format!("{} bytes of JSON", text.len());
        let allowed = format!("at most {} bytes", limits.bytes);
        return Err(vec![Problem::new("document", what).allowed(allowed)]);
    }
    let value = serde_json::from_slice(text)
        .map_err(|error| vec![Problem::new("document", format!("not JSON: {error}"))])?;
    let Value::Object(root) = value else {
        return Err(vec![Problem::new("document", "not a JSON object").allowed(SHAPE)]);
    };
    let (metadata, evaluators) = (Metadata::new(), root.get("$evaluators"));
    let evaluators = Evaluators::new(evaluators.and_then(Value::as_object), limits.nodes_per_flag);
    let problems = Vec::new();
    let reader = Reader { bucketing, limits, metadata, evaluators, nodes: 0, problems };
    reader.read(&root)
}

const SHAPE: &str = "{\"flags\": {\"key\": {\"state\", \"variants\", \"defaultVariant\"}}}";

struct Reader<'d> {
    bucketing: Bucketing,
    limits: &'d Limits,
    metadata: Metadata,
    evaluators: Evaluators<'d>,
    /// Nodes of all rules so far.
    nodes: usize,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn read(mut self, root: &Object) -> Result<FlagSet, Vec<Problem>> {
        self.metadata = self.metadata(root.get("metadata"), "metadata");
        self.check_evaluators(root.get("$evaluators"));
        let sources = self.sources(root.get("flags"));
        if sources.len() > self.limits.flags {
            let what = format!("{} flags", sources.len());
            self.report(
                Problem::new("flags", what).allowed(format!("at most {}", self.limits.flags)),
            );
            return Err(self.problems);
        }
        let flags = sources.into_iter().filter_map(|(key, flag)| self.flag(key, flag)).collect();
        if self.problems.is_empty() {
            Ok(FlagSet::new(flags, self.metadata, self.bucketing))
        } else {
            Err(self.problems)
        }
    }

    fn report(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// Keys and bodies, from either form.
    fn sources<'v>(&mut self, flags: Option<&'v Value>) -> Vec<(&'v str, &'v Object)> {
        let named: Vec<(&str, &Value)> = match flags {
            Some(Value::Object(flags)) => flags.iter().map(|(key, v)| (key.as_str(), v)).collect(),
            Some(Value::Array(flags)) => self.keyed(flags),
            _ => {
                self.report(Problem::new("flags", "missing, or not an object").allowed(SHAPE));
                Vec::new()
            }
        };
        named.into_iter().filter_map(|(key, value)| self.body(key, value)).collect()
    }

    fn keyed<'v>(&mut self, flags: &'v [Value]) -> Vec<(&'v str, &'v Value)> {
        let mut named = Vec::new();
        let mut seen = std::collections::BTreeSet::new();
        for (place, flag) in flags.iter().enumerate() {
            match flag.get("key").and_then(Value::as_str) {
                Some(key) if seen.insert(key) => named.push((key, flag)),
                Some(key) => self.report(Problem::new(
                    format!("flags[{place}].key"),
                    format!("`{key}` is there twice; a key is unique in a set"),
                )),
                None => self.report(Problem::new(format!("flags[{place}]"), "a flag without key")),
            }
        }
        named
    }

    fn body<'v>(&mut self, key: &'v str, value: &'v Value) -> Option<(&'v str, &'v Object)> {
        if key.is_empty() {
            self.report(Problem::new("flags", "a flag with an empty key"));
            return None;
        }
        let body = value.as_object();
        if body.is_none() {
            self.report(Problem::new(format!("flags.{key}"), "not an object").allowed(SHAPE));
        }
        Some((key, body?))
    }

    fn flag(&mut self, key: &str, body: &Object) -> Option<Flag> {
        let before = self.problems.len();
        let place = format!("flags.{key}");
        let enabled = self.state(body.get("state"), &place);
        let variants = self.variants(body.get("variants"), &place);
        let kind = self.kind(&variants, &place);
        let default_variant = self.default_variant(body, &variants, &place);
        let rule = self.rule(body.get("targeting"), &place);
        let own = self.metadata(body.get("metadata"), &format!("{place}.metadata"));
        let metadata = self.metadata.clone().into_iter().chain(own).collect();
        (self.problems.len() == before).then(|| Flag {
            key: key.into(),
            enabled,
            kind,
            variants,
            default_variant,
            metadata,
            rule,
        })
    }

    fn state(&mut self, state: Option<&Value>, place: &str) -> bool {
        match state.and_then(Value::as_str) {
            Some("ENABLED") => return true,
            Some("DISABLED") => {}
            found => {
                let what = found.map_or_else(
                    || "missing, or not text".to_owned(),
                    |word| format!("`{word}` is no state"),
                );
                let nearest = nearest_name(found.unwrap_or(""), ["ENABLED", "DISABLED"]);
                let problem = Problem::new(format!("{place}.state"), what);
                self.report(problem.allowed("ENABLED, DISABLED").nearest(nearest));
            }
        }
        false
    }

    fn variants(&mut self, variants: Option<&Value>, place: &str) -> Box<[(Box<str>, FlagValue)]> {
        match variants {
            None => Box::default(),
            Some(Value::Object(variants)) => variants
                .iter()
                .map(|(name, value)| (name.as_str().into(), FlagValue::new(value.clone())))
                .collect(),
            Some(_) => {
                let problem = Problem::new(format!("{place}.variants"), "not an object");
                self.report(problem.allowed("names with values, such as {\"on\": true}"));
                Box::default()
            }
        }
    }

    fn kind(&mut self, variants: &[(Box<str>, FlagValue)], place: &str) -> Option<FlagType> {
        let (first, value) = variants.first()?;
        let kind = FlagType::of(value.value());
        for (name, value) in variants {
            let place = || format!("{place}.variants.{name}");
            match (FlagType::of(value.value()), kind) {
                (None, _) => {
                    let problem = Problem::new(place(), "null is no value of a variant");
                    self.report(problem.allowed("a boolean, string, number or object"));
                }
                (Some(own), Some(kind)) if own != kind => {
                    let what = format!("a {own}, while `{first}` is a {kind}");
                    self.report(Problem::new(place(), what).allowed("one type for all variants"));
                }
                _ => {}
            }
        }
        kind
    }

    fn default_variant(
        &mut self,
        body: &Object,
        variants: &[(Box<str>, FlagValue)],
        place: &str,
    ) -> Option<usize> {
        let place = format!("{place}.defaultVariant");
        let name = match body.get("defaultVariant") {
            None | Some(Value::Null) => return None,
            Some(Value::String(name)) => name,
            Some(_) => {
                let problem = Problem::new(place, "not text");
                self.report(problem.allowed("a variant's name, or null for the code's default"));
                return None;
            }
        };
        let found = variants.iter().position(|(variant, _)| **variant == **name);
        if found.is_none() && !name.is_empty() {
            let names = || variants.iter().map(|(name, _)| name.as_ref());
            let allowed = names().chain(["null"]).collect::<Vec<_>>().join(", ");
            let problem = Problem::new(place, format!("`{name}` is no variant of this flag"));
            self.report(problem.allowed(allowed).nearest(nearest_name(name, names())));
        }
        found
    }

    fn check_evaluators(&mut self, evaluators: Option<&Value>) {
        if evaluators.is_some_and(|value| !value.is_object()) {
            self.report(Problem::new("$evaluators", "not an object").allowed("rules by name"));
        }
        if let Err((name, error)) = self.evaluators.check() {
            self.too_large(&format!("$evaluators.{name}"), &error);
        }
    }

    fn rule(&mut self, targeting: Option<&Value>, place: &str) -> Rule {
        let rule = match targeting {
            None | Some(Value::Null) => return Rule::None,
            Some(Value::Object(object)) if object.is_empty() => return Rule::None,
            Some(rule) => rule,
        };
        let place = format!("{place}.targeting");
        let replaced = match self.evaluators.replace(rule) {
            Ok(replaced) => replaced,
            Err(error) => {
                self.too_large(&place, &error);
                return Rule::None;
            }
        };
        let (nodes, _) = measure(&replaced);
        self.nodes += nodes;
        if nodes > self.limits.nodes_per_flag || self.nodes > self.limits.nodes {
            self.too_large(&place, &TooLarge::Nodes);
            return Rule::None;
        }
        match lower(&replaced, self.bucketing) {
            Ok(program) => Rule::Program(Box::new(program)),
            Err(Broken(why)) => Rule::Broken(why.into()),
        }
    }

    fn too_large(&mut self, place: &str, error: &TooLarge) {
        let nodes = self.limits.nodes_per_flag;
        self.report(match error {
            TooLarge::Nodes => Problem::new(place, "a rule that is too large")
                .allowed(format!("at most {nodes} values with its references replaced")),
            TooLarge::Depth => Problem::new(place, "a rule that is nested too deep")
                .allowed("at most 250 levels with its references replaced"),
            TooLarge::Cycle(names) => {
                let what = format!("a reference to itself: {}", names.join(" -> "));
                Problem::new(place, what).allowed("references that end")
            }
        });
    }

    fn metadata(&mut self, value: Option<&Value>, place: &str) -> Metadata {
        let entries = match value {
            None | Some(Value::Null) => return Metadata::new(),
            Some(Value::Object(entries)) => entries,
            Some(_) => {
                self.report(Problem::new(place, "not an object"));
                return Metadata::new();
            }
        };
        let mut metadata = Metadata::new();
        for (name, value) in entries {
            if let Some(scalar) = Scalar::from_json(value) {
                metadata.insert(name.clone(), scalar);
            } else {
                let problem = Problem::new(format!("{place}.{name}"), "nothing nested is allowed");
                self.report(problem.allowed("a string, a number, true or false"));
            }
        }
        metadata
    }
}
