//! What people are told of one decision. Facts of the journal are told as they are; that a person
//! is needed is a state, told when it begins.

use crate::{
    Approval, Entry, Fact, MigrationTold, Notice, Occasion, Outcome, PauseReason, Phase, Recovery,
    RevisionId, Service, ServiceName, Step, Timestamp,
};

/// Notices one decision leads to, at most.
const MOST: usize = 8;

/// What `after` owes its people at `now` that `before` did not.
pub(super) fn notices(
    before: &Service,
    after: &Service,
    journal: &[Entry],
    now: Timestamp,
) -> Vec<Notice> {
    let targets = &after.spec.notify;
    if targets.is_empty() {
        return vec![];
    }
    let told = journal.iter().filter_map(|entry| of_fact(after, journal, entry));
    let said: Vec<_> = told.chain(asked(before, after, now)).collect();
    let addressed = said.into_iter().filter_map(|said| {
        let to = targets.iter().filter(|target| target.on.contains(&said.event));
        let to: Vec<_> = to.map(|target| target.name.clone()).collect();
        (!to.is_empty()).then_some((said, to))
    });
    let numbered = addressed.take(MOST).enumerate();
    numbered.map(|(n, (said, to))| said.notice(&after.name, n, to)).collect()
}

/// A notice without its address.
struct Said {
    event: Occasion,
    at: Timestamp,
    rollout: Option<u64>,
    revision: Option<RevisionId>,
    reason: String,
    /// What stands between the service and the reason.
    says: String,
    /// What stands after it, with the command.
    then: String,
    command: String,
}

impl Said {
    fn notice(self, service: &ServiceName, n: usize, to: Vec<String>) -> Notice {
        let Self { event, at, rollout, revision, reason, says, then, command } = self;
        let number = rollout.map_or(String::new(), |id| id.to_string());
        Notice {
            key: format!("{service}/{number}/{}/{}/{n}", event.as_str(), at.0),
            to,
            event,
            at,
            rollout,
            revision,
            text: format!("{service}: {says}{reason}; {then}"),
            reason,
            command,
        }
    }
}

fn of_fact(service: &Service, journal: &[Entry], entry: &Entry) -> Option<Said> {
    let (event, revision) = occasion(service, journal, entry)?;
    let name = &service.name;
    let may_go_back = service.rollback_target().is_some();
    let (verb, what) = match event {
        Occasion::Promoted if may_go_back => ("rollback", "if it is bad, go back with"),
        Occasion::WayBackDidNotHelp | Occasion::Started | Occasion::Promoted => {
            ("status", "look at it with")
        }
        Occasion::NeedsPerson => ("migrate contract", "when that is over, type"),
        _ => ("explain", "see why with"),
    };
    let command = format!("serin {verb} {name}");
    let version = revision.as_ref().map(|id| id.version.as_str()).unwrap_or_default();
    let says = match &entry.fact {
        Fact::Reverting { .. } => format!("{version} goes back to {}: ", stable(service)),
        Fact::Reported { .. } => format!("{version}: "),
        _ => String::new(),
    };
    let reason = match &entry.fact {
        Fact::Reverting { cause, .. } => cause.text.clone(),
        fact => fact.to_string(),
    };
    let then = format!("{what} `{command}`");
    let (at, rollout) = (entry.at, entry.rollout);
    Some(Said { event, at, rollout, revision, reason, says, then, command })
}

fn stable(service: &Service) -> &str {
    service.stable.as_ref().map_or("nothing", |id| id.version.as_str())
}

/// What a fact is told for, and the revision it is about.
fn occasion(
    service: &Service,
    journal: &[Entry],
    entry: &Entry,
) -> Option<(Occasion, Option<RevisionId>)> {
    let candidate = || candidate(service, entry.rollout);
    let worse = |fact: &Fact| matches!(fact, Fact::NoWayBack { .. } | Fact::RollbackFailed { .. });
    match &entry.fact {
        // The graver of two facts about one end is told alone.
        Fact::Reverting { outcome: Outcome::RolledBack, .. } => {
            let graver = journal.iter().any(|entry| worse(&entry.fact));
            (!graver).then(|| (Occasion::RolledBack, candidate()))
        }
        Fact::Reverting { .. } => Some((Occasion::Aborted, candidate())),
        Fact::NoWayBack { .. } => Some((Occasion::RollbackFailed, candidate())),
        Fact::RollbackFailed { to, .. } => Some((Occasion::RollbackFailed, Some(to.clone()))),
        Fact::BackProven { recovery: Recovery::NotRecovered { .. }, .. } => {
            Some((Occasion::WayBackDidNotHelp, candidate()))
        }
        Fact::Started { to, .. } => Some((Occasion::Started, Some(to.clone()))),
        Fact::Promoted { revision } => Some((Occasion::Promoted, Some(revision.clone()))),
        Fact::Reported { .. } => Some((Occasion::Reported, candidate())),
        Fact::Migration { told: MigrationTold::Open { by_hand: true, .. }, .. } => {
            Some((Occasion::NeedsPerson, candidate()))
        }
        _ => None,
    }
}

/// The candidate of a rollout that is under way or has ended just now.
fn candidate(service: &Service, rollout: Option<u64>) -> Option<RevisionId> {
    let running = service.rollout.as_ref().filter(|r| Some(r.id) == rollout);
    let ended = service.last.as_ref().filter(|record| Some(record.id) == rollout);
    let ended = || ended.map(|record| record.to.clone());
    running.map(|r| r.candidate.clone()).or_else(ended)
}

/// What a person is asked.
#[derive(Debug, PartialEq)]
enum Question {
    /// A rollout is held.
    Paused(PauseReason),
    /// A step waits for approval.
    Approve { step: usize, asked: Approval },
    /// A step waits for `serin promote`.
    Promote { step: usize },
}

/// Set when a person is needed now who was not needed, or not for this, before.
fn asked(before: &Service, after: &Service, now: Timestamp) -> Option<Said> {
    let id = |service: &Service| service.rollout.as_ref().map(|rollout| rollout.id);
    let question = question(after)?;
    let known = id(before) == id(after) && self::question(before).as_ref() == Some(&question);
    let rollout = after.rollout.as_ref().filter(|_| !known)?;
    let (reason, then, command) = words(after, &question, now);
    Some(Said {
        event: Occasion::NeedsPerson,
        at: now,
        rollout: Some(rollout.id),
        revision: Some(rollout.candidate.clone()),
        says: format!("{} needs a person: ", rollout.candidate.version),
        reason,
        then,
        command,
    })
}

fn question(service: &Service) -> Option<Question> {
    let rollout = service.rollout.as_ref()?;
    match &rollout.paused {
        Some(PauseReason::Person(_)) => return None,
        Some(why) => return Some(Question::Paused(why.clone())),
        None => {}
    }
    let step = rollout.step.index;
    let stepping = matches!(rollout.phase, Phase::Stepping);
    match rollout.schedule.step(step).filter(|_| stepping)? {
        Step::Approve(asked) => Some(Question::Approve { step, asked: asked.clone() }),
        Step::Pause(None) => Some(Question::Promote { step }),
        _ => None,
    }
}

/// The reason, what to type for which answer, and the command that comes first.
fn words(service: &Service, question: &Question, now: Timestamp) -> (String, String, String) {
    let name = &service.name;
    let version = service.rollout.as_ref().map_or("it", |r| r.candidate.version.as_str());
    let command = |verb: &str| format!("serin {verb} {name}");
    let because = "--reason \"...\"";
    match question {
        Question::Paused(PauseReason::Confirm { cause, until }) => {
            let back = command("abort");
            let keep = command("promote");
            let left = until.since(now);
            let then = format!(
                "type `{back}` to go back now, or `{keep} {because}` to keep {version}; without an \
                 answer it goes back in {left}"
            );
            (cause.text.clone(), then, back)
        }
        Question::Paused(PauseReason::Failed(cause)) => {
            let (back, keep) = (command("abort"), command("promote"));
            let then = format!(
                "type `{back}` to go back, or `{keep} {because}` to keep {version}; without an \
                 answer everything stays as it is (onFailure: hold)"
            );
            (cause.text.clone(), then, back)
        }
        Question::Paused(why) => {
            let (on, back) = (command("resume"), command("abort"));
            let then = format!("look with `serin explain {name}`, then type `{on}` or `{back}`");
            (held(why), then, on)
        }
        Question::Approve { asked, .. } => approval(asked, &command("approve")),
        Question::Promote { .. } => {
            let (on, back) = (command("promote"), command("abort"));
            let then = format!("type `{on}` to go on, or `{back}` to go back");
            ("this step waits for a person".into(), then, on)
        }
    }
}

fn held(why: &PauseReason) -> String {
    match why {
        PauseReason::Person(who) => format!("paused by {}", who.0),
        PauseReason::Inconclusive => "no decision by the deadline".into(),
        PauseReason::Guard(why) | PauseReason::Check(why) | PauseReason::Instance(why) => {
            why.clone()
        }
        PauseReason::Failed(cause) | PauseReason::Confirm { cause, .. } => cause.text.clone(),
    }
}

fn approval(asked: &Approval, command: &str) -> (String, String, String) {
    let who = match asked.from.as_slice() {
        [] => "anybody".to_owned(),
        from => from.join(", "),
    };
    let people = if asked.count > 1 { format!("{} of: ", asked.count) } else { String::new() };
    let until = asked
        .timeout
        .map_or(String::new(), |span| format!("; without it the rollout is aborted in {span}"));
    let reason = format!("a step waits for approval by {people}{who}");
    (reason, format!("type `{command}`{until}"), command.to_owned())
}
