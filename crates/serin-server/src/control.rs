//! The one task that owns all state. Everyone else hands it a question as a closure and gets the
//! answer back, so there is no lock and no second copy of the truth.

mod counts;
mod platform;

use crate::checkup::{CheckedUp, Checkups};
use crate::executor::{Effect, Error, Executor, Fact, Outcome, TOGETHER as AT_ONCE};
use crate::flags::{self, Flags, FlagsListen, Told};
use crate::hooks::{Ended, Hooks};
use crate::notify::{Notifier, Tried};
use crate::release::Releases;
use crate::schema::{Migrations, News};
use crate::{drill, machine, views};
use counts::Counted;
pub use platform::{Counting, Platform};
use serin_core::{Event, Observation, Plan, ServiceName, Timestamp};
use serin_local::wire::Counters;
use serin_local::{Local, Report};
use serin_store::{Ballast, OwedNotice, Store};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use crate::api::view::JournalLine;

/// Time between two looks at the counters while a judge is at work.
const LOOK: Duration = Duration::from_secs(1);

/// Looks skipped between two when no judge is at work.
const IDLE_LOOKS: u32 = 5;

/// Looks between two times that the use of flags is stored.
const USES_LOOKS: u32 = 30;

/// Reports that are taken together.
const TOGETHER: usize = 128;

/// Time spent at each look on making the store smaller; a single step takes about a millisecond.
const TIDYING: Duration = Duration::from_millis(3);

/// Longest wait for the data plane's counters when somebody asks for a view.
const COUNTERS_MAX: Duration = Duration::from_millis(500);

/// Journal lines a slow listener may lag behind before it must read them from the store.
const TELL_BACKLOG: usize = 1024;

/// A question for the owner.
pub(crate) type Question = Box<dyn FnOnce(&mut Core) + Send>;

/// A way to ask the owner. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Handle {
    questions: mpsc::Sender<Question>,
    tells: broadcast::Sender<JournalLine>,
    local: Local,
    told: watch::Receiver<Told>,
}

/// The state and what changes it.
pub(crate) struct Core {
    pub(crate) executor: Executor,
    platform: Arc<dyn Platform>,
    /// The data plane's newest counters.
    pub(crate) counts: Option<Counters>,
    tells: broadcast::Sender<JournalLine>,
    looks: u32,
    data: PathBuf,
    hooks: Hooks,
    pub(crate) migrations: Migrations,
    pub(crate) flags: Flags,
    pub(crate) releases: Releases,
    pub(crate) notifier: Notifier,
    pub(crate) checkups: Checkups,
    /// Has the store's log copied into its file; gone when that cannot be done beside.
    copies: Option<SyncSender<()>>,
}

/// An executor that has taken over, with what it wants done first.
pub(crate) struct Opened {
    executor: Executor,
    effects: Vec<Effect>,
    flags: Flags,
    notices: Vec<OwedNotice>,
}

impl Opened {
    pub(crate) fn epoch(&self) -> u64 {
        self.executor.epoch()
    }
}

/// Takes over the store; a full disk is no reason not to start.
pub(crate) fn open(
    store: Store,
    ballast: Ballast,
    flags_listen: FlagsListen,
) -> Result<Opened, Error> {
    let _ = ballast.hold();
    let opened = Executor::open(store, Some(ballast.clone()), now()).or_else(|failed| {
        let (store, error) = *failed;
        match error {
            Error::Store(serin_store::Error::Full) => {
                ballast.release();
                Executor::open(store, Some(ballast), now())
            }
            error => Err(Box::new((store, error))),
        }
    });
    let (executor, effects) = opened.map_err(|failed| failed.1)?;
    let mut flags = Flags::load(executor.store())?;
    flags.serve(flags_listen, executor.epoch());
    // Those that cannot be read are told by nobody; the rest of Serin goes on.
    let notices = executor.store().notices().unwrap_or_default();
    Ok(Opened { executor, effects, flags, notices })
}

/// Starts the owner.
pub(crate) fn spawn(
    opened: Opened,
    data: PathBuf,
    local: Local,
    reports: mpsc::Receiver<Report>,
) -> Handle {
    let at = data.clone();
    let (questions, tells) = begin(opened, data, Arc::new(local.clone()), reports);
    let push = flags::start_push(&at, &questions, local.flags().clone());
    let told = push.told.clone();
    let hand_over: Question = Box::new(move |core| core.flags.tell_to(push));
    // There is room: nobody has asked anything yet.
    let _ = questions.try_send(hand_over);
    Handle { questions, tells, local, told }
}

/// Starts the owner on any platform; how to ask it, and where it tells.
pub(crate) fn begin(
    opened: Opened,
    data: PathBuf,
    platform: Arc<dyn Platform>,
    reports: mpsc::Receiver<Report>,
) -> (mpsc::Sender<Question>, broadcast::Sender<JournalLine>) {
    let (questions, inbox) = mpsc::channel(256);
    let (tells, _) = broadcast::channel(TELL_BACKLOG);
    let (executor, lines) = (opened.executor, tells.clone());
    let (hooks, ends) = Hooks::new();
    let (migrations, news) = Migrations::new();
    let (counts, looks, copies) = (None, 0, copy_beside(executor.store()));
    let (flags, releases) = (opened.flags, Releases::default());
    let (notifier, told) = Notifier::new(opened.notices, now());
    let (checkups, checked) = Checkups::new();
    let mut core = Core {
        executor,
        platform,
        counts,
        tells: lines,
        looks,
        data,
        hooks,
        migrations,
        flags,
        releases,
        notifier,
        checkups,
        copies,
    };
    core.kill_again();
    core.carry_out(opened.effects);
    core.tend_all();
    tokio::spawn(own(core, inbox, reports, Beside { ends, news, told, checked }));
    (questions, tells)
}

/// Copies the store's log into its file on a thread of its own, whenever told to.
fn copy_beside(store: &Store) -> Option<SyncSender<()>> {
    let checkpointer = store.checkpointer().ok()??;
    let (tell, told) = sync_channel(1);
    let work = move || {
        // What cannot be copied now is copied the next time.
        while told.recv().is_ok() {
            let _ = checkpointer.run();
        }
    };
    std::thread::Builder::new().name("control-copies".into()).spawn(work).ok()?;
    Some(tell)
}

impl Handle {
    /// Asks the owner; `None` when it has ended.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Core) -> T + Send + 'static,
    ) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        let boxed: Question = Box::new(move |core| {
            let _ = reply.send(question(core));
        });
        self.questions.send(boxed).await.ok()?;
        answer.await.ok()
    }

    /// Journal lines as they are written.
    pub(crate) fn listen(&self) -> broadcast::Receiver<JournalLine> {
        self.tells.subscribe()
    }

    /// The data plane's counters, unless it takes too long to answer.
    pub(crate) async fn counters(&self) -> Option<Counters> {
        timeout(COUNTERS_MAX, self.local.counters()).await.ok()?.ok()
    }

    /// What the data plane says of its flags.
    pub(crate) fn told(&self) -> watch::Receiver<Told> {
        self.told.clone()
    }

    /// The platform.
    pub(crate) fn local(&self) -> &Local {
        &self.local
    }
}

/// The present by the wall clock.
pub(crate) fn now() -> Timestamp {
    Timestamp(jiff::Timestamp::now().as_millisecond())
}

/// What becomes of the work that is done beside the owner.
struct Beside {
    ends: mpsc::UnboundedReceiver<Ended>,
    news: mpsc::UnboundedReceiver<News>,
    told: mpsc::UnboundedReceiver<Tried>,
    checked: mpsc::UnboundedReceiver<CheckedUp>,
}

async fn own(
    mut core: Core,
    mut inbox: mpsc::Receiver<Question>,
    mut reports: mpsc::Receiver<Report>,
    mut beside: Beside,
) {
    let mut look = interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (counted, mut counts) = mpsc::channel(2);
    let mut seen = Vec::new();
    loop {
        let wake = core.wake_in();
        tokio::select! {
            question = inbox.recv() => match question {
                Some(question) => tokio::task::block_in_place(|| question(&mut core)),
                // Nobody is left who could ask.
                None => return,
            },
            1.. = reports.recv_many(&mut seen, TOGETHER) => {
                tokio::task::block_in_place(|| core.seen(seen.drain(..)));
            }
            Some(report) = counts.recv() => tokio::task::block_in_place(|| core.counted(report)),
            Some(ended) = beside.ends.recv() => {
                tokio::task::block_in_place(|| core.hook_ended(ended));
            }
            Some(news) = beside.news.recv() => {
                tokio::task::block_in_place(|| core.migrated(news));
            }
            Some(tried) = beside.told.recv() => {
                tokio::task::block_in_place(|| core.told_people(&tried));
            }
            Some(seen) = beside.checked.recv() => {
                tokio::task::block_in_place(|| core.checked_up(&seen));
            }
            _ = look.tick() => core.look(&counted),
            () = tokio::time::sleep_until(wake) => tokio::task::block_in_place(|| core.woke()),
        }
    }
}

impl Core {
    /// Gives one event to the engine and has the outcome carried out.
    pub(crate) fn submit(&mut self, service: &ServiceName, event: &Event) -> Result<(), Error> {
        self.follow_up(service, event)?;
        self.tend_flags(service);
        Ok(())
    }

    /// Tests that were under way when another controller had the service run again.
    fn tend_all(&mut self) {
        for service in self.executor.services() {
            self.hooks.tend(&service.name, Some(service));
            self.migrations.tend(&service.name, Some(service));
        }
    }

    /// Hands in how a test ended, again and again until it is stored.
    fn hook_ended(&mut self, ended: Ended) {
        let event = Event::HookEnded {
            hook: ended.key.clone(),
            passed: ended.passed,
            text: ended.text.clone(),
        };
        match self.executor.submit(&ended.service, &event, now()) {
            Err(Error::Store(error)) => {
                eprintln!("serin: {}: {error}", ended.service);
                self.hooks.keep(ended);
            }
            told => {
                self.hooks.delivered(&ended);
                self.carry_out(told.unwrap_or_default());
                self.tend(&ended.service);
                self.tend_flags(&ended.service);
            }
        }
    }

    /// What makes plans true.
    pub(crate) fn platform(&self) -> &dyn Platform {
        &*self.platform
    }

    /// Where everything durable lies.
    pub(crate) fn data(&self) -> &std::path::Path {
        &self.data
    }

    /// Has a plan made true: that of a flag here, others by the machine.
    fn apply(&mut self, plan: Plan) {
        if plan.flag.is_some() {
            self.release_flag(&plan.service);
        } else {
            self.platform.apply(plan);
        }
    }

    /// Gives one event to the engine that follows from another one.
    pub(crate) fn follow_up(&mut self, service: &ServiceName, event: &Event) -> Result<(), Error> {
        let effects = self.executor.submit(service, event, now())?;
        self.carry_out(effects);
        self.tend(service);
        Ok(())
    }

    /// Has what is wanted beside the plan worked on.
    fn tend(&mut self, name: &ServiceName) {
        let service = self.executor.service(name);
        self.hooks.tend(name, service);
        self.migrations.tend(name, service);
    }

    fn carry_out(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Apply(plan) => self.apply(plan.into_inner()),
                Effect::Tell(seq, service, entry) => {
                    self.check_up(&service, &entry);
                    // Nobody listening is no error.
                    let _ = self.tells.send(views::journal_line(seq, service, entry));
                }
                Effect::Notify(service, notice) => self.notify(&service, &notice),
                Effect::Ended(service, record) => {
                    if record.outcome == serin_core::Outcome::RolledBack {
                        let why = record.cause.as_ref().map(|cause| cause.text.as_str());
                        self.rolled_back(&service, why.unwrap_or("no cause is known"));
                    }
                }
                Effect::Forget(service) => {
                    drill::forget(&self.data, &service);
                    if service.as_flag().is_some() {
                        self.release_flag(&service);
                    } else {
                        self.platform.remove(service);
                    }
                }
            }
        }
    }

    /// Facts nobody asked for: when they cannot be stored, they come again.
    fn note(&mut self, facts: &[Fact]) {
        for facts in facts.chunks(AT_ONCE) {
            let at = now();
            let (mut outcome, mut draft) = (Outcome::default(), self.executor.draft(facts, at));
            self.executor.store_orders(&mut draft, at, &mut outcome);
            let plans = outcome.effects.extract_if(.., |effect| {
                // What a flag's plan sets off would be decided in the middle of this.
                matches!(effect, Effect::Apply(plan) if plan.flag.is_none())
            });
            let plans = plans.collect();
            self.carry_out(plans);
            self.executor.store_rest(draft, at, &mut outcome);
            self.noted(facts, outcome);
        }
    }

    fn noted(&mut self, facts: &[Fact], outcome: Outcome) {
        let Outcome { effects, failed } = outcome;
        self.carry_out(effects);
        for (service, _) in facts {
            self.tend(service);
            self.tend_flags(service);
        }
        for (service, error) in failed {
            if let Error::Store(error) = error {
                eprintln!("serin: {service}: {error}");
            }
        }
    }

    fn seen(&mut self, reports: impl Iterator<Item = Report>) {
        let mut facts = Vec::new();
        for Report::Observed(service, observation) in reports {
            if self.executor.service(&service).is_none() {
                // Left over from a removal that was interrupted.
                self.platform.remove(service);
                continue;
            }
            let observation = self.without_noise(&service, observation);
            facts.push((service, Event::Observed(observation)));
        }
        self.note(&facts);
    }

    /// Requests in flight change all the time; they only matter on revisions that leave.
    fn without_noise(&self, name: &ServiceName, mut seen: Observation) -> Observation {
        let plan = self.executor.service(name).and_then(|service| service.plan.as_deref());
        for (id, revision) in &mut seen.revisions {
            if plan.is_some_and(|plan| plan.revisions.contains_key(id)) {
                revision.in_flight = 0;
            }
        }
        seen
    }

    /// Asks the data plane what it counted, hands out plans that nobody confirmed, and looks
    /// whether there is room on the disk again.
    fn look(&mut self, counted: &mpsc::Sender<Counted>) {
        self.looks += 1;
        for ended in self.hooks.take_unsent() {
            self.hook_ended(ended);
        }
        self.migrated_again();
        for plan in self.executor.owed() {
            self.apply(plan.into_inner());
        }
        tokio::task::block_in_place(|| {
            self.tend_releases();
            self.tend_all_flags();
        });
        if self.looks.is_multiple_of(IDLE_LOOKS) && machine::is_disk_full(&self.data) {
            self.executor.note_full_disk();
        } else if self.executor.trouble().is_some() {
            self.executor.recover(now());
        }
        self.recover_flags();
        tokio::task::block_in_place(|| {
            self.tend_notices();
            self.make_due();
            self.lapse_requests();
        });
        if self.looks.is_multiple_of(USES_LOOKS) && self.executor.trouble().is_none() {
            self.store_uses();
        }
        // A copy that is still under way takes this with it.
        self.copies.as_ref().map(|copies| copies.try_send(()));
        let began = std::time::Instant::now();
        tokio::task::block_in_place(|| {
            self.executor.compact(now(), || began.elapsed() < TIDYING);
        });
        self.ask_counters(counted);
    }

    fn woke(&mut self) {
        let due = self.executor.due(now()).into_iter();
        let facts: Vec<_> = due.map(|service| (service, Event::Woke)).collect();
        self.note(&facts);
    }

    /// When to wake; far away when nothing is due.
    fn wake_in(&self) -> Instant {
        let now = now();
        let left = self.executor.next_wake().map_or(3_600_000, |at| at.since(now).0);
        let least = if self.executor.trouble().is_some() { 1000 } else { 1 };
        Instant::now() + Duration::from_millis(left.max(least))
    }
}
