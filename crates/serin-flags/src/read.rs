//! Reading a flagd document: all of it or nothing.

use crate::{
    Bucketing, Flag, FlagSet, FlagType, FlagValue, Limits, Metadata, Problem, Scalar,
    problem::nearest_name,
    rule::{Broken, Evaluators, TooLarge, lower},
    set::Rule,
};
use serde_json::{Map, Value, value::RawValue};
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};

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
    // Flags are read one after the other, so that only one of them is in memory as JSON.
    let root = serde_json::from_slice(text).map_err(|error| vec![not_a_document(&error)])?;
    let evaluators = piece(&root, "$evaluators").map_err(|problem| vec![problem])?;
    let metadata = piece(&root, "metadata").map_err(|problem| vec![problem])?;
    let metadata = metadata.unwrap_or_default();
    let mut reader = Reader::new(bucketing, limits, &metadata, evaluators.as_ref());
    reader.flags(root.get("flags").copied());
    let (flags, metadata) = reader.done()?;
    Ok(FlagSet::new(flags, metadata, bucketing))
}

/// The pieces of a document, not read any further yet.
type Root<'d> = BTreeMap<String, &'d RawValue>;

fn not_a_document(error: &serde_json::Error) -> Problem {
    if error.is_data() {
        return Problem::new("document", "not a JSON object").allowed(SHAPE);
    }
    Problem::new("document", format!("not JSON: {error}"))
}

fn piece(root: &Root, name: &str) -> Result<Option<Value>, Problem> {
    root.get(name).map(|raw| json(raw, name)).transpose()
}

fn json(raw: &RawValue, place: &str) -> Result<Value, Problem> {
    let read = serde_json::from_str(raw.get());
    read.map_err(|error| Problem::new(place, format!("cannot be read: {error}")))
}

const SHAPE: &str = "{\"flags\": {\"key\": {\"state\", \"variants\", \"defaultVariant\"}}}";

/// What is wrong with a rule goes into every answer, so it must not be as long as the rule.
fn shortened(why: &str) -> Box<str> {
    const SHOWN: usize = 300;
    if why.chars().nth(SHOWN).is_none() {
        return why.into();
    }
    let start: String = why.chars().take(SHOWN).collect();
    format!("{start}...").into()
}

/// A hash of what was read, to tell whether it is another. The same in one process only.
fn print(what: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}

/// Problems that are told at once.
const PROBLEMS_MAX: usize = 1_000;

/// Reads one flag after the other.
pub(crate) struct Reader<'d> {
    bucketing: Bucketing,
    limits: &'d Limits,
    metadata: Metadata,
    evaluators: Evaluators<'d>,
    /// A hash of what all flags share.
    shared: u64,
    /// Nodes of all rules so far.
    nodes: usize,
    flags: Vec<Flag>,
    problems: Vec<Problem>,
}

impl<'d> Reader<'d> {
    /// A reader of flags that share this metadata and these evaluators.
    pub(crate) fn new(
        bucketing: Bucketing,
        limits: &'d Limits,
        metadata: &Value,
        evaluators: Option<&'d Value>,
    ) -> Self {
        let pieces = Evaluators::new(evaluators.and_then(Value::as_object), limits.nodes_per_flag);
        let mut reader = Self {
            bucketing,
            limits,
            metadata: Metadata::new(),
            evaluators: pieces,
            shared: print(&(metadata, evaluators)),
            nodes: 0,
            flags: Vec::new(),
            problems: Vec::new(),
        };
        reader.metadata = reader.metadata(Some(metadata), "metadata");
        reader.check_evaluators(evaluators);
        reader
    }

    /// All flags that were read, and the metadata they share.
    pub(crate) fn done(self) -> Result<(Vec<Flag>, Metadata), Vec<Problem>> {
        let mut problems = self.problems;
        if problems.is_empty() {
            return Ok((self.flags, self.metadata));
        }
        if problems.len() > PROBLEMS_MAX {
            problems.truncate(PROBLEMS_MAX);
            problems.push(Problem::new("document", "more problems than are told at once"));
        }
        Err(problems)
    }

    /// One problem too many is kept, so that it shows that there are more.
    fn report(&mut self, problem: Problem) {
        if self.problems.len() <= PROBLEMS_MAX {
            self.problems.push(problem);
        }
    }

    /// Flags by key, or a list of flags that say their key.
    fn flags(&mut self, flags: Option<&RawValue>) {
        let text = flags.map_or("", RawValue::get);
        if let Ok(flags) = serde_json::from_str::<Root>(text) {
            if self.few_enough(flags.len()) {
                for (key, raw) in &flags {
                    self.named(key, raw);
                }
            }
        } else if let Ok(flags) = serde_json::from_str::<Vec<&RawValue>>(text) {
            if self.few_enough(flags.len()) {
                self.listed(&flags);
            }
        } else {
            self.report(Problem::new("flags", "missing, or not an object").allowed(SHAPE));
        }
    }

    fn few_enough(&mut self, count: usize) -> bool {
        let most = self.limits.flags;
        if count > most {
            let problem = Problem::new("flags", format!("{count} flags"));
            self.report(problem.allowed(format!("at most {most}")));
        }
        count <= most
    }

    fn named(&mut self, key: &str, raw: &RawValue) {
        match json(raw, &format!("flags.{key}")) {
            Ok(body) => self.add(key, &body),
            Err(problem) => self.report(problem),
        }
    }

    fn listed(&mut self, flags: &[&RawValue]) {
        let mut seen = BTreeSet::new();
        for (at, raw) in flags.iter().enumerate() {
            let place = format!("flags[{at}]");
            let body = match json(raw, &place) {
                Ok(body) => body,
                Err(problem) => {
                    self.report(problem);
                    continue;
                }
            };
            match body.get("key").and_then(Value::as_str) {
                Some(key) if seen.insert(key.to_owned()) => self.add(key, &body),
                Some(key) => self.report(Problem::new(
                    format!("{place}.key"),
                    format!("`{key}` is there twice; a key is unique in a set"),
                )),
                None => self.report(Problem::new(place, "a flag without key")),
            }
        }
    }

    /// Reads one flag.
    pub(crate) fn add(&mut self, key: &str, body: &Value) {
        if key.is_empty() {
            self.report(Problem::new("flags", "a flag with an empty key"));
        } else if let Some(body) = body.as_object() {
            let flag = self.flag(key, body);
            self.flags.extend(flag);
        } else {
            self.report(Problem::new(format!("flags.{key}"), "not an object").allowed(SHAPE));
        }
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
        let print = print(&(self.shared, body));
        (self.problems.len() == before).then(|| Flag {
            print,
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
        let program = match lower(&replaced, self.bucketing) {
            Ok(program) => program,
            Err(Broken(why)) => return Rule::Broken(shortened(&why)),
        };
        self.nodes += program.nodes;
        if program.nodes > self.limits.nodes_per_flag || self.nodes > self.limits.nodes {
            self.too_large(&place, &TooLarge::Nodes);
        }
        Rule::Program(Box::new(program))
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
