//! Schema migrations of Postgres that move with a rollout: expand, backfill, contract.
//!
//! A [`Migration`] is read from a document in pgroll's format (`read`), with one block of our own
//! that can be taken out again.
//!
//! # Invariants
//! - A file is taken whole or not at all, and everything wrong with it is told at once.
//! - No key is ignored: what nobody reads is an error.
//! - Names of the database reach SQL only through [`Ident`], values only as quoted literals.
//! - Knows no YAML: documents come as trees of values.

pub mod catalog;
mod emit;
mod flaw;
mod ident;
mod model;
mod ops;
mod phased;
pub mod plan;
mod probe;
mod read;
mod run;
mod shape;
pub mod trigger;

pub use catalog::{Catalog, CatalogError};
pub use flaw::{Flaw, Flaws};
pub(crate) use ident::search_path;
pub use ident::{Ident, IdentError, literal};
pub use model::{
    AlterColumn, BackfillSettings, Change, Check, Checks, Column, Constraint, ConstraintKind,
    ContractSettings, CreateConstraint, CreateIndex, Deferral, EnumPlace, ExcludeRule, Extra,
    ForeignKey, Generated, Grant, Identity, IndexColumn, IndexMethod, IndexParameters, LossyDown,
    Migration, MoveColumn, Operation, RawSql, ReplicaIdentity, Settings, TableForeignKey,
};
pub use phased::{
    Annotated, Batch, Phase, PhasedMigration, PhasedSet, annotated, check_in_transaction, is_check,
    phased, phased_plan, split, words,
};
pub use plan::{Action, Derive, Fill, Input, Key, Plan, PlanError, Stage, Step, TableSync};
pub use read::migration;
pub use run::{
    ADOPTED, Adopted, Alone, Aside, Database, Deed, Drift, Error, Health, Hidden, Limits, Past,
    Patience, Progress, Promotion, Runner, Say, Signals, State, Status, StepStatus, Throttle,
    Verdict, Wish, World, adopt_pgroll, current_view, note_open, prepare, unpause,
};
