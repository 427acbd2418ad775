//! Questions about attributes.

use super::{Check, forms, limit, shown};
use crate::{Attribute, Clause, Operator, Problem, Scalar};

impl Check<'_> {
    pub(super) fn clauses(&mut self, place: &str, clauses: &[Clause]) {
        self.at_most(place, clauses.len(), limit::ITEMS);
        for (at, clause) in clauses.iter().enumerate() {
            self.clause(&format!("{place}[{at}]"), clause);
        }
    }

    fn clause(&mut self, place: &str, clause: &Clause) {
        self.attribute_or_now(place, clause);
        let (count, operator) = (clause.values.len(), clause.operator);
        self.at_most(place, count, limit::LIST);
        let exists = operator == Operator::Exists;
        if exists != (count == 0) {
            let found = format!("has {count} values");
            let allowed = if exists { "none: `exists` compares nothing" } else { "at least one" };
            self.add(Problem::new(place, found).allowed(allowed));
        }
        if operator == Operator::Equals && count > 1 {
            let found = format!("`equals` has {count} values");
            self.add(Problem::new(place, found).allowed("one; `in` takes several"));
        }
        if clause.ignore_case && !operator.compares_text() {
            let found = "`ignoreCase` stands with an operator that does not compare text";
            let allowed = "equals, in, contains, startsWith, endsWith or matches";
            self.add(Problem::new(place, found).allowed(allowed));
        }
        for value in &clause.values {
            self.value(place, clause, value);
        }
    }

    fn attribute_or_now(&mut self, place: &str, clause: &Clause) {
        let here = format!("{place}.attribute");
        if clause.attribute != Attribute::NOW {
            self.attribute(&here, &clause.attribute);
        } else if !matches!(clause.operator, Operator::Before | Operator::After) {
            let problem = Problem::new(here, "`$now` is compared with something else than a time");
            self.add(problem.allowed("the operators before and after"));
        }
    }

    /// The name of an attribute, with dots into objects.
    pub(super) fn attribute(&mut self, place: &str, name: &str) {
        self.name(place, name);
        if name.starts_with('$') || name.split('.').any(str::is_empty) {
            let found = format!("{} is not an attribute", shown(name));
            self.add(Problem::new(place, found).allowed("a name such as plan or address.country"));
        }
    }

    fn value(&mut self, place: &str, clause: &Clause, value: &Scalar) {
        let wanted = Wanted::by(clause);
        let problem = match value {
            Scalar::Text(text) if text.len() > limit::TEXT => Some("a shorter text".to_owned()),
            _ => wanted.refuses(value),
        };
        if let Some(allowed) = problem {
            let found = format!("the value {} does not fit", shown(&plain(value)));
            self.add(Problem::new(format!("{place}.values"), found).allowed(allowed));
        }
    }
}

fn plain(value: &Scalar) -> String {
    match value {
        Scalar::Text(text) => text.clone(),
        Scalar::Bool(value) => value.to_string(),
        Scalar::Number(value) => value.to_string(),
    }
}

/// What an operator can be compared with.
enum Wanted {
    Anything,
    Number,
    Text,
    Pattern,
    Network,
    Time,
    Version,
}

impl Wanted {
    fn by(clause: &Clause) -> Self {
        use Operator as Op;
        match clause.operator {
            Op::Equals | Op::In if clause.ignore_case => Self::Text,
            Op::Equals | Op::In | Op::Exists => Self::Anything,
            Op::LessThan | Op::AtMost | Op::GreaterThan | Op::AtLeast => Self::Number,
            Op::Contains | Op::StartsWith | Op::EndsWith => Self::Text,
            Op::Matches => Self::Pattern,
            Op::InNetwork => Self::Network,
            Op::Before | Op::After => Self::Time,
            Op::VersionEquals
            | Op::VersionLessThan
            | Op::VersionAtMost
            | Op::VersionGreaterThan
            | Op::VersionAtLeast
            | Op::VersionSameMajor
            | Op::VersionSameMinor => Self::Version,
        }
    }

    /// What would be allowed, if the value is not.
    fn refuses(&self, value: &Scalar) -> Option<String> {
        let text = value.as_str();
        let (fits, allowed) = match self {
            Self::Anything => (true, ""),
            Self::Number => (matches!(value, Scalar::Number(_)), "a number"),
            Self::Text => (text.is_some_and(|text| !text.is_empty()), "a text that is not empty"),
            Self::Pattern => return text.map_or(Some("a regular expression".into()), pattern),
            Self::Network => (text.is_some_and(forms::is_network), "an address or 10.0.0.0/8"),
            Self::Time => (forms::seconds(value).is_some(), "a time: 2027-01-31T12:00:00Z"),
            Self::Version => (text.is_some_and(forms::is_version), "a version such as 1.4.0"),
        };
        (!fits).then(|| allowed.to_owned())
    }
}

/// What is wrong with a regular expression.
fn pattern(text: &str) -> Option<String> {
    if text.len() > limit::PATTERN {
        return Some(format!("a regular expression of at most {} bytes", limit::PATTERN));
    }
    let built = regex_lite::RegexBuilder::new(text).size_limit(limit::PATTERN_SIZE).build();
    built.err().map(|error| format!("a regular expression ({error})"))
}
