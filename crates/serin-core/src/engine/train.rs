//! Deploys that wait for their train. What leads back never waits, nor does what runs already.

use super::Turn;
use super::ask::{Answer, because};
use crate::{
    Actor, Boarded, Departure, DeployAsk, Fact, OnNewRevision, Outcome, Refusal,
    RefusalCode as Code, Timestamp,
};

impl Turn {
    /// The train a deploy has to wait for. A first revision has nobody to disturb; another spec of
    /// what runs or is on its way is no release; what is kept ready is a way back.
    pub(super) fn train_of(&self, ask: &DeployAsk) -> Option<Departure> {
        let departure = ask.departure.clone().filter(|train| !train.waived && train.at > self.now);
        departure.filter(|_| self.is_release(ask) && !self.service.is_fast(&ask.revision))
    }

    fn is_release(&self, ask: &DeployAsk) -> bool {
        let service = &self.service;
        let moving = service.rollout.as_ref().is_some_and(|r| r.candidate == ask.revision);
        let stable = service.stable.as_ref();
        !moving && !service.removing && stable.is_some_and(|stable| *stable != ask.revision)
    }

    /// Waits for its train. Who waits already makes way, stays before it, or has it refused.
    pub(super) fn board(
        &mut self,
        by: &Actor,
        reason: Option<&str>,
        ask: &DeployAsk,
        train: &Departure,
    ) -> Answer {
        let deploy = Box::new(DeployAsk { departure: None, ..ask.clone() });
        let same = |b: &&mut Boarded| b.deploy.revision == ask.revision;
        if let Some(known) = self.service.boarded.iter_mut().find(same) {
            known.deploy = deploy;
            let revision = ask.revision.clone();
            self.tell(Fact::Unchanged { revision, running: false });
            return Ok(());
        }
        let departs = self.train_after_those(ask, train)?;
        let queues = ask.spec.on_new_revision == OnNewRevision::Queue;
        let why = format!("{} by {} takes its place", ask.revision.version, by.0);
        self.unboard(&why, |other| queues && other.departs < departs);
        let (revision, span) = (ask.revision.clone(), departs.since(self.now));
        self.tell(Fact::Boarded { revision, by: by.clone(), departs, span });
        let (by, reason, at) = (by.clone(), reason.map(Into::into), self.now);
        self.service.boarded.push(Boarded { by, reason, at, deploy, departs });
        Ok(())
    }

    /// When it leaves: with the next train, or with the one after who waits for that.
    fn train_after_those(&self, ask: &DeployAsk, train: &Departure) -> Result<Timestamp, Refusal> {
        let Some(first) = self.service.boarded.first() else { return Ok(train.at) };
        match ask.spec.on_new_revision {
            OnNewRevision::Reject => Err(taken(first.deploy.revision.version.as_str())),
            OnNewRevision::Queue if first.departs >= train.at => Ok(train.then),
            _ => Ok(train.at),
        }
    }

    /// A person deploys past the trains: whoever waits for one is older.
    pub(super) fn pass_trains(&mut self, by: &Actor, reason: Option<&str>, ask: &DeployAsk) {
        let waived = ask.departure.as_ref().filter(|train| train.waived && train.at > self.now);
        if let Some(train) = waived.filter(|_| self.is_release(ask)) {
            let (revision, departs) = (ask.revision.clone(), train.at);
            let why = because(reason);
            self.tell(Fact::TrainWaived { revision, by: by.clone(), departs, why });
        }
        if self.is_release(ask) {
            let why = format!("{} by {} goes at once", ask.revision.version, by.0);
            self.unboard(&why, |_| false);
        }
    }

    /// Takes everybody off whose train `stays` does not keep; what is asked for anew says so itself.
    pub(super) fn unboard(&mut self, why: &str, stays: impl Fn(&Boarded) -> bool) {
        let (stay, go): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.service.boarded).into_iter().partition(|b| stays(b));
        self.service.boarded = stay;
        for Boarded { by, deploy, .. } in go {
            self.tell(Fact::Unqueued { revision: deploy.revision, by, why: why.into() });
        }
    }

    /// A train leaves, unless a way back is under way: nothing comes in its way.
    pub(super) fn depart(&mut self) -> bool {
        let back = |r: &crate::Rollout| r.kind.is_way_back() || !r.is_on_trial();
        let Some(first) = self.service.boarded.first() else { return false };
        let due = first.departs <= self.now && !self.has_just_left(first.at);
        if !due || self.service.rollout.as_ref().is_some_and(back) {
            return false;
        }
        let Boarded { by, reason, deploy, .. } = self.service.boarded.remove(0);
        let revision = deploy.revision.clone();
        self.tell(Fact::Departed { revision: revision.clone(), by: by.clone() });
        let gone = self
            .refuse_deploy(&deploy)
            .and_then(|()| self.take_up(&by, reason.as_deref(), &deploy));
        if let Err(refusal) = gone {
            self.tell(Fact::Unqueued { revision, by, why: refusal.message });
        }
        true
    }

    /// Whether this turn ends a way back: it must not be refused because something new begins.
    fn has_just_left(&self, asked: Timestamp) -> bool {
        let back = self.records.last().is_some_and(|r| r.outcome != Outcome::Promoted);
        back && asked < self.now
    }
}

fn taken(version: &str) -> Refusal {
    let message = format!("{version} waits for the next train (onNewRevision: reject)");
    Refusal::new(Code::Busy, message, "let it go first, or take it off with `serin abort`")
}
