//! The platform of flags: makes the plan of a flag's release true, and says so when the data plane
//! has it.
//!
//! A release is a service like any other to the engine. Here its plan becomes the flag's
//! definition, which the owner of the flags stores and pushes; when the data plane holds it, that
//! is what the engine gets to observe. Level-triggered: what is not true yet is tried again at each
//! look.
//!
//! # Invariants
//! - A plan that gives nobody the new variant is never kept from being true.
//! - Whoever switches a flag off ends its release; nothing here switches it on again.
//! - A release that is over leaves the flag to people: what they write stays.

mod code;
mod start;
mod told;
mod wanted;

pub(crate) use start::{Begun, start};
pub use wanted::wanted;

use crate::control::Core;
use crate::flags::{Act, Changed, FlagError, Who, Wish, seconds};
use serin_core::{
    Actor, Ask, Event, Generation, Observation, Phase, Plan, RevisionObservation, Service,
    ServiceName, Timestamp, Weight,
};
use serin_flags::{Definition, FlagKey, State};
use std::collections::BTreeMap;

/// Who acts when nobody asked.
const SELF: &str = "serin";

/// What was written for each release.
#[derive(Debug, Default)]
pub(crate) struct Releases {
    written: BTreeMap<ServiceName, Written>,
    /// Number of the last observation.
    looks: u64,
}

/// What was written for a plan.
#[derive(Debug, Clone)]
struct Written {
    generation: Generation,
    /// The change of the flag that holds it.
    change: u64,
}

impl Core {
    /// Makes the newest plan of a release true, and has it observed once it is.
    pub(crate) fn release_flag(&mut self, name: &ServiceName) {
        let Some(service) = self.executor.service(name).cloned() else {
            self.releases.written.remove(name);
            return;
        };
        let Some(plan) = service.plan.as_ref() else { return };
        match self.write_release(&service) {
            Ok(change) => {
                let written = Written { generation: plan.generation, change };
                self.releases.written.insert(name.clone(), written);
                self.observe_release(&service, plan);
            }
            Err(why) => self.release_in_trouble(&service, &why),
        }
    }

    /// The change of the flag that says what the plan wants.
    fn write_release(&mut self, service: &Service) -> Result<u64, FlagError> {
        let Some((set, key)) = service.name.as_flag() else { return Ok(0) };
        let (key, flag, mark) = match self.flags.flag(set, key) {
            Ok(known) => known,
            // Nobody has it any more: nothing is owed.
            Err(_) if service.removing => return Ok(0),
            Err(error) => return Err(error),
        };
        let (next, known) = (wanted(flag, service), mark.changed.n);
        if next == *flag {
            return Ok(known);
        }
        let (key, set) = (key.clone(), set.to_owned());
        let reason = told::why(service, flag.release.is_none());
        let who = Who { by: SELF, reason: Some(&reason), at: seconds() };
        let act = Act { set: &set, key: &key, who, verb: verb(service) };
        self.change_flag(act, Some(next)).map(|Changed { n, .. }| n)
    }

    /// Tells the engine that the plan is true, once the data plane has it.
    fn observe_release(&mut self, service: &Service, plan: &Plan) {
        let written = self.releases.written.get(&service.name);
        let Some(written) = written.filter(|w| w.generation == plan.generation) else { return };
        if service.observed.applied >= Some(plan.generation)
            || !self.flags.is_pushed(written.change)
        {
            return;
        }
        let seen = self.seen_of(plan, None);
        self.note_release(&service.name, seen);
    }

    fn release_in_trouble(&mut self, service: &Service, why: &FlagError) {
        let Some(plan) = service.plan.as_ref() else { return };
        let seen = self.seen_of(plan, Some(why.to_string()));
        let seen = Observation {
            applied: service.observed.applied,
            revisions: service.observed.revisions.clone(),
            ..seen
        };
        self.note_release(&service.name, seen);
    }

    /// A variant needs no start: it is ready as soon as it is planned.
    fn seen_of(&mut self, plan: &Plan, trouble: Option<String>) -> Observation {
        self.releases.looks += 1;
        let ready = |replicas| RevisionObservation {
            ready: replicas,
            youngest_ready_at: Some(Timestamp(0)),
            ..RevisionObservation::default()
        };
        let revisions = plan.revisions.iter();
        Observation {
            seq: (self.executor.epoch(), self.releases.looks),
            applied: Some(plan.generation),
            revisions: revisions
                .map(|(id, planned)| (id.clone(), ready(planned.replicas)))
                .collect(),
            fresh: None,
            trouble,
        }
    }

    fn note_release(&mut self, name: &ServiceName, seen: Observation) {
        if let Err(error) = self.submit(name, &Event::Observed(seen)) {
            eprintln!("serin: {name}: {error}");
        }
    }

    /// Looks after all releases: what people did with their flags, what code serves, and what the
    /// data plane has by now.
    pub(crate) fn tend_releases(&mut self) {
        let flags = self.executor.services().filter(|service| service.spec.flag.is_some());
        for name in flags.map(|service| service.name.clone()).collect::<Vec<_>>() {
            self.follow_people(&name);
            self.follow_code(&name);
            let Some(service) = self.executor.service(&name).cloned() else { continue };
            let Some(plan) = service.plan.clone() else { continue };
            let written = self.releases.written.get(&name).map(|written| written.generation);
            if written == Some(plan.generation) && self.is_release_true(&service) {
                self.observe_release(&service, &plan);
            } else {
                self.release_flag(&name);
            }
        }
    }

    fn is_release_true(&self, service: &Service) -> bool {
        let flag = flag_of(self, service);
        flag.is_none_or(|(_, flag)| wanted(flag, service) == *flag)
    }

    /// A release ends with the very change that switches its flag off: whoever switches the flag on
    /// a moment later must not bring the release back.
    pub(crate) fn release_follows(&mut self, set: &str, key: &str) {
        if let Ok(name) = ServiceName::flag(set, key) {
            self.follow_people(&name);
        }
    }

    /// A flag that somebody switched off is off: its release ends. One that is over stays over, so
    /// that `on` brings back what was before.
    fn follow_people(&mut self, name: &ServiceName) {
        let Some(service) = self.executor.service(name) else { return };
        let Some((_, flag)) = flag_of(self, service) else { return };
        let Some(what) = switched_off(flag) else { return };
        self.take_back(name, &what);
    }

    /// A flag whose code does not serve everything any more is off too.
    fn follow_code(&mut self, name: &ServiceName) {
        let Some(service) = self.executor.service(name) else { return };
        let Some((key, flag)) = flag_of(self, service) else { return };
        if !is_out(service) || switched_off(flag).is_some() {
            return;
        }
        let Some(why) = self.lacks_code(flag) else { return };
        let (set, key) = (name.as_flag().map(|(set, _)| set.to_owned()), key.clone());
        self.take_back(name, &why);
        let Some(set) = set else { return };
        let who = Who { by: SELF, reason: Some(&why), at: seconds() };
        if let Err(error) = self.wish_flag(&set, key.as_str(), &Wish::Off, who) {
            eprintln!("serin: {name}: {error}");
        }
    }

    /// Why the flag must not be given to anybody for want of code.
    pub(crate) fn lacks_code(&self, flag: &Definition) -> Option<String> {
        let needed = flag.requires.as_ref()?;
        let service = needed.service.parse().ok();
        let service = service.and_then(|name: ServiceName| self.executor.service(&name));
        code::lacking(needed, service)
    }

    /// Ends a release under way.
    fn take_back(&mut self, name: &ServiceName, reason: &str) {
        let Some(service) = self.executor.service(name) else { return };
        let Some(spec) = service.spec.flag.as_ref() else { return };
        let Some(rollout) = &service.rollout else { return };
        if !is_on_trial(&rollout.phase) || rollout.candidate == spec.off {
            return;
        }
        let (by, reason, ask) = (Actor(SELF.into()), Some(reason.to_owned()), Ask::Abort);
        if let Err(error) = self.submit(name, &Event::Asked { by, reason, ask }) {
            eprintln!("serin: {name}: {error}");
        }
    }
}

fn flag_of<'c>(core: &'c Core, service: &Service) -> Option<(&'c FlagKey, &'c Definition)> {
    let (set, key) = service.name.as_flag()?;
    core.flags.flag(set, key).ok().map(|(key, flag, _)| (key, flag))
}

/// What somebody did, if the flag gives nobody anything new.
fn switched_off(flag: &Definition) -> Option<String> {
    if let Some(killed) = &flag.killed {
        return Some(format!("the flag was killed by {}: {}", killed.by, killed.reason));
    }
    match flag.state {
        State::On if flag.archived_at.is_none() => None,
        State::On => Some("the flag was archived".to_owned()),
        State::Off => Some("the flag was switched off".to_owned()),
        State::Disabled => Some("the flag was disabled".to_owned()),
    }
}

fn is_on_trial(phase: &Phase) -> bool {
    matches!(phase, Phase::Stepping | Phase::Warm { .. })
}

/// Whether anybody gets the new variant.
fn is_out(service: &Service) -> bool {
    let Some(spec) = service.spec.flag.as_ref() else { return false };
    let given = |plan: &Plan| {
        let mut revisions = plan.revisions.iter();
        revisions.any(|(id, planned)| *id != spec.off && planned.weight > Weight::NONE)
    };
    service.plan.as_deref().is_some_and(given)
}

/// The word in the flag's history: a way back has one of its own, as it is never refused.
fn verb(service: &Service) -> &'static str {
    if is_out(service) { "release" } else { crate::flags::BACK }
}
