//! Stays with a rollout until it is over, or where the caller wants it.

mod feed;
mod goal;
mod screen;

use crate::cli::Goal;
use crate::client::Document;
use crate::context::{Context, path_of};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::printer::{Channel, Line};
use crate::render::{self, words};
use feed::Feed;
use screen::Screen;
use serin_core::{Fact, Millis};
use serin_server::api::view::{Explanation, JournalLine, RolloutStatus};
use std::time::{Duration, Instant};
use tokio::time::{MissedTickBehavior, interval, sleep};

/// A server that is away this long is given up; one that is being replaced is back much sooner.
const ABSENCE: Duration = Duration::from_secs(30);
const LIVE_PACE: Duration = Duration::from_millis(300);
const PLAIN_PACE: Duration = Duration::from_secs(1);

/// Which rollout, how far, how long, and where it is shown.
#[derive(Debug, Clone)]
pub struct Wish {
    /// The service.
    pub service: String,
    /// Its rollout.
    pub rollout: u64,
    /// What is waited for.
    pub goal: Goal,
    /// No longer than this.
    pub timeout: Option<Duration>,
    /// Where the story goes.
    pub channel: Channel,
}

/// Follows a rollout; the exit code says how it went.
pub async fn follow(context: &Context<'_>, wish: Wish) -> Result<Exit, Failure> {
    let mut follower = Follower::new(context, &wish).await?;
    let late = async {
        match wish.timeout {
            Some(timeout) => sleep(timeout).await,
            None => std::future::pending().await,
        }
    };
    let ended = tokio::select! {
        ended = follower.run() => Some(ended),
        _ = tokio::signal::ctrl_c() => None,
        () = late => {
            follower.screen.clear();
            return Err(too_late(context, &wish).await);
        }
    };
    ended.unwrap_or_else(|| {
        follower.screen.clear();
        detached(context, &wish);
        Ok(Exit::Detached)
    })
}

struct Follower<'c> {
    context: &'c Context<'c>,
    wish: &'c Wish,
    screen: Screen<'c>,
    feed: Feed,
    seen: u64,
    answered_at: Instant,
    away: bool,
}

impl<'c> Follower<'c> {
    /// Shows what happened before, and opens the feed of what comes.
    async fn new(context: &'c Context<'c>, wish: &'c Wish) -> Result<Self, Failure> {
        let past = story(context, &wish.service).await?;
        let seen = past.entries.iter().map(|line| line.seq).max().unwrap_or(0);
        let feed = Feed::open(context.client.clone(), &wish.service, seen);
        let screen = Screen::new(context.printer, wish.channel);
        let answered_at = Instant::now();
        let mut follower = Self { context, wish, screen, feed, seen: 0, answered_at, away: false };
        past.entries.iter().for_each(|line| follower.show(line));
        follower.seen = follower.seen.max(seen);
        Ok(follower)
    }

    async fn run(&mut self) -> Result<Exit, Failure> {
        let pace = if self.screen.is_live() { LIVE_PACE } else { PLAIN_PACE };
        let mut tick = interval(pace);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let look_now = tokio::select! {
                _ = tick.tick() => true,
                Some(line) = self.feed.next() => {
                    self.show(&line);
                    matters(&line)
                }
            };
            if look_now && let Some(exit) = self.look().await? {
                return Ok(exit);
            }
        }
    }

    fn show(&mut self, line: &JournalLine) {
        if line.seq > self.seen && line.entry.rollout == Some(self.wish.rollout) {
            self.seen = line.seq;
            self.screen.entry(line);
        }
    }

    /// Asks where the rollout is; the exit code once that is where it was wanted.
    async fn look(&mut self) -> Result<Option<Exit>, Failure> {
        match self.look_once().await {
            Ok(found) => {
                if std::mem::take(&mut self.away) {
                    self.screen.line(&Line::plain("the server is back"));
                }
                self.answered_at = Instant::now();
                Ok(found)
            }
            Err(failure) => self.absence(failure).map(|()| None),
        }
    }

    async fn look_once(&mut self) -> Result<Option<Exit>, Failure> {
        let Wish { service, rollout, goal, .. } = self.wish;
        let path = path_of(service, &format!("/rollouts/{rollout}"));
        let document = self.context.client.document(&path).await?;
        let status: RolloutStatus = document.read()?;
        if status.record.is_some() {
            return self.ended(&status, &document).await.map(Some);
        }
        self.screen.beat(&status.waiting_for);
        if !self.screen.is_live() && matches!(goal, Goal::Promoted | Goal::Stopped) {
            return Ok(None);
        }
        let view = self.context.view(service).await?;
        self.screen.view(&view);
        let here = status.running.is_some_and(|running| goal::is_reached(*goal, &running, &view));
        Ok(here.then(|| self.arrived(&document, &view.waiting_for)))
    }

    /// The server does not answer: it may be just being replaced.
    fn absence(&mut self, failure: Failure) -> Result<(), Failure> {
        if failure.exit == Exit::Usage {
            self.screen.clear();
            let message = format!("{} was removed: {}", self.wish.service, failure.message);
            return Err(Failure::new(Exit::Aborted, "removed", message));
        }
        if failure.exit != Exit::Unreachable || self.answered_at.elapsed() > ABSENCE {
            self.screen.clear();
            return Err(failure);
        }
        if !std::mem::replace(&mut self.away, true) {
            self.screen.line(&Line::plain(
                "the server does not answer; the rollout goes on or waits; trying again",
            ));
        }
        Ok(())
    }

    /// It is over: the rest of the story, then the last words.
    async fn ended(
        &mut self,
        status: &RolloutStatus,
        document: &Document,
    ) -> Result<Exit, Failure> {
        while let Some(line) = self.feed.ready() {
            self.show(&line);
        }
        if let Ok(past) = story(self.context, &self.wish.service).await {
            past.entries.iter().for_each(|line| self.show(line));
        }
        let Some(record) = &status.record else { return Ok(Exit::Internal) };
        let exit = goal::at_end(self.wish.goal, record);
        let frame = render::Frame::of(self.context.printer, self.wish.channel);
        let wanted = exit == Exit::Reached;
        let service = self.wish.service.as_str();
        let ended = render::Ended { service, record, wanted };
        let end = render::end(ended, &frame);
        self.screen.conclude(&end, wanted);
        if self.context.printer.is_json() {
            self.context.printer.pass(document);
        }
        Ok(exit)
    }

    /// It is where it was wanted.
    fn arrived(&mut self, document: &Document, waiting_for: &str) -> Exit {
        self.screen.clear();
        if self.context.printer.is_json() {
            self.context.printer.pass(document);
        } else {
            let text = format!("{}: waiting on {waiting_for}", self.wish.service);
            self.context.printer.note(&Line::plain(text));
        }
        Exit::Reached
    }
}

/// Facts after which the state is worth a look at once.
fn matters(line: &JournalLine) -> bool {
    matches!(
        line.entry.fact,
        Fact::Ended { .. } | Fact::Paused { .. } | Fact::StepDone { .. } | Fact::Weight { .. }
    )
}

async fn story(context: &Context<'_>, service: &str) -> Result<Explanation, Failure> {
    context.client.get(&path_of(service, "/explain")).await
}

fn detached(context: &Context<'_>, wish: &Wish) {
    let service = &wish.service;
    context.printer.alarm(&Line::plain(format!(
        "detached: rollout {} of {service} goes on; stop it with `serin abort {service}`, \
         see it with `serin watch {service}`",
        wish.rollout
    )));
}

async fn too_late(context: &Context<'_>, wish: &Wish) -> Failure {
    let service = &wish.service;
    let time = words::span(Millis(wish.timeout.map_or(0, |t| t.as_millis() as u64)));
    let waits = match context.view(service).await {
        Ok(view) => format!("; waiting on {}", view.waiting_for),
        Err(_) => String::new(),
    };
    let message = format!("rollout {} of {service} still runs after {time}{waits}", wish.rollout);
    Failure::new(Exit::TimedOut, "timeout", message)
        .hint(format!("wait again with `serin wait {service}`; it goes on without you"))
}
