//! The world a script plays in: the shipped executor and engine on a made-up machine.
//!
//! Time passes second by second. Where a script lets chance decide (`dice`), seconds in which
//! nothing would happen are skipped, messages are mistreated at random, and the log is one in
//! memory; otherwise every second is played and the log is the shipped store.

mod controller;
mod flags;
mod place;
mod post;
mod release;
mod schema;
mod settle;
mod tell;
mod time;

pub(crate) use flags::Act;
pub(crate) use place::Place;
pub use post::Faults;
pub(crate) use schema::Weather;

use crate::draw::{self, Truth};
use crate::log::SimLog;
use crate::machine::Orders;
use crate::script::command::{Button, Command, Target, Wish};
use crate::script::settings;
use crate::tally::Tally;
use controller::{Controller, Old};
use fastrand::Rng;
use post::Post;
use serin_core::{
    Actor, Ask, Departure, DeployAsk, Event, RevisionId, ServiceName, Timestamp, Version,
};
use serin_server::executor::Error;
use std::collections::BTreeMap;

const SEED: u64 = 1;

/// When every script begins.
pub(crate) const START: Timestamp = Timestamp(1_700_000_000_000);

/// Who presses the buttons, unless said.
const PERSON: &str = "ana";

/// How much is looked at and kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mode {
    /// The transcript is written.
    pub told: bool,
    /// The log is the shipped store even where chance decides.
    pub store: bool,
    /// The log is played again at the end, and every rule is checked at every event.
    pub thorough: bool,
}

/// Everything there is.
pub struct World {
    mode: Mode,
    /// Chance decides what a script leaves open.
    dice: bool,
    rng: Rng,
    now: Timestamp,
    turn: u64,
    /// Milliseconds the wall clock gains in a second.
    drift: i64,
    controller: Controller,
    /// Controllers that were followed by another and still act.
    old: Vec<Old>,
    places: BTreeMap<ServiceName, Place>,
    /// The service that commands without a name mean.
    current: Option<ServiceName>,
    truths: BTreeMap<RevisionId, Truth>,
    post: Post,
    crash_after_decision: bool,
    /// Tests of steps that fail.
    failing: std::collections::BTreeSet<String>,
    flags: flags::Flags,
    releases: release::Releases,
    databases: BTreeMap<ServiceName, schema::Database>,
    /// Versions that bring a migration.
    bringing: std::collections::BTreeSet<Version>,
    disk_full: bool,
    /// The last line of the journal that was told.
    told: u64,
    out: String,
    wrong: Vec<String>,
    tally: Tally,
}

impl World {
    pub(crate) fn new(mode: Mode, log: SimLog) -> Self {
        Self {
            mode,
            dice: false,
            rng: Rng::with_seed(SEED),
            now: START,
            turn: 0,
            drift: 0,
            controller: Controller::on(log),
            old: vec![],
            places: BTreeMap::new(),
            current: None,
            truths: BTreeMap::new(),
            post: Post::default(),
            failing: std::collections::BTreeSet::new(),
            flags: flags::Flags::default(),
            releases: release::Releases::default(),
            databases: BTreeMap::new(),
            bringing: std::collections::BTreeSet::new(),
            crash_after_decision: false,
            disk_full: false,
            told: 0,
            out: String::new(),
            wrong: vec![],
            tally: Tally::default(),
        }
    }

    pub(crate) fn run(&mut self, command: Command) -> Result<(), String> {
        match command {
            Command::Dice(seed) => self.roll(seed)?,
            Command::Service(name, changes) => self.describe(&name, &changes)?,
            Command::On(name) => self.turn_to(&name)?,
            Command::Deploy(wish) => self.deploy(wish)?,
            Command::Advance(seconds) => self.advance(seconds),
            Command::Settle => self.settle(),
            Command::Traffic(service, rate) => {
                self.must_be(&service)?;
                self.place()?.machine.rate = rate;
            }
            Command::Truth(version, truth) => {
                self.truths.insert(draw::revision(version.as_str()), truth);
            }
            Command::Press(button, because, by) => self.press(button, because, by)?,
            Command::Test { name, fails: true } => {
                self.failing.insert(name);
            }
            Command::Test { name, fails: false } => {
                self.failing.remove(&name);
            }
            Command::Weather(weather) => {
                let name = self.name()?;
                self.databases.entry(name).or_default().fares(weather);
            }
            Command::Flag { service, key, act } => self.press_flag(&service, &key, act)?,
            Command::Plan => self.plan()?,
            Command::Show => self.show()?,
            fault => self.fault(fault)?,
        }
        self.sound()
    }

    fn fault(&mut self, fault: Command) -> Result<(), String> {
        self.tally.faults += 1;
        match fault {
            Command::Next(kind, fate) => self.post.next.push((kind, fate)),
            Command::Faults(faults) => self.post.faults = faults,
            Command::Crash { after_decision: true } => self.crash_after_decision = true,
            Command::Crash { after_decision: false } => self.crash(),
            Command::SecondController(seconds) => self.second_controller(seconds),
            Command::Disk { full } => self.fill_disk(full),
            Command::Clock(by) => self.now = Timestamp(self.now.0 + by),
            Command::Drift(by) => self.drift = by,
            Command::Power => self.power_cut(),
            other => self.break_machine(other)?,
        }
        Ok(())
    }

    fn break_machine(&mut self, fault: Command) -> Result<(), String> {
        let until = self.turn;
        let place = self.place()?;
        place.excuse(until);
        match fault {
            Command::RestartDataPlane => place.machine.restart_data_plane(),
            Command::Skew(share) => place.machine.skew = share,
            Command::Fresh { hangs } => place.machine.fresh_hangs = hangs,
            Command::Orders(orders) => place.machine.orders = orders,
            Command::CountsLost(seconds) => place.counts_lost_until = until + seconds,
            Command::Kill(target) => place.kill(&target),
            Command::Hang(version, hangs) => {
                place.machine.hang(&draw::revision(version.as_str()), hangs);
            }
            _ => {}
        }
        Ok(())
    }

    /// From now on chance decides.
    fn roll(&mut self, seed: u64) -> Result<(), String> {
        if !self.places.is_empty() || self.turn > 0 {
            return Err("`dice` has to come before everything else".into());
        }
        self.dice = true;
        self.rng = Rng::with_seed(seed);
        Ok(())
    }

    fn power_cut(&mut self) {
        let turn = self.turn;
        for place in self.places.values_mut() {
            place.excuse(turn);
            place.machine.lose_instances();
            place.machine.restart_data_plane();
        }
        self.old.clear();
        self.crash();
    }

    /// What is wrong so far.
    pub(crate) fn sound(&self) -> Result<(), String> {
        if self.wrong.is_empty() { Ok(()) } else { Err(self.wrong.join("; ")) }
    }

    /// Whether a rule was broken.
    pub(crate) fn is_broken(&self) -> bool {
        !self.wrong.is_empty()
    }

    /// The transcript and the numbers.
    pub(crate) fn into_parts(self) -> (String, Tally) {
        (self.out, self.tally)
    }

    fn name(&self) -> Result<ServiceName, String> {
        self.current.clone().ok_or_else(|| "no service yet; begin with `service NAME`".into())
    }

    fn place(&mut self) -> Result<&mut Place, String> {
        let name = self.name()?;
        self.places.get_mut(&name).ok_or_else(|| format!("there is no service `{name}`"))
    }

    fn must_be(&mut self, service: &str) -> Result<(), String> {
        let known = self.places.keys().find(|name| name.as_str() == service).cloned();
        if known.is_some() {
            self.current = known;
            return Ok(());
        }
        let name = self.name()?;
        Err(format!("there is no service `{service}`, only `{name}`"))
    }

    fn turn_to(&mut self, service: &str) -> Result<(), String> {
        self.must_be(service)
    }

    fn describe(&mut self, name: &str, changes: &[(String, String)]) -> Result<(), String> {
        if self.must_be(name).is_err() {
            let mut place = Place::new(settings::service(name)?, self.dice);
            if place.spec.flag.is_none() {
                place.spec.traffic.listen = Some(place::address(self.places.len()));
            }
            let name = place.spec.name.clone();
            self.current = Some(name.clone());
            self.places.insert(name.clone(), place);
            self.found_release(&name);
        }
        let place = self.place()?;
        let mut spec = place.spec.clone();
        for (key, value) in changes {
            settings::change(&mut spec, key, value)?;
        }
        place.spec = spec;
        Ok(())
    }

    fn deploy(&mut self, wish: Wish) -> Result<(), String> {
        self.must_be(&wish.service)?;
        if self.place()?.spec.flag.is_some() {
            return self.release(&wish);
        }
        self.excuse_what_may_be_down();
        let revision = draw::revision(wish.version.as_str());
        if wish.migrates {
            self.bringing.insert(wish.version.clone());
        }
        let brings = self.bringing.contains(&wish.version);
        let spec = settings::with_database(self.place()?.spec.clone(), &wish.version, brings);
        let train = spec.train.as_ref().and_then(|train| train.departures(self.now));
        let departure = train.map(|(at, then)| Departure { at, then, waived: wish.now });
        let ask = DeployAsk {
            spec,
            revision,
            allow_bad: wish.allow_bad,
            departure,
            skips: serin_core::Skips::Nothing,
        };
        self.ask(Ask::Deploy(Box::new(ask)), wish.because, None)
    }

    /// A deploy may promise more than what it finds: all of a service that was allowed to be down
    /// does not stand up at once.
    fn excuse_what_may_be_down(&mut self) {
        let turn = self.turn;
        let Some(name) = self.current.clone() else { return };
        let known = self.controller.up().and_then(|executor| executor.service(&name));
        let may = known.is_some_and(crate::watch::may_be_down);
        if let Some(place) = self.places.get_mut(&name).filter(|_| may) {
            place.excuse(turn);
        }
    }

    fn press(
        &mut self,
        button: Button,
        because: Option<String>,
        by: Option<String>,
    ) -> Result<(), String> {
        let revision = |version: Version| draw::revision(version.as_str());
        if button == Button::Remove {
            let turn = self.turn;
            self.place()?.excuse(turn);
        }
        let ask = match button {
            Button::Promote { full } => Ask::Promote { full },
            Button::Pause => Ask::Pause,
            Button::Resume => Ask::Resume,
            Button::Abort => Ask::Abort,
            Button::Approve => Ask::Approve,
            Button::Retry { allow_bad } => Ask::Retry { allow_bad },
            Button::Release => Ask::Release,
            Button::Mark { version, bad } => Ask::Mark { revision: revision(version), bad },
            Button::Rollback(to) => Ask::Rollback { to: to.map(revision) },
            Button::Contract { overrides } => Ask::Contract {
                override_reason: overrides.then(|| "in a hurry".to_owned()),
                backup: None,
            },
            Button::Remove => Ask::Remove,
        };
        self.ask(ask, because, by)
    }

    fn ask(&mut self, ask: Ask, reason: Option<String>, by: Option<String>) -> Result<(), String> {
        let name = self.name()?;
        let by = Actor(by.unwrap_or_else(|| PERSON.to_owned()));
        let event = Event::Asked { by, reason, ask };
        match self.submit(&name, &event) {
            Some(Err(Error::Refused(refusal))) => {
                self.say(|| format!("refused: {}", refusal.message));
                if let Some(hint) = refusal.hint {
                    self.say(|| format!("hint: {hint}"));
                }
            }
            Some(Err(error)) => self.say(|| format!("refused: {error}")),
            None => self.say(|| "refused: the controller is down".to_owned()),
            Some(Ok(())) => {}
        }
        Ok(())
    }
}

impl Place {
    fn kill(&mut self, target: &Target) {
        match target {
            Target::All => self.machine.lose_instances(),
            Target::Version(version) => self.machine.kill(&draw::revision(version.as_str())),
        }
    }
}

impl World {
    /// All that is wrong with the world ends: from here on everything must come to rest.
    fn make_peace(&mut self) {
        self.post.make_peace();
        self.fill_disk(false);
        (self.drift, self.crash_after_decision) = (0, false);
        self.old.clear();
        self.databases.values_mut().for_each(|database| database.fares(Weather::Well));
        for place in self.places.values_mut() {
            if place.machine.is_broken() {
                place.excuse(self.turn);
            }
            place.machine.heal();
            place.counts_lost_until = 0;
            place.machine.rate = place.machine.rate.max(PEACE_RATE);
            debug_assert_eq!(place.machine.orders, Orders::Taken);
        }
    }
}

/// Requests a second at least, in peace.
const PEACE_RATE: u64 = 200;
