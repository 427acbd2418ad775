//! The transcript.

use super::{START, World};
use crate::script::show;
use crate::watch;
use serin_core::{Entry, RolloutKind, Service, outlook, waiting_on};
use std::fmt::Write as _;

/// Lines of the journal that `show` repeats.
const SHOWN: usize = 3;

impl World {
    /// Repeats a line of the script.
    pub(crate) fn echo(&mut self, line: &str) {
        if self.mode.told {
            let line = line.trim();
            let mark = if line.is_empty() || line.starts_with('#') { "" } else { "> " };
            let _ = writeln!(self.out, "{mark}{line}");
        }
    }

    pub(super) fn say(&mut self, what: impl FnOnce() -> String) {
        if self.mode.told {
            let _ = writeln!(self.out, "   {}", what());
        }
    }

    /// A line in the transcript that no journal tells.
    pub(super) fn mark(&mut self, what: &str) {
        if self.mode.told {
            let at = show::clock(START, self.now);
            let _ = writeln!(self.out, "{at:>7}  ! {what}");
        }
    }

    pub(super) fn tell(&mut self, entry: &Entry) {
        if self.mode.told {
            let at = show::clock(START, entry.at);
            let _ = writeln!(self.out, "{at:>7}  {}", entry.fact);
        }
    }

    /// What was decided and stored, and not yet told when the controller crashed.
    pub(super) fn tell_missed(&mut self) {
        if !self.mode.told {
            return;
        }
        let Some(executor) = self.controller.up() else { return };
        let missed = executor.store().journal(None, self.told).unwrap_or_default();
        for row in missed {
            self.told = row.seq;
            self.tell(&row.entry);
        }
    }

    pub(super) fn plan(&mut self) -> Result<(), String> {
        let name = self.name()?;
        let spec = self.place()?.spec.clone();
        let known = self.controller.up().and_then(|executor| executor.service(&name));
        let schedule = spec.schedule.clone();
        let kind = match known.and_then(|service| service.stable.as_ref()) {
            Some(_) => RolloutKind::Release,
            None => RolloutKind::First,
        };
        let service =
            Service { spec: spec.clone(), ..known.cloned().unwrap_or(Service::new(spec)) };
        self.out.push_str(&show::plan(&outlook(&service, &schedule, kind)));
        Ok(())
    }

    pub(super) fn show(&mut self) -> Result<(), String> {
        let name = self.name()?;
        let now = self.now;
        let Some(executor) = self.controller.up() else {
            self.out.push_str("   | the controller is down\n");
            return Ok(());
        };
        let Some(service) = executor.service(&name) else {
            self.out.push_str("   | there is no such service\n");
            return Ok(());
        };
        let rows = executor.store().journal(Some(&name), 0).map_err(|e| e.to_string())?;
        let Some(place) = self.places.get_mut(&name) else { return Ok(()) };
        let seen = place.machine.look(executor.epoch());
        let scene = show::Scene {
            service,
            waiting_on: waiting_on(service, now),
            trouble: executor.trouble(),
            held: place.machine.plan.as_deref(),
            seen: &seen,
            journal: &rows[rows.len().saturating_sub(SHOWN)..],
            start: START,
        };
        self.out.push_str(&show::block(&scene));
        Ok(())
    }

    /// Plays the log again.
    pub(crate) fn check_log(&mut self) {
        let Some(executor) = self.controller.up().filter(|up| up.trouble().is_none()) else {
            return;
        };
        let mut wrong = Vec::new();
        for name in self.places.keys() {
            if let Some(service) = executor.service(name) {
                wrong.extend(watch::replay(executor.store(), name, service));
            }
            wrong.extend(watch::judged_again(executor.store(), name));
        }
        self.wrong.extend(wrong);
    }
}
