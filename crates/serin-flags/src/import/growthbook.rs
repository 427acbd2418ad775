//! Features of GrowthBook, as its SDKs read them (`{"features", "savedGroups"}`).

mod condition;

use super::{Imported, json, misshapen, values::Values};
use crate::{Attribute, Definition, Kind, Prerequisite, Problem, Rule, Serve, Share, WHOLE};
use condition::Groups;
use serde_json::{Map, Value};

/// Takes over a payload. Users are put into buckets anew wherever there is a percentage, because
/// the hash is another one; the notes say where.
pub fn growthbook(text: &[u8], name: &str) -> Result<Imported, Vec<Problem>> {
    let document = json(text)?;
    let Some(features) = document["features"].as_object() else {
        return Err(misshapen("has no `features`", "a payload for the SDKs of GrowthBook"));
    };
    let groups = Groups(document["savedGroups"].as_object());
    let mut imported = Imported::new(name);
    for (key, feature) in features {
        let mut reader = Reader {
            groups: &groups,
            values: Values::default(),
            notes: Vec::new(),
            needs: Vec::new(),
        };
        let taken = reader.definition(feature);
        imported.take(key, taken, reader.notes);
    }
    imported.settled()
}

struct Reader<'a> {
    groups: &'a Groups<'a>,
    values: Values,
    notes: Vec<String>,
    needs: Vec<Prerequisite>,
}

/// What a rule of ours cannot say.
const WITHOUT_COUNTERPART: [&str; 4] = ["namespace", "filters", "ranges", "range"];

impl Reader<'_> {
    fn definition(&mut self, feature: &Value) -> Result<Definition, String> {
        let default = self.values.name(&feature["defaultValue"])?;
        let written: Vec<&Value> = feature["rules"].as_array().into_iter().flatten().collect();
        let mut rules: Vec<Rule> = Vec::new();
        let mut kind = Kind::Release;
        for (at, rule) in written.iter().enumerate() {
            if rules.last().is_some_and(|rule| rule.clauses.is_empty()) {
                self.notes.push(format!("has rules after rule {at} that nobody reaches"));
                break;
            }
            let last = at + 1 == written.len();
            if rule["variations"].is_array() {
                kind = Kind::Experiment;
            }
            rules.extend(self.rule(rule, &default, last)?);
        }
        let values = std::mem::take(&mut self.values);
        let (variants, off_variant) = values.finish(&default);
        let prerequisites = std::mem::take(&mut self.needs);
        if !prerequisites.is_empty() {
            self.notes.push(format!("gives {off_variant:?} while a prerequisite is not met"));
        }
        let default_variant = Some(default);
        let flag = Definition::boolean(kind, "");
        Ok(Definition { variants, default_variant, off_variant, prerequisites, rules, ..flag })
    }

    /// A rule, once for each alternative of its condition.
    fn rule(&mut self, rule: &Value, default: &str, last: bool) -> Result<Vec<Rule>, String> {
        if let Some(word) = WITHOUT_COUNTERPART.iter().find(|word| !rule[**word].is_null()) {
            return Err(format!("a rule with `{word}`"));
        }
        self.parents(&rule["parentConditions"])?;
        let serve = self.serve(rule, default, last)?;
        let name = ["name", "key", "id"].iter().find_map(|field| rule[*field].as_str());
        let alternatives = condition::alternatives(&rule["condition"], self.groups)?;
        let one = |clauses| Rule {
            name: name.unwrap_or_default().to_owned(),
            segments: Vec::new(),
            clauses,
            serve: serve.clone(),
        };
        Ok(alternatives.into_iter().map(one).collect())
    }

    /// Only a gate on a feature's being true is a prerequisite.
    fn parents(&mut self, parents: &Value) -> Result<(), String> {
        for parent in parents.as_array().into_iter().flatten() {
            let wanted = &parent["condition"]["value"];
            let (true, Some(wanted)) = (parent["gate"] == true, wanted.as_bool()) else {
                return Err("a rule that depends on another feature's value".to_owned());
            };
            let key = parent["id"].as_str().unwrap_or_default();
            let flag = key.parse().map_err(|error| format!("its prerequisite: {error}"))?;
            let variants = vec![if wanted { "on" } else { "off" }.to_owned()];
            let needs = Prerequisite { flag, variants };
            if !self.needs.contains(&needs) {
                self.needs.push(needs);
            }
        }
        Ok(())
    }

    fn serve(&mut self, rule: &Value, default: &str, last: bool) -> Result<Serve, String> {
        let coverage = match &rule["coverage"] {
            Value::Null => WHOLE,
            value => value.as_f64().and_then(parts).ok_or("a coverage that is no share")?,
        };
        if coverage < WHOLE && !last {
            return Err("a rule for a part of the users, with others after it".to_owned());
        }
        let by = rule["hashAttribute"].as_str().filter(|by| *by != "id").map(str::to_owned);
        if let Some(values) = rule["variations"].as_array() {
            let mut shares = self.variations(values, &rule["weights"], coverage)?;
            fill(&mut shares, default);
            self.notes.push("its users are put into buckets anew".to_owned());
            return Ok(Serve::Split { shares, by, salt: None });
        }
        let force = rule.get("force").ok_or("a rule that serves nothing")?;
        let variant = self.values.name(force)?;
        if coverage == WHOLE {
            return Ok(Serve::Variant(variant));
        }
        let mut shares = vec![Share { variant, weight: coverage }];
        fill(&mut shares, default);
        self.notes.push("its users are put into buckets anew".to_owned());
        Ok(Serve::Split { shares, by, salt: None })
    }

    fn variations(
        &mut self,
        values: &[Value],
        weights: &Value,
        coverage: u32,
    ) -> Result<Vec<Share>, String> {
        let equal = 1.0 / values.len().max(1) as f64;
        let mut left = coverage;
        let mut shares = Vec::new();
        for (at, value) in values.iter().enumerate() {
            let weight = if weights.is_null() { Some(equal) } else { weights[at].as_f64() };
            let weight = weight.filter(|weight| (0.0..=1.0).contains(weight));
            let weight = weight.ok_or("weights that do not fit the variations")?;
            // The last one gets what rounding leaves over.
            let weight = (weight * f64::from(coverage)).round() as u32;
            let weight = if at + 1 == values.len() { left } else { weight.min(left) };
            left -= weight;
            shares.push(Share { variant: self.values.name(value)?, weight });
        }
        Ok(shares)
    }
}

/// Whoever is left over gets the default.
fn fill(shares: &mut Vec<Share>, default: &str) {
    let sum: u32 = shares.iter().map(|share| share.weight).sum();
    if sum < WHOLE {
        shares.push(Share { variant: default.to_owned(), weight: WHOLE - sum });
    }
}

fn parts(share: f64) -> Option<u32> {
    (0.0..=1.0).contains(&share).then(|| (share * f64::from(WHOLE)).round() as u32)
}

/// The name of an attribute: `id` is the user.
fn attribute(name: &str) -> String {
    if name == "id" { Attribute::TARGETING_KEY.to_owned() } else { name.to_owned() }
}

type Object = Map<String, Value>;
