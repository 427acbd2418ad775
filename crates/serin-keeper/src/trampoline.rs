//! `serin __exec`: becomes the command it is told to be.
//!
//! Runs in a process of its own between the keeper and the app, because what it does cannot be
//! done safely between `fork` and `exec` of a bigger program without `unsafe`.

use std::fs::OpenOptions;
use std::io::{self, BufRead as _, BufReader, ErrorKind, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, ExitCode};

use rustix::io::fcntl_dupfd_cloexec;
use rustix::process::{Gid, Resource, Rlimit, Uid, geteuid, getrlimit, setrlimit, setsid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use crate::accounts;
use crate::launch::{Order, READY};
use crate::protocol::Limits;

/// The trampoline's whole life. To be called by the binary for `__exec`, before it starts any
/// thread. Returns only when the command could not be executed.
pub fn exec_main() -> ExitCode {
    match fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3) {
        Ok(socket) => follow_order(socket),
        Err(_) => ExitCode::from(126),
    }
}

/// Exit code 127 as a shell's for a command not found; the keeper takes the message instead.
fn follow_order(socket: OwnedFd) -> ExitCode {
    let mut socket = UnixStream::from(socket);
    let Some(order) = read_order(&socket) else { return ExitCode::from(126) };
    let failure = become_command(&order, &mut socket);
    let _ = socket.write_all(failure.as_bytes());
    ExitCode::from(127)
}

/// `None` when the keeper died before it sent the whole order: then nothing is executed.
fn read_order(socket: &UnixStream) -> Option<Order> {
    let mut line = Vec::new();
    BufReader::new(socket).read_until(b'\n', &mut line).ok()?;
    (line.last() == Some(&b'\n')).then(|| serde_json::from_slice(&line).ok())?
}

fn become_command(order: &Order, socket: &mut UnixStream) -> String {
    match prepare(order) {
        Err(failure) => failure,
        Ok(mut command) => {
            if socket.write_all(READY.as_bytes()).is_err() {
                return "the keeper is gone".to_owned();
            }
            let error = command.exec();
            explain(order, &error)
        }
    }
}

fn prepare(order: &Order) -> Result<Command, String> {
    setsid().map_err(|e| format!("cannot start a session: {e}"))?;
    let null = OpenOptions::new().read(true).open("/dev/null").map_err(cannot("open /dev/null"))?;
    rustix::stdio::dup2_stdin(&null).map_err(cannot("set stdin"))?;
    set_limits(&order.limits, order.soft_files)?;
    if let Some(user) = &order.user {
        become_user(user)?;
    }
    if let Some(cwd) = &order.cwd {
        std::env::set_current_dir(cwd).map_err(|e| cwd_failure(cwd, &e))?;
    }
    let (program, args) = order.command.split_first().ok_or("the command is empty")?;
    let mut command = Command::new(program);
    command.args(args);
    if let Some(env) = &order.env {
        command.env_clear().envs(env);
    }
    Ok(command)
}

fn cannot<E: std::fmt::Display>(what: &'static str) -> impl FnOnce(E) -> String {
    move |error| format!("cannot {what}: {error}")
}

fn cwd_failure(cwd: &Path, error: &io::Error) -> String {
    format!("cannot enter working directory {}: {}", cwd.display(), reason(error))
}

fn set_limits(limits: &Limits, soft_files: Option<u64>) -> Result<(), String> {
    if let (Some(soft), None) = (soft_files, limits.open_files) {
        let hard = getrlimit(Resource::Nofile).maximum;
        let lower = Rlimit { current: Some(soft), maximum: hard };
        setrlimit(Resource::Nofile, lower).map_err(cannot("restore the limit of open files"))?;
    }
    for (resource, name, value) in [
        (Resource::Nofile, "open files", limits.open_files),
        (Resource::Nproc, "processes", limits.processes),
        (Resource::Core, "core bytes", limits.core_bytes),
        // Last: from here on, memory may be short.
        (Resource::As, "memory bytes", limits.memory_bytes),
    ] {
        if let Some(value) = value {
            set_limit(resource, name, value)?;
        }
    }
    Ok(())
}

fn set_limit(resource: Resource, name: &str, value: u64) -> Result<(), String> {
    let hard = getrlimit(resource).maximum;
    setrlimit(resource, Rlimit { current: Some(value), maximum: Some(value) }).map_err(|error| {
        let hard = hard.map_or("unlimited".to_owned(), |hard| hard.to_string());
        format!("cannot limit {name} to {value}: {error}; the keeper's own hard limit is {hard}")
    })
}

/// These calls change the calling thread only; there is no other.
fn become_user(user: &str) -> Result<(), String> {
    let account = accounts::lookup(user)?;
    let (uid, gid) = (Uid::from_raw(account.uid), Gid::from_raw(account.gid));
    if geteuid() == uid {
        return Ok(());
    }
    if !geteuid().is_root() {
        let own = geteuid().as_raw();
        return Err(format!("cannot run as {user}: the keeper runs as uid {own}, not as root"));
    }
    // The app may open /dev/stdout and /dev/stderr by name.
    let _ = rustix::fs::fchown(rustix::stdio::stdout(), Some(uid), Some(gid));
    let groups: Vec<Gid> = account.groups.iter().map(|g| Gid::from_raw(*g)).collect();
    set_thread_groups(&groups).map_err(cannot("set groups"))?;
    set_thread_res_gid(gid, gid, gid).map_err(cannot("set group"))?;
    set_thread_res_uid(uid, uid, uid).map_err(cannot("set user"))
}

fn explain(order: &Order, error: &io::Error) -> String {
    let program = order.command.first().map_or("", String::as_str);
    let cwd = order.cwd.as_deref().unwrap_or(Path::new(".")).display();
    if error.kind() == ErrorKind::NotFound {
        if !program.contains('/') {
            let path = order.env.as_ref().and_then(|env| env.get("PATH"));
            let path = path.map_or("(not set)", String::as_str);
            return format!("{program}: not found in PATH {path}");
        }
        if Path::new(program).exists() {
            return format!("{program}: its interpreter does not exist; see its first line");
        }
    }
    format!("{program}: {} (cwd {cwd})", reason(error))
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => "no such file".to_owned(),
        ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => error.to_string(),
    }
}
