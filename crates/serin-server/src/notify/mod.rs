//! Tells people what they asked to be told: at least once, with the same key for every try, until
//! it arrived or a day has passed. Nothing here waits, and no decision waits for anything here.
//!
//! What is owed lies in the store, written with the decision it is about. A controller that takes
//! over goes on with it; what arrived just before may arrive once more, under the same key.

mod deliver;
mod message;
mod tend;

pub(crate) use deliver::{Delivery, deliver};
pub(crate) use message::test_notice;
pub(crate) use tend::delivery;

use serin_core::{Millis, Notice, ServiceName, Timestamp};
use serin_store::{NoticeEnd, OwedNotice};
use std::collections::{BTreeMap, VecDeque};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

/// Wait after the first try that failed; each later one is twice as long, up to [`LONGEST`].
const FIRST: Millis = Millis::secs(1);
/// Longest wait between two tries.
const LONGEST: Millis = Millis::secs(300);
/// Age at which a notice is given up.
const END: Millis = Millis::secs(86_400);
/// Notices that wait for one target at most; the oldest goes.
const WAITING: usize = 100;
/// Deliveries at the same time, of all services.
const AT_ONCE: usize = 16;

/// How one try to tell somebody ended.
#[derive(Debug)]
pub(crate) struct Tried {
    pub(crate) service: ServiceName,
    pub(crate) target: String,
    pub(crate) key: String,
    pub(crate) result: Result<(), String>,
}

/// What is on its way to people.
#[derive(Debug)]
pub(crate) struct Notifier {
    lanes: BTreeMap<(ServiceName, String), Lane>,
    ends: mpsc::UnboundedSender<Tried>,
    /// What became of notices and is not in the store yet.
    unstored: Vec<NoticeEnd>,
}

/// What one target is to be told.
#[derive(Debug, Default)]
struct Lane {
    waiting: VecDeque<Waiting>,
    running: Option<AbortHandle>,
    trouble: Option<Trouble>,
}

#[derive(Debug)]
struct Waiting {
    notice: Notice,
    tries: u32,
    next: Timestamp,
}

/// Why somebody is not told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trouble {
    /// Since when.
    pub(crate) since: Timestamp,
    /// Why the last try failed.
    pub(crate) why: String,
    /// Notices that were given up.
    pub(crate) lost: usize,
}

/// A target that is not told what it should be.
#[derive(Debug, Clone)]
pub(crate) struct Untold {
    pub(crate) target: String,
    pub(crate) waiting: usize,
    pub(crate) trouble: Trouble,
}

impl Notifier {
    /// With what the controller before left.
    pub(crate) fn new(
        owed: Vec<OwedNotice>,
        now: Timestamp,
    ) -> (Self, mpsc::UnboundedReceiver<Tried>) {
        let (ends, receiver) = mpsc::unbounded_channel();
        let mut notifier = Self { lanes: BTreeMap::new(), ends, unstored: vec![] };
        for OwedNotice { service, target, notice, gave_up } in owed {
            match gave_up {
                Some(why) => {
                    let lane = notifier.lanes.entry((service, target)).or_default();
                    lane.trouble(notice.at, why).lost += 1;
                }
                None => notifier.owe(&service, &target, &notice, now),
            }
        }
        (notifier, receiver)
    }

    /// Takes a notice for everybody it is for.
    pub(crate) fn take(&mut self, service: &ServiceName, notice: &Notice, now: Timestamp) {
        for target in &notice.to {
            self.owe(service, target, notice, now);
        }
    }

    fn owe(&mut self, service: &ServiceName, target: &str, notice: &Notice, now: Timestamp) {
        let lane = self.lanes.entry((service.clone(), target.to_owned())).or_default();
        if lane.waiting.iter().any(|one| one.notice.key == notice.key) {
            return;
        }
        lane.waiting.push_back(Waiting { notice: notice.clone(), tries: 0, next: now });
        if lane.waiting.len() > WAITING {
            let why = format!("more than {WAITING} messages waited");
            self.unstored.extend(lane.give_up(0, target, &why));
        }
    }

    /// Takes up how a try ended.
    pub(crate) fn ended(&mut self, tried: &Tried, now: Timestamp) {
        let Tried { service, target, key, result } = tried;
        let Some(lane) = self.lanes.get_mut(&(service.clone(), target.clone())) else { return };
        lane.running = None;
        let Some(at) = lane.waiting.iter().position(|one| one.notice.key == *key) else { return };
        match result {
            Ok(()) => {
                lane.waiting.remove(at);
                lane.trouble = None;
                let (key, target) = (key.clone(), target.clone());
                self.unstored.push(NoticeEnd { key, target, gave_up: None });
            }
            Err(why) => {
                let one = &mut lane.waiting[at];
                one.tries += 1;
                one.next = now.plus(pause(one.tries));
                let over = now.since(one.notice.at) >= END;
                let since = one.notice.at;
                lane.trouble(since, why.clone());
                if over {
                    self.unstored.extend(lane.give_up(at, target, why));
                }
            }
        }
    }

    /// What came to nothing for the people of `service`, by target.
    pub(crate) fn untold(&self, service: &ServiceName) -> Vec<Untold> {
        let own = self.lanes.iter().filter(|((of, _), _)| of == service);
        let untold = own.filter_map(|((_, target), lane)| {
            let (target, waiting) = (target.clone(), lane.waiting.len());
            Some(Untold { target, waiting, trouble: lane.trouble.clone()? })
        });
        untold.collect()
    }

    /// Targets and the notice that each is to be told now.
    fn due(&self, now: Timestamp) -> Vec<(ServiceName, String, Notice)> {
        let running = self.lanes.values().filter(|lane| lane.running.is_some()).count();
        let idle = self.lanes.iter().filter(|(_, lane)| lane.running.is_none());
        let due = idle.filter_map(|((service, target), lane)| {
            let next = lane.waiting.iter().find(|one| one.next <= now)?;
            Some((service.clone(), target.clone(), next.notice.clone()))
        });
        due.take(AT_ONCE.saturating_sub(running)).collect()
    }

    /// Everybody who is told something or could not be.
    fn targets(&self) -> Vec<(ServiceName, String)> {
        self.lanes.keys().cloned().collect()
    }

    /// Forgets a target that is told nothing any more.
    fn drop_lane(&mut self, service: &ServiceName, target: &str) {
        let lane = self.lanes.remove(&(service.clone(), target.to_owned()));
        if let Some(running) = lane.and_then(|lane| lane.running) {
            running.abort();
        }
    }
}

impl Drop for Notifier {
    fn drop(&mut self) {
        let running = self.lanes.values().filter_map(|lane| lane.running.as_ref());
        running.for_each(AbortHandle::abort);
    }
}

impl Lane {
    fn trouble(&mut self, since: Timestamp, why: String) -> &mut Trouble {
        let first = || Trouble { since, why: String::new(), lost: 0 };
        let trouble = self.trouble.get_or_insert_with(first);
        trouble.why = why;
        trouble
    }

    /// Gives one of those that wait up.
    fn give_up(&mut self, at: usize, target: &str, why: &str) -> Option<NoticeEnd> {
        let one = self.waiting.remove(at)?;
        let trouble = self.trouble(one.notice.at, why.to_owned());
        trouble.lost += 1;
        let (target, gave_up) = (target.to_owned(), Some(trouble.why.clone()));
        Some(NoticeEnd { key: one.notice.key, target, gave_up })
    }
}

/// Wait before the next try.
fn pause(tries: u32) -> Millis {
    let doubled = FIRST.0.saturating_mul(1 << tries.saturating_sub(1).min(20));
    Millis(doubled.min(LONGEST.0))
}

#[cfg(test)]
mod tests;
