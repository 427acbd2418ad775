//! The databases of services: what rollouts owe of their schemas, done by a model that may be away,
//! slow, or say no; and which shapes there are, which no instance may be without.

use super::World;
use serin_core::{
    Doubt, Event, MigrationGoal, MigrationNews, MigrationOrder, MigrationProgress, Millis, Service,
    ServiceName, migrations_wanted, shapes_watched,
};

/// Of so many answers of a database, one is the last thing a controller hears.
const CRASH_EVERY: u32 = 20;

/// How a database fares.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Weather {
    #[default]
    Well,
    Away,
    Slow,
    Refuses,
    /// Somebody writes past the views.
    Apart,
}

/// How far a migration is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spot {
    Expanding,
    Filling,
    Verifying,
    Dual,
    Validating,
    Reverting,
}

#[derive(Debug)]
struct Open {
    name: String,
    spot: Spot,
    left: u32,
}

/// One database.
#[derive(Debug, Default)]
pub(super) struct Database {
    settled: Option<String>,
    open: Option<Open>,
    weather: Weather,
}

fn view(name: &str) -> String {
    format!("public_{name}")
}

impl Database {
    pub(super) fn fares(&mut self, weather: Weather) {
        self.weather = weather;
    }

    /// A second of work on what is owed.
    fn work(&mut self, goal: &MigrationGoal, used: bool) -> Option<MigrationNews> {
        let why = || "the database does not answer".to_owned();
        let watches = matches!(goal, MigrationGoal::Watch { .. });
        if self.weather == Weather::Away && !watches {
            return Some(MigrationNews::Stopped { why: why() });
        }
        match goal {
            MigrationGoal::Ready { files, .. } => {
                self.forward(files.last().map_or("", |f| &f.name), used)
            }
            MigrationGoal::Back { name } => self.back(name),
            MigrationGoal::Contract { .. } => self.contract(),
            MigrationGoal::Halt { .. } => Some(self.halt()),
            MigrationGoal::Watch { .. } => Some(MigrationNews::Compared { doubt: self.doubt() }),
        }
    }

    /// What a look at both shapes finds.
    fn doubt(&self) -> Option<Doubt> {
        match self.weather {
            Weather::Away => Some(Doubt::Unseen { why: "the database does not answer".into() }),
            Weather::Apart => Some(Doubt::Apart { what: "3 rows differ".into() }),
            _ => None,
        }
    }

    fn takes(&self) -> u32 {
        if self.weather == Weather::Slow { 20 } else { 1 }
    }

    fn forward(&mut self, name: &str, used: bool) -> Option<MigrationNews> {
        let takes = self.takes();
        if self.settled.as_deref() == Some(&view(name)) {
            return Some(MigrationNews::Applied { name: name.into(), view: view(name) });
        }
        let Some(open) = &mut self.open else {
            if self.weather == Weather::Refuses {
                return Some(MigrationNews::Refused { why: "it does not fit".into() });
            }
            self.open = Some(Open { name: name.into(), spot: Spot::Expanding, left: takes });
            return Some(MigrationNews::Progress(MigrationProgress::default()));
        };
        if open.name != name || open.spot == Spot::Reverting {
            // Left by a service that was to be removed: a person ends it, the way it is used.
            if used {
                self.settled = Some(view(&open.name));
            }
            self.open = None;
            return Some(MigrationNews::Stopped { why: "another is open".into() });
        }
        open.left = open.left.saturating_sub(1);
        let next = match open.spot {
            _ if open.left > 0 => return None,
            Spot::Expanding => Spot::Filling,
            Spot::Filling => Spot::Verifying,
            _ => Spot::Dual,
        };
        (open.spot, open.left) = (next, takes);
        let (name, view) = (name.to_owned(), view(name));
        // Half of them ask a person for the contract.
        let by_hand = name.len().is_multiple_of(2);
        (next == Spot::Dual).then_some(MigrationNews::Ready {
            name,
            view,
            after: Millis::secs(20),
            by_hand,
        })
    }

    fn back(&mut self, name: &str) -> Option<MigrationNews> {
        let takes = self.takes();
        let open = self.open.as_mut().filter(|open| open.name == name);
        let Some(open) = open else { return Some(MigrationNews::Back) };
        if open.spot != Spot::Reverting {
            (open.spot, open.left) = (Spot::Reverting, takes);
            return None;
        }
        open.left = open.left.saturating_sub(1);
        if open.left == 0 {
            self.open = None;
            return Some(MigrationNews::Back);
        }
        None
    }

    fn contract(&mut self) -> Option<MigrationNews> {
        let takes = self.takes();
        let Some(open) = &mut self.open else { return Some(MigrationNews::Contracted) };
        if open.spot != Spot::Validating {
            if self.weather == Weather::Refuses {
                return Some(MigrationNews::Refused { why: "an old name is connected".into() });
            }
            (open.spot, open.left) = (Spot::Validating, takes + 2);
            return None;
        }
        open.left = open.left.saturating_sub(1);
        if open.left == 0 {
            self.settled = self.open.take().map(|open| view(&open.name));
            return Some(MigrationNews::Contracted);
        }
        None
    }

    fn halt(&mut self) -> MigrationNews {
        match &mut self.open {
            Some(open) => {
                open.spot = Spot::Dual;
                MigrationNews::Halted
            }
            None => MigrationNews::Contracted,
        }
    }

    /// Whether instances that use this shape find it.
    fn has(&self, shape: Option<&str>) -> bool {
        let whole = |open: &&Open| matches!(open.spot, Spot::Dual | Spot::Validating);
        let open = self.open.as_ref().filter(whole).map(|open| view(&open.name));
        self.settled.as_deref() == shape || (shape.is_some() && open.as_deref() == shape)
    }
}

/// The comparison of both shapes, where it finds something else than is known.
fn news_of_shapes(service: &Service, database: &Database) -> Option<MigrationOrder> {
    let known = service.schemas.open.as_ref()?.doubt.clone();
    shapes_watched(service).filter(|_| database.doubt() != known)
}

impl World {
    /// Does what is owed of a service's database, as the shell does.
    pub(super) fn tend_schema(&mut self, name: &ServiceName) {
        let service = self.controller.up().and_then(|executor| executor.service(name));
        let database = self.databases.entry(name.clone()).or_default();
        let owed = service.and_then(|service| migrations_wanted(service).pop());
        let Some(order) = owed.or_else(|| news_of_shapes(service?, database)) else { return };
        let shape = database.open.as_ref().map(|open| view(&open.name));
        let planned = self.places.get(name).and_then(|place| place.machine.plan.as_deref());
        let mut runs = planned.iter().flat_map(|plan| plan.revisions.values());
        let used = runs.any(|r| {
            let view = r.run.database.as_ref().and_then(|used| used.view.as_ref());
            shape.is_some() && view == shape.as_ref()
        });
        let Some(news) = database.work(&order.goal, used) else { return };
        if self.dice && self.rng.u32(..CRASH_EVERY) == 0 {
            return self.crash();
        }
        self.hear(name, order, news);
    }

    fn hear(&mut self, name: &ServiceName, order: MigrationOrder, news: MigrationNews) {
        self.note(name, &Event::Migrated { order: Box::new(order), news });
    }

    /// No instance is ordered to run without its shape of the tables.
    pub(super) fn check_shapes(&mut self) {
        let mut wrong = vec![];
        for (name, place) in &self.places {
            let Some(database) = self.databases.get(name) else { continue };
            let planned = place.machine.plan.iter().flat_map(|plan| &plan.revisions);
            for (id, planned) in planned.filter(|(_, planned)| planned.replicas > 0) {
                let shape = planned.run.database.as_ref().and_then(|used| used.view.as_deref());
                if !database.has(shape) {
                    wrong.push(format!("{name}: {id} runs without its schema {shape:?}"));
                }
            }
        }
        self.wrong.extend(wrong);
    }
}
