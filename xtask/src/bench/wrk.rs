//! The load maker `wrk`: runs it and reads what it says.

use crate::{
    command,
    failure::{Failure, Result},
};
use std::{process::Command, time::Duration};

/// What `wrk` saw.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Seen {
    /// Whole answers.
    pub requests: u64,
    /// In a second.
    pub rate: f64,
    /// Half of the requests were faster.
    pub p50: Duration,
    /// 1 % of the requests were slower.
    pub p99: Duration,
    /// Connections that broke or timed out, and answers that were neither 2xx nor 3xx.
    pub errors: u64,
}

/// Loads `url` from one thread on core `core`.
pub fn run(url: &str, core: usize, connections: u32, seconds: u32) -> Result<Seen> {
    let mut wrk = Command::new("taskset");
    wrk.args(["-c", &core.to_string(), "wrk", "--latency", "-t1"]);
    wrk.args([format!("-c{connections}"), format!("-d{seconds}s"), url.to_owned()]);
    let output = command::capture(&mut wrk)?;
    parse(&output).ok_or_else(|| Failure::new(format!("cannot read what wrk says:\n{output}")))
}

/// Reads wrk's report.
pub fn parse(output: &str) -> Option<Seen> {
    let mut seen = Seen::default();
    for line in output.lines().map(str::trim) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["50%", time] => seen.p50 = duration(time)?,
            ["99%", time] => seen.p99 = duration(time)?,
            [requests, "requests", "in", ..] => seen.requests = requests.parse().ok()?,
            ["Requests/sec:", rate] => seen.rate = rate.parse().ok()?,
            ["Socket", "errors:", ..] => seen.errors += socket_errors(&words),
            ["Non-2xx", .., count] => seen.errors += count.parse::<u64>().ok()?,
            _ => {}
        }
    }
    (seen.requests > 0).then_some(seen)
}

/// `Socket errors: connect 0, read 3, write 0, timeout 1`
fn socket_errors(words: &[&str]) -> u64 {
    words.iter().filter_map(|word| word.trim_end_matches(',').parse::<u64>().ok()).sum()
}

/// `830.00us`, `1.64ms`, `2.00s`
fn duration(text: &str) -> Option<Duration> {
    let units = [("us", 1e-6), ("ms", 1e-3), ("s", 1.0), ("m", 60.0)];
    let (number, unit) = units
        .iter()
        .find_map(|(suffix, unit)| Some((text.strip_suffix(suffix)?.parse::<f64>().ok()?, unit)))?;
    Some(Duration::from_secs_f64(number * unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = "\
Running 2s test @ http://127.0.0.1:8080/
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     0.90ms  300.00us   5.00ms   80.00%
  Latency Distribution
     50%  830.00us
     75%    1.00ms
     90%    1.20ms
     99%    1.64ms
  145658 requests in 2.00s, 23.61MB read
  Socket errors: connect 0, read 3, write 0, timeout 1
  Non-2xx or 3xx responses: 7
Requests/sec:  72829.01
Transfer/sec:     11.80MB
";

    #[test]
    fn a_report_is_read() {
        let expected = Seen {
            requests: 145_658,
            rate: 72_829.01,
            p50: Duration::from_micros(830),
            p99: Duration::from_micros(1640),
            errors: 11,
        };
        assert_eq!(parse(REPORT), Some(expected));
    }

    #[test]
    fn no_answer_is_no_report() {
        assert_eq!(parse("unable to connect to 127.0.0.1:1 Connection refused\n"), None);
    }
}
