//! Ports for instances: below the range the system takes its own from, never one that is still in
//! use, was released a moment ago, or that somebody else holds.

use serin_core::{Millis, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// Lowest port handed out.
const LOWEST: u16 = 10_000;
/// A released port rests this long, so that no late client reaches the next owner.
const REST: Millis = Millis::secs(60);

/// Hands out ports.
#[derive(Debug)]
pub struct Ports {
    range: Range<u16>,
    next: u16,
    taken: BTreeSet<u16>,
    resting: BTreeMap<u16, Timestamp>,
}

impl Ports {
    /// Ports below `ephemeral_low`, beginning anywhere; `start` chooses where.
    pub fn new(ephemeral_low: u16, start: u64) -> Self {
        // A system that takes its own ports from very low on leaves us no room below.
        let end = if ephemeral_low > LOWEST + 1000 { ephemeral_low } else { 32_768 };
        let range = LOWEST..end;
        let next = LOWEST + (start % u64::from(end - LOWEST)) as u16;
        Self { range, next, taken: BTreeSet::new(), resting: BTreeMap::new() }
    }

    /// A port that is neither in use nor resting and that `can_bind`; it is taken from now on.
    pub fn take(&mut self, now: Timestamp, can_bind: impl Fn(u16) -> bool) -> Option<u16> {
        self.resting.retain(|_, until| *until > now);
        let size = self.range.len();
        let free = |port: &u16| {
            !self.taken.contains(port) && !self.resting.contains_key(port) && can_bind(*port)
        };
        let offset = usize::from(self.next - self.range.start);
        let at = |i: usize| self.range.start + ((offset + i) % size) as u16;
        let port = (0..size).map(at).find(free)?;
        self.next = if port + 1 < self.range.end { port + 1 } else { self.range.start };
        self.taken.insert(port);
        Some(port)
    }

    /// Only these are in use: the others are released.
    pub fn keep(&mut self, used: &BTreeSet<u16>, now: Timestamp) {
        let gone: Vec<u16> = self.taken.difference(used).copied().collect();
        for port in gone {
            self.release(port, now);
        }
        self.taken.extend(used);
    }

    /// Its process is gone: the port rests, then it may be taken again.
    pub fn release(&mut self, port: u16, now: Timestamp) {
        if self.taken.remove(&port) {
            self.resting.insert(port, now.plus(REST));
        }
    }
}

/// The low end of the system's own range, from the text of `ip_local_port_range`.
pub fn ephemeral_low(text: &str) -> u16 {
    text.split_whitespace().next().and_then(|low| low.parse().ok()).unwrap_or(32_768)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn free(_: u16) -> bool {
        true
    }

    #[test]
    fn ports_are_below_the_ephemeral_range_and_differ() {
        let mut ports = Ports::new(11_200, 1_199);
        let now = Timestamp(0);
        let some: Vec<u16> = (0..3).map(|_| ports.take(now, free).unwrap()).collect();
        assert_eq!(some, [11_199, 10_000, 10_001]);
    }

    #[test]
    fn a_released_port_rests_for_a_minute() {
        let mut ports = Ports::new(11_200, 0);
        assert_eq!(ports.take(Timestamp(0), free), Some(10_000));
        ports.release(10_000, Timestamp(0));
        let only = |port| port == 10_000;
        assert_eq!(ports.take(Timestamp(59_999), only), None);
        assert_eq!(ports.take(Timestamp(60_000), only), Some(10_000));
    }

    #[test]
    fn a_port_that_is_held_by_others_or_in_use_is_skipped() {
        let mut ports = Ports::new(11_200, 0);
        ports.keep(&BTreeSet::from([10_001]), Timestamp(0));
        assert_eq!(ports.take(Timestamp(0), |port| port != 10_000), Some(10_002));
        ports.release(10_777, Timestamp(0));
        assert_eq!(ports.take(Timestamp(0), |port| port == 10_777), Some(10_777));
        ports.keep(&BTreeSet::from([10_001]), Timestamp(0));
        assert_eq!(ports.take(Timestamp(60_000), |port| port == 10_002), Some(10_002));
    }

    #[test]
    fn a_full_range_gives_nothing() {
        let mut ports = Ports::new(11_200, 0);
        assert_eq!(ports.take(Timestamp(0), |_| false), None);
    }

    #[test]
    fn the_range_of_the_system_is_read() {
        assert_eq!(ephemeral_low("32768\t60999\n"), 32_768);
        assert_eq!(ephemeral_low("20000 60999"), 20_000);
        assert_eq!(ephemeral_low("what"), 32_768);
    }
}
