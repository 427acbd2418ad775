//! Many runs side by side on few data planes.

use crate::condition::{Condition, Incident, Version};
use crate::plane::{Plane, Report};
use crate::run::{Job, Outcomes, Terms};
use crate::table::Cell;
use anyhow::{Context as _, Result};
use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
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

/// Runs on one data plane, most of them one after the other.
const RUNS: usize = 150;
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

/// Does all jobs, on one data plane after the other.
async fn together(
    jobs: VecDeque<(Key, Job)>,
    effort: Effort,
    program: &Path,
    kills: bool,
) -> Result<(Results, usize)> {
    let slots = effort.services.min(jobs.len());
    let jobs = Mutex::new(Pile { all: jobs.len(), left: jobs, now: None });
    let pile = Arc::new(Shared { jobs, program: program.to_owned(), kills, terms: effort.terms });
    let mut workers = JoinSet::new();
    for slot in 0..slots {
        // Not all at one moment, or all would look at one moment for ever.
        let delay = effort.terms.horizon * slot as u32 / slots as u32;
        workers.spawn(work(pile.clone(), delay));
    }
    let (mut results, mut broken) = (Results::new(), 0);
    while let Some(done) = workers.join_next().await {
        for (key, outcomes) in done.context("a worker broke")?? {
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

/// What the workers share.
struct Shared {
    jobs: Mutex<Pile>,
    program: PathBuf,
    kills: bool,
    terms: Terms,
}

struct Pile {
    all: usize,
    left: VecDeque<(Key, Job)>,
    /// The data plane in use, and for how many runs more.
    now: Option<(Ground, usize)>,
}

/// A data plane and what it counts. It ends with its last run.
#[derive(Clone)]
struct Ground {
    plane: Arc<Plane>,
    reports: watch::Receiver<Report>,
}

impl Ground {
    fn new(program: &Path, kills: bool) -> Result<Self> {
        let plane = Plane::start(program)?;
        if kills {
            tokio::spawn(kill(Arc::downgrade(&plane)));
        }
        Ok(Self { reports: plane.reports(), plane })
    }
}

/// As long as there is somebody on it.
async fn kill(plane: Weak<Plane>) -> Result<()> {
    loop {
        tokio::time::sleep(LIFE).await;
        let Some(plane) = plane.upgrade() else { return Ok(()) };
        plane.restart()?;
    }
}

impl Shared {
    /// The next run and where it takes place.
    fn next(&self) -> Result<Option<(Key, Job, Ground)>> {
        let mut pile = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((key, job)) = pile.left.pop_front() else { return Ok(None) };
        if pile.left.len().is_multiple_of(100) {
            eprintln!("{} of {} runs to begin", pile.left.len(), pile.all);
        }
        let (ground, left) = match pile.now.take() {
            Some((ground, left)) if left > 0 => (ground, left),
            _ => (Ground::new(&self.program, self.kills)?, RUNS),
        };
        pile.now = (!pile.left.is_empty()).then(|| (ground.clone(), left - 1));
        Ok(Some((key, job, ground)))
    }
}

async fn work(shared: Arc<Shared>, delay: Duration) -> Result<Vec<(Key, Result<Outcomes>)>> {
    tokio::time::sleep(delay).await;
    let mut done = Vec::new();
    while let Some((key, job, ground)) = shared.next()? {
        let outcomes = Box::pin(job.run(ground.plane, ground.reports, shared.terms)).await;
        done.push((key, outcomes.with_context(|| job.name())));
    }
    Ok(done)
}
