//! A keeper with a data plane on a temporary directory, and the platform on top.

use serin_core::{
    EnvValue, Generation, Limits, LogLimits, Millis, Observation, Plan, Probe, ProbeKind,
    RevisionId, RevisionObservation, RevisionPlan, Role, RunSpec, Weight,
};
use serin_keeper::client::Client;
use serin_keeper::protocol::{ProcessInfo, ProcessState, Reply, Request, SOCKET};
use serin_local::{InstanceView, Local, Report, Settings, start};
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// Far longer than anything takes; only a failing test waits so long.
pub const PATIENCE: Duration = Duration::from_secs(30);

pub struct Rig {
    pub dir: tempfile::TempDir,
    pub local: Local,
    pub listen: SocketAddr,
    reports: mpsc::Receiver<Report>,
    keeper: Option<Child>,
    epoch: u64,
    n: u64,
}

/// The binary under test.
pub fn exe() -> String {
    env!("CARGO_BIN_EXE_serin-local-fixture").into()
}

/// An address nobody has just now.
pub fn free_addr() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

impl Rig {
    pub async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let keeper = Some(start_keeper(&dir.path().join("data")));
        let data = dir.path().join("data");
        let (local, reports) = platform(data, 1).await;
        Self { dir, local, listen: free_addr(), reports, keeper, epoch: 1, n: 0 }
    }

    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// The control plane dies and a new one takes over.
    pub async fn take_over(&mut self) {
        self.epoch += 1;
        (self.local, self.reports) = platform(self.data(), self.epoch).await;
    }

    /// Kill -9 of the keeper.
    pub fn kill_keeper(&mut self) {
        let mut child = self.keeper.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    pub fn start_keeper(&mut self) {
        self.keeper = Some(start_keeper(&self.data()));
    }

    /// The keeper's list.
    pub fn processes(&self) -> Vec<ProcessInfo> {
        let mut client = Client::connect(&self.data().join(SOCKET)).unwrap();
        match client.call(Request::List).unwrap() {
            Reply::Processes { processes } => processes,
            other => panic!("{other:?}"),
        }
    }

    /// Pids of the app's running processes.
    pub fn app_pids(&self) -> Vec<i32> {
        let app =
            |p: &ProcessInfo| p.instance.starts_with("shop-") && p.state == ProcessState::Running;
        self.processes().into_iter().filter(app).map(|p| p.pid).collect()
    }

    /// The next plan: revision, percent, replicas; `v1` is stable.
    pub fn plan(&mut self, revisions: &[(&str, u32, u32, RunSpec)]) -> Plan {
        self.n += 1;
        let revision = |(version, percent, replicas, run): &(&str, u32, u32, RunSpec)| {
            let role = if *version == "v1" { Role::Stable } else { Role::Candidate };
            let weight = Weight::percent(*percent).unwrap();
            let wanted = RevisionPlan {
                role,
                replicas: *replicas,
                weight,
                run: run.clone().into(),
                fresh: None,
                colour: serin_core::Colour::Blue,
            };
            (id(version), wanted)
        };
        let generation = Generation { epoch: self.epoch, n: self.n };
        Plan {
            listen: Some(self.listen),
            request_timeout: Millis::secs(20),
            warm_up: Millis::secs(5),
            revisions: revisions.iter().map(revision).collect(),
            ..Plan::empty("shop".parse().unwrap(), generation)
        }
    }

    pub fn apply(&mut self, revisions: &[(&str, u32, u32, RunSpec)]) -> Generation {
        let plan = self.plan(revisions);
        let generation = plan.generation;
        self.local.apply(plan);
        generation
    }

    /// One plan, and the wait until its instances are ready and its table is on the disk.
    pub async fn settle(&mut self, revisions: &[(&str, u32, u32, RunSpec)]) -> Observation {
        let generation = self.apply(revisions);
        self.until("settled", |seen| {
            let all = revisions.iter().all(|(v, _, replicas, _)| of(seen, v).ready == *replicas);
            all && seen.revisions.len() == revisions.len() && seen.applied == Some(generation)
        })
        .await
    }

    /// The first observation for which `is` holds.
    pub async fn until(&mut self, what: &str, is: impl Fn(&Observation) -> bool) -> Observation {
        let mut last = None;
        let wait = async {
            loop {
                let Some(Report::Observed(_, seen)) = self.reports.recv().await else { break None };
                if is(&seen) {
                    break Some(seen);
                }
                last = Some(seen);
            }
        };
        match timeout(PATIENCE, wait).await {
            Ok(Some(seen)) => seen,
            other => panic!("{what} never came ({}): {last:#?}", other.is_err()),
        }
    }

    pub fn instances(&self) -> Vec<InstanceView> {
        let all = self.local.instances(&"shop".parse().unwrap());
        all.into_iter().filter(|view| view.exit.is_none()).collect()
    }

    /// One request with further headers through the data plane.
    pub async fn get_saying(&self, headers: &str) -> (u16, String) {
        get_with(self.listen, "/", headers).await
    }

    /// One request of a user through the data plane.
    pub async fn get_as(&self, user: &str) -> (u16, String) {
        get_with(self.listen, "/", &format!("cookie: user={user}\r\n")).await
    }

    /// One request through the data plane.
    pub async fn get(&self, path: &str) -> (u16, String) {
        get(self.listen, path).await
    }

    /// One request to an instance itself.
    pub async fn tell(&self, instance: &InstanceView, path: &str) -> (u16, String) {
        get(SocketAddr::from(([127, 0, 0, 1], instance.port)), path).await
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        // Nothing a test has started may outlive it, also when it fails without a keeper.
        let mut child = self.keeper.take().unwrap_or_else(|| start_keeper(&self.data()));
        if let Ok(mut client) = Client::connect(&self.data().join(SOCKET)) {
            for id in client.list_apps() {
                let _ = client.call(Request::Stop { instance: id, grace_ms: 0 });
            }
            let _ = client.call(Request::Shutdown);
        }
        let _ = child.wait();
    }
}

trait ListApps {
    fn list_apps(&mut self) -> Vec<String>;
}

impl ListApps for Client {
    fn list_apps(&mut self) -> Vec<String> {
        match self.call(Request::List) {
            Ok(Reply::Processes { processes }) => {
                let names = processes.into_iter().map(|p| p.instance);
                names.filter(|name| name.starts_with("shop-")).collect()
            }
            _ => Vec::new(),
        }
    }
}

fn start_keeper(data: &std::path::Path) -> Child {
    let mut command = Command::new(exe());
    command.arg("keeper").arg(data).stdin(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
    while !said.next().expect("the keeper ends").unwrap().contains("ready, pid") {}
    std::thread::spawn(move || said.for_each(drop));
    child
}

async fn platform(data: PathBuf, epoch: u64) -> (Local, mpsc::Receiver<Report>) {
    start(Settings { data, epoch, drain_deadline: Millis::secs(30) }).await.unwrap()
}

pub async fn get(addr: SocketAddr, path: &str) -> (u16, String) {
    get_with(addr, path, "").await
}

async fn get_with(addr: SocketAddr, path: &str, headers: &str) -> (u16, String) {
    let ask = async {
        let mut stream = TcpStream::connect(addr).await.unwrap();
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: shop\r\nconnection: close\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        // The fixture's app keeps the connection open: its answer ends where its length says.
        let mut chunk = [0; 4096];
        while !whole(&answer) {
            match stream.read(&mut chunk).await.unwrap() {
                0 => break,
                n => answer.push_str(std::str::from_utf8(&chunk[..n]).unwrap()),
            }
        }
        let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        (status, body.to_string())
    };
    timeout(PATIENCE, ask).await.unwrap_or_else(|_| panic!("no answer to {path}"))
}

fn whole(answer: &str) -> bool {
    let Some((head, body)) = answer.split_once("\r\n\r\n") else { return false };
    let mut lines = head.lines().map(str::to_ascii_lowercase);
    let length = lines.find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
    length.is_some_and(|length: usize| body.len() >= length)
}

pub fn id(version: &str) -> RevisionId {
    format!("{version}@aabbccddeeff").parse().unwrap()
}

/// What was seen of one version.
pub fn of(seen: &Observation, version: &str) -> RevisionObservation {
    seen.revisions.get(&id(version)).cloned().unwrap_or_default()
}

/// An app that answers probes on `/ready` and `/health`.
pub fn app() -> RunSpec {
    let probe = |path: &str, period| Probe {
        kind: ProbeKind::HttpGet { path: path.into() },
        period: Millis(period),
        timeout: Millis(5000),
        failure_threshold: 2,
        success_threshold: 1,
        initial_delay: Millis(0),
    };
    let greeting = EnvValue::Literal("$(ROLE)".into());
    RunSpec {
        command: vec![exe(), "app".into()],
        env: BTreeMap::from([("GREETING".into(), greeting)]),
        env_files: Vec::new(),
        working_directory: "/".into(),
        user: None,
        limits: Limits::default(),
        readiness: probe("/ready", 100),
        liveness: Some(probe("/health", 100)),
        grace: Millis::secs(5),
        log: LogLimits::default(),
        metrics: None,
        database: None,
    }
}

/// An app that ends at its start.
pub fn broken(code: u8) -> RunSpec {
    let mut run = app();
    run.command.extend(["--exit".into(), code.to_string()]);
    run
}
