//! Values while a rule runs, and JavaScript's conversions between them, which JsonLogic is defined
//! by.

use crate::{
    Context, Datum,
    names::same_text,
    rule::number::{parse_number, write_number},
};
use std::{
    borrow::Cow,
    cell::Cell,
    cmp::Ordering,
    fmt::{self, Write},
};

/// How deep lists in lists are written as text. What is deeper is made by a rule only.
const WRITE_DEPTH: usize = 128;

/// A value: small, and copied freely.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Val<'v> {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(&'v str),
    /// A list or a map of the context or of the rule.
    Datum(&'v Datum<'v>),
    /// The whole context.
    Root,
    /// The object `$flagd`.
    Flagd,
    /// A text that the rule made, by its place in [`Made`].
    MadeText(usize),
    /// A list that the rule made, by its place in [`Made`].
    MadeList(usize),
}

impl<'v> Val<'v> {
    pub fn of(datum: &'v Datum<'v>) -> Self {
        match datum {
            Datum::Null => Self::Null,
            Datum::Bool(flag) => Self::Bool(*flag),
            Datum::Int(number) => Self::Int(*number),
            Datum::Float(number) => Self::Float(*number),
            Datum::Text(text) => Self::Text(text),
            Datum::List(_) | Datum::Map(_) => Self::Datum(datum),
        }
    }

    pub fn of_option(datum: Option<&'v Datum<'v>>) -> Self {
        datum.map_or(Self::Null, Self::of)
    }
}

/// What all rules of one evaluation can see.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frame<'v> {
    pub context: &'v Context<'v>,
    pub flag_key: &'v str,
    pub now_s: i64,
}

impl<'v> Frame<'v> {
    /// A step of a path: the value called `name` in a value.
    pub fn field(&self, value: Val<'v>, name: &str, made: &Made<'v>) -> Val<'v> {
        match value {
            Val::Root if name == "$flagd" => Val::Flagd,
            Val::Root => Val::of_option(self.context.get(name)),
            Val::Flagd if name == "timestamp" => Val::Int(self.now_s),
            Val::Flagd if name == "flagKey" => Val::Text(self.flag_key),
            Val::Datum(map @ Datum::Map(_)) => Val::of_option(map.field(name)),
            Val::Datum(Datum::List(_)) | Val::MadeList(_) => list_field(value, name, made),
            _ => text_field(value, name, made),
        }
    }

    /// The value at a path of names with dots between them; the empty path is the value itself.
    pub fn walk(&self, start: Val<'v>, path: &str, made: &Made<'v>) -> Val<'v> {
        if path.is_empty() {
            return start;
        }
        path.split('.').fold(start, |value, name| self.field(value, name, made))
    }
}

/// A place in a list: digits without leading zeros.
fn place(name: &str) -> Option<usize> {
    let plain = name.bytes().all(|byte| byte.is_ascii_digit());
    (plain && (name == "0" || !name.starts_with('0'))).then(|| name.parse().ok())?
}

fn list_field<'v>(list: Val<'v>, name: &str, made: &Made<'v>) -> Val<'v> {
    if name == "length" {
        return Val::Int(made.list_len(list).unwrap_or(0) as i64);
    }
    place(name).and_then(|at| made.item(list, at)).unwrap_or(Val::Null)
}

fn text_field<'v>(value: Val<'v>, name: &str, made: &Made<'v>) -> Val<'v> {
    let Some(text) = made.text(value) else { return Val::Null };
    if name == "length" {
        return Val::Int(text.chars().count() as i64);
    }
    let (Val::Text(text), Some(at)) = (value, place(name)) else { return Val::Null };
    let letter = text.char_indices().nth(at);
    letter.map_or(Val::Null, |(at, letter)| Val::Text(&text[at..at + letter.len_utf8()]))
}

/// Texts and lists that a rule made while it ran.
#[derive(Debug, Default)]
pub(crate) struct Made<'v> {
    texts: Vec<String>,
    lists: Vec<Vec<Val<'v>>>,
    /// Bytes and items made or written so far.
    size: Cell<usize>,
}

/// A rule that would make more than is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooMuch;

/// Bytes of text and items of lists that one evaluation may make.
const MADE_MAX: usize = 1 << 20;

/// Passes text on as long as the evaluation may make more.
pub(crate) struct Metered<'m, 'v, W: Write> {
    made: &'m Made<'v>,
    to: &'m mut W,
}

impl<W: Write> Write for Metered<'_, '_, W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.made.spend(text.len()).map_err(|TooMuch| fmt::Error)?;
        self.to.write_str(text)
    }
}

impl<'v> Made<'v> {
    pub fn keep_text(&mut self, text: String) -> Result<Val<'v>, TooMuch> {
        self.spend(1)?;
        self.texts.push(text);
        Ok(Val::MadeText(self.texts.len() - 1))
    }

    pub fn keep_list(&mut self, list: Vec<Val<'v>>) -> Result<Val<'v>, TooMuch> {
        self.spend(list.len() + 1)?;
        self.lists.push(list);
        Ok(Val::MadeList(self.lists.len() - 1))
    }

    /// Accounts for something that is about to be made.
    pub fn spend(&self, size: usize) -> Result<(), TooMuch> {
        self.size.set(self.size.get().saturating_add(size));
        if self.size.get() > MADE_MAX { Err(TooMuch) } else { Ok(()) }
    }

    /// The text of a value that is one.
    #[inline]
    pub fn text<'t>(&'t self, value: Val<'t>) -> Option<&'t str> {
        match value {
            Val::Text(text) => Some(text),
            Val::MadeText(at) => Some(&self.texts[at]),
            _ => None,
        }
    }

    /// How many items a value has that is a list.
    pub fn list_len(&self, value: Val<'_>) -> Option<usize> {
        match value {
            Val::Datum(Datum::List(items)) => Some(items.len()),
            Val::MadeList(at) => Some(self.lists[at].len()),
            _ => None,
        }
    }

    pub fn item(&self, list: Val<'v>, place: usize) -> Option<Val<'v>> {
        match list {
            Val::Datum(Datum::List(items)) => items.get(place).map(Val::of),
            Val::MadeList(at) => self.lists[at].get(place).copied(),
            _ => None,
        }
    }

    /// All items of a list; of anything else, itself.
    pub fn items(&self, value: Val<'v>) -> impl Iterator<Item = Val<'v>> {
        let single = self.list_len(value).is_none();
        let length = self.list_len(value).unwrap_or(1);
        (0..length).filter_map(move |at| if single { Some(value) } else { self.item(value, at) })
    }

    /// Empty lists count as false, empty objects as true (jsonlogic.com, "Truthy and Falsy").
    ///
    /// Borrowed, like all that a running rule asks often: copying a value that was just written in
    /// parts makes the processor wait for them.
    #[inline]
    pub fn truthy(&self, value: &Val<'_>) -> bool {
        match value {
            Val::Bool(flag) => *flag,
            Val::Null => false,
            _ => self.truthy_other(value),
        }
    }

    fn truthy_other(&self, value: &Val<'_>) -> bool {
        match value {
            Val::Null => false,
            Val::Bool(flag) => *flag,
            Val::Int(number) => *number != 0,
            Val::Float(number) => *number != 0.0 && !number.is_nan(),
            Val::Text(text) => !text.is_empty(),
            Val::MadeText(at) => !self.texts[*at].is_empty(),
            Val::Datum(_) | Val::MadeList(_) => self.list_len(*value) != Some(0),
            Val::Root | Val::Flagd => true,
        }
    }

    /// JavaScript's `Number(value)`.
    pub fn number(&self, value: Val<'v>) -> f64 {
        match value {
            Val::Null => 0.0,
            Val::Bool(flag) => f64::from(u8::from(flag)),
            Val::Int(number) => number as f64,
            Val::Float(number) => number,
            Val::Text(text) => parse_number(text),
            Val::MadeText(at) => parse_number(&self.texts[at]),
            Val::Datum(_) | Val::MadeList(_) => self.list_number(value),
            Val::Root | Val::Flagd => f64::NAN,
        }
    }

    /// A list is the number that its text is: of one item that item's, of none 0.
    fn list_number(&self, mut value: Val<'v>) -> f64 {
        for _ in 0..WRITE_DEPTH {
            match self.list_len(value) {
                Some(0) => return 0.0,
                Some(1) => value = self.item(value, 0).unwrap_or(Val::Null),
                Some(_) => return f64::NAN,
                None if matches!(value, Val::Bool(_) | Val::Datum(_)) => return f64::NAN,
                None => return self.number(value),
            }
        }
        f64::NAN
    }

    /// Writes JavaScript's `String(value)`.
    pub fn write(&self, value: Val<'v>, out: &mut impl Write) -> Result<(), TooMuch> {
        let mut metered = Metered { made: self, to: out };
        self.write_within(value, &mut metered, WRITE_DEPTH).map_err(|fmt::Error| TooMuch)
    }

    /// JavaScript's `String(value)`, made only if it is no text yet.
    pub fn written<'t>(&'t self, value: Val<'t>) -> Result<Cow<'t, str>, TooMuch>
    where
        'v: 't,
    {
        if let Some(text) = self.text(value) {
            return Ok(Cow::Borrowed(text));
        }
        if let Val::Bool(flag) = value {
            return Ok(Cow::Borrowed(if flag { "true" } else { "false" }));
        }
        let mut text = String::new();
        self.write(value, &mut text)?;
        Ok(Cow::Owned(text))
    }

    fn write_within(&self, value: Val<'v>, out: &mut impl Write, depth: usize) -> fmt::Result {
        match value {
            Val::Null => out.write_str("null"),
            Val::Bool(flag) => out.write_str(if flag { "true" } else { "false" }),
            Val::Int(number) => write!(out, "{number}"),
            Val::Float(number) => write_number(number, out),
            Val::Text(text) => out.write_str(text),
            Val::MadeText(at) => out.write_str(&self.texts[at]),
            Val::Datum(Datum::List(_)) | Val::MadeList(_) => self.write_list(value, out, depth),
            Val::Datum(_) | Val::Root | Val::Flagd => out.write_str("[object Object]"),
        }
    }

    fn write_list(&self, list: Val<'v>, out: &mut impl Write, depth: usize) -> fmt::Result {
        let Some(inner) = depth.checked_sub(1) else { return Ok(()) };
        for at in 0..self.list_len(list).unwrap_or(0) {
            if at > 0 {
                out.write_str(",")?;
            }
            match self.item(list, at) {
                None | Some(Val::Null) => {}
                Some(item) => self.write_within(item, out, inner)?,
            }
        }
        Ok(())
    }

    /// JavaScript's `a === b`.
    pub fn same(&self, a: Val<'v>, b: Val<'v>) -> bool {
        match (a, b) {
            (Val::Null, Val::Null) | (Val::Root, Val::Root) | (Val::Flagd, Val::Flagd) => true,
            (Val::Bool(a), Val::Bool(b)) => a == b,
            (Val::Int(a), Val::Int(b)) => a == b,
            (Val::Int(_) | Val::Float(_), Val::Int(_) | Val::Float(_)) => {
                equal_numbers(self.number(a), self.number(b))
            }
            (Val::Datum(a), Val::Datum(b)) => std::ptr::eq(a, b),
            (Val::MadeList(a), Val::MadeList(b)) => a == b,
            _ => match (self.text(a), self.text(b)) {
                (Some(a), Some(b)) => a == b,
                _ => false,
            },
        }
    }

    /// JavaScript's `a == b`.
    #[inline]
    pub fn equal(&self, a: &Val<'v>, b: &Val<'v>) -> bool {
        match (a, b) {
            (Val::Text(a), Val::Text(b)) => same_text(a, b),
            _ => self.equal_converted(*a, *b),
        }
    }

    fn equal_converted(&self, a: Val<'v>, b: Val<'v>) -> bool {
        match (kind(a), kind(b)) {
            (Kind::Null, _) | (_, Kind::Null) => kind(a) == kind(b),
            (a_kind, b_kind) if a_kind == b_kind => self.same(a, b),
            (Kind::Object, Kind::Text) | (Kind::Text, Kind::Object) => {
                self.written(a).is_ok_and(|a| self.written(b).is_ok_and(|b| a == b))
            }
            _ => equal_numbers(self.number(a), self.number(b)),
        }
    }

    /// JavaScript's order of two values; `None` where it says false to every comparison.
    #[inline]
    pub fn order(&self, a: &Val<'v>, b: &Val<'v>) -> Option<Ordering> {
        match (a, b) {
            (Val::Int(a), Val::Int(b)) => Some(a.cmp(b)),
            _ => self.order_converted(*a, *b),
        }
    }

    fn order_converted(&self, a: Val<'v>, b: Val<'v>) -> Option<Ordering> {
        if let (Some(a), Some(b)) = (self.text(a), self.text(b)) {
            return Some(a.cmp(b));
        }
        if compares_as_text(a) && compares_as_text(b) {
            let (a, b) = (self.written(a).ok()?, self.written(b).ok()?);
            return Some(a.cmp(&b));
        }
        self.number(a).partial_cmp(&self.number(b))
    }
}

fn compares_as_text(value: Val<'_>) -> bool {
    matches!(kind(value), Kind::Text | Kind::Object)
}

/// Equality as the rule asks for it, without a margin.
fn equal_numbers(a: f64, b: f64) -> bool {
    a.partial_cmp(&b) == Some(Ordering::Equal)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Null,
    Bool,
    Number,
    Text,
    Object,
}

fn kind(value: Val<'_>) -> Kind {
    match value {
        Val::Null => Kind::Null,
        Val::Bool(_) => Kind::Bool,
        Val::Int(_) | Val::Float(_) => Kind::Number,
        Val::Text(_) | Val::MadeText(_) => Kind::Text,
        Val::Datum(_) | Val::Root | Val::Flagd | Val::MadeList(_) => Kind::Object,
    }
}
