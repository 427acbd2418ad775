//! The data plane under test: this same executable, started again as a process of its own.

use crate::app::App;
use serin_proxy::wire::{
    Arm, ArmCounters, Backend, Counters, Generation, Reply, Request, Role, Route, WEIGHT_TOTAL,
};
use serin_proxy::{Options, run};
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const FOLDER: &str = "SERIN_PROXY_TEST_FOLDER";
const WORKERS: &str = "SERIN_PROXY_TEST_WORKERS";
const KEEPER: &str = "SERIN_PROXY_TEST_KEEPER";

/// Not a test by itself: the body of the process that the tests start.
#[test]
fn process() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
    let options = Options {
        control: folder.join("own/control.sock"),
        table: folder.join("table.json"),
        keeper: std::env::var_os(KEEPER).map(PathBuf::from),
        workers: std::env::var(WORKERS).unwrap().parse().unwrap(),
        drain_deadline: Duration::from_secs(30),
    };
    run(options).unwrap();
}

/// A running data plane.
pub struct Proxy {
    pub folder: TempDir,
    pub addr: SocketAddr,
    pub child: Child,
    workers: usize,
    keeper: Option<PathBuf>,
}

impl Proxy {
    /// One worker.
    pub fn start() -> Self {
        Self::with(1, None)
    }

    pub fn with(workers: usize, keeper: Option<PathBuf>) -> Self {
        let folder = TempDir::new().unwrap();
        let child = spawn(&folder, workers, keeper.as_ref());
        Self { folder, addr: free_addr(), child, workers, keeper }
    }

    /// Kills it, and starts another on the same files.
    pub fn restart(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.child = spawn(&self.folder, self.workers, self.keeper.as_ref());
    }

    pub fn control(&self) -> PathBuf {
        self.folder.path().join("own/control.sock")
    }

    pub fn ask(&self, request: &Request) -> Reply {
        let stream = until("the control socket", || UnixStream::connect(self.control()).ok());
        let mut line = serde_json::to_string(request).unwrap();
        line.push('\n');
        (&stream).write_all(line.as_bytes()).unwrap();
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer).unwrap();
        serde_json::from_str(&answer).unwrap()
    }

    /// A route of this proxy's service, generation 1.`n`.
    pub fn route(&self, n: u64, arms: Vec<Arm>) -> Route {
        Route::new("shop", self.addr, Generation { epoch: 1, n }, arms)
    }

    pub fn apply_route(&self, route: Route) {
        let reply = self.ask(&Request::Apply(route));
        assert!(matches!(reply, Reply::Applied { durable: true, error: None, .. }), "{reply:?}");
    }

    pub fn apply(&self, n: u64, arms: Vec<Arm>) {
        self.apply_route(self.route(n, arms));
    }

    /// One arm with all traffic on these apps.
    pub fn serve(&self, apps: &[&App]) {
        self.apply(1, vec![arm("v1", WEIGHT_TOTAL, apps)]);
    }

    pub fn counters(&self) -> Counters {
        match self.ask(&Request::Counters) {
            Reply::Counters(counters) => *counters,
            other => panic!("{other:?}"),
        }
    }

    /// The counters of an arm, once they are as wanted.
    pub fn arm_when(
        &self,
        n: u64,
        revision: &str,
        wanted: impl Fn(&ArmCounters) -> bool,
    ) -> ArmCounters {
        let mut last = None;
        let started = Instant::now();
        while started.elapsed() < LIMIT {
            let counters = self.counters();
            let arm = counters.arm("shop", Generation { epoch: 1, n }, revision).cloned();
            match arm {
                Some(arm) if wanted(&arm) => return arm,
                other => last = other,
            }
            // tidy: sleep: the counters are another process's, and are asked for
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("the counters stayed at {last:?}");
    }

    pub fn terminate(&self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(folder: &TempDir, workers: usize, keeper: Option<&PathBuf>) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "rig::process", "--nocapture"]);
    command.env(FOLDER, folder.path()).env(WORKERS, workers.to_string());
    if let Some(keeper) = keeper {
        command.env(KEEPER, keeper);
    }
    command.stdout(Stdio::null()).spawn().unwrap()
}

/// Longest wait for something that must come.
const LIMIT: Duration = Duration::from_secs(60);

/// Waits for something to be there.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(started.elapsed() < LIMIT, "{what} did not come");
        // tidy: sleep: another process's doing, seen only by looking
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// An address nobody listens on.
pub fn free_addr() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

pub fn backend(instance: &str, addr: SocketAddr) -> Backend {
    Backend { instance: instance.into(), addr, ready_since_ms: 0 }
}

/// An arm on these apps; `v1` is stable.
pub fn arm(revision: &str, weight: u32, apps: &[&App]) -> Arm {
    let addrs: Vec<SocketAddr> = apps.iter().map(|app| app.addr).collect();
    arm_at(revision, weight, &addrs)
}

pub fn arm_at(revision: &str, weight: u32, addrs: &[SocketAddr]) -> Arm {
    let named = |(i, addr): (usize, &SocketAddr)| backend(&format!("{revision}-{i}"), *addr);
    let role = if revision == "v1" { Role::Stable } else { Role::Candidate };
    let backends = addrs.iter().enumerate().map(named).collect();
    Arm { revision: revision.into(), role, weight, backends }
}
