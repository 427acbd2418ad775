//! Changes that are to come at a time. Each leaves the store in the transaction that makes it, so
//! that it happens once whatever the clock does; one whose time passed while nobody was there is
//! made as soon as somebody is.

use super::change::Agreed;
use super::edit::{Who, Wish};
use super::request::Requested;
use super::trigger::{self, SELF, Trigger};
use super::{Act, FlagError, Refused, edit, seconds};
use crate::control::Core;
use serde::{Deserialize, Serialize};
use serin_flags::{Definition, State, Timestamp};
use serin_store::FlagWrite;

/// Changes to come, at most, of all flags.
const MOST: usize = 10_000;

/// A change that is to come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Due {
    /// When; with a trigger, when it was asked for.
    pub at: Timestamp,
    /// What it waits for instead of a time. Such a change stays and is made every time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger: Option<Trigger>,
    /// The set.
    pub set: String,
    /// The flag.
    pub key: String,
    /// What is done then.
    pub wish: Wish,
    /// Who asked for it.
    pub by: String,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Who agreed to it, where somebody had to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approved: Vec<String>,
    /// With a trigger: since when its cause has acted. It acts again only after that was over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fired: Option<Timestamp>,
}

impl Core {
    /// Remembers changes to come, unless others must agree to them first.
    ///
    /// # Errors
    /// When there are too many, the flag is not there, they wait for approval, or cannot be stored.
    pub(crate) fn schedule_flag(&mut self, due: Vec<Due>) -> Result<(), FlagError> {
        let Some(first) = due.first().cloned() else { return Ok(()) };
        self.fit_schedule(&due)?;
        let free = due.iter().all(|one| one.wish == Wish::Off);
        if free || self.flags.demand(&first.set, &first.key).is_none() {
            return self.plan_flag(due, vec![]);
        }
        let asks = Who { by: &first.by, reason: first.reason.as_deref(), at: seconds() };
        let place = (first.set.as_str(), first.key.as_str());
        Err(self.ask_for(place, asks, Requested::Schedule { due }, &[]))
    }

    /// Remembers changes to come, with what else is written in the same transaction.
    ///
    /// # Errors
    /// When there are too many, the flag is not there, or they cannot be stored.
    pub(super) fn plan_flag(
        &mut self,
        due: Vec<Due>,
        more: Vec<FlagWrite>,
    ) -> Result<(), FlagError> {
        self.fit_schedule(&due)?;
        let first = self.flags.due.last_key_value().map_or(1, |(id, _)| id + 1);
        let mut writes = more;
        for (id, one) in (first..).zip(&due) {
            let text = serde_json::to_string(one).map_err(serin_store::Error::from)?;
            writes.push(FlagWrite::Due { id, text });
        }
        self.executor.store_mut().commit_flags(&writes)?;
        self.flags.due.extend((first..).zip(due));
        Ok(())
    }

    /// What can never be is refused now and not in the night.
    fn fit_schedule(&self, due: &[Due]) -> Result<(), FlagError> {
        let all = &self.flags.due;
        if all.len() + due.len() > MOST {
            let why = format!("{} changes are scheduled already", all.len());
            return Err(
                Refused::new(why, "take some away: `serin flag schedule KEY --clear`").into()
            );
        }
        for one in due {
            let (_, flag, _) = self.flags.flag(&one.set, &one.key)?;
            edit::edit(flag, &one.wish, who(one, one.at))?;
            if let Some(trigger) = &one.trigger {
                trigger.check()?;
                trigger::bindable(&one.wish)?;
            }
        }
        Ok(())
    }

    /// Takes all changes to come of a flag away; how many there were.
    ///
    /// # Errors
    /// When that cannot be stored.
    pub(crate) fn unschedule_flag(&mut self, set: &str, key: &str) -> Result<usize, FlagError> {
        let of_it = |due: &&Due| due.set == set && due.key == key;
        let ids: Vec<u64> =
            self.flags.due.iter().filter(|(_, due)| of_it(due)).map(|(id, _)| *id).collect();
        let writes: Vec<_> = ids.iter().map(|id| FlagWrite::DropDue { id: *id }).collect();
        self.executor.store_mut().commit_flags(&writes)?;
        self.flags.due.retain(|id, _| !ids.contains(id));
        Ok(ids.len())
    }

    /// Makes the changes whose time has come, the earliest first. One that does not fit any more,
    /// such as for a flag that was killed meanwhile, is dropped and told.
    pub(crate) fn make_due(&mut self) {
        let now = self.flags.steady.read(seconds(), std::time::Instant::now());
        let timed = self.flags.due.iter().filter(|(_, due)| due.trigger.is_none());
        let due = timed.filter(|(_, due)| due.at <= now);
        let mut due: Vec<(u64, Due)> = due.map(|(id, due)| (*id, due.clone())).collect();
        due.sort_by_key(|(id, due)| (due.at, *id));
        for (id, one) in due {
            if !self.flags.due.contains_key(&id) {
                continue;
            }
            match self.make(id, &one, now) {
                // It is tried again when there is room.
                Err(FlagError::Store(_)) => return,
                // It was asked for as such before anybody had to agree: now it waits.
                Err(FlagError::Waits(id)) => {
                    eprintln!("serin: a scheduled change of {} waits: request {id}", one.key);
                }
                Err(error) => {
                    eprintln!("serin: a scheduled change of {} was dropped: {error}", one.key);
                    self.drop_due(id, &one);
                }
                Ok(()) => {}
            }
            self.flags.due.remove(&id);
        }
    }

    /// Drops a change that does not fit any more. When somebody stopped the flag, the later steps of
    /// its ramp go with it: whoever switches it on again means what it was then.
    fn drop_due(&mut self, id: u64, one: &Due) {
        let flag = self.flags.flag(&one.set, &one.key);
        let is_stopped = flag.is_ok_and(|(_, flag, _)| stopped(flag, &one.wish).is_some());
        let is_step = |due: &Due| due.trigger.is_none() && matches!(due.wish, Wish::Strategy(_));
        let of_it = |due: &Due| due.set == one.set && due.key == one.key && is_step(due);
        let gone = self.flags.due.iter().filter(|(n, due)| **n == id || is_stopped && of_it(due));
        let gone: Vec<u64> = gone.map(|(n, _)| *n).collect();
        let writes: Vec<_> = gone.iter().map(|id| FlagWrite::DropDue { id: *id }).collect();
        let _ = self.executor.store_mut().commit_flags(&writes);
        self.flags.due.retain(|n, _| !gone.contains(n));
    }

    fn make(&mut self, id: u64, due: &Due, now: Timestamp) -> Result<(), FlagError> {
        let (key, flag, _) = self.flags.flag(&due.set, &due.key)?;
        if let Some(what) = stopped(flag, &due.wish) {
            let hint = "say `serin flag on KEY`, and schedule it again";
            return Err(Refused::new(format!("the flag was {what} meanwhile"), hint).into());
        }
        let reason = asked(due);
        let who = Who { by: SELF, reason: Some(&reason), at: now };
        let (key, next) = (key.clone(), edit::edit(flag, &due.wish, who)?);
        self.refuse_wish(&due.wish, &next)?;
        let act = Act { set: &due.set, key: &key, who, verb: due.wish.verb() };
        let drop_due = vec![FlagWrite::DropDue { id }];
        if due.approved.is_empty() {
            return self.change_flag_with(act, Some(next), drop_due).map(drop);
        }
        let agreed = Agreed { by: &due.approved, request: None };
        self.make_change(act, Some(next), drop_due, agreed).map(drop)
    }
}

/// What somebody did to the flag that keeps this from being done to it. A flag that is off takes
/// no step of a ramp: the next who switches it on would give it to more users than anybody saw.
fn stopped(flag: &Definition, wish: &Wish) -> Option<&'static str> {
    match (wish, flag.state) {
        (Wish::Off, _) => None,
        _ if flag.killed.is_some() => Some("killed"),
        (Wish::Strategy(_), State::Off | State::Disabled) => Some("switched off"),
        _ => None,
    }
}

/// Who asked for the change, and why.
pub(super) fn asked(due: &Due) -> String {
    let why = due.reason.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
    format!("scheduled by {}{why}", due.by)
}

fn who(due: &Due, at: Timestamp) -> Who<'_> {
    Who { by: &due.by, reason: due.reason.as_deref(), at }
}
