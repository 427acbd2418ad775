//! What `/proc` says about a process.

use std::time::{SystemTime, UNIX_EPOCH};

use rustix::process::Pid;

/// Wall clock, milliseconds since 1970.
pub(crate) fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as u64)
}

/// Names this boot of the machine; empty when the system does not say.
pub(crate) fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map(|id| id.trim().to_owned())
        .unwrap_or_default()
}

/// When the process was started, in clock ticks since boot (field 22 of `stat`). `None` when
/// there is no such process.
pub(crate) fn start_ticks(pid: Pid) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    parse_start_ticks(&stat)
}

/// The command's name (field 2) may hold spaces and parentheses: count from the last one.
fn parse_start_ticks(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(") ")?;
    rest.split(' ').nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let stat = "7 (a) b) c) S 1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4711 99 1";
        assert_eq!(parse_start_ticks(stat), Some(4711));
        assert_eq!(parse_start_ticks("7 (a"), None);
    }

    #[test]
    fn this_process_has_a_start() {
        let pid = rustix::process::getpid();
        assert!(start_ticks(pid).is_some_and(|ticks| ticks > 0));
        assert!(!boot_id().is_empty());
    }
}
