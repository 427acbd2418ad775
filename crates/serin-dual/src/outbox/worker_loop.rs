//! The worker's side: round after round, over lost connections.

use super::error::Error;
use super::worker::{Round, Worker};
use super::{Pair, Stores};
use crate::phase::Side;
use serin_connect::{Address, Failure};
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use tokio_postgres::Client;

/// Longest pause before connecting again.
const LONGEST: Duration = Duration::from_secs(10);

/// Connects to a store, as the application does.
pub trait Connect: Send + Sync {
    /// A new connection to the store `side`.
    fn connect(&self, side: Side) -> impl Future<Output = Result<Client, Error>> + Send;
}

/// Connects by address, as safely as its `sslmode` says.
#[derive(Clone)]
pub struct Urls {
    /// Of the old store: `postgres://user:password@host:port/database?sslmode=verify-full`.
    pub old: String,
    /// Of the new store.
    pub new: String,
}

/// Addresses carry passwords.
impl std::fmt::Debug for Urls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Urls")
    }
}

impl Connect for Urls {
    async fn connect(&self, side: Side) -> Result<Client, Error> {
        let url = match side {
            Side::Old => &self.old,
            Side::New => &self.new,
        };
        let address = Address::parse(url);
        let address = address.map_err(|flaw| Error::Address { side, said: flaw.to_string() })?;
        address.connect().await.map_err(|failure| match failure {
            Failure::Tls(said) => Error::Tls { side, said },
            Failure::Database(error) => Error::at(side, "connecting")(error),
        })
    }
}

impl Urls {
    /// A connection to each.
    ///
    /// # Errors
    /// [`Error::Database`] when one does not answer, [`Error::Tls`], [`Error::Address`].
    pub async fn pair(&self) -> Result<Pair, Error> {
        Ok(Pair::new(self.connect(Side::Old).await?, self.connect(Side::New).await?))
    }
}

/// What a worker has done since it began: what dual write costs.
#[derive(Debug, Default)]
pub struct Tally {
    /// Changes made in the other store.
    pub applied: AtomicU64,
    /// Changes that were there already.
    pub repeated: AtomicU64,
    /// Refusals by the other store, tried again.
    pub refused: AtomicU64,
    /// Changes given up.
    pub dead: AtomicU64,
    /// Rounds that ended early, and connections lost.
    pub interruptions: AtomicU64,
}

impl Tally {
    fn add(&self, round: &Round) {
        self.applied.fetch_add(round.applied, Ordering::Relaxed);
        self.repeated.fetch_add(round.repeated, Ordering::Relaxed);
        self.refused.fetch_add(round.refused, Ordering::Relaxed);
        self.dead.fetch_add(round.dead, Ordering::Relaxed);
        self.interruptions.fetch_add(u64::from(round.stopped.is_some()), Ordering::Relaxed);
    }
}

impl<S: Stores> Worker<S> {
    /// Works until `stop` becomes true: connects, again after a loss, and waits while nothing is
    /// there. A write is never given up because a store is gone.
    ///
    /// # Errors
    /// [`Error`] that no waiting mends: tables missing, a restored backup, a change that is no JSON.
    pub async fn run(
        &self,
        connect: &impl Connect,
        tally: &Tally,
        stop: watch::Receiver<bool>,
    ) -> Result<(), Error> {
        let mut lost = 0_u32;
        while !*stop.borrow() {
            match self.connected(connect, tally, &stop, &mut lost).await {
                Ok(()) => return Ok(()),
                Err(error) if !error.is_passing() => return Err(error),
                Err(_) => {
                    tally.interruptions.fetch_add(1, Ordering::Relaxed);
                    lost = lost.saturating_add(1);
                    pause(self.settings.pause * 2_u32.pow(lost.min(10)), &stop).await;
                }
            }
        }
        Ok(())
    }

    /// Works while both connections hold.
    async fn connected(
        &self,
        connect: &impl Connect,
        tally: &Tally,
        stop: &watch::Receiver<bool>,
        lost: &mut u32,
    ) -> Result<(), Error> {
        let mut outbox = connect.connect(self.from).await?;
        let mut store = connect.connect(self.from.other()).await?;
        self.check(&outbox, &store).await?;
        while !*stop.borrow() {
            let round = self.timely(&mut outbox, &mut store).await?;
            tally.add(&round);
            if store.is_closed() {
                return Err(Error::NotConnected(self.from.other()));
            }
            if round.stopped.is_none() {
                *lost = 0;
            }
            if round.claimed == 0 || round.stopped.is_some() {
                pause(self.settings.idle, stop).await;
            }
        }
        Ok(())
    }

    /// One that takes too long is given up with its connections, which undoes it.
    async fn timely(&self, outbox: &mut Client, store: &mut Client) -> Result<Round, Error> {
        let round = tokio::time::timeout(self.settings.limit, self.round(outbox, store));
        round.await.map_err(|_| Error::TooSlow(self.from.other()))?
    }

    /// A restored outbox gives out positions that the other store believes to have.
    ///
    /// # Errors
    /// [`Error::Rewound`] where that is so.
    pub async fn check(&self, outbox: &Client, store: &Client) -> Result<(), Error> {
        let issued = "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM serin.dual_outbox_position_seq";
        let issued = outbox.query_one(issued, &[]).await;
        let issued: i64 = issued.map_err(Error::at(self.from, "reading the outbox"))?.get(0);
        let other = self.from.other();
        let applied = "SELECT coalesce(max(position), 0) FROM serin.dual_applied WHERE stream = $1";
        let applied = store.query_one(applied, &[&self.stream]).await;
        let applied: i64 = applied.map_err(Error::at(other, "reading positions"))?.get(0);
        if applied > issued {
            return Err(Error::Rewound { side: other, applied, issued });
        }
        Ok(())
    }
}

/// Waits, but not longer than until `stop` changes.
async fn pause(time: Duration, stop: &watch::Receiver<bool>) {
    let mut stop = stop.clone();
    tokio::select! {
        () = tokio::time::sleep(time.min(LONGEST)) => {}
        _ = stop.wait_for(|stopped| *stopped) => {}
    }
}
