//! A set of flags, ready to be evaluated.

use crate::{
    Bucketing, Context, ErrorCode, EvalError, FlagType, FlagValue, Metadata, Problem, Reason,
    Resolution,
    names::{Table, name_hash},
    read,
};

/// How large a document may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of JSON.
    pub bytes: usize,
    /// Flags.
    pub flags: usize,
    /// Operators and constants of one flag's rules, after references are replaced.
    pub nodes_per_flag: usize,
    /// The same over the whole document.
    pub nodes: usize,
}

impl Default for Limits {
    /// 64 MiB, 100 000 flags, 250 000 nodes in one flag and 5 000 000 in all.
    fn default() -> Self {
        Self { bytes: 64 << 20, flags: 100_000, nodes_per_flag: 250_000, nodes: 5_000_000 }
    }
}

/// Compiled flags of one environment. Never changes.
#[derive(Debug, Clone, Default)]
pub struct FlagSet {
    pub(crate) flags: Box<[Flag]>,
    pub(crate) table: Table,
    pub(crate) metadata: Metadata,
    pub(crate) bucketing: Bucketing,
    pub(crate) requires_targeting_key: bool,
}

impl FlagSet {
    /// Reads a flagd document (schema 0.2.15) with the default [`Limits`].
    pub fn parse(document: &[u8], bucketing: Bucketing) -> Result<Self, Vec<Problem>> {
        Self::parse_within(document, bucketing, &Limits::default())
    }

    /// Reads a flagd document within limits.
    pub fn parse_within(
        document: &[u8],
        bucketing: Bucketing,
        limits: &Limits,
    ) -> Result<Self, Vec<Problem>> {
        read::document(document, bucketing, limits)
    }

    pub(crate) fn new(mut flags: Vec<Flag>, metadata: Metadata, bucketing: Bucketing) -> Self {
        flags.sort_by(|a, b| a.key.cmp(&b.key));
        let table = Table::new(flags.iter().map(|flag| name_hash(&flag.key)));
        let flags = flags.into_boxed_slice();
        Self { flags, table, metadata, bucketing, requires_targeting_key: false }
    }

    /// The same set, with or without the demand that every context names a user.
    #[must_use]
    pub fn requiring_targeting_key(mut self, required: bool) -> Self {
        self.requires_targeting_key = required;
        self
    }

    /// All flags, ordered by key.
    pub fn flags(&self) -> &[Flag] {
        &self.flags
    }

    /// A flag by its key.
    pub fn flag(&self, key: &str) -> Option<&Flag> {
        let place = self.table.find(name_hash(key), |place| *self.flags[place].key == *key)?;
        Some(&self.flags[place])
    }

    /// What the document says about the set.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// The hash of its percentages.
    pub fn bucketing(&self) -> Bucketing {
        self.bucketing
    }

    /// Evaluates one flag. `now_s` is the time in seconds since 1970, which rules may compare with.
    pub fn evaluate<'s>(
        &'s self,
        key: &str,
        context: &Context<'_>,
        now_s: i64,
    ) -> Result<Resolution<'s>, EvalError> {
        match self.flag(key) {
            Some(flag) => self.evaluate_flag(flag, context, now_s),
            None => Err(EvalError::new(
                ErrorCode::FlagNotFound,
                format!("no flag `{key}` in this set; check the key and the environment"),
            )),
        }
    }

    /// Evaluates a flag of this set that was looked up before.
    pub fn evaluate_flag<'s>(
        &'s self,
        flag: &'s Flag,
        context: &Context<'_>,
        _now_s: i64,
    ) -> Result<Resolution<'s>, EvalError> {
        if self.requires_targeting_key && context.targeting_key().is_none() {
            let details = "this set needs `targetingKey` in every context; send one";
            return Err(EvalError::new(ErrorCode::TargetingKeyMissing, details));
        }
        Ok(flag.default_resolution(Reason::Static))
    }
}

/// One flag of a set.
#[derive(Debug, Clone)]
pub struct Flag {
    pub(crate) key: Box<str>,
    pub(crate) enabled: bool,
    pub(crate) kind: Option<FlagType>,
    /// In the document's order of names.
    pub(crate) variants: Box<[(Box<str>, FlagValue)]>,
    pub(crate) default_variant: Option<usize>,
    pub(crate) metadata: Metadata,
    pub(crate) reads_time: bool,
}

impl Flag {
    /// Its key, unique in the set.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Whether its state is `ENABLED`.
    pub fn enabled(&self) -> bool {
        self.enabled
    }

    /// The type of its variants; `None` if it has none.
    pub fn kind(&self) -> Option<FlagType> {
        self.kind
    }

    /// Names and values of its variants, ordered by name.
    pub fn variants(&self) -> impl Iterator<Item = (&str, &FlagValue)> {
        self.variants.iter().map(|(name, value)| (name.as_ref(), value))
    }

    /// The value of a variant.
    pub fn variant(&self, name: &str) -> Option<&FlagValue> {
        self.variants().find(|(other, _)| *other == name).map(|(_, value)| value)
    }

    /// The variant that holds where no rule says otherwise; `None` means the code's default.
    pub fn default_variant(&self) -> Option<(&str, &FlagValue)> {
        let (name, value) = &self.variants[self.default_variant?];
        Some((name, value))
    }

    /// The set's metadata, overlaid with the flag's.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Whether the answer may change with time alone.
    pub fn reads_time(&self) -> bool {
        self.reads_time
    }

    pub(crate) fn default_resolution(&self, reason: Reason) -> Resolution<'_> {
        match self.default_variant {
            Some(place) => self.resolution(place, reason),
            None => self.without_value(Reason::Default),
        }
    }

    pub(crate) fn resolution(&self, place: usize, reason: Reason) -> Resolution<'_> {
        let (name, value) = &self.variants[place];
        Resolution {
            value: Some(value),
            variant: Some(name),
            reason,
            metadata: &self.metadata,
            arm: None,
        }
    }

    pub(crate) fn without_value(&self, reason: Reason) -> Resolution<'_> {
        Resolution { value: None, variant: None, reason, metadata: &self.metadata, arm: None }
    }
}
