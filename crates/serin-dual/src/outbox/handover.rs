//! The other store takes over the writes.
//!
//! The giver says "nobody" once no write is under way; what is left in its outbox is brought over;
//! the taker says that it holds the writes, then the giver says so too. Killed between any two of
//! these, it is taken up by calling it again; no moment has two holders.

use super::dual::{Dual, Pair};
use super::error::Error;
use super::ledger::{self, Standing};
use super::worker::{Worker, WorkerSettings};
use super::{Stores, queue};
use crate::phase::{Phase, Side};
use std::time::Duration;
use tokio::time::Instant;
use tokio_postgres::Client;

/// How long writers may wait for a handover.
#[derive(Debug, Clone, Copy)]
pub struct HandoverLimits {
    /// Longest wait, in milliseconds, behind a write under way, during which others wait too.
    pub patience_ms: u64,
    /// Tries to find a moment without a long write.
    pub tries: u32,
    /// Time to bring over what is left; then the giver holds the writes again.
    pub drain: Duration,
}

impl Default for HandoverLimits {
    fn default() -> Self {
        Self { patience_ms: 200, tries: 20, drain: Duration::from_secs(2) }
    }
}

/// Pause between two tries and between two looks.
const PAUSE: Duration = Duration::from_millis(50);

impl<S: Stores> Dual<S> {
    /// Makes in the stores what `phase` means for writes: who holds them, and whether the other
    /// store follows. Every writer obeys from its next write on, whatever its flag says. Doing it
    /// again does nothing. Do it before the flag sends reads to the new store.
    ///
    /// # Errors
    /// [`Error::Undrained`] and [`Error::Busy`]: everything is as before. After any other error
    /// call it again: writers may wait until then.
    pub async fn settle(
        &self,
        pair: &mut Pair,
        phase: Phase,
        limits: &HandoverLimits,
    ) -> Result<(), Error> {
        let (old, new) = pair.both()?;
        self.reserve(old, new).await?;
        let done = self.reserved(old, new, phase, limits).await;
        ledger::release(new, &self.stream).await;
        ledger::release(old, &self.stream).await;
        done
    }

    /// In both databases, so that two that go in opposite ways meet too.
    async fn reserve(&self, old: &Client, new: &Client) -> Result<(), Error> {
        if !ledger::try_reserve(old, Side::Old, &self.stream).await? {
            return Err(Error::Busy);
        }
        let both = ledger::try_reserve(new, Side::New, &self.stream).await;
        if !matches!(both, Ok(true)) {
            ledger::release(old, &self.stream).await;
        }
        if both? { Ok(()) } else { Err(Error::Busy) }
    }

    async fn reserved(
        &self,
        old: &mut Client,
        new: &mut Client,
        phase: Phase,
        limits: &HandoverLimits,
    ) -> Result<(), Error> {
        let holder = phase.holder();
        let (taker, giver) = match holder {
            Side::Old => (old, new),
            Side::New => (new, old),
        };
        let taken = ledger::standing(taker, holder, &self.stream).await?;
        let given = ledger::standing(giver, holder.other(), &self.stream).await?;
        if taken.holder != Some(holder) {
            self.hand_over(giver, taker, holder, limits).await?;
        }
        if given.holder != Some(holder) {
            let given = Standing { holder: Some(holder), recording: true };
            self.change(giver, holder.other(), given, limits).await?;
        }
        let wanted = Standing { holder: Some(holder), recording: phase.records() };
        if ledger::standing(taker, holder, &self.stream).await? != wanted {
            self.change(taker, holder, wanted, limits).await?;
        }
        Ok(())
    }

    /// Until the taker says that it holds the writes.
    async fn hand_over(
        &self,
        giver: &mut Client,
        taker: &mut Client,
        to: Side,
        limits: &HandoverLimits,
    ) -> Result<(), Error> {
        let from = to.other();
        self.change(giver, from, Standing { holder: None, recording: true }, limits).await?;
        if let Err(error) = self.drain(giver, taker, from, limits).await {
            let back = Standing { holder: Some(from), recording: true };
            self.change(giver, from, back, limits).await?;
            return Err(error);
        }
        let taking = Standing { holder: Some(to), recording: true };
        self.change(taker, to, taking, limits).await
    }

    /// Brings over what is left in the outbox of `from`.
    async fn drain(
        &self,
        giver: &mut Client,
        taker: &mut Client,
        from: Side,
        limits: &HandoverLimits,
    ) -> Result<(), Error> {
        let settings = WorkerSettings { limit: limits.drain, ..WorkerSettings::default() };
        let worker = Worker::new(self, from, settings);
        let until = Instant::now() + limits.drain;
        loop {
            let round = worker.round(giver, taker).await?;
            let left = queue::backlog(giver, from, &self.stream).await?;
            if left.waiting == 0 && left.dead == 0 {
                return Ok(());
            }
            if left.dead > 0 || Instant::now() >= until {
                let (waiting, dead) = (left.waiting, left.dead);
                return Err(Error::Undrained { waiting, dead, holder: from });
            }
            if round.applied == 0 {
                // Another worker has the rest, or the store is away.
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    /// Finds a moment without writes under way, without making others wait for long at once.
    async fn change(
        &self,
        client: &mut Client,
        side: Side,
        standing: Standing,
        limits: &HandoverLimits,
    ) -> Result<(), Error> {
        let mut tries = limits.tries.max(1);
        loop {
            tries -= 1;
            let patience = limits.patience_ms;
            match ledger::change(client, side, &self.stream, standing, patience).await {
                Err(error) if tries > 0 && error.is_passing() && !client.is_closed() => {
                    tokio::time::sleep(PAUSE).await;
                }
                other => return other,
            }
        }
    }
}
