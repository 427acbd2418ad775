//! A new calculation beside the old one, in the same process.
//!
//! The caller gets the old result, after the old calculation's time. The new one runs on threads
//! of its own, for a sample of the calls, as far as the budget goes. Its panics are caught, and a
//! result that comes too late is not looked at. A thread cannot be stopped: one that hangs stays,
//! and when all of them hang, nothing is compared any more.

mod budget;
mod counts;
mod job;

pub use counts::{ShadowCounts, ShadowMismatch};

use crate::reads::Sampler;
use budget::Budget;
use counts::Counts;
use job::{Job, Threads};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How much is run beside, and how much is kept.
#[derive(Debug, Clone, Copy)]
pub struct ShadowSettings {
    /// Calls of 100 000 whose result is compared.
    pub sample: u32,
    /// Threads of the new calculation, 1 to 64.
    pub threads: usize,
    /// Inputs that may wait for a thread.
    pub queue: usize,
    /// Share of one processor that the new calculation may take on average, such as 0.05.
    pub budget: f64,
    /// Results that come later are not looked at.
    pub limit: Duration,
    /// Differences kept, the newest ones.
    pub kept: usize,
}

impl Default for ShadowSettings {
    fn default() -> Self {
        Self {
            sample: 1000,
            threads: 1,
            queue: 64,
            budget: 0.05,
            limit: Duration::from_secs(1),
            kept: 100,
        }
    }
}

type Calculation<I, O> = Box<dyn Fn(&I) -> O + Send + Sync>;
type Same<O> = Box<dyn Fn(&O, &O) -> bool + Send + Sync>;
type Shown<I, O> = Box<dyn Fn(&I, &O, &O) -> String + Send + Sync>;
type Told = Box<dyn Fn(&ShadowMismatch) + Send + Sync>;

/// What the threads need.
struct Inner<I, O> {
    new: Calculation<I, O>,
    same: Same<O>,
    shown: Option<Shown<I, O>>,
    told: Option<Told>,
    limit: Duration,
    counts: Counts,
    budget: Budget,
}

/// Two calculations side by side.
pub struct Shadow<I, O> {
    old: Calculation<I, O>,
    sampler: Sampler,
    inner: Arc<Inner<I, O>>,
    threads: Threads<I, O>,
}

impl<I, O> fmt::Debug for Shadow<I, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shadow").field("counts", &self.inner.counts.read()).finish_non_exhaustive()
    }
}

/// What a [`Shadow`] is made of.
pub struct Builder<I, O> {
    settings: ShadowSettings,
    old: Calculation<I, O>,
    new: Calculation<I, O>,
    same: Same<O>,
    shown: Option<Shown<I, O>>,
    told: Option<Told>,
}

impl<I, O> Shadow<I, O>
where
    I: Clone + Send + 'static,
    O: Clone + PartialEq + Send + 'static,
{
    /// The old calculation, and the new one to run beside it.
    pub fn builder(
        old: impl Fn(&I) -> O + Send + Sync + 'static,
        new: impl Fn(&I) -> O + Send + Sync + 'static,
    ) -> Builder<I, O> {
        Builder {
            settings: ShadowSettings::default(),
            old: Box::new(old),
            new: Box::new(new),
            same: Box::new(PartialEq::eq),
            shown: None,
            told: None,
        }
    }

    /// The old result. The new one is calculated beside, where this call is in the sample.
    pub fn run(&self, input: &I) -> O {
        // The input is kept as it was before the old calculation, which may change what is in it.
        let kept = self.sampler.takes().then(|| self.keep(input)).flatten();
        let begun = Instant::now();
        let output = (self.old)(input);
        if let Some(input) = kept {
            self.inner.counts.old.add(begun.elapsed());
            self.threads.send(&self.inner, Job { input, expected: output.clone() });
        }
        output
    }

    fn keep(&self, input: &I) -> Option<I> {
        let is_affordable = self.inner.budget.has_some(Instant::now());
        if !is_affordable {
            self.inner.counts.too_dear();
        }
        is_affordable.then(|| input.clone())
    }

    /// What was calculated and compared so far.
    pub fn counts(&self) -> ShadowCounts {
        let hanging = self.threads.hanging(self.inner.limit);
        ShadowCounts { hanging, ..self.inner.counts.read() }
    }

    /// The newest differences, oldest first.
    pub fn mismatches(&self) -> Vec<ShadowMismatch> {
        self.inner.counts.mismatches()
    }

    /// Waits until nothing waits or runs. Blocks the thread, for ever if a calculation hangs.
    pub fn settled(&self) {
        self.threads.settled();
    }
}

impl<I, O> Builder<I, O>
where
    I: Clone + Send + 'static,
    O: Clone + PartialEq + Send + 'static,
{
    /// How much is run beside, and how much is kept.
    #[must_use]
    pub fn settings(self, settings: ShadowSettings) -> Self {
        Self { settings, ..self }
    }

    /// When two results, old and new, count as the same, such as within a rounding.
    #[must_use]
    pub fn same(self, same: impl Fn(&O, &O) -> bool + Send + Sync + 'static) -> Self {
        Self { same: Box::new(same), ..self }
    }

    /// What is kept of an input whose results, old and new, differ. Without it differences are
    /// only counted.
    #[must_use]
    pub fn shown(self, shown: impl Fn(&I, &O, &O) -> String + Send + Sync + 'static) -> Self {
        Self { shown: Some(Box::new(shown)), ..self }
    }

    /// Told about each difference, on a thread of the new calculation.
    #[must_use]
    pub fn told(self, told: impl Fn(&ShadowMismatch) + Send + Sync + 'static) -> Self {
        Self { told: Some(Box::new(told)), ..self }
    }

    /// Starts the threads.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(self) -> std::io::Result<Shadow<I, O>> {
        let Self { settings, old, new, same, shown, told } = self;
        let inner = Arc::new(Inner {
            new,
            same,
            shown,
            told,
            limit: settings.limit,
            counts: Counts::new(settings.kept),
            budget: Budget::new(settings.budget, Instant::now()),
        });
        let threads = Threads::start(&inner, settings.threads.clamp(1, 64), settings.queue)?;
        Ok(Shadow { old, sampler: Sampler::new(settings.sample), inner, threads })
    }
}

#[cfg(test)]
mod tests;
