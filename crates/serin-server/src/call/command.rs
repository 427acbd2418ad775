//! A program in a process group of its own, which is ended with it.

use super::{Outcome, resolve, text};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use serin_core::{EnvValue, RunSpec};
use serin_local::fill;
use std::collections::BTreeMap;
use std::io::{PipeReader, Read as _, Write as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::timeout;

/// Variables of the server that a program gets.
const INHERITED: [&str; 4] = ["PATH", "HOME", "LANG", "TZ"];

/// Bytes of output kept while it runs; more than is handed in, so that secrets can be taken out.
const KEPT: usize = 64 << 10;

/// Time for the rest of the output once the program has ended.
const REST: Duration = Duration::from_millis(500);

/// Most bytes that a program is given on its standard input: what a pipe holds, so that writing
/// them waits for nobody.
pub(crate) const INPUT_MOST: usize = 32 << 10;

/// A program and what it is told.
#[derive(Debug)]
pub(crate) struct Program<'a> {
    pub(crate) argv: &'a [String],
    /// Further environment.
    pub(crate) env: &'a BTreeMap<String, EnvValue>,
    /// Whose directory and user it runs with.
    pub(crate) run: &'a RunSpec,
    /// Variables of its environment that are filled in as `$(NAME)` too.
    pub(crate) told: Vec<(&'static str, String)>,
    /// The variable that is the same for every run of one try.
    pub(crate) key: (&'static str, String),
    /// Its standard input, at most [`INPUT_MOST`] bytes.
    pub(crate) input: Option<String>,
}

impl Program<'_> {
    fn filled(&self, text: &str) -> String {
        let told = |name: &str| self.told.iter().find(|(known, _)| *known == name);
        fill(text, |name| told(name).map(|(_, value)| value.clone()))
    }
}

/// Runs `program` and says how it ended.
pub(crate) async fn run(program: &Program<'_>, limit: Duration) -> Outcome {
    let (prepared, secrets) = match prepare(program) {
        Ok(prepared) => prepared,
        Err(why) => return Outcome::failed(why),
    };
    let output = Arc::new(Mutex::new(Vec::new()));
    let (group, ended) = match start(prepared, program.input.as_deref(), &output) {
        Ok(started) => started,
        Err(why) => {
            return Outcome::failed(format!("{} cannot be started: {why}", program.argv[0]));
        }
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
fn prepare(program: &Program<'_>) -> Result<(Command, Vec<String>), String> {
    let Some((name, arguments)) = program.argv.split_first() else {
        return Err("there is no command".into());
    };
    let directory = Path::new(&program.run.working_directory);
    let name = program.filled(name);
    let name = if name.contains('/') { directory.join(name) } else { name.into() };
    let mut command = Command::new(name);
    command.args(arguments.iter().map(|a| program.filled(a)));
    command.current_dir(directory).env_clear();
    command.envs(INHERITED.into_iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
    command.envs(program.told.iter().map(|(name, value)| (name, value)));
    let mut secrets = Vec::new();
    for (name, value) in program.env {
        let value = match value {
            EnvValue::Literal(text) => program.filled(text),
            other => {
                let secret = resolve(name, other, directory)?;
                secrets.push(secret.clone());
                secret
            }
        };
        command.env(name, value);
    }
    let (key, value) = &program.key;
    command.env(key, value).process_group(0);
    as_user(&mut command, program.run)?;
    Ok((command, secrets))
}

/// It runs as whoever the instances run as.
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

/// All processes of one program. Dropped, they are killed.
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

/// A pipe with `input` in it and nothing to come.
fn given(input: Option<&str>) -> std::io::Result<Stdio> {
    let Some(input) = input else { return Ok(Stdio::null()) };
    let (reader, mut writer) = std::io::pipe()?;
    let bytes = input.as_bytes();
    writer.write_all(&bytes[..bytes.len().min(INPUT_MOST)])?;
    Ok(reader.into())
}

fn start(
    mut command: Command,
    input: Option<&str>,
    output: &Arc<Mutex<Vec<u8>>>,
) -> std::io::Result<(Group, oneshot::Receiver<ExitStatus>)> {
    let (reader, writer) = std::io::pipe()?;
    command.stdin(given(input)?).stdout(writer.try_clone()?).stderr(writer);
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
