//! What a user asks for, after the file was read and checked. Strategies are gone here: each was
//! lowered to one [`Schedule`] of stages and steps.

use crate::{
    AffinitySpec, Capacity, CarriedFlags, Clients, DataFormats, DatabaseSpec, FlagSpec,
    HeaderMatch, Millis, NotifyTarget, OnInstanceFailure, OnNewRevision, RollbackSpec, ServiceName,
    Shared, Step, Train, Version,
};
use serde::{Deserialize, Serialize};
use serin_stats::{Metric, MetricSettings, threshold::Check};
use std::{collections::BTreeMap, net::SocketAddr};

/// One service as its owner wants it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServiceSpec {
    /// Its name, unique in one control plane.
    pub name: ServiceName,
    /// `production` unless said.
    pub environment: String,
    /// Instances of the stable revision, 1 to 100.
    pub replicas: u32,
    /// The version the file names; a deploy may name another.
    pub version: Option<Version>,
    /// How an instance runs.
    pub run: Shared<RunSpec>,
    /// Where its users come in.
    pub traffic: TrafficSpec,
    /// How a new revision is brought out.
    pub schedule: Shared<Schedule>,
    /// What a deploy does while a rollout is under way.
    #[serde(default)]
    pub on_new_revision: OnNewRevision,
    /// How it goes back.
    #[serde(default)]
    pub rollback: RollbackSpec,
    /// Data formats of the revision this file describes.
    #[serde(default)]
    pub data: Option<DataFormats>,
    /// Clients that the revision this file describes serves; `None` when nobody said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clients: Option<Clients>,
    /// When deploys leave; at once when `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub train: Option<Train>,
    /// Who is told of what becomes of its rollouts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notify: Vec<NotifyTarget>,
    /// Revisions kept beside those that run, 1 to 50.
    #[serde(default = "history_limit")]
    pub history_limit: u32,
    /// What an hour of one instance costs, in any currency; for reports alone.
    #[serde(default)]
    pub instance_hour_cost: Option<f64>,
    /// Set where a flag's variants are what is released: no instance runs them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flag: Option<FlagSpec>,
}

fn history_limit() -> u32 {
    10
}

/// How one instance is started, checked and stopped.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunSpec {
    /// Program and arguments; `$(PORT)`, `$(REVISION)`, `$(ROLE)`, `$(INSTANCE)` are filled in.
    pub command: Vec<String>,
    /// Environment; the same variables are filled into literal values.
    pub env: BTreeMap<String, EnvValue>,
    /// Files of `NAME=value` lines, read when an instance starts, never stored.
    pub env_files: Vec<String>,
    /// Absolute directory the instance runs in.
    pub working_directory: String,
    /// System user to run as; the keeper must be root for it.
    pub user: Option<String>,
    /// Resource limits.
    pub limits: Limits,
    /// When an instance may take traffic.
    pub readiness: Probe,
    /// When an instance must be replaced.
    pub liveness: Option<Probe>,
    /// Time between SIGTERM and SIGKILL.
    pub grace: Millis,
    /// Limits of the log files of one instance.
    pub log: LogLimits,
    /// Where instances publish numbers of their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics: Option<MetricsSpec>,
    /// The database whose schema moves with the rollouts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<DatabaseSpec>,
}

impl RunSpec {
    /// What a revision is made of: without what the engine says of it later.
    #[must_use]
    pub fn template(&self) -> Self {
        let plain = |database: &DatabaseSpec| DatabaseSpec { view: None, ..database.clone() };
        Self { database: self.database.as_ref().map(plain), ..self.clone() }
    }
}

/// Numbers that an instance publishes itself, in the text format of Prometheus: the lag of a
/// queue, jobs done, jobs failed. They are what a worker without traffic is judged by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetricsSpec {
    /// Path and query on the instance's port.
    pub path: String,
    /// Time between two looks, at least 1 s.
    pub period: Millis,
}

/// A value of an environment variable. Only literals are stored; the others are read at start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum EnvValue {
    /// The value itself: never for secrets.
    Literal(String),
    /// The named variable of the environment `serin serve` runs in.
    FromEnv(String),
    /// The content of a file, without the last newline.
    FromFile(String),
}

/// Limits the operating system holds an instance to.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// Open files.
    pub open_files: Option<u64>,
    /// Address space in bytes.
    pub memory_bytes: Option<u64>,
    /// Processes and threads of the user.
    pub processes: Option<u64>,
}

/// Size limits of an instance's log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LogLimits {
    /// Bytes before a file is rotated.
    pub max_bytes: u64,
    /// Files kept, the current one included; at least 1.
    pub keep: u32,
    /// Words by which a line looks like an error; empty for [`LogLimits::ERRORS`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<String>,
}

impl LogLimits {
    /// Words that are looked for unless said.
    pub const ERRORS: [&'static str; 3] = ["ERROR", "FATAL", "panic"];
}

impl Default for LogLimits {
    fn default() -> Self {
        Self { max_bytes: 10 << 20, keep: 2, errors: vec![] }
    }
}

/// A health check with hysteresis.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Probe {
    /// What is tried.
    pub kind: ProbeKind,
    /// Time between tries.
    pub period: Millis,
    /// Time one try may take.
    pub timeout: Millis,
    /// Failures in a row before the answer turns to no.
    pub failure_threshold: u32,
    /// Successes in a row before the answer turns to yes.
    pub success_threshold: u32,
    /// Time after start before the first try.
    pub initial_delay: Millis,
}

/// What a probe does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ProbeKind {
    /// `GET path` on the instance's port answers 200 to 399.
    HttpGet {
        /// Path and query.
        path: String,
    },
    /// A TCP connection to the instance's port succeeds.
    Tcp,
}

/// Where a service's users come in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrafficSpec {
    /// Address of the load balancer for this service; none for a worker, which takes its work
    /// from elsewhere.
    pub listen: Option<SocketAddr>,
    /// Time a request may take until its answer starts; zero for no limit.
    pub request_timeout: Millis,
    /// Users stay with one revision during a rollout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub affinity: Option<AffinitySpec>,
    /// Requests with this header say themselves where they go: `stable` or `never`, `candidate`
    /// or `always`, or a version that runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub override_header: Option<String>,
    /// Where the candidate can be reached before it has traffic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preview: Option<SocketAddr>,
    /// Time that requests get to end on an instance that leaves.
    #[serde(default = "drain")]
    pub drain: Millis,
    /// Flags that requests carry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flags: Option<CarriedFlags>,
}

/// Drain time unless said.
pub(crate) fn drain() -> Millis {
    Millis::secs(30)
}

/// What a rollout does, stage by stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Schedule {
    /// What the user called it; for display only.
    pub strategy: String,
    /// In order; their steps form one sequence.
    pub stages: Vec<Stage>,
    /// How the candidate is judged; `None` watches health alone.
    pub analysis: Option<Analysis>,
    /// How long an instance must be ready before traffic moves to its revision.
    pub warm_up: Millis,
    /// How long candidate instances may take to become ready.
    pub progress_deadline: Millis,
    /// How long stable stays at full size after the candidate has all traffic.
    pub keep_warm: Millis,
    /// How the instances of both revisions stand beside each other.
    #[serde(default)]
    pub capacity: Capacity,
    /// What one failed instance means where the candidate takes stable's places.
    #[serde(default)]
    pub on_instance_failure: OnInstanceFailure,
    /// How long the old revision's instances stay after the rollout, for a way back at once.
    #[serde(default)]
    pub keep_old: Millis,
    /// How long instances of a revision that was decided against stay, without traffic.
    #[serde(default)]
    pub keep_failed: Millis,
    /// The step from which evidence is looked at, from 0.
    #[serde(default)]
    pub analysis_from: usize,
    /// Requests with these headers are dealt to the two revisions; all others stay with stable.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub only: Vec<HeaderMatch>,
}

/// A named run of steps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stage {
    /// For display and records.
    pub name: String,
    /// In order.
    pub steps: Vec<Step>,
}

/// How a candidate is judged. Rates are shares of requests (or of users, with affinity), 0 to 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Analysis {
    /// Chance to roll back a version that is no worse, over the whole rollout; in (0, 0.5).
    pub alpha: f64,
    /// Chance to promote a harmful version; in (0, 0.5).
    pub beta: f64,
    /// Harm is at least this multiple of stable's error rate...
    pub harm_ratio: f64,
    /// ...and at least this error rate.
    pub harm_floor: f64,
    /// Error rate of the candidate up to which nothing is rolled back.
    pub tolerate: Option<f64>,
    /// What is compared; empty when the checks alone decide.
    pub metrics: Vec<MetricSettings>,
    /// Relative slowdown that is no reason to roll back.
    pub latency_tolerance: f64,
    /// Relative slowdown that is harm.
    pub latency_harm: f64,
    /// Whether regressions that begin late are looked for. `None`: where units are requests. Not
    /// with affinity: users repeat, and the onset mixture makes more of a few unlucky ones.
    pub late_onset: Option<bool>,
    /// What the candidate is compared with.
    pub baseline: Baseline,
    /// Numbers held against limits, beside the comparison.
    pub checks: Vec<Check>,
    /// Failed candidate requests of the whole rollout that set it back, whatever the rates.
    pub max_errors: Option<u64>,
    /// How long late regressions are watched for once the candidate has all traffic; stable stays
    /// at full size meanwhile. The longer of this and [`Schedule::keep_warm`] counts.
    pub after_promotion: Millis,
    /// Verdicts are told and set nothing back; health still does.
    pub report_only: bool,
    /// What happens when a bake's deadline passes without evidence.
    pub on_inconclusive: OnInconclusive,
    /// Checks begin anew with each stage, so that each has to be good in each.
    pub checks_by_stage: bool,
}

/// What a candidate is compared with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Baseline {
    /// Stable's instances as they run.
    #[default]
    Stable,
    /// Instances of the stable revision started beside the candidate's: as many and as young.
    Fresh,
}

/// What an undecided bake does at its deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OnInconclusive {
    /// Wait for a person.
    Pause,
    /// All traffic back to stable.
    Rollback,
    /// Go on without evidence; recorded as such.
    Promote,
}

impl Default for Analysis {
    fn default() -> Self {
        Self {
            alpha: 0.01,
            beta: 0.05,
            harm_ratio: 2.0,
            harm_floor: 0.005,
            tolerate: None,
            metrics: vec![Metric::Errors.into(), Metric::Latency.into()],
            latency_tolerance: 0.11,
            latency_harm: 0.25,
            late_onset: None,
            baseline: Baseline::Stable,
            checks: Vec::new(),
            max_errors: None,
            after_promotion: Millis(0),
            report_only: false,
            on_inconclusive: OnInconclusive::Pause,
            checks_by_stage: false,
        }
    }
}

impl Analysis {
    /// Whether the candidate is compared with stable at all, so that evidence can come.
    pub fn compares(&self) -> bool {
        !self.metrics.is_empty()
    }

    /// What a step does that got no evidence in time. Nothing is set back where verdicts are
    /// only told.
    pub fn when_inconclusive(&self) -> OnInconclusive {
        match self.on_inconclusive {
            OnInconclusive::Rollback if self.report_only => OnInconclusive::Pause,
            asked => asked,
        }
    }

    /// The settings of `metric`, if it is compared.
    pub fn metric(&self, metric: &Metric) -> Option<&MetricSettings> {
        self.metrics.iter().find(|m| m.metric == *metric)
    }
}

impl ServiceSpec {
    /// A production service of one replica with every setting as it is unless said.
    pub fn of(
        name: ServiceName,
        run: impl Into<Shared<RunSpec>>,
        traffic: TrafficSpec,
        schedule: impl Into<Shared<Schedule>>,
    ) -> Self {
        Self {
            name,
            environment: "production".into(),
            replicas: 1,
            version: None,
            run: run.into(),
            traffic,
            schedule: schedule.into(),
            on_new_revision: OnNewRevision::default(),
            rollback: RollbackSpec::default(),
            data: None,
            clients: None,
            train: None,
            notify: vec![],
            history_limit: history_limit(),
            instance_hour_cost: None,
            flag: None,
        }
    }
}

impl ServiceSpec {
    /// Every address it listens on.
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.traffic.listen.into_iter().chain(self.traffic.preview)
    }
}

impl TrafficSpec {
    /// Users at this address, each request dealt by itself.
    pub fn at(listen: SocketAddr) -> Self {
        Self { listen: Some(listen), ..Self::worker() }
    }

    /// No users: a worker.
    pub fn worker() -> Self {
        Self {
            listen: None,
            request_timeout: Millis::secs(60),
            affinity: None,
            override_header: None,
            preview: None,
            drain: drain(),
            flags: None,
        }
    }
}

impl Schedule {
    /// One stage of `steps` without analysis, without any waiting.
    pub fn of(strategy: &str, steps: Vec<Step>) -> Self {
        Self {
            strategy: strategy.into(),
            stages: vec![Stage { name: strategy.into(), steps }],
            analysis: None,
            warm_up: Millis(0),
            progress_deadline: Millis::secs(60),
            keep_warm: Millis(0),
            capacity: Capacity::default(),
            on_instance_failure: OnInstanceFailure::default(),
            keep_old: Millis(0),
            keep_failed: Millis(0),
            analysis_from: 0,
            only: vec![],
        }
    }

    /// All steps in order, each with its stage's name.
    pub fn steps(&self) -> impl Iterator<Item = (&str, &Step)> {
        self.stages.iter().flat_map(|s| s.steps.iter().map(|step| (s.name.as_str(), step)))
    }

    /// Step `index` of the whole sequence.
    pub fn step(&self, index: usize) -> Option<&Step> {
        self.steps().nth(index).map(|(_, step)| step)
    }

    /// Number of steps in all stages.
    pub fn len(&self) -> usize {
        self.steps().count()
    }

    /// Whether there is no step at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many steps ask for evidence: the rungs of the ladder.
    pub fn rungs(&self) -> u32 {
        self.rungs_through(self.len())
    }

    /// Rungs among the first `count` steps.
    pub fn rungs_through(&self, count: usize) -> u32 {
        self.steps().take(count).filter(|(_, step)| step.asks_for_evidence()).count() as u32
    }

    /// How long the candidate is watched with all traffic before stable is let go.
    pub fn watch(&self) -> Millis {
        let asked = self.analysis.as_ref().map_or(Millis(0), |a| a.after_promotion);
        self.keep_warm.max(asked)
    }
}
