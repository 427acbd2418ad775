//! One service and its part of the machine.

use crate::machine::Machine;
use crate::watch::Watch;
use serin_core::{Generation, ServiceSpec};
use std::net::SocketAddr;

/// How long after a fault on the machine requests may find nobody: whatever had to be started
/// again has been by then.
const EXCUSED_TURNS: u64 = 120;

/// One service.
#[derive(Debug)]
pub(crate) struct Place {
    /// As its owner wants it with the next deploy.
    pub(crate) spec: ServiceSpec,
    pub(crate) machine: Machine,
    /// The last order, and the turn it was sent in last.
    pub(crate) ordered: Option<(Generation, u64)>,
    /// Turns of the next look and of the next report of counts.
    pub(crate) look_at: u64,
    pub(crate) count_at: u64,
    pub(crate) counts_lost_until: u64,
    /// Until this turn requests may find nobody.
    pub(crate) excused_until: u64,
    pub(crate) watch: Watch,
}

impl Place {
    pub(crate) fn new(spec: ServiceSpec, dice: bool) -> Self {
        let mut machine = Machine::new(0);
        machine.bulk = dice;
        Self {
            spec,
            machine,
            ordered: None,
            look_at: 0,
            count_at: 0,
            counts_lost_until: 0,
            excused_until: 0,
            watch: Watch::default(),
        }
    }

    /// Something was done to its instances that no plan can make good at once.
    pub(crate) fn excuse(&mut self, turn: u64) {
        self.excused_until = turn + EXCUSED_TURNS;
    }
}

/// Where the service with this number listens.
pub(crate) fn address(number: usize) -> SocketAddr {
    ([127, 0, 0, 1], 8080 + number as u16).into()
}
