//! One set, ready to answer: compiled flags, and every answer written out beforehand.

mod bulk;
mod entry;
mod forms;
mod news;
mod once;
mod spoken;
mod strategy;

pub use news::{Change, News};
pub use spoken::shown;

use crate::access::TokenKind;
use crate::revision::Revision;
use crate::tally::{Protocol, Tally};
use bulk::Bulk;
use bytes::Bytes;
use entry::{Entry, entries};
use forms::Forms;
use once::Once;
use serde_json::Value;
use serin_flags::{
    Arm, Context, ErrorCode, EvalError, FlagSet, Problem, Resolution, SetDefinition,
};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Where a set comes from.
#[derive(Clone, Debug)]
pub enum Source {
    /// What people wrote.
    Written(Arc<SetDefinition>),
    /// A flagd document, taken word for word.
    Document {
        /// The set's name.
        name: String,
        /// The document.
        document: Arc<Value>,
        /// The hash of its percentages.
        bucketing: serin_flags::Bucketing,
    },
}

impl Source {
    /// The set's name.
    pub fn name(&self) -> &str {
        match self {
            Self::Written(definition) => &definition.name,
            Self::Document { name, .. } => name,
        }
    }

    /// Whether it is the very same.
    pub fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Written(a), Self::Written(b)) => Arc::ptr_eq(a, b) || a == b,
            (
                Self::Document { name: a, document, bucketing },
                Self::Document { name: b, document: also, bucketing: same },
            ) => a == b && bucketing == same && document == also,
            _ => false,
        }
    }

    /// What people wrote of a flag.
    fn written(&self, key: &str) -> Option<&serin_flags::Definition> {
        match self {
            Self::Written(definition) => definition.flags.get(key).map(Arc::as_ref),
            Self::Document { .. } => None,
        }
    }

    fn requires_targeting_key(&self) -> bool {
        match self {
            Self::Written(definition) => definition.require_targeting_key,
            Self::Document { .. } => false,
        }
    }

    /// Its flags, ready to be evaluated. What did not change since `before` is shared with it.
    fn flags(&self, before: Option<&Set>) -> Result<FlagSet, Vec<Problem>> {
        match (self, before.map(|before| (&before.source, &before.flags))) {
            (Self::Written(next), Some((Self::Written(held), flags))) => flags.after(held, next),
            (Self::Written(next), _) => FlagSet::of(next),
            (Self::Document { document, bucketing, .. }, _) => {
                FlagSet::parse(document.to_string().as_bytes(), *bucketing)
            }
        }
    }
}

/// A compiled set. It never changes.
pub struct Set {
    /// Where it comes from.
    pub source: Source,
    /// The revision that changed it last.
    pub since: Revision,
    /// Its flags.
    pub flags: Arc<FlagSet>,
    /// Whether some answer may change with time alone.
    pub reads_time: bool,
    /// What has changed since when.
    pub news: News,
    /// What streams are sent of its last change, each written once for all of them.
    pub told: Told,
    entries: Box<[Arc<Entry>]>,
    bulk: [OnceLock<Bulk>; 2],
    forms: Forms,
    required: bool,
    metadata: [String; 2],
    /// The period of the last offer of an event stream, and its text.
    offer: Mutex<(u64, Bytes)>,
}

/// What the streams of each protocol are sent after a change, by what they had seen before.
#[derive(Default)]
pub struct Told {
    /// OFREP.
    pub ofrep: Once<()>,
    /// Unleash.
    pub unleash: Once<Revision>,
    /// flagd's events.
    pub flagd: Once<Revision>,
}

impl Set {
    /// Compiles a set; `before` is what it was.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn compile(
        source: Source,
        since: Revision,
        before: Option<&Self>,
        tally: &Tally,
    ) -> Result<Self, Vec<Problem>> {
        let flags = source.flags(before)?;
        let held = before.map(|before| (&*before.flags, &*before.entries));
        let news = before.map(|before| before.news.then(since, &before.flags, &flags));
        let metadata = [TokenKind::Backend, TokenKind::Frontend];
        Ok(Self {
            since,
            reads_time: flags.flags().iter().any(|flag| flag.reads_time()),
            news: news.unwrap_or_else(|| News::from(since)),
            told: Told::default(),
            entries: entries(&source, &flags, held, tally),
            bulk: Default::default(),
            forms: before.map(|before| before.forms.next()).unwrap_or_default(),
            required: source.requires_targeting_key(),
            metadata: metadata.map(|audience| json(&shown(flags.metadata(), audience))),
            offer: Mutex::default(),
            flags: Arc::new(flags),
            source,
        })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.source.name()
    }

    /// The place of a flag.
    pub fn place(&self, key: &str) -> Option<usize> {
        self.flags.place(key)
    }

    /// Evaluates the flag at a place, and counts it.
    ///
    /// # Errors
    /// What evaluation says; that is counted too.
    pub fn evaluate(
        &self,
        place: usize,
        context: &Context<'_>,
        now_s: u64,
        protocol: Protocol,
    ) -> Result<Resolution<'_>, EvalError> {
        self.numbered(place, context, now_s, protocol).map(|(resolution, _)| resolution)
    }

    /// The same with the answer's number.
    fn numbered(
        &self,
        place: usize,
        context: &Context<'_>,
        now_s: u64,
        protocol: Protocol,
    ) -> Result<(Resolution<'_>, usize), EvalError> {
        let flag = &self.flags.flags()[place];
        let result = self.flags.evaluate_flag(flag, context, now_s.cast_signed());
        let outcome = match &result {
            Ok(resolution) => spoken::outcome(flag, resolution),
            Err(error) => spoken::failure(error.code),
        };
        self.entries[place].named.cells.count(outcome, protocol);
        result.map(|resolution| (resolution, outcome))
    }

    /// The answer of OFREP for the flag at a place, written out for an audience, and counted; with
    /// the arm of its release that the user is in.
    ///
    /// # Errors
    /// What evaluation says.
    pub fn answer(
        &self,
        place: usize,
        context: &Context<'_>,
        now_s: u64,
        audience: TokenKind,
    ) -> Result<(Bytes, Option<Arm>), EvalError> {
        let (resolution, outcome) = self.numbered(place, context, now_s, Protocol::Ofrep)?;
        let (flag, entry) = (&self.flags.flags()[place], &self.entries[place]);
        Ok((entry.told(&self.source, flag, audience).answer(outcome), resolution.arm))
    }

    /// The set's metadata as JSON, for an audience.
    pub fn metadata(&self, audience: TokenKind) -> &str {
        &self.metadata[usize::from(audience == TokenKind::Frontend)]
    }

    /// Counts for each flag what was given of all together.
    pub fn settle(&self) {
        self.bulk.iter().filter_map(OnceLock::get).for_each(Bulk::settle);
    }

    /// What answers say of its event stream in a period, written once by `write`.
    pub fn offer(&self, period: u64, write: impl FnOnce() -> String) -> Bytes {
        let mut held = self.offer.lock().unwrap_or_else(PoisonError::into_inner);
        if held.0 != period || held.1.is_empty() {
            *held = (period, write().into());
        }
        held.1.clone()
    }

    /// The variant of a flag that stands for off.
    pub fn off_variant(&self, key: &str) -> Option<&str> {
        self.source.written(key).map(|written| written.off_variant.as_str())
    }

    /// Why no flag can be evaluated for a context, if so.
    pub fn refuses(&self, context: &Context<'_>) -> Option<EvalError> {
        if !self.required || context.targeting_key().is_some() {
            return None;
        }
        let details = "this set needs `targetingKey` in every context; send one";
        Some(EvalError::new(ErrorCode::TargetingKeyMissing, details))
    }
}

/// Metadata as JSON text.
pub fn json(metadata: &serin_flags::Metadata) -> String {
    serde_json::to_string(metadata).unwrap_or_else(|_| "{}".to_owned())
}

/// What is said about a key that no flag has.
pub fn not_found(key: &str) -> EvalError {
    let details = format!("there is no flag `{key}` in this set; check the key and the set");
    EvalError::new(ErrorCode::FlagNotFound, details)
}
