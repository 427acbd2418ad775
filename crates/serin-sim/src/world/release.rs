//! Flags that are released: what people do with them, what the platform makes of a plan, and what
//! must be so of users at any time.
//!
//! What a flag says is worked out by the shipped function, and who gets what by the shipped
//! evaluator, for some users one by one.

use super::World;
use crate::draw;
use crate::machine::Switch;
use crate::script::command::Wish;
use crate::world::Act;
use serin_core::{
    Actor, Ask, DeployAsk, Event, Millis, Phase, RevisionId, Rollout, Service, ServiceName,
};
use serin_flags::{
    Context, Definition, FlagSet, Killed, Kind, SetDefinition, State, Timestamp, Variant,
};
use serin_server::executor::Error;
use serin_server::flag_wanted;
use std::collections::{BTreeMap, BTreeSet};

/// Users who are looked at.
const USERS: usize = 64;

/// Who ends a release whose flag was switched off.
const SHELL: &str = "serin";

/// All flags that are released.
#[derive(Debug, Default)]
pub(super) struct Releases(BTreeMap<ServiceName, Release>);

/// One flag.
#[derive(Debug)]
struct Release {
    definition: Definition,
    /// What each user gets.
    given: Vec<String>,
    trial: Option<Trial>,
}

/// What a rollout gave to whom.
#[derive(Debug)]
struct Trial {
    rollout: u64,
    candidate: RevisionId,
    users: BTreeSet<usize>,
    /// It was switched on in this rollout: a switch that was off before says nothing against a way
    /// back that a person asks for.
    live: bool,
    /// Nobody may get it any more.
    over: bool,
}

impl Release {
    fn new() -> Self {
        let mut definition = Definition::boolean(Kind::Release, "ana");
        definition.variants.0.retain(|variant| variant.name == "off");
        Self { definition, given: vec![], trial: None }
    }

    /// The variant that everybody gets while nothing is released.
    fn current(&self) -> &str {
        let own = self.definition.default_variant.as_deref();
        let default = own.filter(|_| self.definition.state == State::On);
        default.unwrap_or(&self.definition.off_variant)
    }

    fn is_switched_off(&self) -> bool {
        self.definition.killed.is_some() || self.definition.state != State::On
    }

    /// A person's word holds at once. A share is for another time: there is a release.
    fn person(&mut self, act: Act) {
        let flag = &mut self.definition;
        match act {
            Act::Kill => {
                let (by, reason) = ("ana".to_owned(), "it hurts".to_owned());
                flag.killed = Some(Killed { by, at: Timestamp(0), reason });
            }
            Act::On => (flag.killed, flag.state) = (None, State::On),
            Act::Off => flag.state = State::Off,
            Act::Share(_) => {}
        }
    }

    /// What the definition gives to each of the users, as the shipped evaluator says.
    fn evaluate(&mut self) -> Result<(), String> {
        let mut set = SetDefinition::new("sim");
        let key = "r".parse().map_err(|error| format!("{error:?}"))?;
        set.flags.insert(key, self.definition.clone());
        let flags = FlagSet::of(&set).map_err(|problems| format!("the flag is {problems:?}"))?;
        let variant = |user: usize| {
            let mut context = Context::new();
            context.set_targeting_key(format!("u{user}"));
            let given = flags.evaluate("r", &context, 0);
            given.ok().and_then(|given| given.variant.map(str::to_owned)).unwrap_or_default()
        };
        self.given = (0..USERS).map(variant).collect();
        Ok(())
    }

    /// Those of the users who get a variant.
    fn with(&self, version: &str) -> BTreeSet<usize> {
        let all = self.given.iter().enumerate();
        all.filter(|(_, given)| *given == version).map(|(user, _)| user).collect()
    }

    /// What is wrong with who gets what.
    fn check(&mut self, service: &Service) -> Option<String> {
        if self.is_switched_off() && self.with(&self.definition.off_variant).len() < USERS {
            return Some("the flag is switched off and gives something else".to_owned());
        }
        let off = service.spec.flag.as_ref().map(|flag| &flag.off);
        // Whoever gets the old variant, or the off one, is going back.
        let is_tried = |rollout: &&Rollout| {
            off != Some(&rollout.candidate)
                && rollout.candidate.version.as_str() != self.definition.off_variant
        };
        let tried = service.rollout.as_ref().filter(is_tried);
        match tried {
            Some(rollout) => self.check_trial(rollout),
            None => self.check_end(service),
        }
    }

    /// The new variant is given to more and more users and taken from nobody, until it is taken back:
    /// then nobody ever gets it in this rollout again.
    fn check_trial(&mut self, rollout: &Rollout) -> Option<String> {
        let version = rollout.candidate.version.as_str();
        let now = self.with(version);
        let same = self.trial.take().filter(|trial| trial.rollout == rollout.id);
        let mut trial = same.unwrap_or_else(|| Trial {
            rollout: rollout.id,
            candidate: rollout.candidate.clone(),
            users: BTreeSet::new(),
            live: false,
            over: false,
        });
        // What is promoted already is switched off and on like anything that people have.
        trial.live |= !self.is_switched_off();
        let ended = trial.live && self.is_switched_off() && rollout.is_on_trial();
        trial.over |= ended || matches!(rollout.phase, Phase::Reverting { .. });
        let is_off = self.is_switched_off();
        let lost = if is_off { 0 } else { trial.users.difference(&now).count() };
        let (over, id) = (trial.over, rollout.id);
        trial.users.clone_from(&now);
        self.trial = Some(trial);
        match over {
            true if !now.is_empty() => {
                Some(format!("{} users get {version} after rollout {id} took it back", now.len()))
            }
            false if lost > 0 => {
                Some(format!("{lost} users had {version} in rollout {id} and lost it"))
            }
            _ => None,
        }
    }

    fn check_end(&self, service: &Service) -> Option<String> {
        let trial = self.trial.as_ref().filter(|_| service.rollout.is_none())?;
        let kept = service.stable.as_ref() == Some(&trial.candidate);
        let version = trial.candidate.version.as_str();
        let left = self.with(version).len();
        let wrong = !kept && left > 0;
        wrong.then(|| format!("{left} users get {version}, which was not promoted"))
    }

    /// What is wrong when everything is at rest.
    fn at_rest(&self, service: &Service) -> Option<String> {
        let stable = service.stable.as_ref().filter(|_| service.rollout.is_none())?;
        if self.definition.release.is_some() {
            return Some("the flag carries a release that is over".to_owned());
        }
        let all = self.with(stable.version.as_str()).len();
        let wrong = !self.is_switched_off() && all < USERS;
        wrong.then(|| format!("{all} of {USERS} users get {}, which is stable", stable.version))
    }
}

impl World {
    /// A flag is there from now on.
    pub(super) fn found_release(&mut self, name: &ServiceName) {
        let place = self.places.get_mut(name).filter(|place| place.spec.flag.is_some());
        if let Some(place) = place {
            place.machine.flag = Some(Switch::On);
            self.releases.0.insert(name.clone(), Release::new());
        }
    }

    /// As `serin flag rollout`.
    pub(super) fn release(&mut self, wish: &Wish) -> Result<(), String> {
        let name = self.name()?;
        let mut spec = self.place()?.spec.clone();
        let known = self.controller.up().and_then(|executor| executor.service(&name)).cloned();
        let Some(release) = self.releases.0.get_mut(&name) else { return Ok(()) };
        let (version, current) = (wish.version.as_str(), release.current().to_owned());
        if release.definition.killed.is_some() || version == current {
            self.say(|| format!("refused: the flag was killed, or everybody has {current}"));
            return Ok(());
        }
        let variants = &mut release.definition.variants;
        if variants.get(version).is_none() {
            let variant = Variant { name: version.to_owned(), value: true.into() };
            variants.0.push(variant);
        }
        let before = release.definition.clone();
        (release.definition.state, release.definition.default_variant) =
            (State::On, Some(current.clone()));
        let everybody = trusted(known.as_ref(), &current);
        if let Some(flag) = &mut spec.flag {
            flag.off = everybody.unwrap_or_else(|| draw::revision(&current));
        }
        // No instance has to get warm, and none is kept.
        (spec.schedule.warm_up, spec.schedule.keep_old) = (Millis(0), Millis(0));
        let revision = draw::revision(version);
        if known.is_some_and(|service| service.is_held(&revision)) {
            self.ask(Ask::Release, None, None)?;
        }
        let allow_bad = wish.allow_bad;
        let deploy = DeployAsk {
            spec,
            revision,
            allow_bad,
            departure: None,
            skips: serin_core::Skips::Nothing,
        };
        if !self.begin_release(&name, deploy, wish.because.clone())
            && let Some(release) = self.releases.0.get_mut(&name)
        {
            release.definition = before;
        }
        Ok(())
    }

    /// Whether it was taken.
    fn begin_release(
        &mut self,
        name: &ServiceName,
        deploy: DeployAsk,
        reason: Option<String>,
    ) -> bool {
        let (by, ask) = (Actor(super::PERSON.to_owned()), Ask::Deploy(Box::new(deploy)));
        match self.submit(name, &Event::Asked { by, reason, ask }) {
            Some(Ok(())) => return true,
            Some(Err(Error::Refused(why))) => self.say(|| format!("refused: {}", why.message)),
            Some(Err(error)) => self.say(|| format!("refused: {error}")),
            None => self.say(|| "refused: the controller is down".to_owned()),
        }
        false
    }

    /// A person changes a flag that is released; false when there is none of this name.
    pub(super) fn press_release(&mut self, set: &str, key: &str, act: Act) -> bool {
        let name = ServiceName::flag(set, key).ok();
        let Some(name) = name.filter(|name| self.releases.0.contains_key(name)) else {
            return false;
        };
        if self.controller.up().is_none() {
            self.say(|| "refused: the controller is down".to_owned());
            return true;
        }
        // What was switched off before has ended its release, whatever comes now.
        self.tend_release(&name);
        if let Some(release) = self.releases.0.get_mut(&name) {
            release.person(act);
        }
        self.say(|| format!("flag {key}: {act:?} by a person"));
        self.follow_release(&name);
        self.tend_release(&name);
        true
    }

    /// Ends the release of a flag that somebody switched off, as the shell does.
    pub(super) fn tend_release(&mut self, name: &ServiceName) {
        let Some(release) = self.releases.0.get(name).filter(|one| one.is_switched_off()) else {
            return;
        };
        let off = release.definition.off_variant.clone();
        let service = self.controller.up().and_then(|executor| executor.service(name));
        let rollout = service.and_then(|service| service.rollout.as_ref());
        let trial =
            rollout.filter(|one| one.is_on_trial() && one.candidate.version.as_str() != off);
        if trial.is_some() {
            let (by, reason) = (Actor(SHELL.to_owned()), Some("it was switched off".to_owned()));
            self.note(name, &Event::Asked { by, reason, ask: Ask::Abort });
        }
    }

    /// Makes the flag what its release wants it to be, and looks at who gets what.
    pub(super) fn follow_release(&mut self, name: &ServiceName) {
        let service = self.controller.up().and_then(|executor| executor.service(name));
        let Some((service, release)) = service.zip(self.releases.0.get_mut(name)) else { return };
        release.definition = flag_wanted(&release.definition, service);
        let wrong = match release.evaluate() {
            Ok(()) => release.check(service),
            Err(why) => Some(why),
        };
        let is_off = release.is_switched_off();
        if let Some(place) = self.places.get_mut(name) {
            place.machine.flag = Some(if is_off { Switch::Off } else { Switch::On });
        }
        self.note_wrong(name, wrong.into_iter().collect());
    }

    /// What is wrong with a released flag at rest.
    pub(super) fn release_at_rest(&self, service: &Service) -> Option<String> {
        let release = self.releases.0.get(&service.name)?;
        release.at_rest(service).map(|what| format!("{}: {what}", service.name))
    }
}

/// The engine's name for a variant that it trusts already.
fn trusted(service: Option<&Service>, variant: &str) -> Option<RevisionId> {
    let service = service?;
    let off = service.spec.flag.as_ref().map(|flag| &flag.off);
    let mut all = service.stable.iter().chain(off);
    all.find(|id| id.version.as_str() == variant).cloned()
}
