//! Flags of LaunchDarkly: what its SDKs read (`{"flags", "segments"}`), or a list of its REST API
//! (`{"items"}`) for one environment.

mod clause;
mod segment;

use super::{Imported, json, misshapen, values::Values};
use crate::{Definition, Kind, Prerequisite, Problem, Rule, Serve, Share, State, Target, WHOLE};
use clause::Conditions;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Takes over one environment's flags. Users are put into buckets anew wherever there is a
/// percentage, because the hash is another one; the notes say where.
pub fn launchdarkly(text: &[u8], name: &str, environment: &str) -> Result<Imported, Vec<Problem>> {
    let document = json(text)?;
    let sources = sources(&document, environment)?;
    let mut imported = Imported::new(name);
    segment::all(&mut imported, &document["segments"]);
    let named = sources.iter().map(|source| (source.key, names(source)));
    let named: BTreeMap<&str, Result<Named, String>> = named.collect();
    for source in sources.iter().filter(|source| source.on("archived") != Some(true)) {
        let mut notes = Vec::new();
        let taken = Reader { source, named: &named, notes: &mut notes }.definition();
        imported.take(source.key, taken, notes);
    }
    imported.settled()
}

/// A flag, and where its rules stand.
struct Source<'a> {
    key: &'a str,
    about: &'a Value,
    rules: &'a Value,
    variations: &'a Value,
}

impl Source<'_> {
    fn on(&self, field: &str) -> Option<bool> {
        self.rules[field].as_bool().or_else(|| self.about[field].as_bool())
    }
}

fn sources<'a>(document: &'a Value, environment: &str) -> Result<Vec<Source<'a>>, Vec<Problem>> {
    if let Some(flags) = document["flags"].as_object() {
        let one = |(key, flag): (&'a String, &'a Value)| Source {
            key,
            about: flag,
            rules: flag,
            variations: &flag["variations"],
        };
        return Ok(flags.iter().map(one).collect());
    }
    let Some(items) = document["items"].as_array() else {
        return Err(misshapen("has neither `flags` nor `items`", "an export of LaunchDarkly"));
    };
    let one = |flag: &'a Value| {
        let key = flag["key"].as_str().unwrap_or_default();
        let environments = &flag["environments"];
        let Some(rules) = environments.get(environment) else {
            let known = environments.as_object().into_iter().flat_map(Map::keys);
            let problem = Problem::new(
                format!("flags.{key}.environments"),
                format!("there is no environment {environment:?}"),
            );
            return Err(problem.near(environment, known.map(String::as_str)));
        };
        Ok(Source { key, about: flag, rules, variations: &flag["variations"] })
    };
    let (found, missing): (Vec<_>, Vec<_>) = items.iter().map(one).partition(Result::is_ok);
    if !missing.is_empty() {
        return Err(missing.into_iter().filter_map(Result::err).collect());
    }
    Ok(found.into_iter().filter_map(Result::ok).collect())
}

/// The variations of a flag, by number.
struct Named {
    names: Vec<String>,
    values: Values,
    /// The number of the one that is served while the flag is off.
    off: Option<u64>,
}

/// SDKs have plain values, the REST API has objects with `value` and `name`.
fn names(source: &Source<'_>) -> Result<Named, String> {
    let off = source.rules["offVariation"].as_u64();
    let mut named = Named { names: Vec::new(), values: Values::default(), off };
    for variation in source.variations.as_array().ok_or("it has no variations")? {
        let described = variation.as_object().filter(|fields| fields.contains_key("_id"));
        let value = described.and_then(|fields| fields.get("value")).unwrap_or(variation);
        let name = described.and_then(|fields| fields.get("name")?.as_str());
        let name = match name.filter(|_| !value.is_boolean()) {
            Some(name) => named.values.add(name.to_owned(), value)?,
            None => named.values.name(value)?,
        };
        named.names.push(name);
    }
    Ok(named)
}

struct Reader<'a> {
    source: &'a Source<'a>,
    named: &'a BTreeMap<&'a str, Result<Named, String>>,
    notes: &'a mut Vec<String>,
}

impl Reader<'_> {
    fn definition(&mut self) -> Result<Definition, String> {
        let source = self.source;
        let named = names(source)?;
        let off = named.off.map(|number| variation(&named.names, number)).transpose()?;
        let on = source.on("on") == Some(true);
        let mut flag = Definition::boolean(self.kind(), "");
        flag.state = match (on, &off) {
            (true, _) => State::On,
            (false, Some(_)) => State::Off,
            (false, None) => State::Disabled,
        };
        flag.description = text(&source.about["description"])
            .unwrap_or_else(|| text(&source.about["name"]).unwrap_or_default());
        flag.owner = text(&source.about["_maintainer"]["email"]).unwrap_or_default();
        flag.tags = strings(&source.about["tags"]);
        flag.prerequisites = self.prerequisites()?;
        flag.targets = self.targets(&named.names)?;
        flag.rules = self.rules(&named.names)?;
        self.fallthrough(&mut flag, &named.names)?;
        let fallback = off.clone().or_else(|| named.names.first().cloned());
        let (variants, guess) = named.values.finish(&fallback.unwrap_or_default());
        flag.variants = variants;
        if off.is_none() && !flag.prerequisites.is_empty() {
            return Err("an unmet prerequisite gives the code's own default".to_owned());
        }
        flag.off_variant = off.unwrap_or(guess);
        Ok(flag)
    }

    fn kind(&self) -> Kind {
        match self.source.about["temporary"].as_bool() {
            Some(false) => Kind::Ops,
            _ => Kind::Release,
        }
    }

    fn prerequisites(&mut self) -> Result<Vec<Prerequisite>, String> {
        let mut all = Vec::new();
        for needs in list(&self.source.rules["prerequisites"]) {
            let key = needs["key"].as_str().unwrap_or_default();
            let parent = match self.named.get(key) {
                Some(Ok(parent)) => parent,
                Some(Err(why)) => return Err(format!("its prerequisite {key:?}: {why}")),
                None => return Err(format!("its prerequisite {key:?} is not in the document")),
            };
            let number = needs["variation"].as_u64().unwrap_or(u64::MAX);
            let variants = vec![variation(&parent.names, number)?];
            let flag = key.parse().map_err(|error| format!("its prerequisite: {error}"))?;
            if parent.off == Some(number) {
                self.notes.push(format!(
                    "is now also met while {key:?} is off, which gives {variants:?}"
                ));
            }
            all.push(Prerequisite { flag, variants });
        }
        Ok(all)
    }

    fn targets(&self, names: &[String]) -> Result<Vec<Target>, String> {
        let rules = &self.source.rules;
        let other = list(&rules["contextTargets"]).any(|target| {
            target["contextKind"].as_str() != Some("user") && list(&target["values"]).count() > 0
        });
        if other {
            return Err("it names other contexts than users".to_owned());
        }
        let one = |target: &Value| {
            let variant = variation(names, target["variation"].as_u64().unwrap_or(u64::MAX))?;
            let users = strings(&target["values"]);
            Ok(Target { name: String::new(), variant, users })
        };
        list(&rules["targets"]).map(one).collect()
    }

    fn rules(&mut self, names: &[String]) -> Result<Vec<Rule>, String> {
        let mut all = Vec::new();
        for rule in list(&self.source.rules["rules"]) {
            let Conditions { segments, clauses } = Conditions::read(&rule["clauses"])?;
            let name = text(&rule["description"]).unwrap_or_default();
            let serve = self.serve(rule, names)?;
            if segments.is_empty() && clauses.is_empty() {
                return Err("a rule without conditions".to_owned());
            }
            all.push(Rule { name, segments, clauses, serve });
        }
        Ok(all)
    }

    fn fallthrough(&mut self, flag: &mut Definition, names: &[String]) -> Result<(), String> {
        match self.serve(&self.source.rules["fallthrough"], names)? {
            Serve::Variant(name) => flag.default_variant = Some(name),
            serve @ Serve::Split { .. } => {
                let first = names.first().cloned();
                self.notes.push(format!("gives {first:?} to users without a key, as it did"));
                flag.default_variant = first;
                let (segments, clauses) = (Vec::new(), Vec::new());
                flag.rules.push(Rule { name: "fallthrough".into(), segments, clauses, serve });
            }
        }
        Ok(())
    }

    fn serve(&mut self, written: &Value, names: &[String]) -> Result<Serve, String> {
        if let Some(number) = written["variation"].as_u64() {
            return Ok(Serve::Variant(variation(names, number)?));
        }
        let rollout = &written["rollout"];
        let mut shares = Vec::new();
        for part in list(&rollout["variations"]) {
            let variant = variation(names, part["variation"].as_u64().unwrap_or(u64::MAX))?;
            let weight = part["weight"].as_u64().filter(|weight| *weight <= u64::from(WHOLE));
            let weight = weight.ok_or("a weight that is no whole number up to 100000")?;
            shares.push(Share { variant, weight: weight as u32 });
        }
        let sum: u32 = shares.iter().map(|share| share.weight).sum();
        let last = shares.last_mut().ok_or("a rule that serves nothing")?;
        // The last variation gets what rounding left over.
        last.weight += WHOLE.checked_sub(sum).ok_or("weights above 100 %")?;
        if rollout["contextKind"].as_str().is_some_and(|kind| kind != "user") {
            return Err("it splits other contexts than users".to_owned());
        }
        self.notes.push("its users are put into buckets anew".to_owned());
        let by = rollout["bucketBy"].as_str().filter(|by| *by != "key").map(clause::attribute);
        Ok(Serve::Split { shares, by, salt: None })
    }
}

fn variation(names: &[String], number: u64) -> Result<String, String> {
    let name = usize::try_from(number).ok().and_then(|number| names.get(number));
    name.cloned().ok_or_else(|| "a variation that does not exist".to_owned())
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

fn strings(value: &Value) -> Vec<String> {
    list(value).filter_map(text).collect()
}
