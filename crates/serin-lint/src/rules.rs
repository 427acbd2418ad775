//! The rules by their names, and what each weighs.

use crate::Severity::{self, Block, Info, Warn};
use serin_migrate::Phase;

/// Rules of our own, which no parser alone can know.
pub(crate) const OWN: &[(&str, Severity)] = &[
    ("syntax", Block),
    ("unbatched-write", Block),
    ("loop-without-commit", Block),
    ("commit-in-block", Block),
    ("destructive-in-expand", Block),
    ("contract-without-check", Block),
    ("trivial-check", Warn),
    ("contract-waits", Info),
    ("view-incompatible", Warn),
    ("row-level-security", Block),
    ("missing-index-on-foreign-key", Warn),
    ("reads-generated-column", Block),
    ("reads-other-table", Warn),
    ("allow-without-reason", Block),
    ("unknown-rule", Warn),
    ("unused-allow", Info),
    ("foreign-ignore", Warn),
    ("lock-not-declared", Block),
    ("writes-not-declared", Block),
    ("longer-than-declared", Warn),
    ("not-repeatable", Block),
    ("no-way-back", Info),
    ("fails-on-copy", Block),
    ("long-lock", Warn),
    ("rewrite-under-lock", Block),
    ("scan-under-lock", Warn),
];

/// Rules of squawk that block: they lock for long, lose data, or cannot work in our transactions.
const BLOCKING: &[&str] = &[
    "require-concurrent-index-creation",
    "constraint-missing-not-valid",
    "adding-foreign-key-constraint",
    "adding-field-with-default",
    "adding-not-nullable-field",
    "adding-required-field",
    "adding-serial-primary-key-field",
    "changing-column-type",
    "disallowed-unique-constraint",
    "ban-drop-database",
    "ban-truncate-cascade",
    "ban-concurrent-index-creation-in-transaction",
    "ban-create-domain-with-constraint",
    "ban-alter-domain-with-add-constraint",
    "ban-duplicate-column-assignments",
    "ban-uncommitted-transaction",
    "identifier-too-long",
    "require-concurrent-partition-detach",
    "require-concurrent-reindex",
    "transaction-nesting",
];

/// Rules of squawk that are matters of style, or that say what Serin does by itself: its
/// connections have a lock timeout from 50 ms, and a statement timeout where one is due.
const SILENT: &[&str] = &[
    "prefer-bigint-over-int",
    "prefer-bigint-over-smallint",
    "prefer-identity",
    "prefer-repack",
    "prefer-robust-stmts",
    "prefer-text-field",
    "prefer-timestamp-tz",
    "ban-char-field",
    "require-enum-value-ordering",
    "require-lock-timeout",
    "require-statement-timeout",
    "require-table-schema",
    "require-timeout-settings",
    "unused-ignore",
];

/// Rules of squawk about what clients of the old shape lose: what a contract is there for.
const DESTRUCTIVE: &[&str] = &[
    "ban-drop-column",
    "ban-drop-constraint",
    "ban-drop-default",
    "ban-drop-domain",
    "ban-drop-extension",
    "ban-drop-function",
    "ban-drop-generated-expression",
    "ban-drop-not-null",
    "ban-drop-schema",
    "ban-drop-sequence",
    "ban-drop-table",
    "ban-drop-trigger",
    "ban-drop-type",
    "ban-drop-view",
    "ban-set-schema",
    "renaming-column",
    "renaming-object",
    "renaming-table",
];

/// What a rule of squawk weighs in a phase; `None` when it is not told.
pub(crate) fn weight_of(rule: &str, phase: Option<Phase>) -> Option<Severity> {
    match rule {
        _ if SILENT.contains(&rule) => None,
        _ if BLOCKING.contains(&rule) => Some(Block),
        _ if DESTRUCTIVE.contains(&rule) && phase == Some(Phase::Contract) => Some(Info),
        _ => Some(Warn),
    }
}

/// What a rule of our own weighs.
pub(crate) fn own_weight(rule: &str) -> Severity {
    OWN.iter().find(|(name, _)| *name == rule).map_or(Warn, |(_, weight)| *weight)
}
