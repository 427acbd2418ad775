//! The demo's users: an open-loop load generator. Requests come at random moments whatever the
//! server does, and each one's latency counts from the moment it was due.

mod kept;
mod pool;
mod tally;
#[cfg(test)]
mod tests;

use fastrand::Rng;
pub(super) use kept::{RATE, SEED, TARGET, stay};
pub(super) use pool::Loss;
use pool::Pool;
use serin_core::Timestamp;
use std::{
    io,
    net::SocketAddr,
    rc::Rc,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tally::Visit;
pub(super) use tally::{Arm, Tally};
use tokio::{
    sync::watch,
    task::{JoinSet, LocalSet},
    time::Instant,
};

/// A user does not wait longer for an answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Connections at most, whatever the server does.
pub(super) const CONNECTIONS: usize = 200;

/// Who visits what, and how often.
#[derive(Debug, Clone, Copy)]
pub(super) struct Visitors {
    /// Address of the service.
    pub(super) target: SocketAddr,
    /// Requests a second, on average.
    pub(super) rate: f64,
    /// The same seed gives the same moments.
    pub(super) seed: u64,
    /// Connections at most.
    pub(super) connections: usize,
}

/// A load under way, in a thread of its own so that nothing else delays its requests.
pub(super) struct Load {
    tally: Arc<Mutex<Tally>>,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl Load {
    /// Starts sending.
    pub(super) fn start(visitors: Visitors) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let tally = Arc::<Mutex<Tally>>::default();
        let (stop, stopped) = watch::channel(false);
        let users = Users { tally: tally.clone(), clock: Clock::start(), visitors };
        let work = move || LocalSet::new().block_on(&runtime, users.run(stopped));
        let thread = thread::Builder::new().name("demo-load".into()).spawn(work)?;
        Ok(Self { tally, stop, thread: Some(thread) })
    }

    /// What was seen so far.
    pub(super) fn tally(&self) -> Tally {
        lock(&self.tally).clone()
    }

    /// Sends nothing more, waits for what is under way, and says what was seen.
    pub(super) fn finish(mut self) -> Tally {
        self.end();
        self.tally()
    }

    fn end(&mut self) {
        self.stop.send_replace(true);
        if let Some(thread) = self.thread.take() {
            // A panic there was printed there; its requests are missing from `done`.
            let _ = thread.join();
        }
    }
}

/// A count is whole after each change, so a panic elsewhere does not spoil it.
fn lock(tally: &Mutex<Tally>) -> MutexGuard<'_, Tally> {
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Users {
    tally: Arc<Mutex<Tally>>,
    clock: Clock,
    visitors: Visitors,
}

impl Users {
    async fn run(self, mut stopped: watch::Receiver<bool>) {
        let users = Rc::new(self);
        let pool = Rc::new(Pool::new(users.visitors.target, users.visitors.connections));
        let mut under_way = JoinSet::new();
        let mut arrivals = Arrivals::new(users.visitors.rate, users.visitors.seed);
        let mut due = Instant::now();
        loop {
            due += arrivals.gap();
            tokio::select! {
                biased;
                // The sender lives as long as the load is wanted.
                _ = stopped.wait_for(|stopped| *stopped) => break,
                () = tokio::time::sleep_until(due) => {}
            }
            lock(&users.tally).sent += 1;
            under_way.spawn_local(users.clone().visit(pool.clone(), due));
            while under_way.try_join_next().is_some() {}
        }
        while under_way.join_next().await.is_some() {}
    }

    async fn visit(self: Rc<Self>, pool: Rc<Pool>, due: Instant) {
        let result = tokio::time::timeout_at(due + PATIENCE, pool.get()).await;
        let done = Instant::now();
        let visit = Visit {
            due_at: self.clock.wall(due),
            done_at: self.clock.wall(done),
            latency: done - due,
            result: result.unwrap_or(Err(Loss::Timeout)),
        };
        lock(&self.tally).add(&visit);
    }
}

/// Wall time that does not jump.
#[derive(Debug, Clone, Copy)]
struct Clock {
    instant: Instant,
    wall: SystemTime,
}

impl Clock {
    fn start() -> Self {
        Self { instant: Instant::now(), wall: SystemTime::now() }
    }

    fn wall(&self, at: Instant) -> Timestamp {
        let wall = self.wall + at.saturating_duration_since(self.instant);
        let since = wall.duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

/// A Poisson process: gaps between arrivals are exponential.
#[derive(Debug)]
struct Arrivals {
    rng: Rng,
    mean: f64,
}

impl Arrivals {
    /// `rate` a second.
    fn new(rate: f64, seed: u64) -> Self {
        Self { rng: Rng::with_seed(seed), mean: 1.0 / rate }
    }

    fn gap(&mut self) -> Duration {
        Duration::from_secs_f64(-(1.0 - self.rng.f64()).ln() * self.mean)
    }
}
