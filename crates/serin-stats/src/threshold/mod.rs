//! Threshold checks: a number held against limits at intervals, with failures counted.
//!
//! A check has no error rate of its own: a limit close to the usual value fails a clean version
//! sooner or later, and one far from it finds nothing. Where both arms count the same requests the
//! [`crate::Judge`] is the better tool; checks are for everything else (business figures, memory,
//! pools), for absolute promises, and for rules taken over from other tools. Where requests and
//! events are both known, [`Ceiling`] keeps a promise: see there.
//!
//! The caller keeps one [`CheckState`] for each [`Check`] of a rollout. Counts of the data plane go
//! in through [`observe`], readings of a provider through [`measure`]; both answer with a
//! [`CheckVerdict`]. [`overall`] combines those of several checks.
//!
//! ```
//! use serin_stats::threshold::{self, Check, CheckState, CheckVerdict, Failures, Range, Sample, Signal};
//!
//! let check = Check {
//!     success: Some(Range::at_most(0.8)),
//!     failures: Failures::Consecutive(2),
//!     ..Check::of("pool", Signal::value("of the connection pool"))
//! };
//! let mut state = CheckState::new(0);
//! let first = threshold::measure(&check, &mut state, 60_000, &Sample::value(0.7));
//! assert_eq!(first, CheckVerdict::Pass);
//! let second = threshold::measure(&check, &mut state, 120_000, &Sample::value(0.9));
//! assert!(matches!(second, CheckVerdict::Continue { .. }));
//! let third = threshold::measure(&check, &mut state, 180_000, &Sample::value(f64::NAN));
//! assert!(matches!(third, CheckVerdict::Continue { .. }));
//! let fourth = threshold::measure(&check, &mut state, 240_000, &Sample::value(0.9));
//! assert!(matches!(fourth, CheckVerdict::Fail { .. }));
//! ```
//!
//! # Counting
//!
//! | what | counts | ends in |
//! |---|---|---|
//! | outside `success`, or inside `failure` | a failure | `Fail` at `failures` |
//! | neither, when both are given | inconclusive | `Inconclusive` above `inconclusive_limit` |
//! | not a number, contradictory, unreadable | an error | `Error` above `error_limit` in a row |
//! | no reading, fewer than `min_samples` | nothing | `NoData` until there are enough |
//!
//! A success ends a row of failures; it never lowers a total. Errors and missing data change no
//! count of failures. `count` is reached by readings that were judged, not by errors or silence.

mod advise;
mod check;
mod preset;
mod range;
mod reading;
mod series;
mod state;
mod verdict;
mod window;

pub use advise::{Advice, MAX_METRICS, Topic, advise, unit_advice};
pub use check::{Ceiling, Check, CheckError, Failures, Population, Signal, total_from_argo};
pub use preset::{Preset, preset, presets};
pub use range::{Bound, Range};
pub use reading::{Sample, Traffic};
pub use series::{Increases, SeriesError, mb_per_minute, slope_per_second};
pub use state::{CheckState, Grade, Measurement, Tally, measure, observe};
pub use verdict::{CheckVerdict, overall};
