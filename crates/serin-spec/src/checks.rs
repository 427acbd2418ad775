//! `checks`: numbers held against limits, by the name of a preset or written out.

use crate::{field::Field, nearest::nearest, quantity, reader::Reader, yaml::shown};
use serin_core::Millis;
use serin_stats::threshold::{
    Bound, Ceiling, Check, Failures, Population, Preset, Range, Signal, presets,
};

const DAY: Millis = Millis::secs(86_400);
const SECOND: Millis = Millis::secs(1);
/// How far back measurements of instances go, in milliseconds.
const MEASURED: u64 = 600_000;
/// More are a mistake of whoever generated the file.
const MAX_CHECKS: usize = 50;

const POPULATIONS: [(&str, Population); 5] = [
    ("canary", Population::Canary),
    ("stable", Population::Stable),
    ("service", Population::Service),
    ("ratio", Population::Ratio),
    ("difference", Population::Difference),
];

pub(crate) fn read(field: &Field<'_>) -> Option<Vec<Check>> {
    let items = field.list()?;
    if items.len() > MAX_CHECKS {
        return field.outside(format!("a list of {}", items.len()), 0, MAX_CHECKS);
    }
    let mut found: Vec<Check> = Vec::new();
    for item in items {
        for check in one(&item).unwrap_or_default() {
            if found.iter().any(|other| other.name == check.name) {
                let message = format!("two checks are called `{}`", check.name);
                item.report(item.problem("duplicate-check", message).hint("give one another name"));
            }
            found.push(check);
        }
    }
    Some(found)
}

/// A check written out, or all of a preset.
pub(crate) fn one(field: &Field<'_>) -> Option<Vec<Check>> {
    if field.is_map() { written(field).map(|check| vec![check]) } else { preset(field) }
}

/// Whether its number is published by the instances themselves.
pub(crate) fn is_own_number(check: &Check) -> bool {
    matches!(check.signal, Signal::Value { .. })
}

/// Whether no request is needed for its number, and it says how well a version does its work.
pub(crate) fn needs_no_request(check: &Check) -> bool {
    check.signal.is_observed() && !matches!(check.signal, Signal::Cpu | Signal::Memory)
}

/// The checks of a preset that Serin can measure.
fn preset(field: &Field<'_>) -> Option<Vec<Check>> {
    let name = field.word()?;
    let Some(preset) = presets().iter().find(|preset| preset.name == name) else {
        unknown(field, name);
        return None;
    };
    let Some((check, unit)) = unmeasured(preset) else { return Some(preset.checks()) };
    let message = format!(
        "the preset `{name}` looks at `{check}` ({unit}), a number that Serin does not measure"
    );
    let hint = format!("presets it can measure: {}", measured().join(", "));
    field.report(field.problem("unmeasured-check", message).hint(hint));
    None
}

fn unknown(field: &Field<'_>, name: &str) {
    let known = measured();
    let message = format!("{} is `{}`; presets: {}", field.what, shown(name), known.join(", "));
    let problem = field.problem("unknown-value", message);
    field.report(match nearest(name, known.into_iter()) {
        Some(near) => problem.label(format!("did you mean `{near}`?")),
        None => problem.hint("or write the check out: `{ name: ..., signal: ..., max: ... }`"),
    });
}

/// The first check of a preset that needs a number from elsewhere, and its unit.
fn unmeasured(preset: &Preset) -> Option<(String, String)> {
    preset.checks().into_iter().find_map(|check| match check.signal {
        Signal::Value { unit } => Some((check.name, unit)),
        _ => None,
    })
}

fn measured() -> Vec<&'static str> {
    let able = presets().iter().filter(|preset| unmeasured(preset).is_none());
    able.map(|preset| preset.name).collect()
}

fn written(field: &Field<'_>) -> Option<Check> {
    let mut reader = field.map()?;
    let name = reader.need("name", "p99", |f| f.word().map(str::to_owned));
    let signal = reader.need("signal", "p99", |f| signal(&f)).map(|s| with_unit(&mut reader, s));
    let population = reader.or("of", Population::Canary, |f| f.choice(&POPULATIONS));
    let unit = signal.as_ref().map(|signal| Unit::of(signal, population));
    let success = limits(&mut reader, unit);
    let failure = reader.maybe("failure", |f| failure(&f, unit));
    let ceiling = reader.maybe("ceiling", |f| ceiling(&f));
    let base = Check::of("", Signal::ErrorRate);
    let span = |f: &Field<'_>, least| f.duration(least..=DAY).map(|span| span.0);
    let check = Check {
        name: name.unwrap_or_default(),
        population,
        signal: signal.clone().unwrap_or(Signal::ErrorRate),
        success,
        failure,
        ceiling,
        interval_ms: reader.or("interval", base.interval_ms, |f| span(&f, SECOND)),
        window_ms: reader.or("window", base.window_ms, |f| span(&f, SECOND)),
        count: reader.maybe("count", |f| small(&f, 1)),
        initial_delay_ms: warm_up(&mut reader),
        min_samples: reader.or("minSamples", base.min_samples, |f| f.integer(1..=1_000_000_000)),
        failures: reader.or("failures", base.failures, |f| failures(&f)),
        inconclusive_limit: reader.or("inconclusiveLimit", 0, |f| small(&f, 0)),
        error_limit: reader.or("errorLimit", base.error_limit, |f| small(&f, 0)),
        starting_step: reader.or("startingStep", 1, |f| small(&f, 1)) - 1,
        floor: reader.or("floor", 0.0, |f| floor(&f, signal.as_ref())),
        report_only: reader.or("reportOnly", false, |f| f.truth()),
    };
    short_window(&reader, &check);
    of_instances(&reader, &check);
    let complete = signal.is_some() && !check.name.is_empty();
    let readable = !reader.has("failure") || failure.is_some();
    if complete && readable && (!reader.has("ceiling") || ceiling.is_some()) {
        sound(&reader, &check);
    }
    reader.finish();
    complete.then_some(check)
}

/// An own number is shown with the unit that its author gives it.
fn with_unit(reader: &mut Reader<'_>, signal: Signal) -> Signal {
    let Signal::Value { .. } = signal else {
        if let Some(field) = reader.take_silently("unit") {
            let message = "`unit` is for `signal: value`: the others have theirs";
            field.report(field.key_problem("wrong-choice", message).hint("remove it"));
        }
        return signal;
    };
    Signal::value(&reader.or("unit", String::new(), |f| f.word().map(str::to_owned)))
}

/// What only several keys together can get wrong.
fn sound(reader: &Reader<'_>, check: &Check) {
    let unread = ["min", "max", "above", "below"].iter().any(|key| reader.has(key));
    if unread && check.success.is_none() {
        return;
    }
    if let Err(error) = check.validate() {
        let hint = "a check has limits: `max: 1%`, `min: 99%`, `failure: { above: 5% }`, or a \
                    `ceiling: { rate: 1% }`";
        reader.report(reader.key_problem("unsound-check", error.to_string()).hint(hint));
    }
}

fn warm_up(reader: &mut Reader<'_>) -> u64 {
    let read = |f: Field<'_>| f.duration(Millis(0)..=DAY).map(|span| span.0);
    let small = reader.maybe("warmup", read);
    reader.or("warmUp", small.unwrap_or(0), read)
}

fn small(field: &Field<'_>, least: u64) -> Option<u32> {
    field.integer(least..=1_000_000).map(|n| n as u32)
}

/// Any quantile may be written: `p50`, `p99`, `p99.9`.
fn signal(field: &Field<'_>) -> Option<Signal> {
    let names = [
        ("error-rate", Signal::ErrorRate),
        ("success-rate", Signal::SuccessRate),
        ("p50", Signal::Latency { quantile: 0.5 }),
        ("p90", Signal::Latency { quantile: 0.9 }),
        ("p95", Signal::Latency { quantile: 0.95 }),
        ("p99", Signal::Latency { quantile: 0.99 }),
        ("p99.9", Signal::Latency { quantile: 0.999 }),
        ("mean-latency", Signal::MeanLatency),
        ("requests-per-second", Signal::RequestsPerSecond),
        ("log-errors", Signal::LogErrors),
        ("log-errors-per-minute", Signal::LogErrorsPerMinute),
        ("cpu", Signal::Cpu),
        ("memory", Signal::Memory),
        ("value", Signal::value("")),
    ];
    field.choice(&names)
}

/// How the limits of a check are written.
#[derive(Clone, Copy)]
enum Unit {
    /// `1%`
    Percent,
    /// `90%` of a core; a process may use several.
    Cores,
    /// `512Mi`
    Bytes,
    /// `500ms`
    Time,
    /// A bare number.
    Number,
}

impl Unit {
    fn of(signal: &Signal, population: Population) -> Self {
        match signal {
            _ if population == Population::Ratio => Self::Number,
            Signal::ErrorRate | Signal::SuccessRate => Self::Percent,
            Signal::Latency { .. } | Signal::MeanLatency => Self::Time,
            Signal::Cpu => Self::Cores,
            Signal::Memory => Self::Bytes,
            Signal::RequestsPerSecond
            | Signal::LogErrors
            | Signal::LogErrorsPerMinute
            | Signal::Value { .. } => Self::Number,
        }
    }

    fn read(self, field: &Field<'_>) -> Option<f64> {
        match self {
            Self::Percent => field.percent(0.0..=100.0),
            Self::Cores => cores(field),
            Self::Bytes => bytes(field),
            Self::Time => field.duration(Millis(0)..=DAY).map(|span| span.0 as f64),
            Self::Number => {
                let number = field.decimal()?;
                if (0.0..=1e12).contains(&number) {
                    return Some(number);
                }
                field.outside(number, 0, quantity::short(1e12))
            }
        }
    }
}

/// Processor use in percent of one core.
pub(crate) fn cores(field: &Field<'_>) -> Option<f64> {
    field.percent(1.0..=25_600.0)
}

/// Memory of one instance.
pub(crate) fn bytes(field: &Field<'_>) -> Option<f64> {
    field.bytes(1 << 20..=1 << 46).map(|bytes| bytes as f64)
}

/// What is measured at instances is kept for ten minutes.
pub(crate) fn short_window(reader: &Reader<'_>, check: &Check) {
    let looks_back = matches!(check.signal, Signal::Cpu | Signal::LogErrorsPerMinute);
    if let Some(field) = reader.peek("window").filter(|_| looks_back && check.window_ms > MEASURED)
    {
        let message = "what is measured at the instances is kept for 10 min, `window` is longer";
        field.report(field.problem("out-of-range", message).hint("write `window: 10m` or less"));
    }
}

/// What is measured at instances is of one version, and has no number of samples.
fn of_instances(reader: &Reader<'_>, check: &Check) {
    let at = |key: &str| reader.peek(key).filter(|_| check.signal.is_measured());
    if let Some(field) = at("of").filter(|_| check.population == Population::Service) {
        let message = "this is measured at the instances of one version, not of the service";
        let hint = "write `of: canary`, `of: ratio` or `of: difference`";
        field.report(field.problem("unsound-check", message).hint(hint));
    }
    if let Some(field) = at("minSamples").filter(|_| check.min_samples > 1) {
        let message = "this is no number of requests: it would wait for samples for ever";
        field.report(field.key_problem("unsound-check", message).hint("remove `minSamples`"));
    }
}

/// `min` and `max` are good themselves, `above` and `below` are not.
fn limits(reader: &mut Reader<'_>, unit: Option<Unit>) -> Option<Range> {
    let mut bound = |key, wrap: fn(f64) -> Bound| {
        // Without a signal the unit is not known; the missing signal was told already.
        reader.maybe(key, |f| unit.and_then(|unit| unit.read(&f))).map(wrap)
    };
    let min = bound("min", Bound::Including);
    let max = bound("max", Bound::Including);
    let above = bound("above", Bound::Excluding);
    let below = bound("below", Bound::Excluding);
    let range = Range { min: min.or(above), max: max.or(below) };
    for (one, other) in [("min", "above"), ("max", "below")] {
        if reader.has(one) && reader.has(other) {
            let message = format!("`{one}` and `{other}` are two words for one limit");
            reader.report(reader.key_problem("wrong-choice", message).hint("remove one of them"));
        }
    }
    (range != Range::default()).then_some(range)
}

fn failure(field: &Field<'_>, unit: Option<Unit>) -> Option<Range> {
    let mut reader = field.map()?;
    let range = limits(&mut reader, unit);
    if reader.len() == 0 {
        let hint = "write for example `failure: { above: 5% }`";
        reader.report(reader.key_problem("empty-value", "`failure` is empty").hint(hint));
    }
    reader.finish();
    range
}

fn ceiling(field: &Field<'_>) -> Option<Ceiling> {
    let mut reader = field.map()?;
    let p_max = reader.need("rate", "1%", |f| f.percent(0.0001..=50.0));
    let alpha = reader.or("alpha", 0.01, |f| {
        let alpha = f.decimal()?;
        if (1e-9..0.5).contains(&alpha) { Some(alpha) } else { f.outside(alpha, "1e-9", "0.5") }
    });
    reader.finish();
    Some(Ceiling { p_max: p_max?, alpha })
}

pub(crate) fn failures(field: &Field<'_>) -> Option<Failures> {
    let mut reader = field.map()?;
    let total = reader.maybe("total", |f| small(&f, 1));
    let consecutive = reader.maybe("consecutive", |f| small(&f, 1));
    if reader.len() != 1 {
        let message = "`failures` has one of `total` and `consecutive`";
        let hint = "`{ total: 5 }` is Flagger's way, `{ consecutive: 5 }` begins anew at a success";
        reader.report(reader.key_problem("wrong-choice", message).hint(hint));
    }
    reader.finish();
    total.map(Failures::Total).or(consecutive.map(Failures::Consecutive))
}

/// What stable's value is taken for at least, in the unit of the signal itself.
fn floor(field: &Field<'_>, signal: Option<&Signal>) -> Option<f64> {
    Unit::of(signal?, Population::Canary).read(field)
}
