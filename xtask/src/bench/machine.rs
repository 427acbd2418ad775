//! What the figures were measured on.

use crate::command;
use serde_json::{Value, json};
use std::{fs, process::Command};

/// Processor, kernel, and the versions of what takes part.
pub fn describe() -> Value {
    json!({
        "cpu": cpu_model(),
        "cores": std::thread::available_parallelism().map_or(1, usize::from),
        "kernel": first_line(Command::new("uname").arg("-sr")),
        "rustc": first_line(Command::new("rustc").arg("--version")),
        "nginx": version("nginx", "-v"),
        "haproxy": version("haproxy", "-v"),
        "wrk": version("wrk", "-v"),
        "commit": first_line(Command::new("git").args(["rev-parse", "--short", "HEAD"])),
        "load_before": load(),
    })
}

fn cpu_model() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = info.lines().find_map(|line| line.strip_prefix("model name"));
    line.map_or_else(|| "unknown".to_owned(), |line| line.trim_matches([' ', '\t', ':']).to_owned())
}

/// The load average before the run: above 0.5, something else was at work.
fn load() -> Option<f64> {
    fs::read_to_string("/proc/loadavg").ok()?.split(' ').next()?.parse().ok()
}

fn first_line(command: &mut Command) -> Option<String> {
    let text = command::capture(command.current_dir(crate::root::path())).ok()?;
    text.lines().next().map(|line| line.trim().to_owned())
}

/// Some programs write their version to stderr, and some end with an error after it.
fn version(program: &str, flag: &str) -> Option<String> {
    let output = Command::new(command::find(program)?).arg(flag).output().ok()?;
    let bytes = if output.stdout.is_empty() { output.stderr } else { output.stdout };
    String::from_utf8_lossy(&bytes).lines().next().map(|line| line.trim().to_owned())
}
