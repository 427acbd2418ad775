//! What a process uses, read from `/proc`.

use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

/// Time between two samples.
pub const PERIOD: Duration = Duration::from_secs(5);
/// Samples kept of each instance: ten minutes.
const KEPT: usize = 120;

/// Use of one instance's main process.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Usage {
    /// Share of one core since the last sample, in percent; 0 in the first.
    pub cpu_percent: f64,
    /// Resident memory in bytes.
    pub rss_bytes: u64,
    /// Threads.
    pub threads: u32,
    /// Open files; 0 when the process belongs to another user.
    pub open_files: u32,
}

/// The last samples of all instances.
#[derive(Debug, Default)]
pub struct Samples {
    by_instance: BTreeMap<String, Series>,
}

#[derive(Debug)]
struct Series {
    pid: i32,
    ticks: u64,
    at: Instant,
    kept: VecDeque<Usage>,
}

/// What `/proc/<pid>` says at one moment.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Reading {
    ticks: u64,
    rss_bytes: u64,
    threads: u32,
    open_files: u32,
}

/// One look at some processes, and when. Taken before the samples are locked: however long the
/// system takes to answer, nobody waits for it.
#[derive(Debug)]
pub(crate) struct Look(BTreeMap<String, (i32, Option<Reading>)>, Instant);

impl Look {
    /// Reads every process of `pids`.
    pub(crate) fn at(pids: BTreeMap<String, i32>) -> Self {
        let seen = pids.into_iter().map(|(id, pid)| (id, (pid, read(pid)))).collect();
        Self(seen, Instant::now())
    }
}

impl Samples {
    /// Adds what was seen and forgets the processes that were not looked at.
    pub(crate) fn take(&mut self, look: &Look) {
        self.by_instance.retain(|id, s| look.0.get(id).is_some_and(|(pid, _)| *pid == s.pid));
        for (id, (pid, reading)) in &look.0 {
            if let Some(reading) = reading {
                self.add(id, *pid, *reading, look.1);
            }
        }
    }

    /// The newest sample of one instance.
    pub fn latest(&self, id: &str) -> Option<Usage> {
        self.by_instance.get(id)?.kept.back().copied()
    }

    /// All samples kept of one instance, oldest first, [`PERIOD`] apart.
    pub fn of(&self, id: &str) -> Vec<Usage> {
        self.by_instance.get(id).map(|s| s.kept.iter().copied().collect()).unwrap_or_default()
    }

    fn add(&mut self, id: &str, pid: i32, reading: Reading, now: Instant) {
        let fresh = || Series { pid, ticks: reading.ticks, at: now, kept: VecDeque::new() };
        let series = self.by_instance.entry(id.into()).or_insert_with(fresh);
        let seconds = now.duration_since(series.at).as_secs_f64();
        let used = reading.ticks.saturating_sub(series.ticks) as f64
            / rustix::param::clock_ticks_per_second() as f64;
        let cpu_percent = if seconds > 0.0 { 100.0 * used / seconds } else { 0.0 };
        (series.ticks, series.at) = (reading.ticks, now);
        if series.kept.len() == KEPT {
            series.kept.pop_front();
        }
        let Reading { rss_bytes, threads, open_files, .. } = reading;
        series.kept.push_back(Usage { cpu_percent, rss_bytes, threads, open_files });
    }
}

fn read(pid: i32) -> Option<Reading> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let open_files = std::fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count);
    parse(&stat, open_files as u32)
}

/// Fields 14 and 15 (ticks), 20 (threads) and 24 (resident pages) of `/proc/<pid>/stat`; the name
/// in field 2 may hold anything, so counting begins after its last parenthesis.
fn parse(stat: &str, open_files: u32) -> Option<Reading> {
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
    Some(Reading {
        ticks: number(14)? + number(15)?,
        rss_bytes: number(24)? * rustix::param::page_size() as u64,
        threads: number(20)? as u32,
        open_files,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_spaces_and_parentheses_is_no_problem() {
        let stat = "71 (a) b (c) S 1 71 71 0 -1 4194304 1 0 0 0 250 50 0 0 20 0 7 0 100 1000 3";
        let reading = parse(stat, 9).unwrap();
        let page = rustix::param::page_size() as u64;
        assert_eq!(reading, Reading { ticks: 300, rss_bytes: 3 * page, threads: 7, open_files: 9 });
        assert_eq!(parse("71 (cut", 0), None);
    }

    #[test]
    fn processor_share_is_between_two_samples() {
        let mut samples = Samples::default();
        let begin = Instant::now();
        let reading = |ticks| Reading { ticks, rss_bytes: 1, threads: 1, open_files: 1 };
        samples.add("a", 1, reading(1000), begin);
        let half = rustix::param::clock_ticks_per_second() / 2;
        samples.add("a", 1, reading(1000 + half), begin + Duration::from_secs(5));
        let shares: Vec<f64> = samples.of("a").iter().map(|u| u.cpu_percent).collect();
        assert_eq!(shares, [0.0, 10.0]);
    }

    #[test]
    fn only_the_last_samples_are_kept_and_only_of_living_instances() {
        let mut samples = Samples::default();
        let reading = Reading { ticks: 0, rss_bytes: 1, threads: 1, open_files: 1 };
        for _ in 0..130 {
            samples.add("a", 1, reading, Instant::now());
        }
        assert_eq!(samples.of("a").len(), KEPT);
        samples.take(&Look::at(BTreeMap::new()));
        assert_eq!(samples.of("a").len(), 0);
    }

    #[test]
    fn our_own_process_can_be_read() {
        let reading = read(std::process::id() as i32).unwrap();
        assert!(reading.threads >= 1 && reading.rss_bytes > 0 && reading.open_files > 0);
    }
}
