//! The threads of the new calculation.

use super::Inner;
use super::counts::ShadowMismatch;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// An input, and what the old calculation made of it.
pub(super) struct Job<I, O> {
    pub input: I,
    pub expected: O,
}

struct Waiting<I, O> {
    jobs: VecDeque<Job<I, O>>,
    /// When what runs now began, by thread.
    running: Vec<Option<Instant>>,
    is_over: bool,
}

struct Shared<I, O> {
    waiting: Mutex<Waiting<I, O>>,
    changed: Condvar,
}

/// Threads that end when this is dropped, each after what it is at.
pub(super) struct Threads<I, O> {
    shared: Arc<Shared<I, O>>,
    queue: usize,
}

impl<I, O> Shared<I, O> {
    fn lock(&self) -> MutexGuard<'_, Waiting<I, O>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<I: Send + 'static, O: Send + 'static> Threads<I, O> {
    pub(super) fn start(
        inner: &Arc<Inner<I, O>>,
        count: usize,
        queue: usize,
    ) -> std::io::Result<Self> {
        let waiting = Waiting { jobs: VecDeque::new(), running: vec![None; count], is_over: false };
        let shared = Arc::new(Shared { waiting: Mutex::new(waiting), changed: Condvar::new() });
        let threads = Self { shared: Arc::clone(&shared), queue: queue.max(1) };
        for number in 0..count {
            let (inner, shared) = (Arc::clone(inner), Arc::clone(&shared));
            let thread = std::thread::Builder::new().name(format!("shadow-{number}"));
            thread.spawn(move || work(&inner, &shared, number))?;
        }
        Ok(threads)
    }

    /// Never waits: what there is no room for is left out.
    pub(super) fn send(&self, inner: &Inner<I, O>, job: Job<I, O>) {
        let mut waiting = self.shared.lock();
        if waiting.jobs.len() >= self.queue {
            drop(waiting);
            inner.counts.left_out();
            return;
        }
        waiting.jobs.push_back(job);
        drop(waiting);
        self.shared.changed.notify_all();
    }

    /// How many run for longer than `limit`.
    pub(super) fn hanging(&self, limit: Duration) -> u64 {
        let waiting = self.shared.lock();
        let long = |begun: &&Instant| begun.elapsed() > limit;
        waiting.running.iter().flatten().filter(long).count() as u64
    }

    pub(super) fn settled(&self) {
        let is_busy = |waiting: &mut Waiting<I, O>| {
            !waiting.jobs.is_empty() || waiting.running.iter().any(Option::is_some)
        };
        let waited = self.shared.changed.wait_while(self.shared.lock(), is_busy);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }
}

impl<I, O> Drop for Threads<I, O> {
    fn drop(&mut self) {
        self.shared.lock().is_over = true;
        self.shared.changed.notify_all();
    }
}

fn work<I, O>(inner: &Inner<I, O>, shared: &Shared<I, O>, number: usize) {
    while let Some(job) = next(shared, number) {
        // Also what drops the input and the results is the new calculation's business.
        let done = catch_unwind(AssertUnwindSafe(move || inner.run(&job)));
        if done.is_err() {
            inner.counts.panicked();
        }
        shared.lock().running[number] = None;
        shared.changed.notify_all();
    }
}

/// Waits for a job; none when it is over.
fn next<I, O>(shared: &Shared<I, O>, number: usize) -> Option<Job<I, O>> {
    let idle = |waiting: &mut Waiting<I, O>| waiting.jobs.is_empty() && !waiting.is_over;
    let waited = shared.changed.wait_while(shared.lock(), idle);
    let mut waiting = waited.unwrap_or_else(PoisonError::into_inner);
    if waiting.is_over {
        return None;
    }
    let job = waiting.jobs.pop_front();
    waiting.running[number] = Some(Instant::now());
    job
}

impl<I, O> Inner<I, O> {
    fn run(&self, job: &Job<I, O>) {
        let begun = Instant::now();
        let found = catch_unwind(AssertUnwindSafe(|| (self.new)(&job.input)));
        let took = begun.elapsed();
        self.budget.spend(took);
        self.counts.new.add(took);
        match found {
            Err(_) => self.counts.panicked(),
            Ok(_) if took > self.limit => self.counts.timed_out(),
            Ok(found) => self.compare(job, &found),
        }
    }

    fn compare(&self, job: &Job<I, O>, found: &O) {
        let is_same = (self.same)(&job.expected, found);
        self.counts.compared();
        if is_same {
            return;
        }
        self.counts.differed();
        let shown = self.shown.as_ref().map(|shown| shown(&job.input, &job.expected, found));
        if let Some(shown) = shown.clone() {
            self.counts.keep(ShadowMismatch { shown });
        }
        if let Some(told) = &self.told {
            told(&ShadowMismatch { shown: shown.unwrap_or_default() });
        }
    }
}
