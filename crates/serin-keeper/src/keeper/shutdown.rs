//! Stopping everything: the control plane, the data plane (it drains), then the instances.

use super::Keeper;
use crate::protocol::PROXY;
use crate::report::say;
use crate::state::Role;

/// Milliseconds the control plane has to end.
const CONTROL_GRACE_MS: u64 = 10_000;

/// Milliseconds a data plane has: its own drain of 30 s and some room.
pub(super) const PROXY_GRACE_MS: u64 = 35_000;

/// Said to whoever wants something new.
pub(super) const STOPPING: &str = "the keeper is stopping everything";

/// Where the keeper is in its own life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// At work.
    Running,
    /// Stopping; `hurry` means without any grace.
    Stopping { hurry: bool },
    /// Nothing runs any more.
    Done,
}

impl Keeper {
    /// SIGTERM or SIGINT came so many times.
    pub(super) fn stop_signals(&mut self, count: usize) {
        match self.phase {
            _ if count == 0 => {}
            Phase::Running => {
                self.begin_shutdown();
                self.stop_signals(count - 1);
            }
            Phase::Stopping { hurry: false } => {
                say(format_args!("asked again to stop: all grace periods end now"));
                self.phase = Phase::Stopping { hurry: true };
            }
            Phase::Stopping { hurry: true } | Phase::Done => {}
        }
    }

    pub(super) fn begin_shutdown(&mut self) {
        if self.phase == Phase::Running {
            let count = self.processes.values().filter(|p| p.is_live()).count();
            say(format_args!("stopping {count} processes; a second signal stops them at once"));
            self.phase = Phase::Stopping { hurry: false };
            self.release_listeners();
        }
    }

    /// Only the data plane's own copies are left: when it closes them, whoever connects is refused
    /// at once instead of waiting in a queue that nobody will serve.
    fn release_listeners(&mut self) {
        self.listeners.clear();
        self.listener_rest = None;
        self.unsaved = true;
    }

    /// Orders the next ends: only when nothing of one step lives, the next one begins.
    pub(super) fn advance_shutdown(&mut self) {
        let Phase::Stopping { hurry } = self.phase else { return };
        for step in [
            &[Role::Control][..],
            &[Role::Proxy, Role::NextProxy, Role::RetiredProxy],
            &[Role::App],
        ] {
            let alive = self.alive(step);
            if alive.is_empty() {
                continue;
            }
            for (name, role, own_grace) in alive {
                let grace = match role {
                    _ if hurry => 0,
                    Role::Control => CONTROL_GRACE_MS,
                    Role::App => own_grace,
                    _ => PROXY_GRACE_MS,
                };
                self.order_end(&name, grace, hurry);
            }
            return;
        }
        self.phase = Phase::Done;
    }

    /// Every turn comes by here: a grace period must start once, not anew each time.
    fn order_end(&mut self, name: &str, grace_ms: u64, hurry: bool) {
        if hurry || self.processes.get(name).is_some_and(|p| p.stop.is_none()) {
            self.stop(name, grace_ms);
        }
    }

    fn alive(&self, roles: &[Role]) -> Vec<(String, Role, u64)> {
        let live = self.processes.iter().filter(|(_, p)| p.is_live() && roles.contains(&p.role));
        live.map(|(name, p)| (name.clone(), p.role, p.grace_ms)).collect()
    }

    /// Ends a data plane that has been replaced: no new connections, those it has are finished.
    pub(super) fn retire(&mut self, name: &str) {
        debug_assert_ne!(name, PROXY, "only a renamed data plane is retired");
        self.stop(name, PROXY_GRACE_MS);
    }
}
