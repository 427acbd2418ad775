//! Unleash: an export of its admin API (`{"features", "featureStrategies", ...}`), or what its
//! clients read (`{"features"}` with strategies inside).

mod constraint;
mod strategy;

use super::{Imported, json, misshapen, values::Values};
use crate::{
    Anonymous, Definition, FlagKey, Kind, Method, Prerequisite, Problem, Rule, Serve, State,
};
use serde_json::Value;
use strategy::{Group, Piece, pieces};

/// Takes over one environment's flags. Everybody stays in the bucket they are in.
///
/// `environment` matters only for an export of the admin API.
pub fn unleash(text: &[u8], name: &str, environment: &str) -> Result<Imported, Vec<Problem>> {
    let document = json(text)?;
    let Some(features) = document["features"].as_array() else {
        return Err(misshapen("has no list of `features`", "an export of Unleash"));
    };
    known(&document, environment)?;
    let mut imported = Imported::new(name);
    for feature in features.iter().filter(|feature| feature["archived"] != true) {
        let key = feature["name"].as_str().unwrap_or_default();
        let source = Source { document: &document, feature, key, environment };
        let mut notes = Vec::new();
        let taken = definitions(&source, &mut notes);
        match taken {
            Err(reason) => imported.take(key, Err(reason), notes),
            Ok(flags) => {
                for (own, flag) in flags {
                    let notes = if own == key { std::mem::take(&mut notes) } else { Vec::new() };
                    imported.take(&own, Ok(flag), notes);
                }
            }
        }
    }
    imported.settled()
}

/// That an export knows the environment.
fn known(document: &Value, environment: &str) -> Result<(), Vec<Problem>> {
    let environments = list(&document["featureEnvironments"]);
    let names: Vec<&str> = environments.filter_map(|one| one["environment"].as_str()).collect();
    if names.is_empty() || names.contains(&environment) {
        return Ok(());
    }
    let found = format!("there is no environment {environment:?}");
    Err(vec![Problem::new("featureEnvironments", found).near(environment, names)])
}

/// A feature, and where the rest of it stands.
struct Source<'a> {
    document: &'a Value,
    feature: &'a Value,
    key: &'a str,
    environment: &'a str,
}

impl<'a> Source<'a> {
    /// Those of a list of the export that belong to this feature and environment.
    fn own(&self, field: &str) -> Vec<&'a Value> {
        let mine = |one: &&Value| {
            let name = one["featureName"].as_str().or_else(|| one["feature"].as_str());
            let environment = one["environment"].as_str();
            name == Some(self.key) && environment.is_none_or(|name| name == self.environment)
        };
        list(&self.document[field]).filter(mine).collect()
    }

    fn enabled(&self) -> bool {
        let environments = self.own("featureEnvironments");
        let export = environments.first().map(|one| one["enabled"] == true);
        export.unwrap_or(self.feature["enabled"] == true)
    }

    fn strategies(&self) -> Vec<&'a Value> {
        let mut own = self.own("featureStrategies");
        own.sort_by_key(|one| one["sortOrder"].as_i64().unwrap_or(0));
        let inside = list(&self.feature["strategies"]);
        own.into_iter().chain(inside).filter(|one| one["disabled"] != true).collect()
    }

    fn variants(&self) -> Vec<&'a Value> {
        let environment = self.own("featureEnvironments").into_iter();
        let own = environment.flat_map(|one| list(&one["variants"]));
        own.chain(list(&self.feature["variants"])).collect()
    }

    fn has_variants(&self) -> bool {
        let inside = |strategy: &&Value| list(&strategy["variants"]).count() > 0;
        !self.variants().is_empty() || self.strategies().iter().any(inside)
    }

    /// Another feature of the document.
    fn other(&self, key: &'a str) -> Option<Source<'a>> {
        let Self { document, environment, .. } = *self;
        let feature = list(&document["features"]).find(|feature| feature["name"] == key)?;
        Some(Source { document, feature, key, environment })
    }

    fn dependencies(&self) -> Vec<&'a Value> {
        let own = self.own("dependencies").into_iter();
        let own = own.flat_map(|one| list(&one["dependencies"]));
        own.chain(list(&self.feature["dependencies"])).collect()
    }
}

/// The flag, and if it has variants a boolean companion that says whether it is enabled.
fn definitions(
    source: &Source<'_>,
    notes: &mut Vec<String>,
) -> Result<Vec<(String, Definition)>, String> {
    let pieces = pieces(source)?;
    if !source.has_variants() {
        return Ok(vec![(source.key.to_owned(), switch(source, pieces, notes)?)]);
    }
    let enabled = enabled(source.key);
    notes.push(format!("has variants; whether it is enabled is the flag `{enabled}`"));
    let variants = variants(source, &pieces, notes)?;
    Ok(vec![(source.key.to_owned(), variants), (enabled, switch(source, pieces, notes)?)])
}

/// The flag that says whether a feature with variants is enabled.
fn enabled(key: &str) -> String {
    format!("{key}.enabled")
}

fn frame(source: &Source<'_>) -> Result<Definition, String> {
    let feature = source.feature;
    let kind = match feature["type"].as_str() {
        Some("experiment") => Kind::Experiment,
        Some("operational") => Kind::Ops,
        Some("kill-switch") => Kind::KillSwitch,
        Some("permission") => Kind::Permission,
        _ => Kind::Release,
    };
    Ok(Definition {
        description: feature["description"].as_str().unwrap_or_default().to_owned(),
        created_at: feature["createdAt"].as_str().and_then(|time| time.parse().ok()),
        state: if source.enabled() { State::On } else { State::Off },
        prerequisites: prerequisites(source)?,
        bucketing: Some(Method::Unleash),
        ..Definition::boolean(kind, "")
    })
}

fn prerequisites(source: &Source<'_>) -> Result<Vec<Prerequisite>, String> {
    let one = |needs: &Value| {
        let key = needs["feature"].as_str().unwrap_or_default();
        let names: Vec<String> = texts(&needs["variants"]);
        let parent = source.other(key).filter(|parent| names.is_empty() && parent.has_variants());
        let key = parent.map_or_else(|| key.to_owned(), |parent| enabled(parent.key));
        let flag: FlagKey = key.parse().map_err(|error| format!("its parent: {error}"))?;
        let variants = match (needs["enabled"] == false, names.is_empty()) {
            (false, false) => names,
            (false, true) => vec!["on".to_owned()],
            (true, _) => vec!["off".to_owned()],
        };
        Ok(Prerequisite { flag, variants })
    };
    source.dependencies().into_iter().map(one).collect()
}

/// Whether it is enabled: strategies are joined by OR.
fn switch(
    source: &Source<'_>,
    pieces: Vec<Piece>,
    notes: &mut Vec<String>,
) -> Result<Definition, String> {
    let mut flag = frame(source)?;
    let always = pieces.is_empty();
    let (whole, mut parts): (Vec<Piece>, Vec<Piece>) =
        pieces.into_iter().partition(|piece| piece.percent == 100 && piece.group.is_none());
    // The larger share first: with one group, whoever is in the smaller is in it too.
    parts.sort_by_key(|piece| std::cmp::Reverse(piece.percent));
    let group = parts.first().and_then(|piece| piece.group.clone());
    if parts.iter().any(|piece| piece.group != group) {
        return Err("two gradual rollouts with different groups or stickiness".to_owned());
    }
    if always {
        flag.rules.push(everybody(Serve::Variant("on".to_owned())));
    }
    for piece in whole.into_iter().chain(parts) {
        let serve = piece.switch();
        let rule = |clauses| Rule { clauses, ..everybody(serve.clone()) };
        flag.rules.extend(piece.alternatives.into_iter().map(rule));
    }
    if let Some(group) = group {
        grouped(&mut flag, group, notes);
    }
    reachable(&mut flag.rules);
    Ok(flag)
}

/// The variant it gives: the first strategy that fits decides.
fn variants(
    source: &Source<'_>,
    pieces: &[Piece],
    notes: &mut Vec<String>,
) -> Result<Definition, String> {
    let mut flag = frame(source)?;
    flag.default_variant = None;
    let mut values = Values::default();
    let shared = source.variants();
    if source.dependencies().iter().any(|one| !one.is_null()) {
        return Err("it has variants and a parent".to_owned());
    }
    let all = Piece::everybody();
    let pieces = if pieces.is_empty() { std::slice::from_ref(&all) } else { pieces };
    for piece in pieces {
        if piece.percent < 100 {
            return Err("it has variants for only a percentage of users".to_owned());
        }
        let own: Vec<&Value> = piece.variants.iter().collect();
        let own = if own.is_empty() { &shared } else { &own };
        let group = Group {
            salt: if piece.variants.is_empty() {
                source.key.to_owned()
            } else {
                piece.salt.clone()
            },
            stickiness: stickiness(own),
        };
        let serve = strategy::variants(own, &mut values, &group)?;
        if group.stickiness == "default" && matches!(serve, Serve::Split { .. }) {
            by_session(&mut flag, notes);
        }
        let rule = |clauses: &Vec<_>| Rule { clauses: clauses.clone(), ..everybody(serve.clone()) };
        flag.rules.extend(piece.alternatives.iter().map(rule));
    }
    let (variants, off) = values.finish("");
    flag.off_variant =
        if off.is_empty() { variants.names().next().unwrap_or_default().to_owned() } else { off };
    if flag.state == State::Off {
        flag.state = State::Disabled;
    }
    flag.variants = variants;
    reachable(&mut flag.rules);
    Ok(flag)
}

fn stickiness(variants: &[&Value]) -> String {
    let first = variants.first().and_then(|one| one["stickiness"].as_str());
    first.unwrap_or("default").to_owned()
}

/// A group's hash, for the flag.
fn grouped(flag: &mut Definition, group: Group, notes: &mut Vec<String>) {
    if group.stickiness == "default" {
        by_session(flag, notes);
    } else {
        flag.bucket_by = Some(constraint::attribute(&group.stickiness));
    }
    flag.salt = Some(group.salt);
}

/// Who has no id is told apart by the session.
fn by_session(flag: &mut Definition, notes: &mut Vec<String>) {
    if flag.anonymous == Anonymous::Skip {
        notes.push("gives users without id and session the default, not a random share".to_owned());
    }
    flag.anonymous = Anonymous::Attribute("sessionId".to_owned());
}

fn everybody(serve: Serve) -> Rule {
    crate::strategy::rule("strategy", serve)
}

/// Takes away what stands behind a rule for everybody, which decides alone.
fn reachable(rules: &mut Vec<Rule>) {
    if let Some(last) = rules.iter().position(|rule| rule.clauses.is_empty()) {
        rules.truncate(last + 1);
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn texts(value: &Value) -> Vec<String> {
    list(value).filter_map(|text| text.as_str().map(str::to_owned)).collect()
}
