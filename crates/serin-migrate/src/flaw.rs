//! What is wrong with a migration.

use serde::{Deserialize, Serialize};
use std::fmt;

/// One thing that is wrong, and where in the document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flaw {
    /// Where, such as `operations[0].add_column.column.type`; empty for the whole document.
    pub path: String,
    /// What was found and what is allowed, in one sentence.
    pub message: String,
    /// One thing to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Flaw {
    /// A flaw without advice.
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into(), hint: None }
    }

    /// With one thing to do.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// With `did you mean`, when one of `known` is near `word`.
    #[must_use]
    pub fn nearest<'a>(self, word: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        match nearest(word, known) {
            Some(near) => self.hint(format!("did you mean `{near}`?")),
            None => self,
        }
    }
}

/// The name closest to `word`, if it is close at all.
fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let closeness = |name: &str| strsim::jaro_winkler(word, name);
    let best = known.into_iter().max_by(|a, b| closeness(a).total_cmp(&closeness(b)))?;
    (closeness(best) >= 0.8).then_some(best)
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)?;
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, "; {hint}"))
    }
}

/// Everything wrong with one migration, in the order of the document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{}", summary(.0))]
#[serde(transparent)]
pub struct Flaws(pub Vec<Flaw>);

fn summary(flaws: &[Flaw]) -> String {
    match flaws {
        [] => "nothing is wrong".into(),
        [only] => only.to_string(),
        [first, rest @ ..] => format!("{first} (and {} more problems)", rest.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_name_is_offered_and_a_far_one_is_not() {
        let flaw = |word| Flaw::new("a", "b").nearest(word, ["users", "orders"]).hint;
        assert_eq!(flaw("user").as_deref(), Some("did you mean `users`?"));
        assert_eq!(flaw("zebra"), None);
    }

    #[test]
    fn several_are_counted() {
        let flaws = Flaws(vec![Flaw::new("a.b", "is not a name"), Flaw::new("", "no")]);
        assert_eq!(flaws.to_string(), "a.b: is not a name (and 1 more problems)");
    }
}
