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

mod key;
mod model;
pub mod operator;
mod problem;
mod timestamp;
mod value;

pub use key::{FlagKey, KeyError};
pub use model::{
    Anonymous, Attribute, Bucketing, Clause, CodeVersion, Definition, Killed, Kind, Method,
    Operator, Prerequisite, Release, Rule, Segment, Serve, SetDefinition, Share, State, Target,
    Variant, Variants, WHOLE,
};
pub use problem::Problem;
pub use timestamp::Timestamp;
pub use value::{FlagType, FlagValue, Metadata, Scalar};
