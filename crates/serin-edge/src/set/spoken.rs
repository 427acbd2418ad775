//! Every answer a flag can give, numbered, and written out as OFREP wants it.

use crate::set::json;
use crate::tally::{Cells, Named};
use bytes::Bytes;
use serin_flags::{Definition, ErrorCode, Flag, FlagType, Reason, Resolution};
use std::ops::Range;

/// No value: the code's own default holds.
const NOTHING: usize = 0;
const DISABLED: usize = 1;
const STATIC: usize = 2;
const DEFAULT: usize = 3;
const ERRORS: [ErrorCode; 6] = [
    ErrorCode::FlagNotFound,
    ErrorCode::ParseError,
    ErrorCode::TypeMismatch,
    ErrorCode::TargetingKeyMissing,
    ErrorCode::InvalidContext,
    ErrorCode::General,
];
const FIRST_ERROR: usize = 4;
/// From here on, a rule named the variant of this place.
const TARGETED: usize = FIRST_ERROR + ERRORS.len();

/// The number of what came out.
pub fn outcome(flag: &Flag, resolution: &Resolution<'_>) -> usize {
    let place = |name: &str| flag.variants().position(|(held, _)| held == name);
    match (resolution.reason, resolution.variant) {
        (Reason::Disabled, _) => DISABLED,
        (_, None) => NOTHING,
        (Reason::Static, _) => STATIC,
        (Reason::Default, _) => DEFAULT,
        (Reason::TargetingMatch, Some(name)) => TARGETED + place(name).unwrap_or_default(),
    }
}

/// The number of an error.
pub fn failure(code: ErrorCode) -> usize {
    FIRST_ERROR + ERRORS.iter().position(|held| *held == code).unwrap_or_default()
}

/// What a flag's answers are called.
pub fn named(set: &str, flag: &Flag, strategy: String) -> Named {
    let default = flag.default_variant().map_or("", |(name, _)| name);
    let result = |variant: &str| match flag.variant(variant) {
        Some(value) if flag.kind() == Some(FlagType::Boolean) => value.json().to_owned(),
        Some(_) => variant.to_owned(),
        None => "default".to_owned(),
    };
    let of = |variant: &str, reason| (variant.to_owned(), reason, result(variant));
    let mut outcomes = vec![
        of("", Reason::Default.as_str()),
        of("", Reason::Disabled.as_str()),
        of(default, Reason::Static.as_str()),
        of(default, Reason::Default.as_str()),
    ];
    let error = |code: ErrorCode| (String::new(), code.as_str(), "error".to_owned());
    outcomes.extend(ERRORS.map(error));
    let matched = Reason::TargetingMatch.as_str();
    outcomes.extend(flag.variants().map(|(name, _)| of(name, matched)));
    let cells = Cells::new(outcomes.len());
    Named { set: set.to_owned(), flag: flag.key().to_owned(), strategy, outcomes, cells }
}

/// Where the answers of a flag stand in the set's text.
pub struct Spoken(Box<[Range<u32>]>);

impl Spoken {
    /// Where the answer of this number stands; errors have none.
    pub fn range(&self, outcome: usize) -> Range<usize> {
        self.0.get(outcome).map_or(0..0, |range| range.start as usize..range.end as usize)
    }
}

/// Writes the answers of all flags into one text.
#[derive(Default)]
pub struct Writer {
    text: Vec<u8>,
    /// Of the longest answer of each flag.
    usual: usize,
}

impl Writer {
    /// Writes the answers of a flag.
    pub fn speak(&mut self, flag: &Flag, written: Option<&Definition>) -> Spoken {
        let metadata = json(flag.metadata());
        let mut say = |variant: Option<(&str, &str)>, reason: Reason| {
            let start = self.text.len() as u32;
            self.write(flag.key(), variant, reason, &metadata);
            start..self.text.len() as u32
        };
        let known = code_default(flag, written);
        let known = known.as_ref().map(|(name, value)| (name.as_str(), value.as_str()));
        let default = flag.default_variant().map(|(name, value)| (name, value.json()));
        let mut ranges = vec![
            say(known, Reason::Default),
            say(None, Reason::Disabled),
            say(default, Reason::Static),
            say(default, Reason::Default),
        ];
        ranges.resize(TARGETED, 0..0);
        for (name, value) in flag.variants() {
            ranges.push(say(Some((name, value.json())), Reason::TargetingMatch));
        }
        let longest = ranges.iter().map(|range| range.end - range.start).max();
        self.usual += longest.unwrap_or_default() as usize + 1;
        Spoken(ranges.into())
    }

    fn write(&mut self, key: &str, variant: Option<(&str, &str)>, reason: Reason, metadata: &str) {
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        let mut put = |parts: &[&str]| parts.iter().for_each(|p| self.text.extend(p.as_bytes()));
        put(&["{\"key\":", &quoted(key)]);
        if let Some((name, value)) = variant {
            put(&[",\"value\":", value, ",\"variant\":", &quoted(name)]);
        }
        put(&[",\"reason\":\"", reason.as_str(), "\",\"metadata\":", metadata, "}"]);
    }

    /// At most how long an answer of each flag is, all together, in bytes.
    pub fn usual_len(&self) -> usize {
        self.usual
    }

    /// The whole text.
    pub fn text(self) -> Bytes {
        self.text.into()
    }
}

/// What the app's code takes as its default, where the owner said so: clients that cannot bear an
/// answer without a value are given it.
fn code_default(flag: &Flag, written: Option<&Definition>) -> Option<(String, String)> {
    let value = written?.code_default.as_ref()?;
    let fits = flag.kind().is_none_or(|kind| FlagType::of(value) == Some(kind));
    let text = value.to_string();
    let same = flag.variants().find(|(_, held)| held.json() == text);
    let name = same.map_or("default", |(name, _)| name).to_owned();
    fits.then_some((name, text))
}
