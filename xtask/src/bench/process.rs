//! What processes have used, read from `/proc`.

use crate::failure::{Doing, Failure, Result};
use std::{fs, iter::Sum, ops::Sub, time::Duration};

/// Ticks of `/proc/PID/stat` in a second; Linux shows this number to every program.
const TICKS_PER_SECOND: u64 = 100;

/// Processor time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cpu {
    /// In the program.
    pub user: Duration,
    /// In the kernel for it.
    pub system: Duration,
}

impl Cpu {
    /// Both together.
    pub fn total(self) -> Duration {
        self.user + self.system
    }
}

impl Sub for Cpu {
    type Output = Self;
    fn sub(self, earlier: Self) -> Self {
        Self {
            user: self.user.saturating_sub(earlier.user),
            system: self.system.saturating_sub(earlier.system),
        }
    }
}

impl Sum for Cpu {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |sum, one| Self {
            user: sum.user + one.user,
            system: sum.system + one.system,
        })
    }
}

/// One line of `/proc/PID/stat`, as far as it matters here.
#[derive(Debug, PartialEq, Eq)]
pub struct Stat {
    parent: u32,
    cpu: Cpu,
}

impl Stat {
    /// Reads the line. The name in brackets may hold anything, brackets and spaces too.
    pub fn parse(line: &str) -> Option<Self> {
        let fields: Vec<&str> = line.rsplit_once(')')?.1.split_whitespace().collect();
        let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
        let time =
            |index| number(index).map(|t| Duration::from_millis(t * 1000 / TICKS_PER_SECOND));
        let cpu = Cpu { user: time(11)?, system: time(12)? };
        Some(Self { parent: u32::try_from(number(1)?).ok()?, cpu })
    }

    fn of(pid: u32) -> Option<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }
}

/// Processor time of a process and everything below it, so far.
pub fn cpu_of_tree(pid: u32) -> Result<Cpu> {
    let stats = all()?;
    let tree = tree(pid, &stats);
    if tree.is_empty() {
        return Err(Failure::new(format!("process {pid} is gone")));
    }
    Ok(stats.iter().filter(|(pid, _)| tree.contains(pid)).map(|(_, stat)| stat.cpu).sum())
}

/// A process and everything below it.
pub fn family(pid: u32) -> Result<Vec<u32>> {
    Ok(tree(pid, &all()?))
}

/// Processor time of one process, so far.
pub fn cpu_of(pid: u32) -> Result<Cpu> {
    let stat = Stat::of(pid).ok_or_else(|| Failure::new(format!("process {pid} is gone")))?;
    Ok(stat.cpu)
}

/// Whether a process was started with `word` among its arguments.
pub fn has_argument(pid: u32, word: &str) -> bool {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    line.split(|&byte| byte == 0).any(|argument| argument == word.as_bytes())
}

fn all() -> Result<Vec<(u32, Stat)>> {
    let entries = fs::read_dir("/proc").doing(|| "reading /proc".to_owned())?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let pids = names.filter_map(|name| name.parse().ok());
    Ok(pids.filter_map(|pid| Some((pid, Stat::of(pid)?))).collect())
}

fn tree(root: u32, stats: &[(u32, Stat)]) -> Vec<u32> {
    let mut found: Vec<u32> =
        stats.iter().map(|(pid, _)| *pid).filter(|pid| *pid == root).collect();
    let mut next = 0;
    while let Some(&parent) = found.get(next) {
        found.extend(stats.iter().filter(|(_, stat)| stat.parent == parent).map(|(pid, _)| *pid));
        next += 1;
    }
    found
}

/// Memory of a process that is its own or shared, in bytes.
pub fn resident_bytes(pid: u32) -> Result<u64> {
    let path = format!("/proc/{pid}/status");
    let status = fs::read_to_string(&path).doing(|| format!("reading {path}"))?;
    resident(&status).ok_or_else(|| Failure::new(format!("{path} has no VmRSS")))
}

fn resident(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "42 (a ) b) S 7 42 42 0 -1 4194560 1 0 0 0 250 31 9 9 20 0 1 0 5 6 7";

    #[test]
    fn stat_lines_are_read() {
        let stat = Stat::parse(LINE).unwrap();
        assert_eq!(stat.parent, 7);
        assert_eq!(stat.cpu.user, Duration::from_millis(2500));
        assert_eq!(stat.cpu.total(), Duration::from_millis(2810));
        assert_eq!(Stat::parse("42 (a"), None);
    }

    #[test]
    fn a_tree_has_children_of_children() {
        let stat = |parent| Stat { parent, cpu: Cpu::default() };
        let stats = [(1, stat(0)), (2, stat(1)), (3, stat(2)), (4, stat(0))];
        assert_eq!(tree(1, &stats), [1, 2, 3]);
        assert_eq!(tree(9, &stats), [0; 0]);
    }

    #[test]
    fn this_process_has_used_something() {
        let pid = std::process::id();
        assert!(cpu_of_tree(pid).is_ok());
        assert!(resident_bytes(pid).unwrap() > 100_000);
        assert_eq!(resident("Name: x\nVmRSS:\t    12 kB\n"), Some(12_288));
    }
}
