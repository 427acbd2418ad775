//! What a migration of Postgres would lock, rewrite or break, before it runs.
//!
//! Two ways, because each sees what the other cannot. Rules read the SQL ([`lint`]): those of
//! squawk that are no matter of style, and our own. A trace runs the statements
//! on a copy of the schema ([`trace`]) and reads from the server which locks they took, which
//! tables they rewrote and which they read; with the sizes of the real tables that
//! gives a time.
//!
//! # Invariants
//! - The real database is only read, unless its owner asks for a trace there; that one is rolled
//!   back, and waits for no lock longer than 50 ms.
//! - What is allowed by a comment has a reason, and the reason is in the report.
//! - Only `parse` names the parser.
//! - A password reaches `pg_dump` through its environment, and no message.

mod allow;
mod copy;
mod declared;
mod facts;
mod finding;
mod inspect;
mod lint;
mod locate;
mod lock;
mod operations;
mod own;
mod parse;
mod rules;
mod session;
mod shot;
mod sizes;
mod speed;
mod trace;
mod weigh;

pub use copy::{Copy, CopyError};
pub use declared::against_declared;
pub use finding::{Finding, Place, Severity};
pub use inspect::{Inspection, inspect};
pub use lint::{Setting, lint};
pub use lock::{Lock, LockMode};
pub use operations::{clear, lint_migration, lint_phased, lint_plan};
pub use sizes::{Sizes, TableSize};
pub use speed::Speed;
pub use trace::{Rehearsal, Trace, Traced, Where, rehearse, trace};
pub use weigh::{Weighed, weigh};
