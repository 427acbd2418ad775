//! One run: a service, its users, a candidate, and what the judge says about it.

use crate::client::Crowd;
use crate::condition::{Condition, Incident, Version};
use crate::plane::{Plane, Report};
use crate::site::Site;
use crate::spec;
use crate::watch::{ErrorsOnly, Seen};
use anyhow::{Context as _, Result, bail};
use serin_calibration::rng::Rng;
use serin_core::{RevisionId, ServiceName};
use serin_stats::Assessment;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// Ports of the services: below the range outgoing connections use.
const FIRST_PORT: u16 = 12_000;
const PORTS: u16 = 16_000;
const TRIES: usize = 1000;

/// What a run is held to.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// Bound on false rollbacks.
    pub alpha: f64,
    /// Traffic on stable alone before the rollout.
    pub prelude: Duration,
    /// Time in which the judge may decide.
    pub horizon: Duration,
}

/// Which run.
#[derive(Clone, Debug)]
pub struct Job {
    /// What goes wrong.
    pub condition: Arc<Condition>,
    /// How the candidate differs.
    pub version: Version,
    /// Number within the cell; decides the random numbers.
    pub number: u64,
}

/// What came of a run.
#[derive(Clone, Debug, Default)]
pub struct Outcomes {
    /// What the rollout's own judge said (errors and latency).
    pub whole: Seen,
    /// What a judge of errors alone said.
    pub errors: Seen,
    /// The judge's last words.
    pub last: Option<Assessment>,
    /// Requests given up by clients before they could be judged: baseline, canary.
    pub aborted: (u64, u64),
    /// Unfinished when their cohort closed: baseline, canary.
    pub unfinished: (u64, u64),
}

impl Job {
    /// Does it.
    ///
    /// # Errors
    /// The data plane or the engine refuses to play.
    pub async fn run(
        &self,
        plane: Arc<Plane>,
        reports: watch::Receiver<Report>,
        terms: Terms,
    ) -> Result<Outcomes> {
        let (condition, listen) = (&self.condition, free_addr()?);
        let name: ServiceName = self.name().parse()?;
        let stream =
            self.condition.name.bytes().fold(7, |h: u64, b| h.wrapping_mul(31) + u64::from(b));
        let mut rng = Rng::of(stream, self.number * 4 + self.version as u64);
        let candidate = condition.candidate(self.version).context("no such candidate")?;
        let spec = spec::service(&name, listen, condition, terms);
        let (stable, candidate) = (condition.stable.clone(), candidate.clone());
        let key = condition.affinity.as_ref().map(|(key, _)| key.clone());
        let crowd_rng = Rng::of(rng.bits(), 0);
        let mut site = Box::pin(Site::new(plane, spec, stable, candidate, rng)).await?;
        site.deploy(spec::stable()).await?;
        let crowd = Crowd::new(listen, condition.traffic.clone(), key, crowd_rng);
        let users = tokio::spawn(crowd.run());
        tokio::time::sleep(terms.prelude).await;
        let outcomes = self.trial(&mut site, &name, reports, terms).await;
        users.abort();
        site.close().await;
        outcomes
    }

    /// Name of its service.
    pub fn name(&self) -> String {
        format!("{}-{}-{}", self.condition.name, self.version.word(), self.number)
    }

    /// From the deploy of the candidate to FAIL or the horizon.
    async fn trial(
        &self,
        site: &mut Site,
        name: &ServiceName,
        mut reports: watch::Receiver<Report>,
        terms: Terms,
    ) -> Result<Outcomes> {
        site.deploy(spec::candidate()).await?;
        let start = Instant::now();
        let mut incident = Accident::new(self.condition.incident, start, terms.horizon);
        let (mut outcomes, mut shadow) = (Outcomes::default(), ErrorsOnly::default());
        while start.elapsed() < terms.horizon && outcomes.whole.fail.is_none() {
            incident.happen(site).await?;
            let heard = tokio::time::timeout_at(incident.next(), reports.changed()).await;
            let Ok(heard) = heard else { continue };
            heard.context("the data plane is gone")?;
            let counts = reports.borrow_and_update().get(name).cloned().unwrap_or_default();
            site.counted(&counts).await?;
            shadow.follow(&site.ticks);
            let at = start.elapsed().as_secs_f64();
            if let Some(said) = shadow.assess() {
                outcomes.errors.note(at, &said);
            }
            let rollout = site.service.rollout.as_ref();
            if let Some(said) = rollout.and_then(|r| r.assessment.clone()) {
                outcomes.whole.note(at, &said);
                outcomes.last = Some(said);
            }
        }
        outcomes.sum_up(site);
        Ok(outcomes)
    }
}

impl Outcomes {
    fn sum_up(&mut self, site: &Site) {
        for recorded in &site.ticks {
            if let serin_core::Given::Tick(tick) = &recorded.given {
                self.aborted.0 += tick.baseline.aborted;
                self.aborted.1 += tick.canary.aborted;
                self.unfinished.0 += tick.baseline.unfinished;
                self.unfinished.1 += tick.canary.unfinished;
            }
        }
    }

    /// Judged error rates: baseline, canary.
    pub fn rates(&self) -> Option<(f64, f64)> {
        let errors = self.last.as_ref()?.metrics.first()?;
        Some((errors.baseline_rate?, errors.canary_rate?))
    }

    /// Whether anything of the candidate was judged.
    pub fn has_data(&self) -> bool {
        self.last.as_ref().is_some_and(|last| last.canary_n > 0)
    }
}

/// What happens in the middle, stroke by stroke.
struct Accident {
    victims: Vec<RevisionId>,
    /// When, and what; last first.
    strokes: Vec<(Instant, Stroke)>,
    end: Instant,
}

#[derive(Clone, Copy)]
enum Stroke {
    Kill,
    Notice,
    Replace,
}

impl Accident {
    fn new(incident: Incident, start: Instant, horizon: Duration) -> Self {
        let victims = match incident {
            Incident::RestartStable => vec![spec::stable()],
            Incident::RestartBoth => vec![spec::stable(), spec::candidate()],
            _ => Vec::new(),
        };
        let at = |ms| start + horizon / 3 + Duration::from_millis(ms);
        // As long as a supervisor needs to see it, and an instance to start.
        let strokes =
            [(at(1300), Stroke::Replace), (at(100), Stroke::Notice), (at(0), Stroke::Kill)];
        let strokes = if victims.is_empty() { Vec::new() } else { strokes.to_vec() };
        Self { victims, strokes, end: start + horizon }
    }

    /// When something happens next.
    fn next(&self) -> Instant {
        self.strokes.last().map_or(self.end, |(at, _)| *at)
    }

    async fn happen(&mut self, site: &mut Site) -> Result<()> {
        while let Some((_, stroke)) = self.strokes.pop_if(|(at, _)| *at <= Instant::now()) {
            match stroke {
                Stroke::Kill => self.victims.iter().for_each(|id| site.kill(id)),
                Stroke::Notice => site.notice().await?,
                Stroke::Replace => {
                    for id in &self.victims {
                        site.replace(id).await?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// A port that no outgoing connection is given, so that it is still free after the data plane was
/// killed.
fn free_addr() -> Result<SocketAddr> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Two measurements at a time do not take each other's.
    let offset = (std::process::id() % 160) as u16 * 100;
    for _ in 0..TRIES {
        let port = FIRST_PORT + (offset + NEXT.fetch_add(1, Ordering::Relaxed)) % PORTS;
        let addr = SocketAddr::from(([127, 0, 0, 1], port));
        if TcpListener::bind(addr).is_ok() {
            return Ok(addr);
        }
    }
    bail!("no free port from {FIRST_PORT} on")
}
