//! One value, read as the type it must have. Each read reports what is wrong and gives `None`.

use crate::{
    nearest::nearest,
    place::Span,
    problem::Problem,
    quantity::{self, QuantityError},
    reader::{Context, Reader},
    yaml::{Node, Value, shown},
};
use serin_core::Millis;
use std::{fmt::Display, ops::RangeInclusive};

/// A value with its name.
#[derive(Clone)]
pub(crate) struct Field<'a> {
    pub(crate) cx: &'a Context<'a>,
    /// How messages call it: `` `replicas` `` or ``item 2 of `command` ``.
    pub(crate) what: String,
    /// Its place in the document: `spec.run.command[1]`.
    pub(crate) path: String,
    /// Where its key stands.
    pub(crate) key: Span,
    pub(crate) node: &'a Node,
}

impl<'a> Field<'a> {
    /// A problem with this value.
    pub(crate) fn problem(&self, code: &'static str, message: impl Into<String>) -> Problem {
        Problem::error(code, self.node.span.clone(), message)
    }

    /// A problem with this value, shown at its key.
    pub(crate) fn key_problem(&self, code: &'static str, message: impl Into<String>) -> Problem {
        Problem::error(code, self.key.clone(), message)
    }

    pub(crate) fn is_map(&self) -> bool {
        matches!(self.node.value, Value::Map(_))
    }

    /// Whether it is a scalar without quotes.
    pub(crate) fn is_plain(&self) -> bool {
        matches!(self.node.value, Value::Scalar { plain: true, .. })
    }

    /// The text of a scalar that is there, for messages.
    pub(crate) fn scalar(&self) -> Option<&'a str> {
        match &self.node.value {
            Value::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    pub(crate) fn report(&self, problem: Problem) {
        self.cx.report(problem);
    }

    pub(crate) fn wrong_type(&self, wanted: &str) {
        let message = format!("{} must be {wanted}, found {}", self.what, kind(self.node));
        self.report(self.problem("wrong-type", message));
    }

    /// Reports a key without value. Points at the key: there is nothing else.
    pub(crate) fn empty(&self, hint: &str) {
        let message = format!("{} has no value", self.what);
        self.report(Problem::error("empty-value", self.key.clone(), message).hint(hint));
    }

    fn refuse<T>(&self, problem: Problem) -> Option<T> {
        self.report(problem);
        None
    }

    /// The text of a scalar, whatever it looks like.
    fn raw(&self, wanted: &str) -> Option<(&'a str, bool)> {
        if let Value::Scalar { text, plain } = &self.node.value {
            return Some((text, *plain));
        }
        self.wrong_type(wanted);
        None
    }

    /// Text; what looks like a number or a truth value must be in quotes.
    pub(crate) fn string(&self) -> Option<&'a str> {
        let (text, plain) = self.raw("a string")?;
        if !plain || looks(text) == Look::Text {
            return Some(text);
        }
        let message = format!("{} must be a string, found {}", self.what, kind(self.node));
        // A variable's value may be a secret.
        let shown = if self.path.contains(".env.") { "...".into() } else { shown(text) };
        let hint = format!("put it in quotes: `\"{shown}\"`");
        self.refuse(self.problem("wrong-type", message).hint(hint))
    }

    /// Text that is not empty.
    pub(crate) fn word(&self) -> Option<&'a str> {
        let text = self.string()?;
        if !text.trim().is_empty() {
            return Some(text);
        }
        self.refuse(self.problem("empty-value", format!("{} is empty", self.what)))
    }

    /// A whole number in `range`.
    pub(crate) fn integer(&self, range: RangeInclusive<u64>) -> Option<u64> {
        let number = self.decimal()?;
        if number.fract() != 0.0 {
            let message = format!("{} is {number}, which is not a whole number", self.what);
            return self.refuse(self.problem("out-of-range", message));
        }
        let (low, high) = (*range.start(), *range.end());
        if number < low as f64 || number > high as f64 {
            return self.outside(number, low, high);
        }
        Some(number as u64)
    }

    /// A number that is not in quotes.
    pub(crate) fn decimal(&self) -> Option<f64> {
        let (text, plain) = self.raw("a number")?;
        match quantity::number(text) {
            Some(number) if plain => Some(number),
            Some(_) => {
                let message = format!("{} must be a number, found a string", self.what);
                self.refuse(self.problem("wrong-type", message).hint("remove the quotes"))
            }
            None => {
                self.wrong_type("a number");
                None
            }
        }
    }

    /// Reports a value outside its range.
    pub(crate) fn outside<T>(
        &self,
        found: impl Display,
        low: impl Display,
        high: impl Display,
    ) -> Option<T> {
        let message = format!("{} is {found}; allowed are {low} to {high}", self.what);
        self.refuse(self.problem("out-of-range", message))
    }

    /// `30s`, `1h30m`, within `range`.
    pub(crate) fn duration(&self, range: RangeInclusive<Millis>) -> Option<Millis> {
        let (text, _) = self.raw("a duration")?;
        let hint = "write a duration with its unit: `500ms`, `30s`, `5m`, `1h30m`";
        let span = self.quantity(text, quantity::duration(text), hint)?;
        self.within(span, &range)
    }

    /// `512Mi`, within `range`.
    pub(crate) fn bytes(&self, range: RangeInclusive<u64>) -> Option<u64> {
        let (text, _) = self.raw("a size")?;
        let hint = "write a size with its unit: `512Mi`, `2Gi`, `64Ki`";
        let bytes = self.quantity(text, quantity::bytes(text), hint)?;
        if range.contains(&bytes) {
            return Some(bytes);
        }
        self.outside(shown(text), size(*range.start()), size(*range.end()))
    }

    /// `11%` as 0.11, within `range` (in percent).
    pub(crate) fn percent(&self, range: RangeInclusive<f64>) -> Option<f64> {
        let (text, _) = self.raw("a percentage")?;
        let hint = "write a percentage with its sign: `0.5%`, `11%`";
        let share = self.quantity(text, quantity::percent(text), hint)?;
        // A rounded product, so that `2.2%` is not below 2.2.
        if range.contains(&((share * 1e8).round() / 1e6)) {
            return Some(share);
        }
        self.outside(shown(text), format!("{}%", range.start()), format!("{}%", range.end()))
    }

    /// A number of seconds, fractions allowed, within `range`.
    pub(crate) fn seconds(&self, range: RangeInclusive<Millis>) -> Option<Millis> {
        if let Some(Ok(span)) = self.scalar().map(quantity::duration) {
            let message = format!("{} is a number of seconds, without a unit", self.what);
            let hint = format!("write `{}`", in_seconds(span));
            return self.refuse(self.problem("wrong-type", message).hint(hint));
        }
        let seconds = self.decimal()?;
        let millis = (seconds * 1000.0).round();
        let fits = millis >= range.start().0 as f64 && millis <= range.end().0 as f64;
        if fits {
            return Some(Millis(millis as u64));
        }
        self.outside(seconds, in_seconds(*range.start()), in_seconds(*range.end()))
    }

    fn within(&self, span: Millis, range: &RangeInclusive<Millis>) -> Option<Millis> {
        if range.contains(&span) {
            return Some(span);
        }
        self.outside(span, range.start(), range.end())
    }

    fn quantity<T>(&self, text: &str, read: Result<T, QuantityError>, hint: &str) -> Option<T> {
        match read {
            Ok(value) => Some(value),
            Err(error) => {
                let message = format!("{}: `{}` {error}", self.what, shown(text));
                self.refuse(self.problem("bad-quantity", message).hint(hint))
            }
        }
    }

    /// `true` or `false`.
    pub(crate) fn truth(&self) -> Option<bool> {
        self.choice(&[("true", true), ("false", false)])
    }

    /// One of a few words.
    pub(crate) fn choice<T: Clone>(&self, choices: &[(&'static str, T)]) -> Option<T> {
        let (text, _) = self.raw("a word")?;
        if let Some((_, value)) = choices.iter().find(|(name, _)| *name == text) {
            return Some(value.clone());
        }
        let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
        let message = format!("{} is `{}`; allowed: {}", self.what, shown(text), names.join(", "));
        let problem = self.problem("unknown-value", message);
        self.refuse(match nearest(text, names.into_iter()) {
            Some(name) => problem.label(format!("did you mean `{name}`?")),
            None => problem,
        })
    }

    /// The items of a list.
    pub(crate) fn list(&self) -> Option<Vec<Field<'a>>> {
        let Value::List(items) = &self.node.value else {
            self.wrong_type("a list");
            return None;
        };
        Some(items.iter().enumerate().map(|(index, node)| self.item(index, node)).collect())
    }

    fn item(&self, index: usize, node: &'a Node) -> Field<'a> {
        let what = format!("item {} of {}", index + 1, self.what);
        let path = format!("{}[{index}]", self.path);
        let field = Field { cx: self.cx, what, path, key: node.span.clone(), node };
        field.cx.remember(&field.path, &node.span);
        field
    }

    /// A reader of a map.
    pub(crate) fn map(&self) -> Option<Reader<'a>> {
        Reader::new(self)
    }

    /// A reader of a map that may be written as nothing: `tcp:` as `tcp: {}`.
    pub(crate) fn map_or_nothing(&self) -> Option<Reader<'a>> {
        if self.node.is_null() { Some(Reader::of(self, &[])) } else { self.map() }
    }

    /// Where `part` of this value's text stands, if it is written as it is.
    pub(crate) fn span_of(&self, part: &str) -> Span {
        let span = &self.node.span;
        match self.cx.text.get(span.clone()).and_then(|text| text.find(part)) {
            Some(at) => span.start + at..span.start + at + part.len(),
            None => span.clone(),
        }
    }
}

fn in_seconds(span: Millis) -> f64 {
    span.0 as f64 / 1000.0
}

/// What a plain scalar would be in YAML 1.2.
#[derive(PartialEq)]
enum Look {
    Nothing,
    Truth,
    Number,
    Text,
}

fn looks(text: &str) -> Look {
    let other_base = |prefix, base| {
        text.strip_prefix(prefix).is_some_and(|digits| u128::from_str_radix(digits, base).is_ok())
    };
    let odd = matches!(
        text.trim_start_matches(['-', '+']),
        ".inf" | ".Inf" | ".INF" | ".nan" | ".NaN" | ".NAN"
    );
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Look::Nothing,
        "true" | "True" | "TRUE" | "false" | "False" | "FALSE" => Look::Truth,
        _ if odd || other_base("0x", 16) || other_base("0o", 8) => Look::Number,
        _ if quantity::looks_decimal(text) => Look::Number,
        _ => Look::Text,
    }
}

fn kind(node: &Node) -> &'static str {
    match &node.value {
        Value::List(_) => "a list",
        Value::Map(_) => "a map",
        Value::Scalar { text, plain: true } => match looks(text) {
            Look::Nothing => "nothing",
            Look::Truth => "true or false",
            Look::Number => "a number",
            Look::Text => "a string",
        },
        Value::Scalar { .. } => "a string",
    }
}

/// A size in its largest unit: `64Ki`.
fn size(bytes: u64) -> String {
    let (mut amount, mut unit) = (bytes, 0);
    while amount >= 1024 && amount.is_multiple_of(1024) && unit < 4 {
        (amount, unit) = (amount / 1024, unit + 1);
    }
    format!("{amount}{}", ["", "Ki", "Mi", "Gi", "Ti"][unit])
}
