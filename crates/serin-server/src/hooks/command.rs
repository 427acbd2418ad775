//! A test that is a program: in a process group of its own, which is ended with it.

use super::{Outcome, key_of, text, variable};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use serin_core::{EnvValue, HookOrder, RunSpec};
use serin_local::fill;
use std::collections::BTreeMap;
use std::io::{PipeReader, Read as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::timeout;

/// Variables of the server that a test gets.
const INHERITED: [&str; 4] = ["PATH", "HOME", "LANG", "TZ"];

/// Bytes of output kept while it runs; more than is handed in, so that secrets can be taken out.
const KEPT: usize = 64 << 10;

/// Time for the rest of the output once the program has ended.
const REST: Duration = Duration::from_millis(500);

/// Runs `argv` and says how it ended.
pub(super) async fn run(
    order: &HookOrder,
    argv: &[String],
    env: &BTreeMap<String, EnvValue>,
    limit: Duration,
) -> Outcome {
    let (prepared, secrets) = match prepare(order, argv, env) {
        Ok(prepared) => prepared,
        Err(why) => return Outcome::failed(why),
    };
    let output = Arc::new(Mutex::new(Vec::new()));
    let (group, ended) = match start(prepared, &output) {
        Ok(started) => started,
        Err(why) => return Outcome::failed(format!("{} cannot be started: {why}", argv[0])),
    };
    let status = timeout(limit, ended).await;
    drop(group);
    let said = output.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let said = text::clean(&said, &secrets);
    match status {
        Ok(Ok(status)) => verdict(status, said),
        Ok(Err(_)) => told(&said, "its end was not seen"),
        Err(_) => told(&said, &format!("no result within {} s", limit.as_secs_f64())),
    }
}

fn verdict(status: ExitStatus, said: String) -> Outcome {
    match (status.code(), status.signal()) {
        (Some(0), _) => Outcome { passed: true, text: said },
        (Some(code), _) => told(&said, &format!("exit code {code}")),
        (None, signal) => told(&said, &format!("ended by signal {}", signal.unwrap_or(0))),
    }
}

/// A failure, with the reason in the last line.
fn told(said: &str, why: &str) -> Outcome {
    let last = text::last_line(said).map_or(String::new(), |line| format!(": {line}"));
    let text = if said.is_empty() { why.into() } else { format!("{said}\n{why}{last}") };
    Outcome::failed(text::tail(&text))
}

/// The command with its environment, and the values in it that must not be told.
fn prepare(
    order: &HookOrder,
    argv: &[String],
    env: &BTreeMap<String, EnvValue>,
) -> Result<(Command, Vec<String>), String> {
    let Some((program, arguments)) = argv.split_first() else {
        return Err("the test has no command".into());
    };
    let filled = |text: &str| fill(text, |name| variable(order, name));
    let directory = Path::new(&order.run.working_directory);
    let program = filled(program);
    let program = if program.contains('/') { directory.join(program) } else { program.into() };
    let mut command = Command::new(program);
    command.args(arguments.iter().map(|a| filled(a))).current_dir(directory).env_clear();
    command.envs(INHERITED.into_iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
    for name in ["SERVICE", "REVISION", "CANDIDATE_URL"] {
        command.env(name, variable(order, name).unwrap_or_default());
    }
    let mut secrets = Vec::new();
    for (name, value) in env {
        let value = match value {
            EnvValue::Literal(text) => filled(text),
            other => {
                let secret = resolve(name, other, directory)?;
                secrets.push(secret.clone());
                secret
            }
        };
        command.env(name, value);
    }
    command.env("SERIN_HOOK_KEY", key_of(order)).stdin(Stdio::null()).process_group(0);
    as_user(&mut command, &order.run)?;
    Ok((command, secrets))
}

/// A value that is read at every start and never stored.
fn resolve(name: &str, value: &EnvValue, directory: &Path) -> Result<String, String> {
    match value {
        EnvValue::Literal(text) => Ok(text.clone()),
        EnvValue::FromEnv(from) => {
            std::env::var(from).map_err(|_| format!("{name}: the server has no variable `{from}`"))
        }
        EnvValue::FromFile(path) => {
            let path = directory.join(path);
            let read = std::fs::read_to_string(&path);
            let text = read.map_err(|why| format!("{name}: `{}`: {why}", path.display()))?;
            Ok(text.strip_suffix('\n').unwrap_or(&text).to_owned())
        }
    }
}

/// A test runs as whoever the instances run as.
fn as_user(command: &mut Command, run: &RunSpec) -> Result<(), String> {
    let Some(user) = run.user.as_deref() else { return Ok(()) };
    let known = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let line = known.lines().find(|line| line.split(':').next() == Some(user));
    let mut ids = line.into_iter().flat_map(|line| line.split(':').skip(2).take(2));
    let mut id = || ids.next().and_then(|id| id.parse::<u32>().ok());
    let (Some(uid), Some(gid)) = (id(), id()) else {
        return Err(format!("this machine has no user `{user}`"));
    };
    command.gid(gid).uid(uid);
    Ok(())
}

/// All processes of one test. Dropped, they are killed.
#[derive(Debug)]
struct Group(Arc<Mutex<Option<Pid>>>);

impl Drop for Group {
    fn drop(&mut self) {
        kill(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Kills what is left of a group whose leader was not reaped yet: its number is still its own.
fn kill(group: &mut Option<Pid>) {
    if let Some(group) = group.take() {
        // It may have ended by itself.
        let _ = kill_process_group(group, Signal::KILL);
    }
}

fn start(
    mut command: Command,
    output: &Arc<Mutex<Vec<u8>>>,
) -> std::io::Result<(Group, oneshot::Receiver<ExitStatus>)> {
    let (reader, writer) = std::io::pipe()?;
    command.stdout(writer.try_clone()?).stderr(writer);
    let child = command.spawn()?;
    // Its copies of the pipe's end would keep the reader waiting.
    drop(command);
    let pid = Pid::from_child(&child);
    let group = Arc::new(Mutex::new(Some(pid)));
    let (tell, ended) = oneshot::channel();
    let (watched, output) = (group.clone(), output.clone());
    std::thread::spawn(move || {
        let read = drain(reader, output);
        let status = reap(child, pid, &watched);
        let _ = read.recv_timeout(REST);
        if let Some(status) = status {
            let _ = tell.send(status);
        }
    });
    Ok((Group(group), ended))
}

/// Waits for the leader, ends the rest of its group, then lets go of its number.
fn reap(mut child: Child, pid: Pid, group: &Mutex<Option<Pid>>) -> Option<ExitStatus> {
    let left = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    let again = Err(rustix::io::Errno::INTR);
    while waitid(WaitId::Pid(pid), left).map(|_| ()) == again {}
    kill(&mut group.lock().unwrap_or_else(PoisonError::into_inner));
    child.wait().ok()
}

/// Reads until nobody can write any more; keeps the end.
fn drain(
    mut reader: PipeReader,
    output: Arc<Mutex<Vec<u8>>>,
) -> std::sync::mpsc::Receiver<std::convert::Infallible> {
    let (done, wait) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let _done = done;
        let mut chunk = [0; 8192];
        while let Ok(n @ 1..) = reader.read(&mut chunk) {
            let mut kept = output.lock().unwrap_or_else(PoisonError::into_inner);
            kept.extend_from_slice(&chunk[..n]);
            let over = kept.len().saturating_sub(KEPT);
            kept.drain(..over);
        }
    });
    wait
}
