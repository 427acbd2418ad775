//! Works on the databases of services: does what the engine owes them, one order at a time for
//! each, and hands in what came of it. A controller that takes over does what is owed again; the
//! runner finds in the database how far it was.

mod compare;
mod files;
mod health;
mod work;
mod world;

pub use files::read_migrations;

use crate::control::Core;
use health::Watch;
use serin_core::{
    Event, MigrationGoal, MigrationNews, MigrationOrder, MigrationProgress, Service, ServiceName,
    migrations_wanted, shapes_watched,
};
use serin_local::wire::Counters;
use serin_migrate::Runner;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::task::AbortHandle;
use work::Stop;
use world::Facts;

/// Time between two looks at how far it is.
const LOOK: Duration = Duration::from_secs(1);

/// Looks after which it is told how far it is although little has changed.
const LOOKS: u32 = 10;

/// First wait before what was stopped is tried again; it doubles up to [`LONGEST`].
const FIRST: Duration = Duration::from_secs(1);

/// Longest of these waits.
const LONGEST: Duration = Duration::from_secs(30);

/// So often SQL is tried on a way back that fails by its own doing; then people have to look.
const TRIES: u32 = 3;

/// What became of an order.
#[derive(Debug)]
pub(crate) struct News {
    order: MigrationOrder,
    news: MigrationNews,
}

/// The orders under way.
#[derive(Debug)]
pub(crate) struct Migrations {
    running: BTreeMap<ServiceName, Running>,
    watch: Watch,
    news: UnboundedSender<News>,
    unsent: Vec<News>,
}

#[derive(Debug)]
struct Running {
    order: MigrationOrder,
    facts: Facts,
    task: AbortHandle,
}

impl Migrations {
    /// Nothing yet; news come out of the receiver.
    pub(crate) fn new() -> (Self, UnboundedReceiver<News>) {
        let (news, receiver) = mpsc::unbounded_channel();
        let running = BTreeMap::new();
        (Self { running, watch: Watch::default(), news, unsent: vec![] }, receiver)
    }

    /// Whether something is worked on; a look at what is there is no work.
    pub(crate) fn is_busy(&self) -> bool {
        self.running.values().any(|running| !is_watch(&running.order))
    }

    /// Makes what is worked on for `name` what is owed now.
    pub(crate) fn tend(&mut self, name: &ServiceName, service: Option<&Service>) {
        let wanted = service.and_then(wanted);
        if wanted.is_none() && self.running.is_empty() {
            return;
        }
        let same = |running: &Running| wanted.as_ref() == Some(&running.order);
        if self.running.get(name).is_some_and(|running| !same(running)) {
            // What a runner leaves in the middle, the next one finds in the database.
            if let Some(running) = self.running.remove(name) {
                running.task.abort();
            }
        }
        let open = service.and_then(|service| Some((service, service.schemas.open.as_ref()?)));
        let Some(((service, open), order)) = open.zip(wanted) else { return };
        if let Some(running) = self.running.get(name) {
            return running.facts.look(service, open);
        }
        let facts = Facts::default();
        facts.look(service, open);
        if open.progress.is_none() && !is_watch(&order) {
            self.watch.begin(name.as_str());
        }
        let work = tend_order(order.clone(), facts.clone(), self.news.clone());
        let task = tokio::spawn(work).abort_handle();
        self.running.insert(name.clone(), Running { order, facts, task });
    }

    /// Takes in what the data plane counted.
    pub(crate) fn counted(&mut self, report: &Counters, wanted: impl Fn(&str) -> bool) {
        self.watch.counted(report, wanted);
        for (name, running) in self.running.iter().filter(|(_, one)| !is_watch(&one.order)) {
            running.facts.fares(self.watch.health(name.as_str()));
        }
    }
}

impl Drop for Migrations {
    fn drop(&mut self) {
        self.running.values().for_each(|running| running.task.abort());
    }
}

impl Core {
    /// Hands in what became of an order, again and again until it is stored.
    pub(crate) fn migrated(&mut self, news: News) {
        let name = news.order.service.clone();
        let event =
            Event::Migrated { order: Box::new(news.order.clone()), news: news.news.clone() };
        if let Err(crate::executor::Error::Store(error)) = self.submit(&name, &event) {
            eprintln!("serin: {name}: {error}");
            // How far it is comes again by itself.
            if !matches!(news.news, MigrationNews::Progress(_)) {
                self.migrations.unsent.push(news);
            }
        }
    }

    /// Takes in how the services with a database fare.
    pub(crate) fn watch_migrations(&mut self, report: &Counters) {
        let executor = &self.executor;
        let has_database = |name: &str| {
            let service = name.parse().ok().and_then(|name| executor.service(&name));
            service.is_some_and(|service| service.spec.run.database.is_some())
        };
        self.migrations.counted(report, has_database);
    }

    /// Hands in what could not be stored before.
    pub(crate) fn migrated_again(&mut self) {
        for news in std::mem::take(&mut self.migrations.unsent) {
            self.migrated(news);
        }
    }
}

/// What is owed of the database; else a look at it, where both shapes are in use.
fn wanted(service: &Service) -> Option<MigrationOrder> {
    migrations_wanted(service).pop().or_else(|| shapes_watched(service))
}

fn is_watch(order: &MigrationOrder) -> bool {
    matches!(order.goal, MigrationGoal::Watch { .. })
}

/// Works on one order until it is done or can never be.
async fn tend_order(order: MigrationOrder, facts: Facts, news: UnboundedSender<News>) {
    let tell = |told| {
        // Nobody listens when the control plane ends.
        let _ = news.send(News { order: order.clone(), news: told });
    };
    if is_watch(&order) {
        return compare::compare(&order, &facts, &tell).await;
    }
    let (mut wait, mut failures) = (FIRST, 0);
    loop {
        match attempt(&order, &facts, &tell).await {
            Ok(done) => return tell(done),
            Err(Stop::Never(why)) => return tell(MigrationNews::Refused { why }),
            Err(Stop::Own(why)) if failures + 1 >= TRIES => {
                tell(MigrationNews::Stopped { why: left_to_people(&why) });
                by_people(&order, &facts).await;
                return tell(MigrationNews::Back);
            }
            Err(Stop::Own(why)) => {
                failures += 1;
                tell(MigrationNews::Stopped { why });
            }
            Err(Stop::Later(why)) => tell(MigrationNews::Stopped { why }),
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(LONGEST);
    }
}

fn left_to_people(why: &str) -> String {
    format!(
        "{why}. It failed {TRIES} times and is not tried again: correct what is in its way, then \
         run `serin migrate rollback` with the address of the database; where you did by hand what \
         it should do, say `--override REASON` with it"
    )
}

/// Comes back when somebody has taken the migration back.
async fn by_people(order: &MigrationOrder, facts: &Facts) {
    loop {
        tokio::time::sleep(LOOK).await;
        let Ok(runner) = work::runner(order, facts) else { continue };
        if let Ok(true) = work::is_back(&runner, order).await {
            return;
        }
    }
}

async fn attempt(
    order: &MigrationOrder,
    facts: &Facts,
    tell: &impl Fn(MigrationNews),
) -> Result<MigrationNews, Stop> {
    let runner = work::runner(order, facts)?;
    let done = work::done(order, &runner);
    tokio::select! {
        done = done => done,
        never = follow(&runner, tell) => match never {},
    }
}

/// Tells how far it is, for as long as it is worked on.
async fn follow(runner: &Runner, tell: &impl Fn(MigrationNews)) -> std::convert::Infallible {
    let mut last: Option<MigrationProgress> = None;
    let mut looks = 0;
    loop {
        tokio::time::sleep(LOOK).await;
        looks += 1;
        let Ok(Some(status)) = runner.status().await else { continue };
        if status.state.is_over() {
            continue;
        }
        let progress = work::progress(&status);
        let same = last.as_ref().is_some_and(|last| is_alike(last, &progress));
        if !same || looks >= LOOKS && last.as_ref() != Some(&progress) {
            tell(MigrationNews::Progress(progress.clone()));
            (last, looks) = (Some(progress), 0);
        }
    }
}

/// Whether people would not see much of a difference.
fn is_alike(a: &MigrationProgress, b: &MigrationProgress) -> bool {
    let percent = |p: &MigrationProgress| p.rows.map(|(done, of)| done * 100 / of.max(1));
    (&a.state, &a.step, percent(a), &a.waiting) == (&b.state, &b.step, percent(b), &b.waiting)
}
