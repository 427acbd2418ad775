//! Feature flags: the model that people write, what it compiles to, and how it is evaluated.
//!
//! Two halves. The **authoring** half is [`SetDefinition`] and what is made of it: checks, flagd
//! documents, Unleash features, imports. The **evaluation** half reads any flagd document and
//! answers for one user. They meet in the flagd document and in the [`operator`]s of Serin's own.
//!
//! # Invariants
//! - Knows no clock, socket or file; time is a parameter.
//! - A document is taken whole or refused whole, with every problem named.
//! - Only ordered collections, so that the same definitions give the same bytes.
//! - A [`FlagSet`] never changes; a new document makes a new one. Evaluation takes no lock, and the
//!   same document, context and second give the same answer on every machine.
//! - No document and no context makes the reader or the evaluator panic, recurse without bound or
//!   run longer than its size allows.

mod check;
mod compile;
mod context;
mod entries;
mod explain;
pub mod export;
mod hash;
pub mod import;
mod key;
pub mod lifecycle;
pub mod matrix;
mod model;
mod names;
pub mod operator;
mod outcome;
mod problem;
mod read;
mod rule;
mod serve;
mod set;
mod strategy;
mod timestamp;
mod trace;
pub mod unleash;
mod value;

pub use check::{validate, validate_flag};
pub use compile::{Compiled, Form, LeftOut, Portable, compile, compile_flag, not_portable};
pub use context::{Context, ContextError, ContextLimits, Datum};
pub use explain::{Bucket, Explanation, explain};
pub use key::{FlagKey, KeyError};
pub use model::{
    Anonymous, Approval, Attribute, Bucketing, Clause, CodeVersion, Definition, Goal, Judged,
    Killed, Kind, Method, Operator, PathTest, Prerequisite, Release, Rule, Segment, Serve,
    SetDefinition, Share, Shared, State, Target, Variant, Variants, WHOLE,
};
pub use outcome::{Arm, ErrorCode, EvalError, Reason, Resolution};
pub use problem::Problem;
pub use rule::Draw;
pub use serve::problems_of_change;
pub use set::{Flag, FlagSet, Limits};
pub use timestamp::Timestamp;
pub use trace::TraceStep;
pub use value::{FlagType, FlagValue, Metadata, Scalar};
