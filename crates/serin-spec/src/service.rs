//! One document: `kind: Service`.

use crate::{
    Located, checks, clients, data, database,
    field::Field,
    migrate,
    nearest::nearest,
    notify,
    reader::{Context, Reader},
    rollback::{self, Rollback},
    run,
    strategy::{self, Around},
    traffic, train,
    yaml::{Node, shown},
};
use serin_core::{
    Clients, DataFormats, NotifyTarget, OnNewRevision, RunSpec, Schedule, ServiceName, ServiceSpec,
    TrafficSpec, Train, Version,
};
use std::path::Path;

const API_VERSION: &str = "serin.dev/v1alpha1";

/// Reads a document; `None` when something in it is wrong or it is of another kind.
pub(crate) fn read(cx: &Context<'_>, node: &Node, base: &Path) -> Option<Located<ServiceSpec>> {
    cx.take_marks();
    let mut root = Reader::root(cx, node)?;
    let ours = root.need("apiVersion", API_VERSION, |f| api_version(&f));
    let service = root.need("kind", "Service", |f| kind(&f));
    if [root.peek("apiVersion"), root.peek("kind")].iter().flatten().any(is_foreign) {
        return None;
    }
    let name = root.need("metadata", "{ name: shop }", |f| metadata(&f));
    let spec = root.need("spec", "{ run: ..., traffic: ... }", |f| spec(&f, base));
    root.finish();
    let (name, spec) = (name?, spec?);
    let marks = cx.take_marks();
    let mark = marks.get("metadata.name").cloned().unwrap_or_else(|| cx.lines.mark(&node.span));
    let value = ServiceSpec { name, ..spec };
    (ours.is_some() && service.is_some()).then_some(Located { value, mark, marks })
}

fn api_version(field: &Field<'_>) -> Option<()> {
    let text = field.word()?;
    if text == API_VERSION {
        return Some(());
    }
    let message = format!("unknown `apiVersion: {}`; allowed: {API_VERSION}", shown(text));
    let problem = field.problem("unknown-value", message);
    field.report(match nearest(text, std::iter::once(API_VERSION)) {
        Some(name) => problem.label(format!("did you mean `{name}`?")),
        None => problem.hint("this looks like a file of another tool"),
    });
    None
}

/// Whether this is a document of something else, whose other keys are not worth a word.
fn is_foreign(field: &Field<'_>) -> bool {
    let ours = [API_VERSION, "Service"].into_iter();
    field.scalar().is_none_or(|text| nearest(text, ours).is_none())
}

fn kind(field: &Field<'_>) -> Option<()> {
    field.choice(&[("Service", ())])
}

fn metadata(field: &Field<'_>) -> Option<ServiceName> {
    let mut reader = field.map()?;
    let name = reader.need("name", "shop", |f| service_name(&f));
    reader.finish();
    name
}

fn service_name(field: &Field<'_>) -> Option<ServiceName> {
    let text = field.word()?;
    let problem = || field.problem("bad-name", format!("`{}` is not a service name", shown(text)));
    let name = text.parse().ok().filter(|name: &ServiceName| name.as_flag().is_none());
    let Some(name) = name else {
        let hint = "use 1 to 50 of a-z, 0-9 and `-`, starting with a letter, not ending with `-`";
        field.report(problem().hint(hint));
        return None;
    };
    field.cx.claim(|claims| claims.name(&name, &field.node.span));
    Some(name)
}

/// The spec, with a placeholder for the name.
fn spec(field: &Field<'_>, base: &Path) -> Option<ServiceSpec> {
    let mut reader = field.map()?;
    let environment = reader.or("environment", "production".into(), |f| environment(&f));
    let replicas = reader.or("replicas", 2, |f| f.integer(1..=100)) as u32;
    let version = reader.maybe("revision", |f| version(&f));
    let worker = is_worker(&reader);
    let run = reader.need("run", "{ command: [\"./shop\"] }", |f| run::read(&f, base, worker));
    let database = reader.maybe("database", |f| database::read(&f, base));
    let traffic = reader.maybe("traffic", |f| traffic::read(&f));
    let unread = reader.has("traffic") && traffic.is_none();
    let around = around(&reader, &environment, replicas, base);
    let brings = reader.maybe("migrate", |f| migrate::read(&f, &around));
    let schedule = reader.maybe("strategy", |f| strategy::read(&f, &around));
    let rules = Rules::read(&mut reader, worker, base);
    warn_worker(&reader);
    check_numbers(&reader, schedule.as_ref(), &around);
    if let (Some(schedule), Some(traffic)) = (&schedule, &traffic) {
        check_affinity(&reader, traffic, schedule);
    }
    let usual = || if worker { strategy::guarded_worker() } else { strategy::guarded() };
    let schedule = schedule.unwrap_or_else(usual);
    let schedule = rules.limit(schedule, reader.peek("rollback").as_ref());
    let schedule = migrate::first(schedule, brings, &reader);
    reader.finish();
    if unread {
        return None;
    }
    let name = "placeholder".parse().ok()?;
    let mut traffic = traffic.unwrap_or_else(TrafficSpec::worker);
    for flags in traffic.flags.iter_mut().filter(|flags| flags.set.is_empty()) {
        flags.set.clone_from(&environment);
    }
    let run = RunSpec { database, ..run? };
    let spec = ServiceSpec::of(name, run, traffic, schedule);
    Some(rules.into_spec(ServiceSpec { environment, replicas, version, ..spec }))
}

/// Whether no users come in through Serin.
fn is_worker(spec: &Reader<'_>) -> bool {
    spec.peek("traffic").is_none_or(|f| f.scalar() == Some("none"))
}

fn around<'c>(
    spec: &Reader<'_>,
    environment: &'c str,
    replicas: u32,
    base: &'c Path,
) -> Around<'c> {
    let has = |part: &str, key: &str| {
        let part = spec.peek(part).filter(Field::is_map);
        part.and_then(|f| f.map()).is_some_and(|part| part.has(key))
    };
    Around {
        environment,
        replicas,
        worker: is_worker(spec),
        metrics: has("run", "metrics"),
        preview: has("traffic", "preview"),
        limits: has("rollback", "triggers"),
        sticky: has("traffic", "affinity"),
        database: spec.has("database"),
        base,
    }
}

/// Own numbers come from somewhere.
fn check_numbers(spec: &Reader<'_>, schedule: Option<&Schedule>, around: &Around<'_>) {
    let analysis = schedule.and_then(|s| s.analysis.as_ref());
    let own = analysis.and_then(|a| a.checks.iter().find(|check| checks::is_own_number(check)));
    if let (Some(check), false, Some(field)) = (own, around.metrics, spec.peek("strategy")) {
        let message = format!(
            "the check `{}` looks at a number that instances publish, and `run` names no `metrics`",
            shown(&check.name)
        );
        let hint = "add `metrics: { path: /metrics }` to `run`";
        field.report(field.key_problem("unmeasured-check", message).hint(hint));
    }
}

/// A service without `traffic` may be one whose author forgot it.
fn warn_worker(spec: &Reader<'_>) {
    let published = spec.peek("run").filter(Field::is_map).and_then(|f| f.map());
    if spec.has("traffic") || published.is_some_and(|run| run.has("metrics")) {
        return;
    }
    let message = "no `traffic`: this service is a worker, and health alone watches over it";
    let hint = "add `traffic: { listen: \"127.0.0.1:8080\" }` if it has users, or `traffic: none`";
    spec.report(spec.key_problem("worker", message).warning().hint(hint));
}

/// Rules beside the strategy.
struct Rules {
    on_new_revision: OnNewRevision,
    rollback: Option<Rollback>,
    data: Option<DataFormats>,
    clients: Option<Clients>,
    train: Option<Train>,
    notify: Vec<NotifyTarget>,
    history_limit: Option<u32>,
    instance_hour_cost: Option<f64>,
}

impl Rules {
    fn read(reader: &mut Reader<'_>, worker: bool, base: &Path) -> Self {
        Self {
            on_new_revision: reader.or("onNewRevision", OnNewRevision::Restart, |f| {
                f.choice(&[
                    ("restart", OnNewRevision::Restart),
                    ("queue", OnNewRevision::Queue),
                    ("reject", OnNewRevision::Reject),
                ])
            }),
            rollback: reader.maybe("rollback", |f| rollback::read(&f, worker)),
            data: reader.maybe("data", |f| data::read(&f)),
            clients: reader.maybe("clients", |f| clients::read(&f)),
            train: reader.maybe("train", |f| train::read(&f)),
            notify: reader.or("notify", Vec::new(), |f| notify::read(&f, base)),
            history_limit: reader
                .maybe("revisionHistoryLimit", |f| f.integer(1..=50))
                .map(|n| n as u32),
            instance_hour_cost: reader.maybe("instanceHourCost", |f| {
                let cost = f.decimal()?;
                if (0.0..=1e6).contains(&cost) { Some(cost) } else { f.outside(cost, 0, 1_000_000) }
            }),
        }
    }

    /// The schedule with the limits of `rollback`.
    fn limit(&self, schedule: Schedule, at: Option<&Field<'_>>) -> Schedule {
        match (&self.rollback, at) {
            (Some(rollback), Some(at)) => rollback::with_triggers(schedule, &rollback.triggers, at),
            _ => schedule,
        }
    }

    fn into_spec(self, spec: ServiceSpec) -> ServiceSpec {
        ServiceSpec {
            on_new_revision: self.on_new_revision,
            rollback: self.rollback.map(|r| r.spec).unwrap_or_default(),
            data: self.data,
            clients: self.clients,
            train: self.train,
            notify: self.notify,
            history_limit: self.history_limit.unwrap_or(spec.history_limit),
            instance_hour_cost: self.instance_hour_cost,
            flag: None,
            ..spec
        }
    }
}

fn environment(field: &Field<'_>) -> Option<String> {
    let text = field.word()?;
    let inside = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if text.len() <= 50
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(inside)
    {
        return Some(text.into());
    }
    let message = format!("`{}` is not the name of an environment", shown(text));
    let hint = "use 1 to 50 of a-z, 0-9 and `-`, starting with a letter: `production`, `staging`";
    field.report(field.problem("bad-name", message).hint(hint));
    None
}

/// The field's own text matters: unquoted, `1.10` and `1.1` are one number.
fn version(field: &Field<'_>) -> Option<Version> {
    let text = field.word()?;
    text.parse()
        .map_err(|_| {
            let message = format!("`{}` is not a revision", shown(text));
            let hint = "use 1 to 64 of A-Z, a-z, 0-9, `.`, `_`, `-` and `+`, starting with a letter or digit";
            field.report(field.problem("bad-name", message).hint(hint));
        })
        .ok()
}

/// Users who stay with a revision do not spoil the comparison: they are dealt at random, and they
/// are what is counted. That changes what rates mean and how long evidence takes.
fn check_affinity(spec: &Reader<'_>, traffic: &TrafficSpec, schedule: &Schedule) {
    let Some(affinity) = &traffic.affinity else { return };
    let Some(analysis) = schedule.analysis.as_ref().filter(|a| a.compares()) else { return };
    let at = |keys: &[&str]| {
        let first = spec.peek(keys[0]);
        keys[1..].iter().fold(first, |field, key| field?.map()?.peek(key))
    };
    if analysis.late_onset == Some(true)
        && let Some(field) = at(&["strategy", "canary", "analysis", "lateOnset"])
    {
        let message = "late onset is looked for, but with `affinity` users repeat: a few unlucky \
                       ones would look like a regression";
        let hint = "leave `lateOnset` out; slow regressions are still found, later";
        field.report(field.problem("onset-with-affinity", message).hint(hint));
    }
    if let Some(field) = at(&["traffic", "affinity"]) {
        let window = affinity.window;
        let message = format!(
            "with `affinity` the judge counts users, not requests: each once in {window}, failed \
             if one of their requests did"
        );
        let hint = "users are dealt at random, so the comparison is sound; it takes longer, and \
                    `harm` and the rates shown are shares of users";
        field.report(field.key_problem("users-as-units", message).warning().hint(hint));
    }
}
