//! Every answer a flag can give, numbered, and written out as OFREP wants it.

use crate::access::TokenKind;
use crate::set::json;
use crate::tally::{Cells, Named};
use bytes::Bytes;
use serin_flags::{Definition, ErrorCode, Flag, FlagType, Metadata, Reason, Resolution};
use std::borrow::Cow;
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
    // The name is the flag's own, so that where it lies tells which one it is.
    let place = |name: &str| flag.variants().position(|(held, _)| std::ptr::eq(held, name));
    match (resolution.reason, resolution.variant) {
        (Reason::Disabled, _) => DISABLED,
        (_, None) => NOTHING,
        (Reason::Static, _) => STATIC,
        (Reason::Default, _) => DEFAULT,
        (Reason::TargetingMatch, Some(name)) => TARGETED + place(name).unwrap_or_default(),
    }
}

/// The number of the only answer a flag can give; none where it is evaluated.
pub fn fixed(flag: &Flag) -> Option<usize> {
    flag.fixed().map(|resolution| outcome(flag, &resolution))
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

/// What about a flag is only for its owners.
const FOR_OWNERS: [&str; 2] = ["owner", "expiresAt"];

/// The metadata that an audience may see: web pages need not know who owns a flag, nor until when it
/// is there.
pub fn shown(metadata: &Metadata, audience: TokenKind) -> Cow<'_, Metadata> {
    let hides = FOR_OWNERS.iter().any(|name| metadata.contains_key(*name));
    if audience == TokenKind::Backend || !hides {
        return Cow::Borrowed(metadata);
    }
    let mut shown = metadata.clone();
    shown.retain(|name, _| !FOR_OWNERS.contains(&name.as_str()));
    Cow::Owned(shown)
}

/// The answers of one flag, written out.
pub struct Spoken {
    text: Bytes,
    /// Where the answer of each number stands; errors have none.
    ranges: Box<[Range<u32>]>,
}

impl Spoken {
    /// All answers of a flag, for an audience.
    pub fn of(flag: &Flag, written: Option<&Definition>, audience: TokenKind) -> Self {
        let metadata = json(&shown(flag.metadata(), audience));
        let mut writer = Writer { text: Vec::new(), metadata, flag };
        let known = code_default(flag, written);
        let known = known.as_ref().map(|(name, value)| (name.as_str(), value.as_str()));
        let default = flag.default_variant().map(|(name, value)| (name, value.json()));
        let mut ranges = vec![
            writer.say(known, Reason::Default),
            writer.say(None, Reason::Disabled),
            writer.say(default, Reason::Static),
            writer.say(default, Reason::Default),
        ];
        ranges.resize(TARGETED, 0..0);
        for (name, value) in flag.variants() {
            ranges.push(writer.say(Some((name, value.json())), Reason::TargetingMatch));
        }
        Self { text: writer.text.into(), ranges: ranges.into() }
    }

    /// The answer of this number.
    pub fn answer(&self, outcome: usize) -> Bytes {
        let range = self.ranges.get(outcome);
        range.map_or_else(Bytes::new, |at| self.text.slice(at.start as usize..at.end as usize))
    }

    /// The text of all answers, and where each stands.
    pub fn parts(&self) -> (&[u8], &[Range<u32>]) {
        (&self.text, &self.ranges)
    }

    /// How long the longest answer is, in bytes.
    pub fn longest(&self) -> usize {
        self.ranges.iter().map(Range::len).max().unwrap_or_default()
    }
}

/// Writes the answers of a flag.
struct Writer<'f> {
    text: Vec<u8>,
    metadata: String,
    flag: &'f Flag,
}

impl Writer<'_> {
    fn say(&mut self, variant: Option<(&str, &str)>, reason: Reason) -> Range<u32> {
        let start = self.text.len() as u32;
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        let mut put = |parts: &[&str]| parts.iter().for_each(|p| self.text.extend(p.as_bytes()));
        put(&["{\"key\":", &quoted(self.flag.key())]);
        if let Some((name, value)) = variant {
            put(&[",\"value\":", value, ",\"variant\":", &quoted(name)]);
        }
        put(&[",\"reason\":\"", reason.as_str(), "\",\"metadata\":", &self.metadata, "}"]);
        start..self.text.len() as u32
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
