//! Follows one rollout of the demo to its end and tells what happens in it.

use super::{load::Load, server::Server, shop, teller::Teller};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::printer::Tone;
use crate::render::words::{count, thousands};
use serin_core::{Fact, Outcome, RolloutRecord};
use serin_server::api::view::{ArmView, Explanation, JournalLine, ServiceView};
use std::time::{Duration, Instant};

/// Time between two looks.
const LOOK: Duration = Duration::from_millis(100);

/// How the sentence of a passed verdict begins.
const PASSED: &str = "no harm";

/// How a rollout went.
#[derive(Debug, Clone, Default)]
pub(super) struct Course {
    /// Once it has ended.
    pub(super) record: Option<RolloutRecord>,
    /// What the data plane counted for its candidate.
    pub(super) arm: Option<ArmView>,
    /// What it waited for when nobody waited for it any longer.
    pub(super) waiting_for: String,
}

impl Course {
    /// How it ended, if it did.
    pub(super) fn outcome(&self) -> Option<Outcome> {
        self.record.as_ref().map(|record| record.outcome)
    }
}

/// One rollout, from outside.
pub(super) struct Follower<'a, 'p> {
    pub(super) server: &'a Server,
    pub(super) teller: &'a mut Teller<'p>,
    /// The users, once there are any.
    pub(super) load: Option<&'a Load>,
    pub(super) rollout: u64,
    pub(super) version: &'a str,
    /// How long it is followed.
    pub(super) limit: Duration,
}

impl Follower<'_, '_> {
    /// Back when the rollout has ended, or when that took too long.
    pub(super) async fn follow(mut self) -> Result<Course, Failure> {
        let (client, start, limit) = (self.server.client(), Instant::now(), self.limit);
        let path = format!("/api/v1/services/{}/explain", shop::NAME);
        let (mut course, mut told) = (Course::default(), 0);
        loop {
            match client.get::<Explanation>(&path).await {
                Ok(seen) => {
                    told = self.tell_new(&seen.entries, told);
                    if self.note(&seen.service, &mut course) || start.elapsed() > limit {
                        return Ok(course);
                    }
                }
                // The control plane may be starting again; the rollout goes on all the same.
                Err(failure) if failure.exit != Exit::Unreachable => return Err(failure),
                Err(failure) if start.elapsed() > limit => return Err(failure),
                Err(_) => {}
            }
            self.server.check_alive()?;
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Tells what is newer than the entry `told`; gives the newest.
    fn tell_new(&mut self, entries: &[JournalLine], told: u64) -> u64 {
        for line in entries.iter().filter(|line| line.seq > told) {
            if line.entry.rollout == Some(self.rollout) && self.load.is_some() {
                self.tell(line);
            }
        }
        entries.iter().map(|line| line.seq).fold(told, u64::max)
    }

    fn tell(&mut self, line: &JournalLine) {
        match &line.entry.fact {
            Fact::Started { .. } | Fact::StepDone { .. } | Fact::Ended { .. } => {}
            Fact::Weight { revision, weight } => {
                let text = format!("of the requests go to {}", revision.version);
                self.teller.say(&weight.to_string(), &text);
            }
            // "Not yet" is in the line below the story; harm is told with what follows from it.
            Fact::Verdict { .. } if !line.text.starts_with(PASSED) => {}
            Fact::Verdict { .. } => self.teller.tell(Tone::Good, "Evidence", &line.text),
            Fact::Reverting { cause, .. } => {
                let text = format!("{}: {}", self.version, cause.text);
                self.teller.tell(Tone::Bad, "Rolled back", &text);
            }
            Fact::Promoted { .. } => self.teller.tell(Tone::Good, "Promoted", &line.text),
            _ => self.teller.tell(Tone::Warn, "Note", &line.text),
        }
    }

    /// Takes from the view what the course needs; whether the rollout is over.
    fn note(&mut self, view: &ServiceView, course: &mut Course) -> bool {
        let of_candidate = |arm: &&ArmView| arm.revision.version.as_str() == self.version;
        let newer = |arm: &&ArmView| course.arm.as_ref().is_none_or(|a| arm.requests >= a.requests);
        if let Some(arm) = view.traffic.iter().find(of_candidate).filter(newer) {
            course.arm = Some(arm.clone());
        }
        course.waiting_for.clone_from(&view.waiting_for);
        let last = view.last.as_ref().filter(|last| last.id == self.rollout);
        course.record = last.filter(|_| view.rollout.is_none()).cloned();
        if course.record.is_none() {
            self.progress(view);
        }
        course.record.is_some()
    }

    fn progress(&mut self, view: &ServiceView) {
        let seen = self.load.map_or_else(String::new, |load| {
            let tally = load.tally();
            let (done, errors) = (thousands(tally.done()), count(tally.errors(), "error"));
            format!("; {done} requests so far, {errors}")
        });
        self.teller.progress("Waiting", &format!("for {}{seen}", view.waiting_for));
    }
}
