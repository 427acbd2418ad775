//! Users who were given an arm of a release, told to whoever judges releases.

use crate::edge::Edge;
use crate::outcome::{Outcome, Taken};
use crate::set::Set;
use serin_flags::{Arm, Context};

/// A user who was given an arm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Met<'a> {
    /// The set.
    pub set: &'a str,
    /// The flag.
    pub flag: &'a str,
    /// The arm.
    pub arm: Arm,
    /// Whom the flag was evaluated for: the targeting key.
    pub user: &'a str,
    /// Whether the draw says so too. A client that says otherwise has a rule, or another hash, that
    /// is not known here: such a user is no part of the sample.
    pub drawn: bool,
}

/// Whoever judges releases.
pub trait Watcher: Send + Sync {
    /// A user was given an arm; called on the threads that serve, so it must be quick.
    fn met(&self, met: Met<'_>);

    /// An app says what became of a user in a release; called there too.
    fn outcome(&self, outcome: &Outcome<'_>) -> Taken;
}

impl Edge {
    /// Tells `watcher` of users who are given an arm of a release, unless somebody is told already.
    pub fn tell_met(&self, watcher: std::sync::Arc<dyn Watcher>) {
        // The first stays: there is one judge in a process.
        let _ = self.watcher.set(watcher);
    }

    /// A flag was evaluated here.
    pub(crate) fn met(&self, set: &str, flag: &str, arm: Option<Arm>, context: &Context<'_>) {
        let told = self.watcher.get().zip(arm).zip(context.targeting_key());
        if let Some(((watcher, arm), user)) = told {
            watcher.met(Met { set, flag, arm, user, drawn: true });
        }
    }

    /// A client evaluated a flag, and says what it gave the user.
    pub(crate) fn reported(&self, set: &Set, flag: &str, user: &str, variant: &str, now_s: u64) {
        let Some((watcher, place)) = self.watcher.get().zip(set.place(flag)) else { return };
        let mut context = Context::new();
        context.set_targeting_key(user);
        let drawn =
            set.flags.evaluate_flag(&set.flags.flags()[place], &context, now_s.cast_signed());
        let Some((own, drawn)) = drawn.ok().and_then(|one| Some((one.arm?, one.variant?))) else {
            return;
        };
        let is_drawn = drawn == variant;
        let arm = if is_drawn { own } else { own.other() };
        watcher.met(Met { set: set.name(), flag, arm, user, drawn: is_drawn });
    }
}
