//! Many runs side by side on one data plane.

use crate::condition::{Condition, Incident, Version};
use crate::plane::{Plane, Report};
use crate::run::{Job, Outcomes, Terms};
use crate::table::Cell;
use anyhow::{Context as _, Result};
use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Runs of each cell.
    pub runs: u64,
    /// Services at a time.
    pub services: usize,
    /// What each is held to.
    pub terms: Terms,
}

/// Time between two deaths of the data plane where it is killed: every run sees one or two.
const LIFE: Duration = Duration::from_secs(19);

type Key = (usize, Version);
type Results = BTreeMap<Key, Vec<Outcomes>>;

/// Measures `conditions`. `program` becomes a data plane when told to. Beside the cells: how many
/// runs broke off.
///
/// # Errors
/// No data plane.
pub async fn measure<'a>(
    conditions: &'a [Condition],
    versions: &[Version],
    effort: Effort,
    program: &Path,
) -> Result<(Vec<Cell<'a>>, usize)> {
    let (mut results, mut broken) = (Results::new(), 0);
    for kills in [false, true] {
        let is_one = |c: &Condition| (c.incident == Incident::KillPlane) == kills;
        let chosen: Vec<usize> =
            (0..conditions.len()).filter(|at| is_one(&conditions[*at])).collect();
        let jobs = jobs(conditions, &chosen, versions, effort.runs);
        if !jobs.is_empty() {
            let (done, lost) = together(jobs, effort, program, kills).await?;
            results.extend(done);
            broken += lost;
        }
    }
    let cell = |((at, version), outcomes)| Cell { condition: &conditions[at], version, outcomes };
    Ok((results.into_iter().map(cell).collect(), broken))
}

/// The runs of all cells, mixed: a busy moment meets all of them alike.
fn jobs(
    conditions: &[Condition],
    chosen: &[usize],
    versions: &[Version],
    runs: u64,
) -> VecDeque<(Key, Job)> {
    let mut jobs = VecDeque::new();
    let shared: BTreeMap<usize, Arc<Condition>> =
        chosen.iter().map(|at| (*at, Arc::new(conditions[*at].clone()))).collect();
    for number in 0..runs {
        for (at, condition) in &shared {
            let wanted = condition.versions.iter().filter(|(v, _)| versions.contains(v));
            for (version, _) in wanted {
                let job = Job { condition: condition.clone(), version: *version, number };
                jobs.push_back(((*at, *version), job));
            }
        }
    }
    jobs
}

/// Does all jobs on one data plane.
async fn together(
    jobs: VecDeque<(Key, Job)>,
    effort: Effort,
    program: &Path,
    kills: bool,
) -> Result<(Results, usize)> {
    let plane = Plane::start(program)?;
    let (tell, reports) = watch::channel(Report::default());
    let mut watching = JoinSet::new();
    watching.spawn(plane.clone().watch(tell));
    if kills {
        watching.spawn(kill(plane.clone()));
    }
    let slots = effort.services.min(jobs.len());
    let (all, jobs) = (jobs.len(), Arc::new(Mutex::new(jobs)));
    let mut workers = JoinSet::new();
    for slot in 0..slots {
        // Not all at one moment, or all would look at one moment for ever.
        let delay = effort.terms.horizon * slot as u32 / slots as u32;
        workers.spawn(work(jobs.clone(), plane.clone(), reports.clone(), effort.terms, delay, all));
    }
    let (mut results, mut broken) = (Results::new(), 0);
    while let Some(done) = workers.join_next().await {
        for (key, outcomes) in done.context("a worker broke")? {
            match outcomes {
                Ok(outcomes) => results.entry(key).or_default().push(outcomes),
                Err(error) => {
                    broken += 1;
                    eprintln!("{error:#}");
                }
            }
        }
    }
    Ok((results, broken))
}

async fn kill(plane: Arc<Plane>) -> Result<()> {
    loop {
        tokio::time::sleep(LIFE).await;
        plane.restart()?;
    }
}

async fn work(
    jobs: Arc<Mutex<VecDeque<(Key, Job)>>>,
    plane: Arc<Plane>,
    reports: watch::Receiver<Report>,
    terms: Terms,
    delay: Duration,
    all: usize,
) -> Vec<(Key, Result<Outcomes>)> {
    tokio::time::sleep(delay).await;
    let mut done = Vec::new();
    loop {
        let next = {
            let mut jobs = jobs.lock().unwrap_or_else(PoisonError::into_inner);
            if jobs.len().is_multiple_of(100) && !jobs.is_empty() {
                eprintln!("{} of {all} runs to begin", jobs.len());
            }
            jobs.pop_front()
        };
        let Some((key, job)) = next else { return done };
        let outcomes = Box::pin(job.run(plane.clone(), reports.clone(), terms)).await;
        done.push((key, outcomes.with_context(|| job.name())));
    }
}
