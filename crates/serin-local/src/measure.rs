//! What checks want to know of instances: error lines of their logs, processor and memory.

use crate::crew::{Crew, crews};
use crate::error_lines::{ErrorLines, among_last};
use crate::log;
use crate::session::Sessions;
use crate::world::Fleet;
use serin_core::{LogLimits, Measure, Plan, ServiceName};
use serin_stats::threshold::Signal;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Instant;

/// Numbers of one crew, by the name of their check.
pub(crate) type Measured = BTreeMap<Crew, BTreeMap<String, f64>>;

/// What is to be measured of one service.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) service: ServiceName,
    measures: BTreeMap<String, Measure>,
    crews: BTreeMap<Crew, Members>,
}

/// The instances of a crew that serve, and by which words their lines look like errors.
#[derive(Debug)]
struct Members {
    instances: BTreeMap<String, i32>,
    words: Vec<String>,
}

/// What `plan` wants measured of the instances there are; nothing when it wants nothing.
pub(crate) fn order(plan: &Plan, fleet: &Fleet) -> Option<Order> {
    let members = |(crew, wanted): (Crew, crate::crew::Wanted<'_>)| {
        let serving = fleet.instances.iter();
        let serving = serving.filter(|(_, i)| i.crew == crew && i.is_serving(&fleet.table));
        let instances = serving.filter_map(|(id, i)| Some((id.clone(), i.pid?))).collect();
        (crew, Members { instances, words: words(&wanted.run.log) })
    };
    (!plan.measures.is_empty()).then(|| Order {
        service: plan.service.clone(),
        measures: plan.measures.clone(),
        crews: crews(plan).map(members).collect(),
    })
}

/// The words by which lines look like errors.
pub(crate) fn words(log: &LogLimits) -> Vec<String> {
    if log.errors.is_empty() {
        return LogLimits::ERRORS.iter().map(|word| (*word).to_owned()).collect();
    }
    log.errors.clone()
}

/// What is followed of instances from one look to the next.
#[derive(Debug, Default)]
pub(crate) struct Meters {
    logs: BTreeMap<String, ErrorLines>,
    sessions: Sessions,
}

impl Meters {
    /// Carries out `orders` at `now`.
    pub(crate) fn look(
        &mut self,
        orders: &[Order],
        data: &Path,
        now: i64,
    ) -> Vec<(ServiceName, Measured)> {
        self.read_logs(orders, data, now);
        let used = orders.iter().filter(|order| order.wants_use());
        let pids = used.flat_map(|order| order.crews.values()).flat_map(|m| &m.instances);
        let pids = pids.map(|(id, pid)| (id.clone(), *pid)).collect();
        self.sessions.look(&pids, Instant::now());
        let measured = |order: &Order| (order.service.clone(), order.measured(self, now));
        orders.iter().map(measured).collect()
    }

    /// Reads what is new in the logs that `orders` want, and forgets the others.
    fn read_logs(&mut self, orders: &[Order], data: &Path, now: i64) {
        let logs = orders.iter().filter(|order| order.wants_logs());
        let members = || logs.clone().flat_map(|order| order.crews.values());
        let wanted: BTreeSet<&String> = members().flat_map(|m| m.instances.keys()).collect();
        self.logs.retain(|id, _| wanted.contains(id));
        for members in members() {
            for id in members.instances.keys() {
                let lines = self.logs.entry(id.clone()).or_default();
                lines.look(&log::path(data, id), &members.words, now);
            }
        }
    }
}

impl Order {
    fn wants_logs(&self) -> bool {
        let is_log =
            |signal: &Signal| matches!(signal, Signal::LogErrors | Signal::LogErrorsPerMinute);
        self.measures.values().any(|measure| is_log(&measure.signal))
    }

    fn wants_use(&self) -> bool {
        let is_use = |signal: &Signal| matches!(signal, Signal::Cpu | Signal::Memory);
        self.measures.values().any(|measure| is_use(&measure.signal))
    }

    /// What was found; a number that is not known of every instance is not told.
    fn measured(&self, meters: &Meters, now: i64) -> Measured {
        let crew = |(crew, members): (&Crew, &Members)| {
            let number = |(name, measure): (&String, &Measure)| {
                Some((name.clone(), members.number(measure, meters, now)?))
            };
            (crew.clone(), self.measures.iter().filter_map(number).collect())
        };
        self.crews.iter().map(crew).collect()
    }
}

impl Members {
    fn number(&self, measure: &Measure, meters: &Meters, now: i64) -> Option<f64> {
        match &measure.signal {
            Signal::LogErrors => Some(among_last(self.logs(meters)?.into_iter()) as f64),
            Signal::LogErrorsPerMinute => {
                let since = now - measure.window.0 as i64;
                let errors: usize = self.logs(meters)?.iter().map(|log| log.since(since)).sum();
                Some(errors as f64 * 60_000.0 / measure.window.0.max(1) as f64)
            }
            Signal::Cpu => mean(&self.each(|id| meters.sessions.cpu(id, measure.window))?),
            Signal::Memory => {
                let bytes = self.each(|id| meters.sessions.memory(id))?;
                bytes.into_iter().reduce(f64::max)
            }
            _ => None,
        }
    }

    fn logs<'a>(&self, meters: &'a Meters) -> Option<Vec<&'a ErrorLines>> {
        let known = self.instances.keys().map(|id| meters.logs.get(id).filter(|log| log.known));
        known.collect::<Option<Vec<_>>>().filter(|logs| !logs.is_empty())
    }

    fn each(&self, number: impl Fn(&str) -> Option<f64>) -> Option<Vec<f64>> {
        self.instances.keys().map(|id| number(id)).collect()
    }
}

fn mean(numbers: &[f64]) -> Option<f64> {
    (!numbers.is_empty()).then(|| numbers.iter().sum::<f64>() / numbers.len() as f64)
}
