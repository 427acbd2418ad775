//! Why one user gets what they get, in sentences.

use crate::{
    Anonymous, Attribute, Clause, Context, Definition, Draw, FlagKey, FlagSet, Form, Prerequisite,
    Problem, Rule, Scalar, Serve, SetDefinition, State, Timestamp, TraceStep,
    check::shown,
    compile::{compile_flag, probes},
};
use serde::Serialize;
use serde_json::{Value, json};
use std::fmt;

/// A bucket somebody was put into on the way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Bucket {
    /// What it decides.
    pub draw: Draw,
    /// The hash: `v2`, `v3`, `md5-100`, `unleash` or `unleash-variant`.
    pub method: String,
    /// What is hashed before the user.
    pub salt: String,
    /// The attribute that is hashed, and its value.
    pub unit: (String, String),
    /// The bucket, from 0; none if it could not be found.
    pub number: Option<u32>,
    /// How many buckets there are.
    pub of: u32,
}

/// Why one user gets what they get.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// The set.
    pub set: String,
    /// The flag.
    pub flag: FlagKey,
    /// The variant; none: the code's own default.
    pub variant: Option<String>,
    /// The value.
    pub value: Option<Value>,
    /// What decided.
    pub because: String,
    /// The buckets that were looked at for it.
    pub buckets: Vec<Bucket>,
    /// What was looked at before and did not decide, in order.
    pub passed: Vec<String>,
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let variant = self.variant.as_deref().unwrap_or("the code's own default");
        writeln!(f, "`{}` in `{}` is {variant}: {}", self.flag, self.set, self.because)?;
        for bucket in &self.buckets {
            writeln!(f, "  {bucket}")?;
        }
        for passed in &self.passed {
            writeln!(f, "  before: {passed}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.draw {
            Draw::Part => "split",
            Draw::Exposure => "exposure",
            Draw::Arm => "arm",
        };
        let Self { method, salt, unit: (name, value), of, .. } = self;
        let number = self.number.map_or_else(|| "none".to_owned(), |number| number.to_string());
        write!(
            f,
            "{what}: bucket {number} of {of} (hash {method}, salt {salt:?}, {name} {})",
            shown(value)
        )
    }
}

/// Explains a flag's answer for a context (a JSON object) at `now`.
pub fn explain(
    set: &SetDefinition,
    key: &FlagKey,
    context: &Value,
    now: Timestamp,
) -> Result<Explanation, Vec<Problem>> {
    let definition = set.flags.get(key).filter(|flag| flag.archived_at.is_none());
    let Some(definition) = definition else {
        let names = set.flags.keys().map(FlagKey::as_str);
        let problem =
            Problem::new(format!("flags.{key}"), "there is no such flag, or it is archived");
        return Err(vec![problem.near(key.as_str(), names)]);
    };
    let whole = compile_flag(set, key, Form::Server)?.unwrap_or_default();
    let document = json!({ "flags": { key.as_str(): whole } });
    let answer = Answers::new(&document, set, context, now)?;
    let (variant, value, failed) = answer.answer(key.as_str());
    let parts = probes(set, key).map_err(|problem| vec![problem])?;
    let parts = Answers::new(&parts.document, set, context, now)?;
    let mut story = Story { key, definition, context, now, parts, passed: vec![], buckets: vec![] };
    let because = failed.unwrap_or_else(|| story.because());
    let Story { passed, buckets, .. } = story;
    let (set, flag) = (set.name.clone(), key.clone());
    Ok(Explanation { set, flag, variant, value, because, buckets, passed })
}

/// A document and the user it is asked for.
struct Answers<'a> {
    flags: FlagSet,
    context: Context<'a>,
    now: Timestamp,
}

impl<'a> Answers<'a> {
    fn new(
        document: &Value,
        set: &SetDefinition,
        context: &'a Value,
        now: Timestamp,
    ) -> Result<Self, Vec<Problem>> {
        let flags = FlagSet::parse(document.to_string().as_bytes(), set.bucketing)?;
        let context = Context::from_value(context)
            .map_err(|error| vec![Problem::new("context", error.to_string())])?;
        Ok(Self { flags, context, now })
    }

    /// Variant, value, or why it fails.
    fn answer(&self, key: &str) -> (Option<String>, Option<Value>, Option<String>) {
        match self.flags.evaluate(key, &self.context, self.now.0) {
            Ok(answer) => {
                let value = answer.value.map(|value| value.value().clone());
                (answer.variant.map(str::to_owned), value, None)
            }
            Err(error) => (None, None, Some(error.to_string())),
        }
    }

    fn holds(&self, name: &str) -> bool {
        self.answer(name).0.as_deref() == Some("yes")
    }

    fn draws(&self, name: &str) -> Vec<(Draw, String, Option<u32>, u32)> {
        let (_, steps) = self.flags.evaluate_traced(name, &self.context, self.now.0);
        let draw = |step| match step {
            TraceStep::Bucket { draw, method, bucket, of, .. } => Some((draw, method, bucket, of)),
            TraceStep::Condition { .. } => None,
        };
        steps.into_iter().filter_map(draw).collect()
    }
}

/// The way through a definition.
struct Story<'a> {
    key: &'a FlagKey,
    definition: &'a Definition,
    context: &'a Value,
    now: Timestamp,
    parts: Answers<'a>,
    passed: Vec<String>,
    buckets: Vec<Bucket>,
}

impl Story<'_> {
    fn because(&mut self) -> String {
        let definition = self.definition;
        if let Some(killed) = &definition.killed {
            return format!("killed by {} on {}: {}", killed.by, killed.at, killed.reason);
        }
        match definition.state {
            State::Off => return "the flag is off".to_owned(),
            State::Disabled => return "the flag is disabled, so no value is sent".to_owned(),
            State::On => {}
        }
        if let Some(end) = definition.expires_at.filter(|end| self.now >= *end) {
            return format!("the flag expired on {end}, so the default holds");
        }
        self.unmet()
            .or_else(|| definition.raw.as_ref().map(|_| "its raw targeting decides".to_owned()))
            .or_else(|| self.listed())
            .or_else(|| self.ruled())
            .or_else(|| self.released())
            .unwrap_or_else(|| "nothing else decides, so the default holds".to_owned())
    }

    fn unmet(&self) -> Option<String> {
        let fails =
            |(at, _): &(usize, &Prerequisite)| !self.parts.holds(&format!("prerequisite.{at}"));
        let (_, needs) = self.definition.prerequisites.iter().enumerate().find(fails)?;
        Some(format!("it needs `{}` to be {}", needs.flag, needs.variants.join(" or ")))
    }

    fn listed(&mut self) -> Option<String> {
        for (at, target) in self.definition.targets.iter().enumerate() {
            let name = named("list", at, &target.name);
            if self.parts.holds(&format!("target.{at}")) {
                return Some(format!("the user is named in {name}"));
            }
            self.passed.push(format!("the user is not in {name}"));
        }
        None
    }

    fn ruled(&mut self) -> Option<String> {
        for (at, rule) in self.definition.rules.iter().enumerate() {
            let name = named("rule", at, &rule.name);
            if !self.parts.holds(&format!("rule.{at}")) {
                let why = self.why_not(at, rule);
                self.passed.push(format!("{name} does not fit: {why}"));
                continue;
            }
            if let Serve::Split { by, salt, .. } = &rule.serve {
                let salt = salt.as_ref().or(self.definition.salt.as_ref());
                let salt = salt.map_or(self.key.as_str(), String::as_str);
                self.draw(&format!("rule.{at}.serve"), &[salt], by.as_deref());
            }
            return Some(format!("{name} fits"));
        }
        None
    }

    fn why_not(&self, at: usize, rule: &Rule) -> String {
        if !self.parts.holds(&format!("rule.{at}.segments")) {
            return format!("the user is not in {}", rule.segments.join(" or "));
        }
        let fails = |(number, _): &(usize, &Clause)| {
            !self.parts.holds(&format!("rule.{at}.clause.{number}"))
        };
        match rule.clauses.iter().enumerate().find(fails) {
            Some((_, clause)) => self.question(clause),
            None => "the user has nothing to be bucketed by".to_owned(),
        }
    }

    /// A clause that does not hold, with what was found.
    fn question(&self, clause: &Clause) -> String {
        let path: Vec<&str> = clause.attribute.split('.').collect();
        let found = path.iter().try_fold(self.context, |value, name| value.get(name));
        let found = match found {
            _ if clause.attribute == Attribute::NOW => self.now.to_string(),
            Some(value) => shown_value(value),
            None => "missing".to_owned(),
        };
        let not = if clause.inverted { "not " } else { "" };
        let values: Vec<String> = clause.values.iter().take(5).map(scalar).collect();
        let more = if clause.values.len() > 5 { ", ..." } else { "" };
        let word = serde_json::to_value(clause.operator).unwrap_or_default();
        let word = word.as_str().unwrap_or_default().to_owned();
        format!("{} is {found}, wanted {not}{word} {}{more}", clause.attribute, values.join(", "))
    }

    fn released(&mut self) -> Option<String> {
        let release = self.definition.release.as_ref()?;
        if !self.parts.holds("release") {
            self.passed.push("the guarded release does not include the user".to_owned());
            return None;
        }
        let salts = [release.exposure_salt.as_str(), release.arm_salt.as_str()];
        self.draw("release.serve", &salts, None);
        let exposed = self.buckets.first().and_then(|bucket| bucket.number);
        Some(match exposed.map(|bucket| bucket < release.exposure) {
            Some(false) => format!("the guarded release exposes {} %", percent(release.exposure)),
            _ => format!(
                "the guarded release exposes {} % and treats {} % of them",
                percent(release.exposure),
                percent(release.arm)
            ),
        })
    }

    fn draw(&mut self, name: &str, salts: &[&str], by: Option<&str>) {
        let unit = self.unit(by);
        let draws = self.parts.draws(name).into_iter().zip(salts);
        self.buckets = draws
            .map(|((draw, method, number, of), salt)| {
                let salt = (*salt).to_owned();
                Bucket { draw, method, salt, unit: unit.clone(), number, of }
            })
            .collect();
    }

    fn unit(&self, by: Option<&str>) -> (String, String) {
        let by = by.or(self.definition.bucket_by.as_deref()).unwrap_or(Attribute::TARGETING_KEY);
        let value = |name: &str| match name.split('.').try_fold(self.context, |v, n| v.get(n)) {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) => (!text.is_empty()).then(|| text.clone()),
            Some(other) => Some(other.to_string()),
        };
        match (value(by), &self.definition.anonymous) {
            (None, Anonymous::Attribute(other)) => {
                (other.clone(), value(other).unwrap_or_default())
            }
            (value, _) => (by.to_owned(), value.unwrap_or_default()),
        }
    }
}

/// `rule 2 "staff"`.
fn named(what: &str, at: usize, name: &str) -> String {
    let number = at + 1;
    if name.is_empty() { format!("{what} {number}") } else { format!("{what} {number} {name:?}") }
}

fn percent(parts: u32) -> f64 {
    f64::from(parts) / 1_000.0
}

fn shown_value(value: &Value) -> String {
    match value {
        Value::String(text) => shown(text),
        other => shown(&other.to_string()).trim_matches('"').to_owned(),
    }
}

fn scalar(value: &Scalar) -> String {
    match value {
        Scalar::Text(text) => shown(text),
        Scalar::Number(number) => number.to_string(),
        Scalar::Bool(flag) => flag.to_string(),
    }
}

#[cfg(test)]
mod tests;
