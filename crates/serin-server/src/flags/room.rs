//! What happens when nothing can be stored: changes are refused, a kill holds all the same.

use super::{Act, BACK, Flags, Mark, Who, Wish};
use crate::control::Core;
use serin_core::Timestamp as Millis;
use serin_flags::Timestamp;
use serin_store::{FlagWrite, KillNote, Store};

impl Core {
    /// Stores, or for a kill remembers until it can be stored.
    pub(super) fn write_flags(
        &mut self,
        act: Act<'_>,
        writes: Vec<FlagWrite>,
    ) -> Result<(), serin_store::Error> {
        let all = [self.flags.unwritten.clone(), writes].concat();
        let Err(error) = self.executor.store_mut().commit_flags(&all) else {
            self.flags.forget_unwritten(self.executor.store_mut());
            return Ok(());
        };
        let full = matches!(error, serin_store::Error::Full);
        if full {
            self.executor.note_full_disk();
        }
        let way_back = ["kill", BACK].contains(&act.verb);
        if !way_back || matches!(error, serin_store::Error::Superseded { .. }) {
            return Err(error);
        }
        if full {
            self.executor.release_ballast();
        }
        if self.executor.store_mut().commit_flags(&all).is_ok() {
            self.flags.forget_unwritten(self.executor.store_mut());
            return Ok(());
        }
        self.flags.unwritten = all;
        if act.verb == "kill" {
            self.flags.kills.push(kill_note(act));
        }
        // With no room for this either the kill stands until this controller ends.
        let _ = self.executor.store_mut().note_kills(&self.flags.kills);
        Ok(())
    }

    /// Writes what could not be written.
    pub(crate) fn recover_flags(&mut self) {
        if self.flags.unwritten.is_empty() {
            return;
        }
        let store = self.executor.store_mut();
        if store.commit_flags(&self.flags.unwritten).is_ok() {
            self.flags.forget_unwritten(store);
        }
    }

    /// Kills again what the controller before killed and could not write.
    pub(crate) fn kill_again(&mut self) {
        for note in self.executor.store().kills() {
            let known = self.flags.flag(&note.set, &note.key);
            let newer = |mark: &Mark| mark.changed.at.0 * 1000 > note.at.0;
            if known.is_ok_and(|(_, flag, mark)| flag.killed.is_none() && !newer(mark)) {
                let at = Timestamp(note.at.0.div_euclid(1000));
                let who = Who { by: &note.by, reason: Some(&note.reason), at };
                let _ = self.wish_flag(&note.set, &note.key, &Wish::Kill, who);
            }
        }
    }
}

impl Flags {
    fn forget_unwritten(&mut self, store: &mut Store) {
        if !self.unwritten.is_empty() {
            self.unwritten.clear();
            self.kills.clear();
            let _ = store.note_kills(&[]);
        }
    }
}

fn kill_note(act: Act<'_>) -> KillNote {
    KillNote {
        set: act.set.to_owned(),
        key: act.key.to_string(),
        by: act.who.by.to_owned(),
        reason: act.who.reason.unwrap_or_default().to_owned(),
        at: Millis(act.who.at.0 * 1000),
    }
}
