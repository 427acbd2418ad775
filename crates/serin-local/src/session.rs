//! What an instance uses with all processes it started: an app that forks workers does nothing in
//! its first process. The trampoline gives each instance a session of its own, which tells whose a
//! process is.

use serin_core::Millis;
use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::time::Instant;

/// Readings kept of each instance: ten minutes, 5 s apart.
const KEPT: usize = 121;

/// The last readings of the instances that are measured.
#[derive(Debug, Default)]
pub(crate) struct Sessions(BTreeMap<String, Series>);

#[derive(Debug, Default)]
struct Series {
    pid: i32,
    kept: VecDeque<(Instant, Used)>,
}

/// What all processes of a session use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Used {
    /// Processor time so far, with that of children that ended, in ticks of the clock.
    ticks: u64,
    /// Memory in bytes; what processes share is divided between them where the system says so.
    bytes: u64,
}

impl Sessions {
    /// Reads the sessions that `pids` lead and forgets the others.
    pub(crate) fn look(&mut self, pids: &BTreeMap<String, i32>, now: Instant) {
        self.0.retain(|id, series| pids.get(id) == Some(&series.pid));
        if pids.is_empty() {
            return;
        }
        let found = sessions();
        for (id, pid) in pids {
            let Some(members) = found.get(pid) else { continue };
            self.take(id, *pid, used(members), now);
        }
    }

    fn take(&mut self, id: &str, pid: i32, used: Used, now: Instant) {
        let series = self.0.entry(id.to_owned()).or_default();
        series.pid = pid;
        series.kept.push_back((now, used));
        if series.kept.len() > KEPT {
            series.kept.pop_front();
        }
    }

    /// Mean processor use over the last `span`, or as long as it was looked at; 1 is a whole core.
    pub(crate) fn cpu(&self, id: &str, span: Millis) -> Option<f64> {
        let kept = &self.0.get(id)?.kept;
        let (last, newest) = kept.back()?;
        let age = |at: &Instant| last.duration_since(*at).as_millis() as u64;
        let (first, oldest) = kept.iter().find(|(at, _)| age(at) <= span.0)?;
        let seconds = last.duration_since(*first).as_secs_f64();
        let ticks = newest.ticks.saturating_sub(oldest.ticks) as f64;
        let used = ticks / rustix::param::clock_ticks_per_second() as f64;
        (seconds > 0.0).then_some(used / seconds)
    }

    /// Memory in bytes when it was last looked at.
    pub(crate) fn memory(&self, id: &str) -> Option<f64> {
        self.0.get(id)?.kept.back().map(|(_, used)| used.bytes as f64)
    }
}

/// One process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Process {
    pid: i32,
    session: i32,
    used: Used,
}

/// All processes of this machine by session; those that end meanwhile are left out.
fn sessions() -> BTreeMap<i32, Vec<Process>> {
    let mut found: BTreeMap<i32, Vec<Process>> = BTreeMap::new();
    let entries = fs::read_dir("/proc").into_iter().flatten().filter_map(Result::ok);
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    for pid in pids {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok();
        if let Some(process) = stat.and_then(|stat| parse(pid, &stat)) {
            found.entry(process.session).or_default().push(process);
        }
    }
    found
}

/// Fields 6 (session), 14 to 17 (ticks, its own and of children that ended) and 24 (resident pages)
/// of `/proc/<pid>/stat`.
fn parse(pid: i32, stat: &str) -> Option<Process> {
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
    let ticks = (14..=17).map(number).sum::<Option<u64>>()?;
    let bytes = number(24)? * rustix::param::page_size() as u64;
    Some(Process { pid, session: number(6)? as i32, used: Used { ticks, bytes } })
}

/// The sum over a session.
fn used(members: &[Process]) -> Used {
    let alone = members.len() == 1;
    members.iter().fold(Used::default(), |sum, process| {
        let shared = (!alone).then(|| share(process.pid)).flatten();
        Used {
            ticks: sum.ticks + process.used.ticks,
            bytes: sum.bytes + shared.unwrap_or(process.used.bytes),
        }
    })
}

/// A process's share of memory: pages that several use are divided between them.
fn share(pid: i32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib << 10)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn ended_children_count_and_odd_names_are_no_problem() {
        let stat = "71 (a) b (c) S 1 71 70 0 -1 4194304 1 0 0 0 250 50 30 20 20 0 7 0 100 1000 3";
        let page = rustix::param::page_size() as u64;
        let used = Used { ticks: 350, bytes: 3 * page };
        assert_eq!(parse(71, stat), Some(Process { pid: 71, session: 70, used }));
        assert_eq!(parse(71, "71 (cut"), None);
    }

    #[test]
    fn the_mean_is_over_the_span_or_as_long_as_there_is() {
        let mut sessions = Sessions::default();
        let hertz = rustix::param::clock_ticks_per_second();
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        let used = |seconds: u64| Used { ticks: seconds * hertz, bytes: 9 };
        sessions.take("a", 1, used(0), at(0));
        assert_eq!(sessions.cpu("a", Millis::secs(60)), None, "one reading has no span");
        sessions.take("a", 1, used(10), at(5));
        assert_eq!(sessions.cpu("a", Millis::secs(60)), Some(2.0));
        sessions.take("a", 1, used(10), at(10));
        assert_eq!(sessions.cpu("a", Millis::secs(60)), Some(1.0));
        assert_eq!(sessions.cpu("a", Millis::secs(5)), Some(0.0));
        assert_eq!(sessions.memory("a"), Some(9.0));
        sessions.look(&BTreeMap::new(), at(15));
        assert_eq!(sessions.memory("a"), None);
    }

    #[test]
    fn our_own_session_can_be_read_with_what_it_shares() {
        let own = std::process::id() as i32;
        let found = sessions();
        let members = found.values().find(|all| all.iter().any(|one| one.pid == own)).unwrap();
        assert!(used(members).bytes > 0);
        assert!(share(own).is_some_and(|bytes| bytes > 0));
    }
}
