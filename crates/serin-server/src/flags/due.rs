//! Changes that are to come at a time. Each leaves the store in the transaction that makes it, so
//! that it happens once whatever the clock does; one whose time passed while nobody was there is
//! made as soon as somebody is.

use super::edit::{Who, Wish};
use super::{Act, FlagError, Refused, edit, seconds};
use crate::control::Core;
use serde::{Deserialize, Serialize};
use serin_core::ServiceName;
use serin_flags::{Definition, State, Timestamp};
use serin_store::FlagWrite;

/// Who makes a change that nobody makes at that moment.
const SELF: &str = "serin";
/// Changes to come, at most, of all flags.
const MOST: usize = 10_000;

/// What makes a change without a person. A spent error budget and an open breaker will stand here
/// too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Trigger {
    /// A rollout of this service was taken back by evidence or health.
    RolledBack {
        /// The service.
        service: String,
    },
}

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
}

impl Core {
    /// Remembers changes to come.
    ///
    /// # Errors
    /// When there are too many, the flag is not there, or they cannot be stored.
    pub(crate) fn schedule_flag(&mut self, due: Vec<Due>) -> Result<(), FlagError> {
        let all = &self.flags.due;
        if all.len() + due.len() > MOST {
            let why = format!("{} changes are scheduled already", all.len());
            return Err(
                Refused::new(why, "take some away: `serin flag schedule KEY --clear`").into()
            );
        }
        let first = all.last_key_value().map_or(1, |(id, _)| id + 1);
        let mut writes = Vec::new();
        for (id, one) in (first..).zip(&due) {
            let (_, flag, _) = self.flags.flag(&one.set, &one.key)?;
            // What can never be is refused now and not in the night.
            edit::edit(flag, &one.wish, who(one, one.at))?;
            let text = serde_json::to_string(one).map_err(serin_store::Error::from)?;
            writes.push(FlagWrite::Due { id, text });
        }
        self.executor.store_mut().commit_flags(&writes)?;
        self.flags.due.extend((first..).zip(due));
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

    /// Makes the changes that wait for a rollout of `service` to be taken back.
    pub(crate) fn rolled_back(&mut self, service: &ServiceName, why: &str) {
        let wanted = Some(Trigger::RolledBack { service: service.to_string() });
        let due = self.flags.due.values().filter(|due| due.trigger == wanted);
        for one in due.cloned().collect::<Vec<_>>() {
            let reason = format!("{service} was rolled back: {why} ({})", asked(&one));
            let who = Who { by: SELF, reason: Some(&reason), at: seconds() };
            if let Err(error) = self.wish_flag(&one.set, &one.key, &one.wish, who) {
                eprintln!("serin: {} was not changed for {service}: {error}", one.key);
            }
        }
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
        self.change_flag_with(act, Some(next), vec![FlagWrite::DropDue { id }]).map(drop)
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
fn asked(due: &Due) -> String {
    let why = due.reason.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
    format!("scheduled by {}{why}", due.by)
}

fn who(due: &Due, at: Timestamp) -> Who<'_> {
    Who { by: &due.by, reason: due.reason.as_deref(), at }
}
