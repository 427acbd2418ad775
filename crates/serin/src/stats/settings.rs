//! The words of `serin stats judge`, and what they make of the judge's settings.

use super::named::{named, role, unknown};
use crate::failure::Failure;
use clap::Args;
use serin_stats::{JudgeConfig, JudgeSettings, Kind, Metric, MetricSettings, Rung, Worse};
use std::path::PathBuf;
use std::time::Duration;

/// More critical metrics than this make each of them slow.
const MANY: usize = 12;

/// What `serin stats judge` is asked.
#[derive(Debug, Clone, Args)]
#[command(after_help = HELP)]
#[allow(clippy::struct_excessive_bools)] // each is a flag of its own
pub struct JudgeArgs {
    /// JSON lines, one a tick; `-` for standard input
    pub file: PathBuf,
    /// Chance to roll back a version that is no worse [default: 0.01]
    #[arg(long, value_parser = decimal, value_name = "P")]
    pub alpha: Option<f64>,
    /// Chance to pass a harmful version [default: 0.05]
    #[arg(long, value_parser = decimal, value_name = "P")]
    pub beta: Option<f64>,
    /// Harm is this many times stable's error rate ... [default: 2]
    #[arg(long, value_parser = decimal, value_name = "X")]
    pub ratio: Option<f64>,
    /// ... and at least this error rate [default: 0.5%]
    #[arg(long, value_parser = share, value_name = "RATE")]
    pub floor: Option<f64>,
    /// Canary error rate up to which nothing fails [default: none]
    #[arg(long, value_parser = share, value_name = "RATE")]
    pub tolerate: Option<f64>,
    /// Slowdown that is not held against the canary [default: 11%]
    #[arg(long, value_parser = share, value_name = "PART")]
    pub latency_tolerance: Option<f64>,
    /// Slowdown that is harm [default: 25%]
    #[arg(long, value_parser = share, value_name = "PART")]
    pub latency_harm: Option<f64>,
    /// Look for regressions that begin late; never where the units are sessions
    #[arg(long, value_name = "on|off", num_args = 0..=1, require_equals = true,
          default_missing_value = "on", value_parser = switch)]
    pub late_onset: Option<bool>,
    /// What is judged: errors, latency, mean-latency, restarts, each perhaps with its role
    /// (`latency:watch-only`); critical, but mean-latency and restarts normal [default: those the
    /// data has]
    #[arg(long, value_delimiter = ',', value_parser = metric, value_name = "LIST")]
    pub metrics: Vec<MetricSettings>,
    /// A metric of your own: NAME=share|count|mean|bounded-mean[,role=..,worse=rise|drop,ratio=..,
    /// floor=..,harm=..,low=..,high=..]
    #[arg(long, value_parser = named, value_name = "NAME=KIND")]
    pub named: Vec<MetricSettings>,
    /// Share of alpha of the critical metrics where there are normal ones [default: 0.7]
    #[arg(long, value_parser = share, value_name = "PART")]
    pub critical_share: Option<f64>,
    /// How units came to their arm: `random`, or `rule` (header, ring), which is compared with
    /// the ticks marked `before` [default: random]
    #[arg(long, value_parser = routing, value_name = "HOW")]
    pub routing: Option<Routing>,
    /// Where on the ladder PASS is asked for: rung J of M [default: the ticks' own, or 1/1]
    #[arg(long, value_parser = rung, value_name = "J/M")]
    pub rung: Option<Rung>,
    /// No PASS before so many requests (or sessions) of the canary
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub min_requests: u64,
    /// No PASS before this time, such as 5m
    #[arg(long, value_parser = crate::cli::duration, default_value = "0s", value_name = "TIME")]
    pub min_time: Duration,
    /// The numbers count from the start of a process: judge what came since the line before
    #[arg(long)]
    pub cumulative: bool,
    /// End a run's judgement at PASS too
    #[arg(long)]
    pub first: bool,
    /// Skip lines that are wrong, and count them
    #[arg(long)]
    pub skip_bad: bool,
    /// Also print the state after each tick
    #[arg(long)]
    pub trace: bool,
}

/// How units came to their arm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Routing {
    Random,
    Rule,
}

const HELP: &str = "\
Input, one JSON object a line, counts of that tick alone (see --cumulative):
  {\"run\":\"a\",\"t\":30,\"stable\":{\"n\":2700,\"k\":14},\"canary\":{\"n\":300,\"k\":2}}
  run      which run, where several are mixed in one stream
  t        seconds since the start, at the tick's end; rises within a run
  n, k     requests of the arm, and those that failed
  hist     latency of those that did not: {\"bucket\":count}, bucket = floor(32*log2(microseconds)),
           0 to 1023, so that 1 ms is 318 and 1 s is 637
  sessions users seen, each once a window: the units, with k those of them that failed
Optional: unfinished (failed by the deadline, part of k) and aborted by arm; seconds, weight (planned
share of the canary), split, canary_split, replicas, samples, before, alone; a first line with settings. All of it
is in docs/statistics.md.

Output, one JSON line a run: verdict FAIL, PASS, CONTINUE, NODATA or INVALID, and when it was reached.
FAIL is final. PASS stands from its first tick unless FAIL comes later or the comparison turns out
unsound. Exit code 0 whatever the verdicts, 2 for input that is wrong.

Example:
  serin analysis export shop | serin stats judge -";

impl JudgeArgs {
    /// What was said here, over `base`.
    pub fn over(&self, base: JudgeSettings) -> JudgeSettings {
        let mut metrics = base.metrics;
        if !self.metrics.is_empty() {
            metrics.clone_from(&self.metrics);
        }
        for named in &self.named {
            metrics.retain(|m| m.metric != named.metric);
            metrics.push(named.clone());
        }
        let random = self.routing.map_or(base.random_routing, |r| r == Routing::Random);
        JudgeSettings {
            alpha: self.alpha.unwrap_or(base.alpha),
            beta: self.beta.unwrap_or(base.beta),
            harm_ratio: self.ratio.unwrap_or(base.harm_ratio),
            harm_floor: self.floor.unwrap_or(base.harm_floor),
            tolerate: self.tolerate.or(base.tolerate),
            latency_tolerance: self.latency_tolerance.unwrap_or(base.latency_tolerance),
            latency_harm: self.latency_harm.unwrap_or(base.latency_harm),
            late_onset: self.late_onset.unwrap_or(base.late_onset),
            critical_share: self.critical_share.unwrap_or(base.critical_share),
            random_routing: random,
            metrics,
        }
    }

    /// Whether the metrics were named here, so that the data need not say them.
    pub fn names_metrics(&self) -> bool {
        !self.metrics.is_empty()
    }

    /// Refuses what no judge can be made of, before a line is read.
    pub fn check(&self) -> Result<(), Failure> {
        for (name, risk) in [("alpha", self.alpha), ("beta", self.beta)] {
            if risk.is_some_and(|p| !(p > 0.0 && p < 0.5)) {
                let message = format!(
                    "--{name} is {}; it must be above 0 and below 0.5",
                    risk.unwrap_or(0.0)
                );
                return Err(bad(message).hint("0.01 is one wrong verdict in a hundred rollouts"));
            }
        }
        let mut settings = self.over(JudgeSettings::default());
        if !self.names_metrics() {
            // The data will say; only the other settings can be wrong yet.
            settings.metrics.insert(0, Metric::Errors.into());
            settings.metrics.dedup_by(|a, b| a.metric == b.metric);
            settings.metrics.retain(|m| settings.random_routing || m.metric != Metric::Latency);
        }
        JudgeConfig::new(settings).map(drop).map_err(|error| bad(error.to_string()))
    }

    /// Why so many metrics are unwise, if they are.
    pub fn warning(&self) -> Option<String> {
        let count = self.metrics.len() + self.named.len();
        (count > MANY).then(|| {
            format!(
                "{count} metrics share one alpha: each alone needs ln({count}) = {:.1} nats more \
                 evidence; judge the {MANY} that matter and watch the others (`:watch-only`)",
                (count as f64).ln()
            )
        })
    }
}

fn bad(message: String) -> Failure {
    Failure::usage("bad-setting", message)
}

/// A finite number.
pub fn decimal(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|x: &f64| x.is_finite())
        .ok_or_else(|| format!("`{text}` is not a number"))
}

/// `0.5%` or `0.005`.
pub fn share(text: &str) -> Result<f64, String> {
    match text.trim().strip_suffix('%') {
        Some(percent) => Ok(decimal(percent.trim())? / 100.0),
        None => decimal(text.trim()),
    }
}

fn switch(text: &str) -> Result<bool, String> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err(unknown("value", text, &["on", "off"])),
    }
}

fn routing(text: &str) -> Result<Routing, String> {
    match text {
        "random" => Ok(Routing::Random),
        "rule" => Ok(Routing::Rule),
        _ => Err(unknown("routing", text, &["random", "rule"])),
    }
}

fn rung(text: &str) -> Result<Rung, String> {
    let read = |text: &str| text.trim().parse().ok().filter(|n: &u32| *n > 0);
    let both = text.split_once('/').and_then(|(j, m)| Some((read(j)?, read(m)?)));
    let rung = both.filter(|(j, m)| j <= m).map(|(j, m)| Rung { j, m });
    rung.ok_or_else(|| "write J/M with J from 1 to M, for example 1/3".to_owned())
}

/// `errors`, `latency:watch-only`.
fn metric(text: &str) -> Result<MetricSettings, String> {
    let (name, said) = text.trim().split_once(':').unwrap_or((text.trim(), ""));
    // What says little in the time of a rollout does not hold it up unless asked to.
    let usual = if ["mean-latency", "restarts"].contains(&name) { "normal" } else { "critical" };
    let role = role(if said.is_empty() { usual } else { said })?;
    let (metric, kind) = match name {
        "errors" => (Metric::Errors, Kind::BuiltIn),
        "latency" => (Metric::Latency, Kind::BuiltIn),
        "mean-latency" => (Metric::MeanLatency, Kind::BuiltIn),
        "restarts" => {
            let harm_floor = 1.0 / 3600.0;
            let kind = Kind::Count { worse: Worse::Rise, harm_ratio: 2.0, harm_floor };
            (Metric::Named(name.into()), kind)
        }
        _ => {
            let known = ["errors", "latency", "mean-latency", "restarts"];
            let hint = "one of your own is told by --named";
            return Err(format!("{}; {hint}", unknown("metric", name, &known)));
        }
    };
    Ok(MetricSettings { metric, role, kind })
}
