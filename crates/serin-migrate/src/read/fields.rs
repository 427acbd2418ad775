//! An object of a document, read key by key. What is asked for and is not there, or is something
//! else, is noted; what nobody asked for is noted at the end.

use crate::{Flaw, Ident};
use serde_json::{Map, Value};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

/// What was found to be wrong so far.
#[derive(Debug, Default)]
pub struct Found(RefCell<Vec<Flaw>>);

impl Found {
    /// Notes a flaw.
    pub fn add(&self, flaw: Flaw) {
        self.0.borrow_mut().push(flaw);
    }

    /// All flaws.
    pub fn take(self) -> Vec<Flaw> {
        self.0.into_inner()
    }
}

/// One object and where it stands.
pub struct Fields<'a> {
    map: &'a Map<String, Value>,
    path: String,
    found: &'a Found,
    asked: RefCell<BTreeSet<&'static str>>,
}

impl<'a> Fields<'a> {
    /// The object that `value` is.
    pub fn of(value: &'a Value, path: &str, found: &'a Found) -> Option<Self> {
        let Value::Object(map) = value else {
            found.add(Flaw::new(path, format!("is {}, not an object of keys", kind(value))));
            return None;
        };
        Some(Self { map, path: path.to_owned(), found, asked: RefCell::default() })
    }

    /// Where `key` stands.
    pub fn path(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Notes a flaw at `key`.
    pub fn flaw(&self, key: &str, message: impl Into<String>) {
        self.found.add(Flaw::new(self.path(key), message));
    }

    /// Where all flaws go.
    pub fn found(&self) -> &'a Found {
        self.found
    }

    /// The value of `key`; `null` is a value.
    pub fn raw(&self, key: &'static str) -> Option<&'a Value> {
        self.asked.borrow_mut().insert(key);
        self.map.get(key)
    }

    /// The value of `key` that is not `null`.
    fn value(&self, key: &'static str) -> Option<&'a Value> {
        self.raw(key).filter(|value| !value.is_null())
    }

    /// Notes that `key` must be there.
    pub fn missing<T>(&self, key: &str, value: Option<T>) -> Option<T> {
        if value.is_none() && !self.map.contains_key(key) {
            self.flaw(key, "is missing");
        }
        value
    }

    fn wrong<T>(&self, key: &str, value: &Value, wanted: &str) -> Option<T> {
        let flaw = Flaw::new(self.path(key), format!("is {}, not {wanted}", kind(value)));
        let word = wanted == "a text" && (value.is_boolean() || value.is_number());
        self.found.add(if word { flaw.hint("put it in quotes") } else { flaw });
        None
    }

    /// SQL of one value, which may be a number or a truth as well.
    pub fn sql(&self, key: &'static str) -> Option<String> {
        match self.value(key)? {
            value @ (Value::Number(_) | Value::Bool(_)) => Some(value.to_string()),
            _ => self.text(key),
        }
    }

    /// A text.
    pub fn text(&self, key: &'static str) -> Option<String> {
        match self.value(key)? {
            Value::String(text) => Some(text.clone()),
            other => self.wrong(key, other, "a text"),
        }
    }

    /// A text that must be there and hold something.
    pub fn required_text(&self, key: &'static str) -> Option<String> {
        let text = self.missing(key, self.text(key))?;
        if text.trim().is_empty() {
            self.flaw(key, "is empty");
            return None;
        }
        Some(text)
    }

    /// Yes or no.
    pub fn flag(&self, key: &'static str) -> Option<bool> {
        match self.value(key)? {
            Value::Bool(flag) => Some(*flag),
            other => self.wrong(key, other, "true or false"),
        }
    }

    /// A number from `least` to `most`.
    pub fn number(&self, key: &'static str, least: f64, most: f64) -> Option<f64> {
        let value = self.value(key)?;
        match value.as_f64() {
            Some(number) if (least..=most).contains(&number) => Some(number),
            _ => {
                self.flaw(key, format!("{value} is not a number from {least} to {most}"));
                None
            }
        }
    }

    /// A name of the database.
    pub fn ident(&self, key: &'static str) -> Option<Ident> {
        self.named(key, &self.text(key)?)
    }

    /// A name of the database that must be there.
    pub fn required_ident(&self, key: &'static str) -> Option<Ident> {
        self.named(key, &self.required_text(key)?)
    }

    fn named(&self, key: &str, text: &str) -> Option<Ident> {
        Ident::new(text).inspect_err(|why| self.flaw(key, why.to_string())).ok()
    }

    /// One of the words of `words`.
    pub fn word<T: Copy>(&self, key: &'static str, words: &[(&str, T)]) -> Option<T> {
        let text = self.text(key)?;
        let known = words.iter().find(|(word, _)| word.eq_ignore_ascii_case(&text));
        if known.is_none() {
            let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            let message = format!("`{text}` is none of {}", names.join(", "));
            self.found.add(Flaw::new(self.path(key), message).nearest(&text, names));
        }
        known.map(|(_, meaning)| *meaning)
    }

    /// An object.
    pub fn object(&self, key: &'static str) -> Option<Fields<'a>> {
        Fields::of(self.value(key)?, &self.path(key), self.found)
    }

    /// A list.
    pub fn list(&self, key: &'static str) -> Option<&'a [Value]> {
        match self.value(key)? {
            Value::Array(list) => Some(list),
            other => self.wrong(key, other, "a list"),
        }
    }

    /// A list that must be there and hold something.
    pub fn required_list(&self, key: &'static str) -> Option<&'a [Value]> {
        let list = self.missing(key, self.list(key))?;
        if list.is_empty() {
            self.flaw(key, "is empty");
            return None;
        }
        Some(list)
    }

    /// Each value of a list, read; `None` when one of them cannot be.
    pub fn each<T>(
        &self,
        key: &'static str,
        read: impl Fn(&'a Value, String) -> Option<T>,
    ) -> Option<Vec<T>> {
        let list = self.list(key).unwrap_or_default();
        let item = |(at, value)| read(value, format!("{}[{at}]", self.path(key)));
        let read: Vec<Option<T>> = list.iter().enumerate().map(item).collect();
        read.into_iter().collect()
    }

    /// A list of names.
    pub fn idents(&self, key: &'static str) -> Option<Vec<Ident>> {
        self.each(key, |value, path| ident_of(value, path, self.found))
    }

    /// A list of texts.
    pub fn texts(&self, key: &'static str) -> Option<Vec<String>> {
        self.each(key, |value, path| text_of(value, path, self.found))
    }

    /// A map of names to texts.
    pub fn by_ident(&self, key: &'static str) -> Option<BTreeMap<Ident, String>> {
        let Some(inner) = self.object(key) else { return Some(BTreeMap::new()) };
        let entry = |(name, value): (&String, &Value)| {
            let at = inner.path(name);
            let ident = Ident::new(name.as_str());
            let ident = ident.inspect_err(|why| inner.flaw(name, why.to_string())).ok()?;
            Some((ident, text_of(value, at, self.found)?))
        };
        let read: Vec<_> = inner.map.iter().map(entry).collect();
        read.into_iter().collect()
    }

    /// The keys of the object.
    pub fn keys(&self) -> impl Iterator<Item = &'a String> {
        self.map.keys()
    }

    /// Notes every key that nobody asked for.
    pub fn finish(self) {
        let asked = self.asked.borrow();
        for key in self.map.keys().filter(|key| !asked.contains(key.as_str())) {
            let known: Vec<&str> = asked.iter().copied().collect();
            let message = format!("is not known here; known are {}", known.join(", "));
            self.found.add(Flaw::new(self.path(key), message).nearest(key, known));
        }
    }
}

/// A value as text.
pub fn text_of(value: &Value, path: String, found: &Found) -> Option<String> {
    let text = value.as_str().map(str::to_owned);
    if text.is_none() {
        found.add(Flaw::new(path, format!("is {}, not a text", kind(value))));
    }
    text
}

/// A value as a name.
pub fn ident_of(value: &Value, path: String, found: &Found) -> Option<Ident> {
    let text = text_of(value, path.clone(), found)?;
    Ident::new(text).inspect_err(|why| found.add(Flaw::new(path, why.to_string()))).ok()
}

/// What a value is, for people.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "empty",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
