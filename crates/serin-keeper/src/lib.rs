//! The keeper: parent of the control plane, the data plane and every app instance.
//!
//! A single thread in one poll loop, without async runtime, SQL or YAML. It starts processes
//! through a small trampoline, waits for them, journals how they ended, pumps and rotates their
//! logs, stops whole process groups, and holds the listening sockets so that connections queue
//! while a data plane is replaced. What it must remember for its own restart is in
//! `<data>/keeper.json` and `<data>/keeper.journal`.
//!
//! # Invariants
//! - Whatever happens to the keeper or to an asker, no app is stopped by it: children are in
//!   sessions of their own, and their log FIFOs have a reader end in their own hands.
//! - A process runs its command only after the keeper's state file names it (a full disk aside):
//!   a keeper that dies at any moment leaves no app it will not find again.
//! - A pid is signalled only while it is certain to be the process meant: an unreaped child, a
//!   pidfd, or a group whose leader's pid was verified against its start time.
//! - An instance id is started at most once; a repeated order answers with the same pid.
//! - `exited` is journaled after everything the process wrote is in its log file.
//! - Environments live in memory until they are handed over and are never written or logged.
//! - No descriptor the keeper opens is inherited by a child: everything is close-on-exec. (What its
//!   own parent gave it open and inheritable is passed on; closing that would need `unsafe`.)
//! - Nothing a disk, an app or an asker does blocks the loop for long: reads are bounded per
//!   turn, and a log or journal that cannot be written is counted and reported, not waited for.
//! - A state file that cannot be read stops the start: nothing is ever started a second time because
//!   the keeper has forgotten the first.
//! - From the beginning of a shutdown the keeper holds no listener: what nobody will serve is refused.
//! - With nothing to do, the loop sleeps without a timer.

pub mod client;
pub mod log;
pub mod protocol;

mod accounts;
mod error;
mod fdpass;
mod journal;
mod keeper;
mod launch;
mod listeners;
mod outbox;
mod paths;
mod procfs;
mod pump;
mod report;
mod signals;
mod state;
mod trampoline;

pub use error::Error;
pub use keeper::{Options, run};
pub use trampoline::exec_main;
