//! Serin's domain: services, revisions, rollouts, plans, and the engine that decides.
//!
//! The engine is one pure function, [`step`]: a service, a fact and the time go in; the next
//! service, the orders for the platform and the sentences for people come out. Everything else in
//! the product exists to feed it facts and to carry out its orders.
//!
//! # Invariants
//! - Knows no clock, socket, file, YAML or SQL; time is a parameter.
//! - The plan is a function of the state: the same state always wants the same world.
//! - Facts may arrive twice, late or out of order; absorbing them again changes nothing.
//! - Only ordered collections, so that a replay of the log gives the same bytes.
//! - A plan that fails [`lint`] is never handed out, except one that only moves traffic to stable.

mod affinity;
mod beside;
mod clients;
mod counted;
mod engine;
mod event;
mod explain;
mod fact;
mod flag;
mod id;
mod lifecycle;
mod lint;
mod migration;
mod notify;
mod observation;
mod outlook;
mod places;
mod plan;
mod record;
mod rollout;
mod rules;
mod service;
mod shared;
mod skips;
mod spec;
mod step;
mod switched;
mod time;

pub use affinity::{AffinityKey, AffinitySpec};
pub use beside::{Beside, Contest, TestRun, Trial, VariantRun};
pub use clients::{
    ClientRange, ClientRangeError, ClientSpan, ClientVersion, Clients, client_version,
    clients_left_out,
};
pub use counted::{Counted, CountedAt, Planned};
pub use engine::{
    HookOrder, Transition, flags_wanted, hooks_wanted, migrations_wanted, shapes_watched, step,
};
pub use event::{
    Actor, Ask, DeployAsk, Event, HookKey, PlacesLeft, Refusal, RefusalCode, WentBack,
};
pub use explain::{WaitingOn, waiting_on};
pub use fact::{Entry, Fact, Severity};
pub use flag::{CarriedFlags, Exposure, FlagEvidence, FlagSource, FlagSpec};
pub use id::{Digest, Generation, IdError, RevisionId, ServiceName, Version, Weight};
pub use lifecycle::{
    Boarded, Departure, Hold, Kept, KeptFor, Leftover, LeftoverKind, Queued, Recovery, Timetable,
    Train, WayBack, leftovers, rollback_class, way_back_before,
};
pub use lint::{Note, lint, moves_only_to_stable};
pub use migration::{
    BARE, ContractSay, DatabaseSpec, Doubt, Inject, MigrateStep, MigrationFile, MigrationGoal,
    MigrationNews, MigrationOrder, MigrationPhase, MigrationProgress, MigrationTold, OpenMigration,
    Schemas, application_prefix, bare_shape,
};
pub use notify::{Notice, NotifyKind, NotifyTarget, Occasion};
pub use observation::{
    ArmCounts, CountKey, Counts, ExitCause, Observation, REPORTED_GENERATIONS, RevisionObservation,
    StartFailure,
};
pub use outlook::{Outlook, OutlookStep, describe, metric_value, outlook, verdict_sentence};
pub use places::{Downtime, FailedPlaces, Places};
pub use plan::{Affinity, FreshBaseline, Measure, Mirror, Plan, Preview, RevisionPlan, Role, Rule};
pub use record::{Given, RecordedTick, judge_again};
pub use rollout::{
    Aim, Cause, CheckRun, Outcome, PauseReason, Phase, Rollout, RolloutKind, RolloutRecord,
    StepState,
};
pub use rules::{
    Amount, Capacity, Colour, DataFormats, OnFailure, OnInstanceFailure, OnNewRevision,
    RollbackClass, RollbackSpec, VerifySpec,
};
pub use service::{Inherited, Marked, Revision, RevisionStanding, Service};
pub use shared::Shared;
pub use skips::Skips;
pub use spec::{
    Analysis, Baseline, EnvValue, Limits, LogLimits, MetricsSpec, OnInconclusive, Probe, ProbeKind,
    RunSpec, Schedule, ServiceSpec, Stage, TrafficSpec,
};
pub use step::{
    Analyse, Approval, Bake, Experiment, Expose, Goal, HeaderMatch, HeaderRoute, Hook, HookKind,
    MirrorRoute, NoWinner, RequestMatch, Scale, Step, TextMatch, Variant, VariantOf, WinnerRule,
};
pub use switched::{FlagChange, FlagEnd, FlagOrder, FlagStep, FlagWork, Switched};
pub use time::{Millis, Timestamp};
