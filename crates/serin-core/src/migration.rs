//! Migrations of a service's database that go along with its rollouts.
//!
//! While a migration is open both shapes of the tables are in use: each revision sees its own
//! through a schema of views. What is remembered here is which shapes there are and what is owed;
//! everything else is in the database.

use crate::{Actor, EnvValue, Millis, RevisionId, ServiceName, Shared, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;

/// The database of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseSpec {
    /// Where it is: read when it is needed, never stored.
    pub url: EnvValue,
    /// The schema whose tables the service uses.
    pub schema: String,
    /// Variables in which instances are told how to connect.
    #[serde(default)]
    pub inject: Inject,
    /// Hash of the migrations that the revision brings, so that other migrations are another
    /// revision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub migration: Option<String>,
    /// The shape that instances use, as the engine says: the schema of its views, or what
    /// [`bare_shape`] gives; `None` for the tables as they are. No part of what makes a revision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub view: Option<String>,
}

/// What the names of shapes without views begin with. No schema of views does: those begin with
/// the name of a schema, which may not.
pub const BARE: char = '=';

/// The name of a shape that has no views of its own: what phased SQL brings. Its clients use the
/// tables themselves.
pub fn bare_shape(migration: &str) -> String {
    format!("{BARE}{migration}")
}

impl DatabaseSpec {
    /// The schema of views that instances use; `None` for the tables themselves.
    pub fn views(&self) -> Option<&str> {
        self.view.as_deref().filter(|view| !view.starts_with(BARE))
    }
}

/// Names of the variables that an instance gets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inject {
    /// Options of the connection: the path in which tables are looked up.
    pub options: String,
    /// The name under which its connections are seen.
    pub application: String,
    /// The schema of its revision.
    pub schema: String,
    /// The address of the database; not given unless named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

impl Default for Inject {
    fn default() -> Self {
        Self {
            options: "PGOPTIONS".into(),
            application: "PGAPPNAME".into(),
            schema: "SERIN_DB_SCHEMA".into(),
            url: None,
        }
    }
}

/// Brings the schema of the candidate before any instance of it starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MigrateStep {
    /// The file or folder, absolute.
    pub path: String,
    /// What was in it when it was deployed, in the order of their names. Only the last may be new
    /// to a database that is in use.
    #[serde(default)]
    pub files: Shared<Vec<MigrationFile>>,
}

/// One migration, as it was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MigrationFile {
    /// Its name in the history: that of the file without its ending, or of a set of phased SQL.
    pub name: String,
    /// Its text.
    pub text: String,
    /// The text is SQL with comments; YAML or JSON otherwise.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sql: bool,
}

impl MigrateStep {
    /// What it brings, for people.
    pub fn name(&self) -> &str {
        let file = self.path.rsplit('/').next().unwrap_or(&self.path);
        let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
        self.files.last().map_or(stem, |last| &last.name)
    }
}

/// Which shapes of its tables a service's database has.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schemas {
    /// The views of the shape that is there without any migration under way; `None` for the tables
    /// themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled: Option<String>,
    /// Shapes that are as good: of revisions that ran already when somebody else had brought the
    /// settled one.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub beside: BTreeSet<Option<String>>,
    /// The migration that brought it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled_by: Option<String>,
    /// When that was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled_at: Option<Timestamp>,
    /// The migration under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open: Option<OpenMigration>,
}

/// A migration between its start and its contract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenMigration {
    /// The rollout that began it.
    pub rollout: u64,
    /// The revision that needs it.
    pub revision: RevisionId,
    /// Its name.
    pub name: String,
    /// Where it is done.
    pub database: DatabaseSpec,
    /// The views of the new shape, once they are there.
    pub view: Option<String>,
    /// Where it is to go, or rests.
    pub phase: MigrationPhase,
    /// Since when.
    pub since: Timestamp,
    /// How far it is on its way.
    pub progress: Option<MigrationProgress>,
    /// What is in the way, in one sentence.
    pub stopped: Option<String>,
    /// Time after promotion in which the way back stays open.
    pub after: Millis,
    /// The old shape goes only when a person says so.
    pub by_hand: bool,
    /// When a contract that was refused is tried again by itself.
    pub retry_at: Option<Timestamp>,
    /// Why it is in doubt that both shapes say the same, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doubt: Option<Doubt>,
}

/// Why it is in doubt that both shapes say the same. Looked at in samples, for as long as both are
/// in use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Doubt {
    /// They do not, and how.
    Apart {
        /// In one sentence.
        what: String,
    },
    /// They cannot be looked at.
    Unseen {
        /// What is so, in one sentence.
        why: String,
    },
}

/// Where an open migration is to go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum MigrationPhase {
    /// To both shapes.
    Forward,
    /// Both are in use and the new revision is on trial.
    Dual,
    /// Both are in use and the new revision has been promoted.
    Promoted {
        /// When.
        at: Timestamp,
    },
    /// To the new shape alone.
    Contracting {
        /// What was said along with it.
        say: ContractSay,
        /// When the new revision was promoted.
        promoted: Timestamp,
    },
    /// A contract that is to stop, for a way back. Whether that is in time, the database tells.
    Halting {
        /// What was said along with it: it may have to go on.
        say: ContractSay,
        /// When the new revision was promoted.
        promoted: Timestamp,
    },
    /// To the old shape, as soon as nothing uses the new one.
    Back,
}

/// What a person says along with a contract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContractSay {
    /// Who asks for it.
    pub by: Actor,
    /// Why it goes on against what speaks against it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub override_reason: Option<String>,
    /// The backup there is, or why none is needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup: Option<String>,
}

/// How far a migration is on its way.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MigrationProgress {
    /// `expanding`, `backfilling`, `verifying`, `contracting`, `reverting`.
    pub state: String,
    /// What is being done.
    pub step: String,
    /// Rows gone through and rows there are, while rows are filled in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<(u64, u64)>,
    /// Rows a second, lately.
    #[serde(default)]
    pub rate: u64,
    /// Time left at this rate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left: Option<Millis>,
    /// What it waits for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<String>,
}

/// What is owed of a service's database now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MigrationOrder {
    /// Whose.
    pub service: ServiceName,
    /// The rollout that began it.
    pub rollout: u64,
    /// The revision that needs it.
    pub revision: RevisionId,
    /// Where it is done.
    pub database: DatabaseSpec,
    /// What has to be reached.
    pub goal: MigrationGoal,
}

/// What has to be reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum MigrationGoal {
    /// Both shapes are in use.
    Ready {
        /// All migrations up to the one that is wanted.
        files: Shared<Vec<MigrationFile>>,
        /// Nobody uses the database yet: several may be new.
        first: bool,
        /// The views that instances of the old revision use; `None` for the tables themselves.
        old: Option<String>,
    },
    /// Only the old shape is left.
    Back {
        /// The migration.
        name: String,
    },
    /// Only the new shape is left.
    Contract {
        /// The migration.
        name: String,
        /// What was said along with it.
        say: ContractSay,
    },
    /// The contract under way is stopped, if nothing of it is final.
    Halt {
        /// The migration.
        name: String,
    },
    /// It is known whether both shapes say the same, for as long as both are in use.
    Watch {
        /// The migration.
        name: String,
    },
}

/// What became of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum MigrationNews {
    /// It is on its way.
    Progress(MigrationProgress),
    /// It does not go on now, and is tried again.
    Stopped {
        /// What is so, and what to do.
        why: String,
    },
    /// It will not be done.
    Refused {
        /// What is so, and what to do.
        why: String,
    },
    /// Both shapes are in use.
    Ready {
        /// The migration.
        name: String,
        /// The views of the new shape.
        view: String,
        /// Time after promotion in which the way back stays open.
        after: Millis,
        /// The old shape goes only when a person says so.
        by_hand: bool,
    },
    /// It was there already: only the new shape is.
    Applied {
        /// The migration.
        name: String,
        /// Its views.
        view: String,
    },
    /// Only the old shape is left.
    Back,
    /// Only the new shape is left.
    Contracted,
    /// The contract was stopped: both shapes are whole.
    Halted,
    /// Both shapes were compared, or could not be.
    Compared {
        /// What was found against them; `None` for nothing.
        doubt: Option<Doubt>,
    },
}

/// What is told of a migration.
#[allow(missing_docs)] // the variants' own lines say what their fields are
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum MigrationTold {
    /// It begins.
    Begun { revision: RevisionId },
    /// Both shapes are in use, after so long.
    Ready { after: Millis },
    /// It was in the database already.
    Applied,
    /// It does not go on.
    Stopped { why: String },
    /// Its revision has all traffic; the way back stays open.
    Open { after: Millis, by_hand: bool },
    /// It goes back once nothing uses the new shape.
    GoesBack,
    /// Only the old shape is left.
    Back,
    /// The old shape is to go; `against` is why, where something speaks against it.
    Contract { by: Actor, against: Option<String> },
    /// The contract was refused.
    Refused { why: String },
    /// Only the new shape is left.
    Contracted,
    /// The contract is to stop, for a way back to `to`.
    Halts { by: Actor, to: RevisionId },
    /// It was stopped: both shapes are in use.
    Halted,
    /// It could not be stopped any more.
    TooLate { why: String },
    /// The service is gone and the database keeps both shapes.
    Left,
    /// It is in doubt that both shapes say the same.
    Doubted { doubt: Doubt },
    /// It is not any more.
    Together,
}

impl Schemas {
    /// Whether nothing is known of any migration.
    pub fn is_plain(&self) -> bool {
        *self == Self::default()
    }
}

impl OpenMigration {
    /// When the time for an easy way back is over; `None` before promotion.
    pub fn window_ends(&self) -> Option<Timestamp> {
        match self.phase {
            MigrationPhase::Promoted { at } => Some(at.plus(self.after)),
            _ => None,
        }
    }
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Apart { what } => f.write_str(what),
            Self::Unseen { why } => write!(f, "the two shapes cannot be compared: {why}"),
        }
    }
}

impl fmt::Display for MigrationProgress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.step.is_empty() { &self.state } else { &self.step })?;
        if let Some((done, of)) = self.rows {
            let percent = done.min(of) * 100 / of.max(1);
            let (done, of) = (crate::outlook::thousands(done), crate::outlook::thousands(of));
            write!(f, ": {percent} % ({done} of {of} rows")?;
            if self.rate > 0 {
                write!(f, ", {}/s", crate::outlook::thousands(self.rate))?;
            }
            self.left.map_or(Ok(()), |left| write!(f, ", {left} left"))?;
            f.write_str(")")?;
        }
        self.waiting.as_ref().map_or(Ok(()), |why| write!(f, "; it waits: {why}"))
    }
}

/// Characters of a service's and of a version's name in an application's name, of which Postgres
/// keeps 63 bytes.
const NAMED: usize = 22;

/// How the names begin under which connections of a revision's instances are seen:
/// `shop/v2/3fa9-`.
pub fn application_prefix(service: &ServiceName, revision: &RevisionId) -> String {
    let short = |text: &str| text.chars().take(NAMED).collect::<String>();
    let digest: String = revision.digest.as_str().chars().take(4).collect();
    format!("{}/{}/{digest}-", short(service.as_str()), short(revision.version.as_str()))
}
