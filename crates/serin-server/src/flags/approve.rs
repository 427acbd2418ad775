//! Changes that others must agree to: asked for, agreed to, refused, forgotten.
//!
//! # Invariants
//! - A kill, `off` and a way back wait for nobody.
//! - What is done is exactly what people agreed to: a flag that was changed meanwhile makes the
//!   request outdated, and it is never done.
//! - A request leaves its waiting state in the transaction that makes the change: it is done once.

use super::change::Agreed;
use super::edit::{Refused, Who};
use super::request::{Agreement, Request, RequestState, Requested};
use super::trigger::SELF;
use super::{Act, BACK, Changed, Due, FlagError, Flags, gives_somebody, seconds};
use crate::api::error::ApiError;
use crate::api::view::{FlagRequest, FlagRollout};
use crate::control::Core;
use serin_flags::{Approval, Definition, FlagKey, SetDefinition, Shared, State};
use serin_store::FlagWrite;

/// What requests are kept as.
pub(super) const NOTE: &str = "request";
/// Requests that wait, at most.
const PENDING_MAX: usize = 1_000;
/// Requests that are remembered after they were answered.
const ANSWERED_MAX: usize = 1_000;

/// Words for changes that wait for nobody. A guarded release was agreed to when it began, and a
/// stage of a retirement changes nothing by itself.
const FREE: [&str; 5] = ["kill", "off", BACK, "release", super::retire::STAGE];

/// Whether a change needs nobody's word: it only takes the flag from users.
pub(super) fn is_free(verb: &str, before: Option<&Definition>, after: Option<&Definition>) -> bool {
    let only_off = |(before, after): (&Definition, &Definition)| {
        after.state == State::Off && *after == Definition { state: State::Off, ..before.clone() }
    };
    FREE.contains(&verb) || before.zip(after).is_some_and(only_off)
}

impl Flags {
    /// Who must agree to changes of this flag; the flag may be one that is not there yet.
    pub(super) fn demand(&self, set: &str, key: &str) -> Option<&Approval> {
        let set = &self.sets.get(set)?.definition;
        let own = set.flags.get(key).and_then(|flag| flag.approval.as_ref());
        own.or(set.approval.as_ref())
    }

    /// Who must agree to changes of the set itself: its segments say who gets flags, so a flag that
    /// asks for approval asks for it here too.
    pub(super) fn demand_of_set(&self, set: &str) -> Option<&Approval> {
        let set = &self.sets.get(set)?.definition;
        let of_flags = set.flags.values().filter(|flag| flag.archived_at.is_none());
        let of_flags = of_flags.filter_map(|flag| flag.approval.as_ref());
        set.approval.as_ref().or_else(|| of_flags.max_by_key(|approval| approval.count))
    }

    /// Whether changes of this flag need others to agree.
    pub(crate) fn demands(&self, set: &str, key: &str) -> bool {
        self.demand(set, key).is_some()
    }

    /// Requests of a set, the newest first; of one flag when it is named.
    pub(crate) fn requests(&self, set: &str, key: Option<&str>) -> impl Iterator<Item = &Request> {
        let named = move |request: &&Request| {
            request.set == set && key.is_none_or(|key| request.key == key)
        };
        self.requests.values().rev().filter(named)
    }

    /// The same request by the same one: one that waits, or, of what Serin itself asks for again
    /// and again, one that was answered.
    fn alike(&self, (set, key): (&str, &str), who: Who<'_>, what: &Requested) -> Option<&Request> {
        let text = |what: &Requested| serde_json::to_string(what).unwrap_or_default();
        let own = who.by == SELF;
        let same = |one: &&Request| {
            (one.is_pending() || own && one.reason.as_deref() == who.reason)
                && one.by == who.by
                && text(&one.what) == text(what)
        };
        self.requests(set, Some(key)).find(same)
    }

    /// A request as people look at it.
    ///
    /// # Errors
    /// When there is none of this number.
    pub(crate) fn request_view(&self, id: u64) -> Result<FlagRequest, FlagError> {
        Ok(FlagRequest::of(self.request(id)?.clone()))
    }

    /// One request.
    ///
    /// # Errors
    /// When there is none of this number.
    pub(crate) fn request(&self, id: u64) -> Result<&Request, FlagError> {
        self.requests.get(&id).ok_or_else(|| {
            let hint = "`serin flag pending --all` lists them";
            Refused::never(format!("there is no request {id}"), hint).into()
        })
    }
}

impl Core {
    /// Remembers a change of a flag that others must agree to. What is not valid is refused now.
    pub(super) fn ask_for_change(
        &mut self,
        act: Act<'_>,
        after: Option<Definition>,
        more: &[FlagWrite],
    ) -> FlagError {
        let known = self.flags.set(act.set).ok().and_then(|set| set.flag(act.key.as_str()));
        let before = known.map(|(_, flag, _)| Box::new(flag.clone()));
        let (verb, next) = (act.verb.to_owned(), after.clone().map(Box::new));
        let (place, what) =
            ((act.set, act.key.as_str()), Requested::Change { verb, before, after: next });
        if self.flags.alike(place, act.who, &what).is_none() {
            let problems = self.wrong_with(act, after);
            if !problems.is_empty() {
                return FlagError::Invalid(problems);
            }
        }
        self.ask_for(place, act.who, what, more)
    }

    /// Remembers a change of a set that others must agree to.
    pub(super) fn ask_for_set(&mut self, head: SetDefinition, who: Who<'_>) -> FlagError {
        let Some(set) = self.flags.sets.get(&head.name) else { return super::change::lost() };
        let before = SetDefinition { flags: Shared::default(), ..set.definition.clone() };
        let whole = SetDefinition { flags: set.definition.flags.clone(), ..head.clone() };
        let problems = serin_flags::problems_of_change(&set.definition, &whole);
        if !problems.is_empty() {
            return FlagError::Invalid(problems);
        }
        let name = head.name.clone();
        let after = SetDefinition { flags: Shared::default(), ..head };
        let what = Requested::Set { before: Box::new(before), after: Box::new(after) };
        self.ask_for((&name, ""), who, what, &[])
    }

    /// Remembers a guarded release that others must agree to; its request's number.
    ///
    /// # Errors
    /// When too many wait, or it cannot be stored.
    pub(crate) fn ask_for_release(
        &mut self,
        rollout: &FlagRollout,
        who: Who<'_>,
    ) -> Result<u64, FlagError> {
        let what = Requested::Release { rollout: Box::new(rollout.clone()) };
        self.remember((&rollout.set, &rollout.key), who, what, &[])
    }

    /// Remembers a request; the same one again is the one that waits already. The answer says that
    /// it waits, or why it cannot.
    pub(super) fn ask_for(
        &mut self,
        (set, key): (&str, &str),
        who: Who<'_>,
        what: Requested,
        more: &[FlagWrite],
    ) -> FlagError {
        let made = self.remember((set, key), who, what, more);
        made.map_or_else(|error| error, FlagError::Waits)
    }

    fn remember(
        &mut self,
        (set, key): (&str, &str),
        who: Who<'_>,
        what: Requested,
        more: &[FlagWrite],
    ) -> Result<u64, FlagError> {
        if let Some(known) = self.flags.alike((set, key), who, &what) {
            let (id, over) = (known.id, known.over());
            if let Some(why) = over {
                let hint = "let a person change the flag, or go on without it: `serin promote`";
                return Err(Refused::new(why, hint).into());
            }
            if !more.is_empty() {
                self.executor.store_mut().commit_flags(more)?;
            }
            return Ok(id);
        }
        if self.flags.requests.values().filter(|one| one.is_pending()).count() >= PENDING_MAX {
            let why = format!("{PENDING_MAX} requests wait already");
            return Err(Refused::new(why, "answer some: `serin flag pending`").into());
        }
        let demand = match key {
            "" => self.flags.demand_of_set(set),
            key => self.flags.demand(set, key),
        };
        let demand = demand.cloned().unwrap_or_default();
        let id = self.flags.requests.last_key_value().map_or(1, |(id, _)| id + 1);
        let request = Request {
            id,
            set: set.to_owned(),
            key: key.to_owned(),
            by: who.by.to_owned(),
            reason: who.reason.map(str::to_owned),
            at: who.at,
            ends: serin_flags::Timestamp(who.at.0 + i64::from(demand.expires_hours) * 3_600),
            count: demand.count,
            own: demand.own,
            agreed: vec![],
            state: RequestState::Pending,
            what,
        };
        let writes = [self.forget_oldest(), vec![written(&request)?], more.to_vec()].concat();
        self.executor.store_mut().commit_flags(&writes)?;
        self.flags.requests.insert(id, request);
        Ok(id)
    }

    /// Room for one more that is remembered.
    fn forget_oldest(&mut self) -> Vec<FlagWrite> {
        let answered = self.flags.requests.values().filter(|one| !one.is_pending());
        let answered: Vec<u64> = answered.map(|one| one.id).collect();
        let gone = answered.len().saturating_sub(ANSWERED_MAX);
        let drop = |id: &u64| {
            self.flags.requests.remove(id);
            FlagWrite::DropNote { kind: NOTE.into(), id: id_of(*id) }
        };
        answered[..gone].iter().map(drop).collect()
    }

    /// Somebody agrees. When they were the last that was needed, it is done.
    ///
    /// # Errors
    /// When they may not, it does not wait any more, or what was asked for cannot be done; then
    /// nothing was changed.
    pub(crate) fn agree(&mut self, id: u64, who: Who<'_>) -> Result<(), ApiError> {
        let mut request = self.flags.request(id)?.clone();
        if request.is_pending() && request.ends <= who.at {
            self.lapse_requests();
            request = self.flags.request(id)?.clone();
        }
        if let Some((why, hint)) = request.refuses(who.by) {
            return Err(FlagError::from(Refused::new(why, hint)).into());
        }
        request.agreed.push(agreement(who));
        if request.lacking() > 0 {
            return Ok(self.settle_request(request)?);
        }
        self.do_agreed(request)
    }

    /// Somebody refuses it; whoever asked takes it back like that.
    ///
    /// # Errors
    /// When it does not wait any more, or cannot be stored.
    pub(crate) fn reject(&mut self, id: u64, who: Who<'_>) -> Result<(), FlagError> {
        let request = self.flags.request(id)?.clone();
        if let Some(why) = request.over() {
            return Err(Refused::new(why, "`serin flag pending` lists what waits").into());
        }
        let state = RequestState::Rejected { answer: agreement(who) };
        self.settle_request(Request { state, ..request })
    }

    /// Forgets what nobody answered in time.
    pub(crate) fn lapse_requests(&mut self) {
        let now = seconds();
        let late = self.flags.requests.values().filter(|one| one.is_pending() && one.ends <= now);
        for request in late.cloned().collect::<Vec<_>>() {
            // What cannot be stored now is stored at the next look.
            let _ = self.settle_request(Request { state: RequestState::Lapsed, ..request });
        }
    }

    fn settle_request(&mut self, request: Request) -> Result<(), FlagError> {
        self.executor.store_mut().commit_flags(&[written(&request)?])?;
        self.flags.requests.insert(request.id, request);
        Ok(())
    }

    /// Does what was agreed to.
    fn do_agreed(&mut self, request: Request) -> Result<(), ApiError> {
        match request.what.clone() {
            Requested::Change { verb, before, after } => {
                let (before, after) = (before.map(|flag| *flag), after.map(|flag| *flag));
                Ok(self.change_agreed(request, &verb, before.as_ref(), after)?)
            }
            Requested::Set { before, after } => Ok(self.set_agreed(request, &before, *after)?),
            Requested::Schedule { due } => Ok(self.schedule_agreed(request, due)?),
            Requested::Release { rollout } => self.release_agreed(request, &rollout),
        }
    }

    fn change_agreed(
        &mut self,
        request: Request,
        verb: &str,
        before: Option<&Definition>,
        after: Option<Definition>,
    ) -> Result<(), FlagError> {
        let known = self.flags.set(&request.set)?.flag(&request.key);
        if known.map(|(_, flag, _)| flag) != before {
            return self.outdated(request);
        }
        let given = |flag: Option<&Definition>| flag.is_some_and(gives_somebody);
        if let Some(after) = after.as_ref().filter(|after| !given(before) && given(Some(after))) {
            self.refuse_without_code(after)?;
        }
        let unfit = |why: serin_flags::KeyError| FlagError::Unreadable(why.to_string());
        let key: FlagKey = request.key.parse().map_err(unfit)?;
        let (by, reason, set) = (request.by.clone(), request.reason.clone(), request.set.clone());
        let who = Who { by: &by, reason: reason.as_deref(), at: seconds() };
        let act = Act { set: &set, key: &key, who, verb };
        let done = done(request, Some(self.flags.n() + 1));
        let names = names(&done);
        let agreed = Agreed { by: &names, request: Some(done.id) };
        let Changed { .. } = self.make_change(act, after, vec![written(&done)?], agreed)?;
        self.flags.requests.insert(done.id, done);
        Ok(())
    }

    fn set_agreed(
        &mut self,
        request: Request,
        before: &SetDefinition,
        after: SetDefinition,
    ) -> Result<(), FlagError> {
        let now = &self.flags.set(&request.set)?.definition;
        if (SetDefinition { flags: Shared::default(), ..now.clone() }) != *before {
            return self.outdated(request);
        }
        let (by, reason) = (request.by.clone(), request.reason.clone());
        let who = Who { by: &by, reason: reason.as_deref(), at: seconds() };
        let done = done(request, Some(self.flags.n() + 1));
        let names = names(&done);
        let agreed = Agreed { by: &names, request: Some(done.id) };
        self.make_set((after, "set"), who, vec![written(&done)?], agreed)?;
        self.flags.requests.insert(done.id, done);
        Ok(())
    }

    fn schedule_agreed(&mut self, request: Request, due: Vec<Due>) -> Result<(), FlagError> {
        let names = names(&request);
        let approved = |due: Due| Due { approved: names.clone(), ..due };
        let due = due.into_iter().map(approved).collect();
        let done = done(request, None);
        self.plan_flag(due, vec![written(&done)?])?;
        self.flags.requests.insert(done.id, done);
        Ok(())
    }

    fn release_agreed(&mut self, request: Request, rollout: &FlagRollout) -> Result<(), ApiError> {
        let names = names(&request).join(", ");
        self.begin_agreed(rollout, &names)?;
        Ok(self.settle_request(done(request, None))?)
    }

    /// The flag is not what it was: nobody knows what they would agree to.
    fn outdated(&mut self, request: Request) -> Result<(), FlagError> {
        let name = if request.key.is_empty() { &request.set } else { &request.key };
        let why = format!("{name} was changed since it was asked for");
        self.settle_request(Request { state: RequestState::Outdated, agreed: vec![], ..request })?;
        Err(Refused::new(why, "look at it, and ask for it again").into())
    }
}

fn agreement(who: Who<'_>) -> Agreement {
    let (by, reason) = (who.by.to_owned(), who.reason.map(str::to_owned));
    Agreement { by, at: who.at, reason }
}

fn names(request: &Request) -> Vec<String> {
    request.agreed.iter().map(|one| one.by.clone()).collect()
}

fn done(request: Request, change: Option<u64>) -> Request {
    Request { state: RequestState::Approved { change }, ..request }
}

/// Numbers sort as texts.
fn id_of(id: u64) -> String {
    format!("{id:020}")
}

fn written(request: &Request) -> Result<FlagWrite, FlagError> {
    let text = serde_json::to_string(request).map_err(serin_store::Error::from)?;
    Ok(FlagWrite::Note { kind: NOTE.into(), id: id_of(request.id), text })
}
