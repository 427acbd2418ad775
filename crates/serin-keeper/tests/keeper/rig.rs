//! A keeper on a temporary directory, and what the tests ask of it.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serin_keeper::client::Client;
use serin_keeper::protocol::*;

/// Far longer than anything takes; only a failing test waits so long.
const PATIENCE: Duration = Duration::from_secs(30);

pub struct Rig {
    pub dir: tempfile::TempDir,
    args: Vec<String>,
    child: Option<Child>,
    said: Option<Receiver<String>>,
}

impl Rig {
    /// A keeper with idle planes.
    pub fn start() -> Self {
        Self::with_planes(&[])
    }

    /// A keeper whose planes do what the words say: control, proxy, addresses.
    pub fn with_planes(args: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let args = args.iter().map(|a| (*a).to_owned()).collect();
        let mut rig = Self { dir, args, child: None, said: None };
        rig.start_keeper();
        rig
    }

    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.data().join(name)
    }

    pub fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_serin-keeper-fixture"));
        command.arg("keeper").arg(self.data()).args(&self.args);
        command
    }

    /// Starts the keeper and waits until it works.
    pub fn start_keeper(&mut self) {
        let mut child = self.command().stderr(Stdio::piped()).spawn().unwrap();
        self.said = Some(lines_of(child.stderr.take().unwrap()));
        self.child = Some(child);
        self.await_said("ready, pid");
    }

    /// Waits for a line of the keeper's stderr.
    pub fn await_said(&self, part: &str) {
        self.said_until(part);
    }

    /// The next lines of the keeper's stderr up to one with `part`.
    pub fn said_until(&self, part: &str) -> Vec<String> {
        let said = self.said.as_ref().unwrap();
        let mut lines: Vec<String> = Vec::new();
        while lines.last().is_none_or(|line| !line.contains(part)) {
            lines.push(said.recv_timeout(PATIENCE).expect(part));
        }
        lines
    }

    pub fn keeper_pid(&self) -> i32 {
        self.child.as_ref().unwrap().id() as i32
    }

    pub fn signal_keeper(&self, signal: Signal) {
        signal_pid(self.keeper_pid(), signal);
    }

    pub fn await_keeper_exit(&mut self) -> ExitStatus {
        self.child.take().unwrap().wait().unwrap()
    }

    /// Kill -9.
    pub fn kill_keeper(&mut self) {
        self.signal_keeper(Signal::KILL);
        self.await_keeper_exit();
    }

    pub fn client(&self) -> Client {
        Client::connect(&self.path(SOCKET)).unwrap()
    }

    pub fn call(&self, request: Request) -> Reply {
        self.client().call(request).unwrap()
    }

    /// A shell script as an app; its log is `<instance>.log`.
    pub fn shell(&self, instance: &str, script: &str) -> ProcessSpec {
        ProcessSpec {
            instance: instance.to_owned(),
            label: serde_json::json!({ "of": instance }),
            command: ["/bin/sh", "-c", script].map(str::to_owned).to_vec(),
            env: BTreeMap::from([("PATH".to_owned(), "/usr/bin:/bin".to_owned())]),
            cwd: "/".into(),
            user: None,
            limits: Limits::default(),
            log: LogSpec::at(self.log_path(instance)),
            grace_ms: 20_000,
        }
    }

    pub fn log_path(&self, instance: &str) -> PathBuf {
        self.path("logs").join(format!("{instance}.log"))
    }

    pub fn spawn(&self, process: ProcessSpec) -> Reply {
        self.call(Request::Spawn { process: Box::new(process) })
    }

    /// Starts a script and returns its pid.
    pub fn run(&self, instance: &str, script: &str) -> i32 {
        self.pid_of(self.shell(instance, script))
    }

    pub fn pid_of(&self, process: ProcessSpec) -> i32 {
        match self.spawn(process) {
            Reply::Spawned { pid, .. } => pid,
            other => panic!("not started: {other:?}"),
        }
    }

    pub fn stop(&self, instance: &str, grace_ms: u64) -> Reply {
        self.call(Request::Stop { instance: instance.to_owned(), grace_ms })
    }

    /// The events of one instance until (and with) the first one that `last` likes.
    pub fn events_until(
        &self,
        instance: &str,
        last: impl Fn(&JournalEvent) -> bool,
    ) -> Vec<JournalEvent> {
        let mut events = Vec::new();
        for entry in self.client().watch(0).unwrap() {
            if entry.instance == instance {
                let is_last = last(&entry.event);
                events.push(entry.event);
                if is_last {
                    return events;
                }
            }
        }
        panic!("the keeper ended; {instance} had {events:?}");
    }

    pub fn events_until_exit(&self, instance: &str) -> Vec<JournalEvent> {
        self.events_until(instance, |event| matches!(event, JournalEvent::Exited { .. }))
    }

    /// How an instance ended: code and signal.
    pub fn await_exit(&self, instance: &str) -> (Option<i32>, Option<i32>) {
        match self.events_until_exit(instance).pop() {
            Some(JournalEvent::Exited { code, signal, .. }) => (code, signal),
            other => panic!("{other:?}"),
        }
    }

    /// The pids `instance` was started with, at least so many.
    pub fn started(&self, instance: &str, count: usize) -> Vec<i32> {
        let mut pids = Vec::new();
        for entry in self.client().watch(0).unwrap() {
            if let (true, JournalEvent::Started { pid }) = (entry.instance == instance, entry.event)
            {
                pids.push(pid);
                if pids.len() == count {
                    break;
                }
            }
        }
        pids
    }

    /// The whole log once it has so many lines.
    pub fn await_lines(&self, instance: &str, count: usize) -> Vec<String> {
        let path = self.log_path(instance);
        await_some(|| Some(serin_keeper::log::tail(&path, 10_000)).filter(|l| l.len() >= count))
    }

    pub fn info(&self, instance: &str) -> Option<ProcessInfo> {
        let Reply::Processes { processes } = self.call(Request::List) else { panic!("no list") };
        processes.into_iter().find(|p| p.instance == instance)
    }
}

impl Drop for Rig {
    /// Nothing a test has started may outlive it, whatever state it left the keeper in.
    fn drop(&mut self) {
        if self.child.is_none() {
            self.child = self.command().stderr(Stdio::null()).spawn().ok();
        }
        let Some(mut child) = self.child.take() else { return };
        let pid = child.id() as i32;
        let until = Instant::now() + PATIENCE;
        while child.try_wait().is_ok_and(|status| status.is_none()) && Instant::now() < until {
            if let Ok(mut client) = Client::connect(&self.path(SOCKET)) {
                let _ = client.call(Request::Shutdown);
                signal_pid(pid, Signal::TERM);
            }
            // tidy: sleep: an adopted process cannot be waited for, only asked after
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

fn lines_of(stderr: ChildStderr) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            eprintln!("{line}");
            let _ = sender.send(line);
        }
    });
    receiver
}

pub fn signal_pid(pid: i32, signal: Signal) {
    let _ = kill_process(Pid::from_raw(pid).unwrap(), signal);
}

/// Looks again and again for what nothing announces.
pub fn await_some<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < until, "it did not come");
        // tidy: sleep: only for what nothing announces, and bounded
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Whether a process runs; a zombie does not.
pub fn is_running(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

pub fn await_gone(pid: i32) {
    await_some(|| (!is_running(pid)).then_some(()));
}

/// All regular files below a directory with their content.
pub fn files(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap().map(Result::unwrap) {
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            found.extend(files(&entry.path()));
        } else if kind.is_file() {
            let mut content = Vec::new();
            std::fs::File::open(entry.path()).unwrap().read_to_end(&mut content).unwrap();
            found.push((entry.path(), content));
        }
    }
    found
}
