//! `serin stats power`: how much traffic and time a decision needs, before any is spent.

use crate::cli::duration;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::printer::{Line, Printer, Tone};
use crate::render::words::{count, thousands};
use clap::Args;
use serde::Serialize;
use serin_stats::planner::words::{percent, short, span};
use serin_stats::planner::{
    Amount, Bake, Detectable, Power, Question, SampleSize, Stage, Timing, UsualShare, Warning,
    ladder, schedule, unseen, usual_share,
};
use serin_stats::{JudgeConfig, JudgeSettings, Kind, Metric, MetricSettings, Role};
use std::time::Duration;

/// What `serin stats power` is asked.
#[derive(Debug, Clone, Args)]
#[command(after_help = HELP)]
pub struct PowerArgs {
    /// Usual error rate: `0.5%` or `0.005`
    #[arg(long, value_parser = share, value_name = "RATE")]
    pub baseline: f64,
    /// Error rate that should be found [default: where harm begins]
    #[arg(long, value_parser = share, value_name = "RATE")]
    pub detect: Option<f64>,
    /// The canary's share of the traffic
    #[arg(long, value_parser = share, default_value = "10%", value_name = "PART")]
    pub share: f64,
    /// Requests a second of all versions together
    #[arg(long, value_parser = number, value_name = "N")]
    pub rps: Option<f64>,
    /// The same as requests a day: 1M, 250K
    #[arg(long, value_parser = daily, value_name = "N", conflicts_with = "rps")]
    pub per_day: Option<f64>,
    /// Time there is, such as 30m: what can be found in it?
    #[arg(long, value_parser = duration, value_name = "TIME")]
    pub within: Option<Duration>,
    /// Chance to roll back a version that is no worse
    #[arg(long, value_parser = share, default_value = "0.01", value_name = "P")]
    pub alpha: f64,
    /// Chance to promote a harmful version
    #[arg(long, value_parser = share, default_value = "0.05", value_name = "P")]
    pub beta: f64,
    /// Harm is this many times the usual error rate ...
    #[arg(long, value_parser = number, default_value = "2", value_name = "X")]
    pub ratio: f64,
    /// ... and at least this error rate
    #[arg(long, value_parser = share, default_value = "0.5%", value_name = "RATE")]
    pub floor: f64,
    /// Critical metrics that share alpha
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100), default_value_t = 1,
          value_name = "N")]
    pub metrics: u32,
}

const HELP: &str = "\
The moment of a decision is random: half of all rollouts are decided by the first time, nine in ten
by the second. Percentages may be written 0.5% or 0.005.

Examples:
  serin stats power --baseline 0.5% --detect 1% --share 10% --rps 50
  serin stats power --baseline 0.1% --rps 20 --within 30m";

#[derive(Serialize)]
struct PowerDocument<'a> {
    schema: &'static str,
    baseline: f64,
    detect: f64,
    share: f64,
    rps: Option<f64>,
    within_seconds: Option<f64>,
    alpha: f64,
    beta: f64,
    harm_ratio: f64,
    harm_floor: f64,
    metrics: u32,
    usual_share: Option<UsualShare>,
    #[serde(flatten)]
    power: &'a Power,
    schedule: &'a [Stage],
    unseen: &'a [Bake],
    notes: Vec<String>,
    next: String,
}

/// `serin stats power`.
pub fn power(printer: &Printer, args: &PowerArgs) -> Result<Exit, Failure> {
    let question = args.question()?;
    let hint = "`serin stats power --help` has examples";
    let power = question.answer().map_err(|e| bad(e.to_string()).hint(hint))?;
    let stages = schedule(&question, &ladder(question.share));
    let unseen = stages.last().map_or(Vec::new(), |stage| unseen(stage.until as u64));
    if printer.is_json() {
        printer.document(&PowerDocument {
            schema: "serin.power/v1",
            baseline: question.baseline,
            detect: question.detect,
            share: question.share,
            rps: question.rps,
            within_seconds: question.within,
            alpha: args.alpha,
            beta: args.beta,
            harm_ratio: args.ratio,
            harm_floor: args.floor,
            metrics: args.metrics,
            usual_share: args.per_day.map(usual_share),
            schedule: &stages,
            unseen: &unseen,
            notes: power.warnings.iter().map(ToString::to_string).collect(),
            next: next(args, &question, &power),
            power: &power,
        });
        return Ok(Exit::Reached);
    }
    for line in lines(args, &question, &power) {
        printer.data(&line);
    }
    for line in climb(&stages, &unseen) {
        printer.data(&line);
    }
    for warning in &power.warnings {
        printer.data(&Line::toned(Tone::Warn, "note").text(": ").text(warning.to_string()));
    }
    printer.data(&Line::toned(Tone::Accent, "next").text(": ").text(next(args, &question, &power)));
    Ok(Exit::Reached)
}

impl PowerArgs {
    fn question(&self) -> Result<Question, Failure> {
        let harm = (self.baseline * self.ratio).max(self.floor);
        Ok(Question {
            config: self.config()?,
            baseline: self.baseline,
            detect: self.detect.unwrap_or(harm.min(1.0)),
            share: self.share,
            rps: self.rps.or(self.per_day.map(|n| n / 86_400.0)),
            within: self.within.map(|time| time.as_secs_f64()),
        })
    }

    fn config(&self) -> Result<JudgeConfig, Failure> {
        let (harm_ratio, harm_floor) = (self.ratio, self.floor);
        let kind = Kind::Share { harm_ratio, harm_floor };
        let other = |n: u32| MetricSettings {
            metric: Metric::Named(format!("metric-{n}")),
            role: Role::Critical,
            kind,
        };
        let errors = std::iter::once(Metric::Errors.into());
        let settings = JudgeSettings {
            alpha: self.alpha,
            beta: self.beta,
            harm_ratio,
            harm_floor,
            metrics: errors.chain((2..=self.metrics).map(other)).collect(),
            ..JudgeSettings::default()
        };
        let hint = "leave it out for the default that `serin stats power --help` tells";
        JudgeConfig::new(settings).map_err(|error| bad(error.to_string()).hint(hint))
    }
}

fn bad(message: String) -> Failure {
    Failure::usage("bad-setting", message)
}

const HEADS: [&str; 3] = ["", "HALF OF ALL ROLLOUTS", "NINE IN TEN"];

/// The question, what it takes, and what the time there is can show.
fn lines(args: &PowerArgs, question: &Question, power: &Power) -> Vec<Line> {
    let (baseline, detect) = (percent(question.baseline), percent(question.detect));
    let mut lines = vec![title(question)];
    lines.extend(table(&[
        HEADS.map(String::from),
        row(format!("rolled back if it has {detect}"), power.fail.as_ref()),
        row(format!("promoted if it has {baseline}"), power.pass.as_ref()),
    ]));
    if let Some(fixed) = power.fixed {
        let (alpha, beta) = (percent(args.alpha), percent(args.beta));
        let takes = fixed_words(fixed, question);
        let text = format!("{takes} (false alarms {alpha}, misses {beta})");
        lines.push(fact("one look at the end instead", &text));
    }
    lines.extend(power.detectable.as_ref().map(detectable));
    lines.extend(power.smallest_share.map(|share| {
        let text = format!("{} finds {detect} in nine of ten rollouts", percent(share));
        fact("smallest share for that time", &text)
    }));
    lines.extend(args.per_day.map(|daily| usual(&usual_share(daily))));
    lines
}

fn usual(usual: &UsualShare) -> Line {
    let (low, high) = (percent(usual.low), percent(usual.high));
    let text = if low == high { low } else { format!("{low} to {high}") };
    fact("usual first share at this traffic", &text)
}

fn title(question: &Question) -> Line {
    let (baseline, detect) = (percent(question.baseline), percent(question.detect));
    let times = match question.detect / question.baseline {
        times if times.is_finite() => format!(", {times:.1} times as much"),
        _ => String::new(),
    };
    let share = percent(question.share);
    let traffic = question.rps.map_or_else(
        || format!("{share} of the traffic"),
        |rps| format!("{share} of {} requests/s", short(rps)),
    );
    Line::toned(Tone::Bold, format!("{baseline} errors on stable, {detect} on the canary"))
        .text(format!("{times}; the canary has {traffic}"))
}

fn row(label: String, timing: Option<&Timing>) -> [String; 3] {
    let cell = |of: fn(&Timing) -> Amount| {
        timing.map_or_else(|| "never".into(), |timing| amount(&of(timing)))
    };
    [label, cell(|t| t.median), cell(|t| t.p90)]
}

/// Rows under a heading, in columns.
fn table(rows: &[[String; 3]]) -> Vec<Line> {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths = [width(0), width(1)].map(|width| width.unwrap_or(0));
    let line = |(at, row): (usize, &[String; 3])| {
        let tone = if at == 0 { Tone::Dim } else { Tone::Plain };
        let cell = |column: usize| Line::toned(tone, &row[column]).pad(widths[column]).text("  ");
        Line::plain("  ").then(cell(0)).then(cell(1)).add(tone, &row[2])
    };
    rows.iter().enumerate().map(line).collect()
}

fn amount(amount: &Amount) -> String {
    let requests = count(amount.canary, "canary request");
    amount.seconds.map_or(requests.clone(), |s| format!("{requests}, {}", span(s)))
}

fn fixed_words(size: SampleSize, question: &Question) -> String {
    let canary = size.canary.ceil();
    let seconds = question.rps.map(|rps| (canary / (rps * question.share)).ceil());
    let requests = count(canary as u64, "canary request");
    seconds.map_or(requests.clone(), |s| format!("{requests}, {}", span(s)))
}

fn detectable(found: &Detectable) -> Line {
    let rate = |rate: Option<f64>| rate.map_or_else(|| "nothing".into(), percent);
    let (median, p90) = (rate(found.median), rate(found.p90));
    let text = format!(
        "{median} in half of all rollouts, {p90} in nine of ten ({} canary requests)",
        thousands(found.canary)
    );
    fact(&format!("found within {}, from", span(found.within)), &text)
}

/// The schedule of a clean version, and what it is too short for.
fn climb(stages: &[Stage], unseen: &[Bake]) -> Vec<Line> {
    let Some(last) = stages.last() else { return Vec::new() };
    let step = |stage: &Stage| format!("{} for {}", percent(stage.share), span(stage.seconds));
    let steps: Vec<String> = stages.iter().map(step).collect();
    let text = format!("{}; {} in all", steps.join(", "), span(last.until));
    let mut lines = vec![fact("steps of a clean version, about", &text)];
    if !unseen.is_empty() {
        let bake = |bake: &Bake| format!("{} ({})", bake.name, minutes(bake));
        let kinds: Vec<String> = unseen.iter().map(bake).collect();
        lines.push(fact("too short to see", &kinds.join(", ")));
    }
    lines
}

fn minutes(bake: &Bake) -> String {
    let (from, to) = (bake.at_least / 60, bake.usually / 60);
    if from == to { format!("{from} min") } else { format!("{from} to {to} min") }
}

fn fact(label: &str, text: &str) -> Line {
    Line::plain("  ").add(Tone::Bold, label).text(": ").text(text)
}

/// The next useful command.
fn next(args: &PowerArgs, question: &Question, power: &Power) -> String {
    let again = |more: &str| {
        let (baseline, detect) = (plain(question.baseline), plain(question.detect));
        format!("serin stats power --baseline {baseline} --detect {detect} {more}")
    };
    let rps = question.rps.map_or(String::new(), |rps| format!(" --rps {}", short(rps)));
    let wanted = power.warnings.iter().find_map(|warning| match warning {
        Warning::TooLittleTraffic { share: Some(share), .. } => Some(*share),
        _ => None,
    });
    let within = |time: Duration| format!(" --within {}s", time.as_secs());
    let kept = args.within.map_or(String::new(), within);
    match (wanted, question.rps, question.within) {
        (Some(share), ..) => {
            let share = (share * 1000.0).ceil() / 1000.0;
            again(&format!("--share {}{rps}{kept}", plain(share)))
        }
        (None, None, _) => again(&format!("--share {} --rps 100", plain(question.share))),
        (None, Some(_), None) => {
            again(&format!("--share {}{rps} --within 30m", plain(question.share)))
        }
        _ => "serin plan -r REV".into(),
    }
}

/// A share as it is typed: `0.5%`.
fn plain(share: f64) -> String {
    format!("{}%", short(share * 100.0))
}

/// `0.5%` or `0.005`; nothing below 0 or above 1.
fn share(text: &str) -> Result<f64, String> {
    let hint = "write it as 0.5% or 0.005";
    let text = text.trim();
    let (digits, unit) = text.strip_suffix('%').map_or((text, 1.0), |t| (t.trim_end(), 100.0));
    let share = digits.parse::<f64>().map_err(|_| hint)? / unit;
    if (0.0..=1.0).contains(&share) {
        return Ok(share);
    }
    Err(format!("it is not between 0% and 100%; {hint}"))
}

/// A number above 0, perhaps in thousands or millions.
fn daily(text: &str) -> Result<f64, String> {
    let text = text.trim();
    let units = [("K", 1e3), ("k", 1e3), ("M", 1e6)];
    let unit = units.iter().find_map(|(unit, n)| Some((text.strip_suffix(unit)?, *n)));
    let (digits, unit) = unit.unwrap_or((text, 1.0));
    number(digits).map(|n| n * unit).map_err(|_| "write 250K, 1M or 1000000".into())
}

/// A number above 0.
fn number(text: &str) -> Result<f64, String> {
    let number = text.trim().parse::<f64>().ok().filter(|x| x.is_finite() && *x > 0.0);
    number.ok_or_else(|| "write a number above 0, such as 50".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_written_either_way() {
        assert_eq!(share("0.5%"), Ok(0.005));
        assert_eq!(share(" 0.5 % "), Ok(0.005));
        assert_eq!(share("0.005"), Ok(0.005));
        assert_eq!([share("100%"), share("0")], [Ok(1.0), Ok(0.0)]);
        for nonsense in ["10", "-1%", "101%", "NaN", "inf", "a", "%", "", "1%%", "0,5%"] {
            assert!(share(nonsense).unwrap_err().contains("0.5% or 0.005"), "{nonsense}");
        }
        for nonsense in ["0", "-5", "NaN", "inf", "x"] {
            assert!(number(nonsense).is_err() && daily(nonsense).is_err(), "{nonsense}");
        }
        assert_eq!(["250K", "1M", "5"].map(daily), [Ok(250_000.0), Ok(1e6), Ok(5.0)]);
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!([0.005, 0.1, 0.1234].map(plain), ["0.5%", "10%", "12.3%"]);
    }
}
