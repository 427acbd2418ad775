//! What a script says of its service: `key=value` words, and the steps in short.

use super::{capacity, check, life, side, words};
use crate::draw;
use fastrand::Rng;
use serin_core::{
    AffinityKey, AffinitySpec, Analysis, Bake, Baseline, DatabaseSpec, EnvValue, Expose,
    FlagEvidence, FlagSpec, Inject, MigrateStep, MigrationFile, Millis, OnInconclusive, Schedule,
    ServiceSpec, Stage, Step, Version, Weight,
};
use serin_stats::Metric;

const KEYS: &str = "preset, replicas, steps, alpha, beta, onInconclusive, keepWarm, warmUp, \
                    progressDeadline, analysis, affinity, baseline, maxErrors, afterPromotion, \
                    reportOnly, tolerate, check";

/// How long a bake waits unless said.
const BAKE_DEADLINE: Millis = Millis::secs(600);

/// A service with the defaults of the file format.
pub(crate) fn service(name: &str) -> Result<ServiceSpec, String> {
    name.parse::<serin_core::ServiceName>().map_err(|e| e.to_string())?;
    let schedule = Schedule {
        analysis: Some(Analysis::default()),
        warm_up: Millis::secs(5),
        progress_deadline: Millis::secs(60),
        keep_warm: Millis::secs(30),
        stages: stages(steps("20 bake(10s,evidence) 50 bake(10s,evidence) 100")?),
        ..Schedule::of("canary", vec![])
    };
    if let Some((set, key)) =
        name.parse::<serin_core::ServiceName>().ok().as_ref().and_then(of_flag)
    {
        return flag(set, key, schedule);
    }
    let spec = draw::spec(name, 8080, &mut Rng::with_seed(0));
    Ok(ServiceSpec { replicas: 3, schedule: schedule.into(), ..spec })
}

fn of_flag(name: &serin_core::ServiceName) -> Option<(String, String)> {
    name.as_flag().map(|(set, key)| (set.to_owned(), key.to_owned()))
}

/// The release of a flag.
fn flag(set: String, key: String, schedule: Schedule) -> Result<ServiceSpec, String> {
    let carrier = "svc-0".parse().map_err(|e: serin_core::IdError| e.to_string())?;
    let (off, evidence) = (draw::revision("off"), FlagEvidence::Traffic);
    let flag = FlagSpec { set, key, carrier, off, evidence };
    flag.service(schedule, Millis::secs(20)).map_err(|e| e.to_string())
}

fn stages(steps: Vec<Step>) -> Vec<Stage> {
    vec![Stage { name: "canary".into(), steps }]
}

/// Takes one `key=value`.
pub(crate) fn change(spec: &mut ServiceSpec, key: &str, value: &str) -> Result<(), String> {
    if key == "preset" {
        return start_anew(spec, value);
    }
    let schedule = &mut spec.schedule;
    match key {
        "replicas" => spec.replicas = words::number(value, 1, 100)? as u32,
        "steps" => schedule.stages = stages(side::own(steps(value)?, spec.name.as_str())),
        "keepWarm" => schedule.keep_warm = words::span(value)?,
        "warmUp" => schedule.warm_up = words::span(value)?,
        "progressDeadline" => schedule.progress_deadline = words::span(value)?,
        "analysis" => schedule.analysis = analysis(value)?,
        "alpha" => judged(schedule)?.alpha = risk(value)?,
        "beta" => judged(schedule)?.beta = risk(value)?,
        "affinity" => {
            let key = AffinityKey::Cookie("user".into());
            spec.traffic.affinity = Some(AffinitySpec { key, window: words::span(value)? });
        }
        "baseline" => judged(schedule)?.baseline = baseline(value)?,
        "maxErrors" => judged(schedule)?.max_errors = Some(words::number(value, 1, 1_000_000)?),
        "afterPromotion" => judged(schedule)?.after_promotion = words::span(value)?,
        "reportOnly" => judged(schedule)?.report_only = value == "yes",
        "tolerate" => judged(schedule)?.tolerate = Some(words::share(value)?),
        "check" => judged(schedule)?.checks.push(check::check(value)?),
        "onInconclusive" => judged(schedule)?.on_inconclusive = on_inconclusive(value)?,
        _ if life::change(spec, key, value)? => {}
        _ if capacity::change(spec, key, value)? => {}
        _ => {
            let (life, capacity) = (life::KEYS, capacity::KEYS);
            return Err(format!("`{key}` is not a setting; allowed: {KEYS}, {life}, {capacity}"));
        }
    }
    Ok(())
}

/// Every setting as it is unless said.
fn start_anew(spec: &mut ServiceSpec, value: &str) -> Result<(), String> {
    if value != "plain" {
        return Err(format!("`{value}` is not a preset; allowed: plain"));
    }
    let listen = spec.traffic.listen;
    *spec = service(spec.name.as_str())?;
    spec.traffic.listen = listen;
    Ok(())
}

fn judged(schedule: &mut Schedule) -> Result<&mut Analysis, String> {
    schedule.analysis.as_mut().ok_or_else(|| "the service has analysis=off".into())
}

fn analysis(word: &str) -> Result<Option<Analysis>, String> {
    let only = |metrics: &[Metric]| {
        let metrics = metrics.iter().cloned().map(Into::into).collect();
        Some(Analysis { metrics, ..Analysis::default() })
    };
    match word {
        "off" => Ok(None),
        "none" => Ok(only(&[])),
        "errors" => Ok(only(&[Metric::Errors])),
        "latency" => Ok(only(&[Metric::Latency])),
        "both" => Ok(only(&[Metric::Errors, Metric::Latency])),
        _ => Err(format!("`{word}` is not an analysis; allowed: both, errors, latency, none, off")),
    }
}

fn baseline(word: &str) -> Result<Baseline, String> {
    match word {
        "stable" => Ok(Baseline::Stable),
        "fresh" => Ok(Baseline::Fresh),
        _ => Err(format!("`{word}` is not allowed; allowed: stable, fresh")),
    }
}

fn risk(word: &str) -> Result<f64, String> {
    let risk = word.parse::<f64>().ok().filter(|r| *r > 0.0 && *r < 0.5);
    risk.ok_or_else(|| format!("`{word}` is not a chance above 0 and below 0.5"))
}

fn on_inconclusive(word: &str) -> Result<OnInconclusive, String> {
    match word {
        "pause" => Ok(OnInconclusive::Pause),
        "rollback" => Ok(OnInconclusive::Rollback),
        "promote" => Ok(OnInconclusive::Promote),
        _ => Err(format!("`{word}` is not allowed; allowed: pause, rollback, promote")),
    }
}

/// Steps in short: `20 bake(10s,evidence) pause(5m) pause 100`.
pub(super) fn steps(text: &str) -> Result<Vec<Step>, String> {
    let steps = text.split_whitespace().map(step).collect::<Result<Vec<_>, _>>()?;
    let weights = steps.iter().filter_map(|step| match step {
        Step::SetWeight(weight) => Some(*weight),
        _ => None,
    });
    let weights: Vec<_> = weights.collect();
    if !weights.is_sorted() || weights.last() != Some(&Weight::ALL) {
        return Err(format!("the weights of `{text}` do not rise to 100"));
    }
    Ok(steps)
}

fn step(word: &str) -> Result<Step, String> {
    let (verb, inside) = match word.split_once('(') {
        Some((verb, rest)) => {
            let inside = rest.strip_suffix(')');
            (verb, Some(inside.ok_or_else(|| format!("`{word}` has no `)`"))?))
        }
        None => (word, None),
    };
    match (verb, inside) {
        ("pause", None) => Ok(Step::Pause(None)),
        ("pause", Some(time)) => Ok(Step::Pause(Some(words::span(time)?))),
        ("bake", Some(conditions)) => bake(conditions).map(Step::Bake),
        ("scale", Some(size)) => capacity::scale(size).map(Step::SetScale),
        ("expose", Some(terms)) => expose(terms).map(Step::Expose),
        ("run" | "approve" | "route" | "mirror" | "flag", inside) => {
            side::step(verb, inside.unwrap_or_default())
        }
        (number, None) if number.starts_with(|c: char| c.is_ascii_digit()) => {
            words::weight(number).map(Step::SetWeight)
        }
        _ => Err(format!(
            "`{word}` is not a step; allowed: 20, pause, pause(5m), \
             bake(10s,requests=200,evidence,deadline=10m), expose(budget=20,upTo=50,deadline=10m), \
             scale(2), scale(50%), scale(match), run(smoke+api,tries=2), \
             approve(2,from=ada+bob,timeout=10m), route(NAME,header=value), route(NAME), \
             mirror(50), flag(KEY,on|off|20)"
        )),
    }
}

fn expose(terms: &str) -> Result<Expose, String> {
    let up_to = Weight::percent(50).map_err(|e| e.to_string())?;
    let mut expose = Expose { budget: 20.0, up_to, deadline: BAKE_DEADLINE };
    for term in terms.split(',') {
        match term.split_once('=') {
            Some(("budget", n)) => expose.budget = words::number(n, 1, 1_000_000)? as f64,
            Some(("upTo", weight)) => expose.up_to = words::weight(weight)?,
            Some(("deadline", time)) => expose.deadline = words::span(time)?,
            _ => return Err(format!("`{term}` is not of expose; allowed: budget, upTo, deadline")),
        }
    }
    Ok(expose)
}

fn bake(conditions: &str) -> Result<Bake, String> {
    let mut bake =
        Bake { at_least: Millis(0), requests: 0, until_evidence: false, deadline: BAKE_DEADLINE };
    for condition in conditions.split(',') {
        match condition.split_once('=') {
            None if condition == "evidence" => bake.until_evidence = true,
            None => bake.at_least = words::span(condition)?,
            Some(("requests", n)) => bake.requests = words::number(n, 1, 1_000_000_000)?,
            Some(("deadline", time)) => bake.deadline = words::span(time)?,
            Some((key, _)) => {
                return Err(format!("`{key}` is not of a bake; allowed: requests, deadline"));
            }
        }
    }
    Ok(bake)
}

/// The service with its database, and with the schema before its steps where the version brings one.
pub(crate) fn with_database(mut spec: ServiceSpec, version: &Version, brings: bool) -> ServiceSpec {
    let name = format!("m{version}");
    spec.run.database = Some(DatabaseSpec {
        url: EnvValue::FromEnv("DATABASE_URL".into()),
        schema: "public".into(),
        inject: Inject::default(),
        migration: brings.then(|| name.clone()),
        view: None,
    });
    if let Some(stage) = spec.schedule.stages.first_mut().filter(|_| brings) {
        let file = MigrationFile { name: name.clone(), text: String::new(), sql: false };
        let step = MigrateStep { path: name, files: vec![file].into() };
        stage.steps.insert(0, Step::Migrate(step));
    }
    spec
}
