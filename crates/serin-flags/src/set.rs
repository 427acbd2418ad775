//! A set of flags, ready to be evaluated.

use crate::{
    Bucketing, Context, ErrorCode, EvalError, FlagKey, FlagType, FlagValue, Metadata, Problem,
    Reason, Resolution,
    names::{Table, name_hash, same_text},
    outcome::Arm,
    read,
    rule::{Frame, Made, Program, Silent, TooMuch, Tracer, Val, run},
    trace::{Steps, TraceStep},
};
use std::{collections::BTreeSet, sync::Arc};

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
    pub(crate) flags: Box<[Arc<Flag>]>,
    pub(crate) table: Arc<Table>,
    /// Nodes of all rules.
    pub(crate) nodes: usize,
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

    pub(crate) fn new(flags: Vec<Flag>, metadata: Metadata, bucketing: Bucketing) -> Self {
        let empty = Self { metadata, bucketing, ..Self::default() };
        empty.holding(flags.into_iter().map(Arc::new).collect())
    }

    /// The same frame with these flags.
    fn holding(&self, mut flags: Vec<Arc<Flag>>) -> Self {
        flags.sort_by(|a, b| a.key.cmp(&b.key));
        let table = Arc::new(Table::new(flags.iter().map(|flag| name_hash(&flag.key))));
        let nodes = flags.iter().map(|flag| flag.nodes()).sum();
        let metadata = self.metadata.clone();
        Self { flags: flags.into(), table, nodes, metadata, ..*self }
    }

    /// The same set with flags made anew. Of `changed`, those that were not made are gone.
    pub(crate) fn with(&self, changed: &BTreeSet<FlagKey>, made: Vec<Flag>) -> Self {
        let same_place =
            changed.len() == made.len() && made.iter().all(|flag| self.place(&flag.key).is_some());
        if !same_place {
            let rest = self.flags.iter().filter(|flag| !changed.contains(flag.key()));
            return self.holding(rest.cloned().chain(made.into_iter().map(Arc::new)).collect());
        }
        let mut next = self.clone();
        for flag in made {
            if let Some(place) = self.place(&flag.key) {
                next.nodes = next.nodes + flag.nodes() - self.flags[place].nodes();
                next.flags[place] = Arc::new(flag);
            }
        }
        next
    }

    /// The same set, if it is not too large.
    pub(crate) fn within(self, limits: &Limits) -> Result<Self, Vec<Problem>> {
        if self.nodes <= limits.nodes {
            return Ok(self);
        }
        let problem = Problem::new("flags", format!("{} values in all rules", self.nodes));
        Err(vec![problem.allowed(format!("at most {}", limits.nodes))])
    }

    /// The same set, with or without the demand that every context names a user.
    #[must_use]
    pub fn requiring_targeting_key(mut self, required: bool) -> Self {
        self.requires_targeting_key = required;
        self
    }

    /// All flags, ordered by key.
    pub fn flags(&self) -> &[Arc<Flag>] {
        &self.flags
    }

    /// A flag by its key.
    pub fn flag(&self, key: &str) -> Option<&Flag> {
        Some(&self.flags[self.place(key)?])
    }

    /// The place of a flag among [`Self::flags`].
    pub fn place(&self, key: &str) -> Option<usize> {
        self.table.find(name_hash(key), |place| same_text(&self.flags[place].key, key))
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
            None => Err(not_found(key)),
        }
    }

    /// Evaluates a flag of this set that was looked up before.
    pub fn evaluate_flag<'s>(
        &'s self,
        flag: &'s Flag,
        context: &Context<'_>,
        now_s: i64,
    ) -> Result<Resolution<'s>, EvalError> {
        self.evaluate_with(flag, context, now_s, &mut Silent)
    }

    /// Evaluates one flag and says how the answer came about. For people: it allocates.
    pub fn evaluate_traced<'s>(
        &'s self,
        key: &str,
        context: &Context<'_>,
        now_s: i64,
    ) -> (Result<Resolution<'s>, EvalError>, Vec<TraceStep>) {
        let mut steps = Steps::default();
        let answer = match self.flag(key) {
            Some(flag) => self.evaluate_with(flag, context, now_s, &mut steps),
            None => Err(not_found(key)),
        };
        (answer, steps.0)
    }

    fn evaluate_with<'s>(
        &'s self,
        flag: &'s Flag,
        context: &Context<'_>,
        now_s: i64,
        tracer: &mut impl Tracer,
    ) -> Result<Resolution<'s>, EvalError> {
        if self.requires_targeting_key && context.targeting_key().is_none() {
            let details = "this set needs `targetingKey` in every context; send one";
            return Err(EvalError::new(ErrorCode::TargetingKeyMissing, details));
        }
        match &flag.rule {
            Rule::Broken(why) if flag.enabled => Err(EvalError::new(ErrorCode::ParseError, &**why)),
            Rule::Program(program) if flag.enabled => {
                let frame = Frame { context, flag_key: &flag.key, now_s };
                flag.run(program, &frame, tracer)
            }
            _ => Ok(flag.without_rule()),
        }
    }
}

#[cold]
fn not_found(key: &str) -> EvalError {
    let shown: String = key.chars().take(80).collect();
    let details = format!("no flag `{shown}` in this set; check the key and the environment");
    EvalError::new(ErrorCode::FlagNotFound, details)
}

/// What decides about a flag.
#[derive(Debug, Clone)]
pub(crate) enum Rule {
    /// Nothing: the default variant holds.
    None,
    /// Something that cannot be run, and why.
    Broken(Box<str>),
    /// A compiled rule.
    Program(Box<Program>),
}

/// One flag of a set.
#[derive(Debug, Clone)]
pub struct Flag {
    pub(crate) key: Box<str>,
    /// A hash of all that it was made of.
    pub(crate) print: u64,
    pub(crate) enabled: bool,
    pub(crate) kind: Option<FlagType>,
    /// In the document's order of names.
    pub(crate) variants: Box<[(Box<str>, FlagValue)]>,
    pub(crate) default_variant: Option<usize>,
    pub(crate) metadata: Metadata,
    pub(crate) rule: Rule,
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

    /// The only answer it can give, where no user and no time changes it.
    pub fn fixed(&self) -> Option<Resolution<'_>> {
        let decides = matches!(self.rule, Rule::None) || !self.enabled;
        decides.then(|| self.without_rule())
    }

    fn without_rule(&self) -> Resolution<'_> {
        if self.enabled {
            self.default_resolution(Reason::Static)
        } else {
            self.without_value(Reason::Disabled)
        }
    }

    /// Tells it from what it was before: another number, another flag. Two that are alike have the
    /// same in one process.
    pub fn print(&self) -> u64 {
        self.print
    }

    fn nodes(&self) -> usize {
        match &self.rule {
            Rule::Program(program) => program.nodes,
            Rule::None | Rule::Broken(_) => 0,
        }
    }

    /// Whether the answer may change with time alone.
    pub fn reads_time(&self) -> bool {
        matches!(&self.rule, Rule::Program(program) if program.reads_time)
    }

    /// Why its rule can never be run; every evaluation answers with PARSE_ERROR.
    pub fn broken(&self) -> Option<&str> {
        match &self.rule {
            Rule::Broken(why) => Some(why),
            Rule::None | Rule::Program(_) => None,
        }
    }

    fn run<'s>(
        &'s self,
        program: &'s Program,
        frame: &Frame<'_>,
        tracer: &mut impl Tracer,
    ) -> Result<Resolution<'s>, EvalError> {
        let mut made = Made::default();
        let (value, arm) =
            run(program, frame, &mut made, tracer).map_err(|TooMuch| self.too_much())?;
        match value {
            Val::Null => Ok(self.default_resolution(Reason::Default)),
            _ => self.chosen(value, arm, &made),
        }
    }

    #[cold]
    fn too_much(&self) -> EvalError {
        let details = format!("the rule of `{}` looks at too much; simplify it", self.key);
        EvalError::new(ErrorCode::ParseError, details)
    }

    /// A rule names a variant by its text; what is no text is written as one.
    fn chosen<'v>(
        &self,
        value: Val<'v>,
        arm: Option<Arm>,
        made: &Made<'v>,
    ) -> Result<Resolution<'_>, EvalError> {
        let name = made.written(value).map_err(|TooMuch| self.too_much())?;
        let place = self.variants.iter().position(|(variant, _)| same_text(variant, &name));
        let Some(place) = place else { return Err(self.no_variant(&name)) };
        Ok(Resolution { arm, ..self.resolution(place, Reason::TargetingMatch) })
    }

    #[cold]
    fn no_variant(&self, name: &str) -> EvalError {
        let shown: String = name.chars().take(80).collect();
        let details = format!("the rule of `{}` gave `{shown}`, which is no variant", self.key);
        EvalError::new(ErrorCode::General, details)
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
