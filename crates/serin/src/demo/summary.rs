//! What the demo has shown, and whether it is what was promised.

#[cfg(test)]
mod tests;

use super::{
    follow::Course,
    load::{Arm, Tally},
    server::{Kept, called},
    story::went,
};
use crate::printer::{Line, Printer, Tone};
use crate::render::words::thousands;
use serde::Serialize;
use serin_core::{Millis, Outcome, Timestamp};
use std::process::ExitCode;

/// The version that is bad on purpose.
const BAD: &str = "v3";

/// One version that was shipped.
#[derive(Debug, Clone)]
pub(super) struct Ship {
    pub(super) version: &'static str,
    /// How it has to end.
    pub(super) wanted: Outcome,
    pub(super) course: Course,
}

/// Everything the demo found out.
#[derive(Debug, Clone)]
pub(super) struct Findings {
    pub(super) ships: Vec<Ship>,
    /// What the users saw.
    pub(super) tally: Tally,
    /// Errors the server says it answered in the app's place.
    pub(super) dropped_by_server: u64,
}

/// The document of `--json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Report {
    schema: &'static str,
    /// Versions that were promoted, in order, without the first.
    promoted: Vec<&'static str>,
    /// Versions that were rolled back by evidence or health.
    rolled_back: Vec<&'static str>,
    /// Requests sent.
    requests: u64,
    /// Requests without a complete response, or with an error made by Serin.
    dropped: u64,
    /// Requests answered by the bad version.
    bad_version_requests: u64,
    /// From the bad version's first request to the verdict, in milliseconds.
    verdict_ms: Option<u64>,
    /// From the verdict to the bad version's last request, in milliseconds.
    verdict_to_zero_ms: Option<u64>,
    /// `ok` or `failed`.
    outcome: &'static str,
    /// What was not as promised.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    differed: Vec<String>,
}

impl Findings {
    fn report(&self) -> Report {
        let ended = |outcome| {
            let so = self.ships.iter().filter(move |ship| ship.course.outcome() == Some(outcome));
            so.map(|ship| ship.version).collect()
        };
        let times = self.times();
        let differed = self.differed();
        Report {
            schema: "serin.demo/v1",
            promoted: ended(Outcome::Promoted),
            rolled_back: ended(Outcome::RolledBack),
            requests: self.tally.sent,
            dropped: self.dropped(),
            bad_version_requests: self.tally.version(BAD).requests,
            verdict_ms: times.map(|(verdict, _)| verdict.0),
            verdict_to_zero_ms: times.map(|(_, zero)| zero.0),
            outcome: if differed.is_empty() { "ok" } else { "failed" },
            differed,
        }
    }

    /// An error that Serin made is known to both sides; it counts once.
    fn dropped(&self) -> u64 {
        self.tally.dropped().max(self.dropped_by_server)
    }

    /// From the bad version's first request to the verdict, and from there to its last.
    fn times(&self) -> Option<(Millis, Millis)> {
        let ship = self.ships.iter().find(|ship| ship.version == BAD)?;
        let verdict = ship.course.record.as_ref()?.verdict_at?;
        let (first, last) = self.first_and_last(ship);
        Some((verdict.since(first?), last?.since(verdict)))
    }

    /// By the data plane's clock and the users': the earlier first, the later last. The data
    /// plane's view may be a moment old, or gone.
    fn first_and_last(&self, ship: &Ship) -> (Option<Timestamp>, Option<Timestamp>) {
        let users = self.tally.version(ship.version);
        let plane = ship.course.arm.as_ref();
        let first = plane.and_then(|arm| arm.first_request_at);
        let last = plane.and_then(|arm| arm.last_request_at);
        (first.into_iter().chain(users.first_sent_at).min(), last.max(users.last_sent_at))
    }

    /// What was not as promised, each in a sentence.
    fn differed(&self) -> Vec<String> {
        let wrong = |ship: &&Ship| ship.course.outcome() != Some(ship.wanted);
        let ships = self.ships.iter().filter(wrong).map(|ship| {
            let (version, wanted) = (ship.version, ship.wanted.as_str());
            format!("{version} should have been {wanted}; {}", went(&ship.course))
        });
        ships.chain(self.losses()).chain(self.unanswered()).collect()
    }

    fn losses(&self) -> Option<String> {
        let why = |(loss, n): (&super::load::Loss, &u64)| format!("{n} {}", loss.as_str());
        let whys: Vec<_> = self.tally.lost.iter().map(why).collect();
        let dropped = self.dropped();
        (dropped > 0).then(|| {
            let seen =
                if whys.is_empty() { "by serin's own count".into() } else { whys.join(", ") };
            format!("{dropped} requests were dropped: {seen}")
        })
    }

    fn unanswered(&self) -> Option<String> {
        let missing = self.tally.sent.checked_sub(self.tally.done()).filter(|n| *n > 0)?;
        Some(format!("the load generator lost track of {missing} of its own requests"))
    }
}

/// Prints the result; 0 only if everything went as promised.
pub(super) fn show(findings: &Findings, kept: Option<&Kept>, printer: &Printer) -> ExitCode {
    let report = findings.report();
    if printer.is_json() {
        printer.document(&report);
    } else {
        findings.lines(&report).iter().for_each(|line| printer.data(line));
    }
    for line in report.differed.iter().map(|text| alarm(text)) {
        printer.alarm(&line);
    }
    for line in next(kept) {
        printer.note(&line);
    }
    if report.differed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn alarm(text: &str) -> Line {
    Line::toned(Tone::Bad, "error").text(": ").text(text)
}

impl Findings {
    fn lines(&self, report: &Report) -> Vec<Line> {
        let none = || "unknown".to_owned();
        let time = |ms: Option<u64>| ms.map_or_else(none, |ms| Millis(ms).to_string());
        let bad = self.tally.version(BAD);
        let share = bad.requests as f64 / self.tally.sent.max(1) as f64 * 100.0;
        let served = self.tally.done() - self.tally.dropped();
        vec![
            Line::new(),
            row("requests served", &thousands(served), &latencies(&self.tally)),
            row("requests that reached v3", &thousands(bad.requests), &format!("{share:.1} %")),
            row("errors users saw", &thousands(self.tally.errors()), &self.blame(&bad)),
            row("v3's first request to verdict", &time(report.verdict_ms), ""),
            row("verdict to zero traffic on v3", &time(report.verdict_to_zero_ms), ""),
            row("requests dropped", &thousands(report.dropped), ""),
        ]
    }

    fn blame(&self, bad: &Arm) -> String {
        let others = self.tally.errors().saturating_sub(bad.errors);
        match (bad.errors, others) {
            (0, 0) => String::new(),
            (_, 0) => "all of them from v3".into(),
            (_, others) => format!("{others} of them not from v3"),
        }
    }
}

fn row(what: &str, value: &str, aside: &str) -> Line {
    let name = Line::plain("  ").text(what).pad(34);
    let value = Line::toned(Tone::Bold, value).pad_left(8);
    name.then(value).text("  ").add(Tone::Dim, aside)
}

fn latencies(tally: &Tally) -> String {
    let of = |version| {
        let p99 = tally.version(version).quantile_ms(0.99)?;
        Some(format!("{version} {p99:.0} ms"))
    };
    let known: Vec<_> = ["v1", "v2", "v3"].into_iter().filter_map(of).collect();
    if known.is_empty() { String::new() } else { format!("p99 {}", known.join(", ")) }
}

/// Commands to try now.
fn next(kept: Option<&Kept>) -> Vec<Line> {
    let words = match kept {
        None => called_here(),
        Some(kept) => kept.program.clone(),
    };
    let tries = kept.map_or_else(|| without(&words), |kept| with(kept, &words));
    let width = tries.iter().map(|(command, _)| command.chars().count()).max().unwrap_or(0);
    let line = |(command, why): &(String, &str)| {
        let command = Line::plain("  ").add(Tone::Accent, command);
        let why = if why.is_empty() { String::new() } else { format!("  # {why}") };
        command.pad(width + 2).add(Tone::Dim, why)
    };
    std::iter::once(Line::new()).chain(tries.iter().map(line)).collect()
}

fn called_here() -> String {
    std::env::current_exe().map_or_else(|_| "serin".into(), |program| called(&program))
}

fn without(serin: &str) -> Vec<(String, &'static str)> {
    vec![
        (format!("{serin} demo --keep"), "the same, left running to look around in"),
        (format!("{serin} serve"), "for your own app; then:"),
        (format!("{serin} apply -f serin.yaml"), "see examples/ for one"),
    ]
}

fn with(
    Kept { data, shop, pids: [server, users], .. }: &Kept,
    serin: &str,
) -> Vec<(String, &'static str)> {
    let data = data.display();
    vec![
        (format!("export SERIN_DATA={data}"), "everything is still running there"),
        (format!("{serin} status shop"), ""),
        (format!("{serin} explain shop"), "why v3 was rolled back"),
        (format!("{serin} apply -f {data}/good.yaml --revision v4"), "ship another one"),
        (format!("curl http://{shop}"), "be a user"),
        (format!("kill {server} {users}"), "stop everything"),
        (format!("rm -r {data}"), "and forget it"),
    ]
}
