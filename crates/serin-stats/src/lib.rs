//! The mathematics of promotion and rollback: anytime-valid tests on request counts and latency
//! histograms, log-bucket histograms, and the planner that says how much traffic a decision needs.
//!
//! Everything here is pure: no clock, no randomness, no input or output. The entry point is
//! [`Judge`]: give it one [`Tick`] of counts at a time, ask it for an [`Assessment`] at any moment.
//!
//! ```
//! use serin_stats::{ArmTick, Judge, JudgeConfig, JudgeSettings, Metric, Outcome, Rung, Tick};
//!
//! let settings = JudgeSettings { metrics: vec![Metric::Errors.into()], ..JudgeSettings::default() };
//! let mut judge = Judge::new(JudgeConfig::new(settings)?);
//! let arm = |n, errors| ArmTick { n, errors, ..ArmTick::default() };
//! let tick = |errors| Tick { seconds: 1, baseline: arm(900, 0), canary: arm(100, errors), ..Tick::default() };
//! judge.observe(&tick(0));
//! assert_eq!(judge.assess(Rung { j: 1, m: 2 }).outcome, Outcome::Continue);
//! judge.observe(&tick(10));
//! assert_eq!(judge.assess(Rung { j: 1, m: 2 }).outcome, Outcome::Fail);
//! # Ok::<(), serin_stats::ConfigError>(())
//! ```
//!
//! # Invariants
//!
//! - **Looking costs nothing.** Every piece of evidence is an e-process: a non-negative process
//!   that starts at 1 and whose mean stays at or below 1 while its null hypothesis holds. By
//!   Ville's inequality the chance that it *ever* reaches `1/alpha` is at most `alpha`.
//! - **Same ticks, same bits.** Logarithms and exponentials come from `libm`, never from the
//!   platform; sums run in a fixed order. A [`Judge`] that is stored and loaded between two ticks
//!   continues with the same bits.
//! - **State is finite.** No state holds a NaN or an infinity, whatever counts were observed.
//! - **FAIL is latched and wins over PASS. No data is never a PASS.**
//! - **Thresholds are predictable.** A tick is judged with quantiles of earlier ticks only; it
//!   teaches the reference after it was judged.

pub mod alone;
pub mod assessment;
pub mod beta;
pub mod bucket;
pub mod config;
pub mod counts;
pub mod dispersion;
pub mod eprocess;
pub mod errors;
pub mod evidence;
pub mod expose;
pub mod grid;
pub mod guards;
pub mod hist;
pub mod judge;
pub mod kayenta;
pub mod latency;
pub mod means;
pub mod metric;
pub mod multinomial;
pub mod normal;
pub mod onset;
pub mod planner;
pub mod quadrature;
pub mod quantiles;
pub mod shifted;
pub mod threshold;
pub mod tick;
pub mod window;
pub mod winner;

pub use assessment::{Assessment, LatencySummary, MetricAssessment, Outcome, Rung};
pub use bucket::{BUCKETS, MAX_BUCKET, bucket_lower_us, bucket_of_us, bucket_upper_us};
pub use config::{ConfigError, JudgeConfig, JudgeSettings};
pub use guards::{Guard, Invalid};
pub use hist::Histogram;
pub use judge::{Failure, Judge};
pub use metric::{Kind, Metric, MetricSettings, Role, Worse};
pub use tick::{ArmTick, Dealt, Moments, Sample, Tick};
