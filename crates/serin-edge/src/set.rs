//! One set, ready to answer: compiled flags, and every answer written out beforehand.

mod news;
mod spoken;
mod strategy;

pub use news::{Change, News};

use crate::authored;
use crate::revision::Revision;
use crate::tally::{Named, Protocol, Tally};
use bytes::Bytes;
use serde_json::Value;
use serin_flags::{
    Context, ErrorCode, EvalError, Flag, FlagSet, Problem, Resolution, SetDefinition,
};
use spoken::{Spoken, Writer};
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

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
            Self::Written(definition) => definition.flags.get(key),
            Self::Document { .. } => None,
        }
    }

    fn server_form(&self) -> Result<Arc<Value>, Vec<Problem>> {
        match self {
            Self::Written(definition) => authored::server(definition).map(Arc::new),
            Self::Document { document, .. } => Ok(document.clone()),
        }
    }

    fn requires_targeting_key(&self) -> bool {
        match self {
            Self::Written(definition) => definition.require_targeting_key,
            Self::Document { .. } => false,
        }
    }

    fn flags(&self, document: &Value) -> Result<FlagSet, Vec<Problem>> {
        let bucketing = match self {
            Self::Written(definition) => definition.bucketing,
            Self::Document { bucketing, .. } => *bucketing,
        };
        let bytes = document.to_string();
        let flags = FlagSet::parse(bytes.as_bytes(), bucketing)?;
        Ok(flags.requiring_targeting_key(self.requires_targeting_key()))
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
    places: HashMap<Box<str>, usize>,
    spoken: Vec<Spoken>,
    named: Vec<Arc<Named>>,
    text: Bytes,
    usual_len: usize,
    required: bool,
    metadata: String,
    last: Last,
    portable: OnceLock<Option<Bytes>>,
    sync: OnceLock<Bytes>,
    unleash: OnceLock<Option<Arc<Value>>>,
    unleash_text: OnceLock<Bytes>,
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
        let document = source.server_form()?;
        let flags = source.flags(&document)?;
        let mut writer = Writer::default();
        let spoken = flags.flags().iter();
        let spoken = spoken.map(|flag| writer.speak(flag, source.written(flag.key()))).collect();
        let named = flags.flags().iter().map(|flag| {
            let strategy = strategy::of(flag, source.written(flag.key()));
            tally.named(spoken::named(source.name(), flag, strategy))
        });
        let places = flags.flags().iter().enumerate();
        Ok(Self {
            since,
            reads_time: flags.flags().iter().any(Flag::reads_time),
            news: News::of(&document, since, before.map(|before| &before.news)),
            named: named.collect(),
            places: places.map(|(place, flag)| (flag.key().into(), place)).collect(),
            spoken,
            usual_len: writer.usual_len(),
            text: writer.text(),
            required: source.requires_targeting_key(),
            metadata: json(flags.metadata()),
            last: before.map(Last::of).unwrap_or_default(),
            portable: OnceLock::new(),
            sync: OnceLock::new(),
            unleash: OnceLock::new(),
            unleash_text: OnceLock::new(),
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
        self.places.get(key).copied()
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
        let flag = &self.flags.flags()[place];
        let result = self.flags.evaluate_flag(flag, context, now_s.cast_signed());
        let outcome = match &result {
            Ok(resolution) => spoken::outcome(flag, resolution),
            Err(error) => spoken::failure(error.code),
        };
        self.named[place].cells.count(outcome, protocol);
        result
    }

    /// The answer of OFREP for the flag at a place, written out, and counted.
    ///
    /// # Errors
    /// What evaluation says.
    pub fn line(
        &self,
        place: usize,
        context: &Context<'_>,
        now_s: u64,
        protocol: Protocol,
    ) -> Result<&[u8], EvalError> {
        self.range(place, context, now_s, protocol).map(|range| &self.text[range])
    }

    /// The same, to keep.
    ///
    /// # Errors
    /// What evaluation says.
    pub fn answer(
        &self,
        place: usize,
        context: &Context<'_>,
        now_s: u64,
        protocol: Protocol,
    ) -> Result<Bytes, EvalError> {
        self.range(place, context, now_s, protocol).map(|range| self.text.slice(range))
    }

    fn range(
        &self,
        place: usize,
        context: &Context<'_>,
        now_s: u64,
        protocol: Protocol,
    ) -> Result<std::ops::Range<usize>, EvalError> {
        let flag = &self.flags.flags()[place];
        let result = self.flags.evaluate_flag(flag, context, now_s.cast_signed());
        let cells = &self.named[place].cells;
        let resolution = result.inspect_err(|error| {
            cells.count(spoken::failure(error.code), protocol);
        })?;
        let outcome = spoken::outcome(flag, &resolution);
        cells.count(outcome, protocol);
        Ok(self.spoken[place].range(outcome))
    }

    /// The set's metadata as JSON.
    pub fn metadata(&self) -> &str {
        &self.metadata
    }

    /// The document that clients evaluate themselves: plain flagd, nothing of Serin's own. What
    /// flagd cannot say is not in it. If it cannot be made, it is what it was before; nothing if
    /// there was none: a set that looks empty would take every flag from its clients.
    pub fn portable(&self) -> Option<Bytes> {
        let make = || match &self.source {
            Source::Written(definition) => {
                let document = authored::portable(definition).ok();
                document.map(|document| document.to_string().into())
            }
            Source::Document { document, .. } => {
                Some(crate::merged::merged(document, &self.flags).to_string().into())
            }
        };
        self.portable.get_or_init(|| make().or_else(|| self.last.portable.clone())).clone()
    }

    /// The same as one message of the sync service, made once by `frame`: it goes to every stream.
    pub fn sync(&self, frame: impl FnOnce(&Bytes) -> Bytes) -> Option<Bytes> {
        let portable = self.portable()?;
        Some(self.sync.get_or_init(|| frame(&portable)).clone())
    }

    /// The same as text, made once by `write`.
    pub fn unleash_text(&self, write: impl FnOnce(&Value) -> Bytes) -> Option<Bytes> {
        let all = self.unleash()?;
        Some(self.unleash_text.get_or_init(|| write(&all)).clone())
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

    /// About how long all answers are, in bytes.
    pub fn usual_len(&self) -> usize {
        self.usual_len
    }

    /// What Unleash clients evaluate themselves: features and segments; as [`Self::portable`].
    pub fn unleash(&self) -> Option<Arc<Value>> {
        let make = || match &self.source {
            Source::Written(definition) => authored::unleash(definition).ok().map(Arc::new),
            Source::Document { .. } => {
                Some(Arc::new(serde_json::json!({"features": [], "segments": []})))
            }
        };
        self.unleash.get_or_init(|| make().or_else(|| self.last.unleash.clone())).clone()
    }
}

/// What clients evaluate themselves, as they had it last.
#[derive(Default)]
struct Last {
    portable: Option<Bytes>,
    unleash: Option<Arc<Value>>,
}

impl Last {
    /// Of a set: what it sends, or would have gone on sending.
    fn of(set: &Set) -> Self {
        let portable = set.portable.get().unwrap_or(&set.last.portable);
        let unleash = set.unleash.get().unwrap_or(&set.last.unleash);
        Self { portable: portable.clone(), unleash: unleash.clone() }
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
