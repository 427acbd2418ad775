//! The writer's side.

use super::error::Error;
use super::{Change, Stores, ledger, queue};
use crate::phase::Side;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::Instant;
use tokio_postgres::{Client, IsolationLevel, Transaction};

/// Time between two looks while the writes are handed over.
const LOOK: Duration = Duration::from_millis(10);

/// One connection to each store. A store that does not hold the writes need not be reachable.
#[derive(Debug, Default)]
pub struct Pair {
    /// To the old one.
    pub old: Option<Client>,
    /// To the new one.
    pub new: Option<Client>,
}

impl Pair {
    /// Both.
    pub fn new(old: Client, new: Client) -> Self {
        Self { old: Some(old), new: Some(new) }
    }

    /// The one to a side.
    ///
    /// # Errors
    /// [`Error::NotConnected`] where there is none, or it is closed.
    pub fn side(&mut self, side: Side) -> Result<&mut Client, Error> {
        let slot = match side {
            Side::Old => &mut self.old,
            Side::New => &mut self.new,
        };
        slot.as_mut().filter(|client| !client.is_closed()).ok_or(Error::NotConnected(side))
    }

    /// Both, where there are both: old, then new.
    ///
    /// # Errors
    /// [`Error::NotConnected`] where one is missing.
    pub fn both(&mut self) -> Result<(&mut Client, &mut Client), Error> {
        match (&mut self.old, &mut self.new) {
            (Some(old), Some(new)) => Ok((old, new)),
            (None, _) => Err(Error::NotConnected(Side::Old)),
            (_, None) => Err(Error::NotConnected(Side::New)),
        }
    }
}

/// Writes to the store that holds the writes, so that the other one follows.
#[derive(Debug)]
pub struct Dual<S> {
    pub(super) stream: String,
    pub(super) stores: Arc<S>,
    patience: Duration,
    /// Where the last write was right. The database says whether it still is.
    is_new: AtomicBool,
}

/// A write that was committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    /// The store it is in.
    pub side: Side,
    /// Its place in the outbox, where the other store follows.
    pub position: Option<i64>,
}

/// A write under way: its key is locked, and its transaction open. Dropped, nothing was written.
pub struct Writing<'a> {
    store: Transaction<'a>,
    side: Side,
    stream: String,
    key: String,
    is_recording: bool,
}

impl<S: Stores> Dual<S> {
    /// Writes of one stream: what has an order of its own. Keys of different streams know nothing
    /// of each other.
    pub fn new(stream: impl Into<String>, stores: S) -> Self {
        Self {
            stream: stream.into(),
            stores: Arc::new(stores),
            patience: Duration::from_secs(5),
            is_new: AtomicBool::new(false),
        }
    }

    /// How long a write waits while the writes are handed over; 5 s unless said.
    #[must_use]
    pub fn patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// The stream's name.
    pub fn stream(&self) -> &str {
        &self.stream
    }

    /// Makes a change in the store that holds the writes, in a transaction of its own, and has it
    /// follow in the other one. Waits while the writes are handed over.
    ///
    /// # Errors
    /// [`Error::Refused`] with what the store said, and nothing was written. [`Error::Unsure`]
    /// when the connection was lost at the commit.
    pub async fn write(
        &self,
        pair: &mut Pair,
        key: &str,
        change: &Change,
    ) -> Result<Receipt, Error> {
        let until = Instant::now() + self.patience;
        loop {
            let pause = match self.try_write(pair, key, change).await {
                Err(Error::Moved(_)) => Duration::ZERO,
                Err(Error::HandingOver) => LOOK,
                other => return other,
            };
            if Instant::now() >= until {
                return Err(Error::HandingOver);
            }
            tokio::time::sleep(pause).await;
        }
    }

    async fn try_write(
        &self,
        pair: &mut Pair,
        key: &str,
        change: &Change,
    ) -> Result<Receipt, Error> {
        let writing = self.begin(pair, key).await?;
        match writing.side {
            Side::Old => self.stores.in_old(&writing.store, change).await?,
            Side::New => self.stores.in_new(&writing.store, change).await?,
        }
        writing.commit(change).await
    }

    /// Begins a write whose change is only known once the store was read: a number it gives, a
    /// value to add to. The caller writes through [`Writing::store`], then commits. A commit
    /// without having written copies: the key's state, as it is read here, follows in the other
    /// store in its right place.
    ///
    /// # Errors
    /// [`Error::Moved`] and [`Error::HandingOver`]: begin again.
    pub async fn begin<'a>(&self, pair: &'a mut Pair, key: &str) -> Result<Writing<'a>, Error> {
        let side = self.last_side();
        let client = pair.side(side)?;
        let isolation = IsolationLevel::ReadCommitted;
        // Stricter levels would read who holds the writes as it was before the locks were held.
        let store = client.build_transaction().isolation_level(isolation).start().await;
        let store = store.map_err(Error::at(side, "beginning a write"))?;
        let standing = ledger::enter(&store, side, &self.stream, key).await?;
        match standing.holder {
            Some(holder) if holder == side => Ok(Writing {
                store,
                side,
                stream: self.stream.clone(),
                key: key.to_owned(),
                is_recording: standing.recording,
            }),
            Some(holder) => Err(self.moved(holder)),
            None => {
                // The one that takes over says so first.
                self.moved(side.other());
                Err(Error::HandingOver)
            }
        }
    }

    fn moved(&self, holder: Side) -> Error {
        self.is_new.store(holder == Side::New, Ordering::Relaxed);
        Error::Moved(holder)
    }

    fn last_side(&self) -> Side {
        if self.is_new.load(Ordering::Relaxed) { Side::New } else { Side::Old }
    }
}

impl<'a> Writing<'a> {
    /// The open transaction.
    pub fn store(&self) -> &Transaction<'a> {
        &self.store
    }

    /// In which store.
    pub fn side(&self) -> Side {
        self.side
    }

    /// Commits, and has `change` follow in the other store.
    ///
    /// # Errors
    /// [`Error::Unsure`] when the connection was lost at the commit.
    pub async fn commit(self, change: &Change) -> Result<Receipt, Error> {
        let Self { store, side, stream, key, is_recording } = self;
        let position = if is_recording {
            Some(queue::put(&store, side, &stream, &key, change).await?)
        } else {
            None
        };
        match store.commit().await {
            Ok(()) => Ok(Receipt { side, position }),
            // An answer, such as a deferred constraint, is a refusal; silence is not.
            Err(source) if source.as_db_error().is_some() => {
                Err(Error::Database { side, doing: "committing a write", source })
            }
            Err(source) => Err(Error::Unsure { side, source }),
        }
    }
}
