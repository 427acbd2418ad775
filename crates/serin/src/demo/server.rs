//! The Serin that the demo starts for itself, on a data directory of its own.

use super::{DemoArgs, load};
use crate::client::{Client, Endpoint, SOCKET};
use crate::exit::Exit;
use crate::failure::Failure;
use rustix::process::{Pid, Signal, kill_process};
use serin_server::api::view::ServerView;
use std::{
    cell::RefCell,
    env,
    fs::{self, File, OpenOptions, Permissions},
    io::{self, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    os::unix::{
        fs::{OpenOptionsExt as _, PermissionsExt as _},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// Paths of sockets have at most 107 bytes; a longer directory leaves too little.
const LONGEST_DIRECTORY: usize = 60;

/// Time the server has until it answers.
const START: Duration = Duration::from_secs(20);

/// Time its processes have to end; then it is told to hurry, then it is killed.
const PATIENCE: Duration = Duration::from_secs(8);
const HURRY: Duration = Duration::from_secs(8);

/// The server's log, in its data directory.
const LOG: &str = "serve.log";

/// Lines of the server's log that are shown when it failed.
const LAST_LINES: usize = 20;

/// A running server. When it is dropped it is stopped, and its directory removed.
pub(super) struct Server {
    /// This binary.
    program: PathBuf,
    child: RefCell<Child>,
    data: TempDir,
    shop: SocketAddr,
    is_stopped: bool,
}

/// What is needed to reach and stop a server that was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) data: PathBuf,
    pub(super) shop: SocketAddr,
    /// The server's process and that of its users.
    pub(super) pids: [u32; 2],
    /// How this binary is called from here.
    pub(super) program: String,
}

impl Server {
    /// One that ends with the demo, however that ends, unless it is to be kept.
    pub(super) fn start(keep: bool) -> Result<Self, Failure> {
        let program = env::current_exe().map_err(failed("find this program"))?;
        let command = Command::new(&program);
        let pid = format!("--while-pid={}", std::process::id());
        Self::launch(program, command, if keep { None } else { Some(&pid) })
    }

    fn launch(program: PathBuf, mut command: Command, word: Option<&str>) -> Result<Self, Failure> {
        let data = data_directory().map_err(failed("make a data directory"))?;
        let shop = free_address()?;
        let log = private(&data.path().join(LOG)).map_err(failed("make a log"))?;
        let errors = log.try_clone().map_err(failed("share the log"))?;
        command.args(["serve".as_ref(), "--data-dir".as_ref(), data.path().as_os_str()]);
        command.args(word);
        // What the user has set is meant for another server.
        for (name, _) in env::vars_os() {
            if name.to_string_lossy().starts_with("SERIN_") {
                command.env_remove(name);
            }
        }
        // A process group of its own: Ctrl-C reaches the demo alone, which then stops it in order.
        command.process_group(0).stdin(Stdio::null()).stdout(log).stderr(errors);
        let child = RefCell::new(command.spawn().map_err(failed("start the server"))?);
        Ok(Self { program, child, data, shop, is_stopped: false })
    }

    /// Writes a file of the data directory.
    pub(super) fn write(&self, name: &str, text: &str) -> Result<(), Failure> {
        let mut file = private(&self.data().join(name)).map_err(failed("make a file"))?;
        file.write_all(text.as_bytes()).map_err(failed("write a file"))
    }

    pub(super) fn data(&self) -> &Path {
        self.data.path()
    }

    /// This binary, as text.
    pub(super) fn program(&self) -> Result<String, Failure> {
        let program = self.program.to_str().map(str::to_owned);
        program.ok_or_else(|| {
            let message =
                format!("the path of this program, {}, is not UTF-8", self.program.display());
            Failure::usage("bad-path", message).hint("move it to a path of plain characters")
        })
    }

    /// Where the shop's users come in.
    pub(super) fn shop(&self) -> SocketAddr {
        self.shop
    }

    pub(super) fn client(&self) -> Client {
        Client::at(Endpoint::Unix(self.data().join(SOCKET)), None)
    }

    /// Back when the server answers.
    pub(super) async fn ready(&self) -> Result<(), Failure> {
        let (client, start) = (self.client(), Instant::now());
        loop {
            let Err(failure) = client.get::<ServerView>("/api/v1/server").await else {
                return Ok(());
            };
            self.check_alive()?;
            if failure.exit != Exit::Unreachable || start.elapsed() > START {
                return Err(failure);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// An error when the server has ended by itself.
    pub(super) fn check_alive(&self) -> Result<(), Failure> {
        match self.child.borrow_mut().try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => {
                let hint = "the lines above are the end of its log";
                Err(Failure::internal(format!("the server has ended: {status}")).hint(hint))
            }
            Err(error) => Err(failed("watch the server")(error)),
        }
    }

    /// The end of its log.
    pub(super) fn last_words(&self) -> Option<String> {
        let text = fs::read_to_string(self.data().join(LOG)).ok()?;
        let lines: Vec<_> = text.lines().collect();
        let last = &lines[lines.len().saturating_sub(LAST_LINES)..];
        (!last.is_empty()).then(|| last.join("\n"))
    }

    /// Stops it with all its processes and removes the directory.
    pub(super) fn stop(mut self) -> Result<(), Failure> {
        self.end()
    }

    /// Leaves it running, with users.
    pub(super) fn keep(mut self, args: &DemoArgs) -> Result<Kept, Failure> {
        let mut users = Command::new(&self.program);
        users.arg("__demo-app").envs([
            (load::TARGET, self.shop.to_string()),
            (load::RATE, args.rate.to_string()),
            (load::SEED, args.seed.to_string()),
        ]);
        users.process_group(0).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let users = users.spawn().map_err(failed("start the users"))?;
        self.is_stopped = true;
        self.data.disable_cleanup(true);
        let pids = [self.child.borrow().id(), users.id()];
        let program = called(&self.program);
        Ok(Kept { data: self.data().to_owned(), shop: self.shop, pids, program })
    }

    fn end(&mut self) -> Result<(), Failure> {
        if std::mem::replace(&mut self.is_stopped, true) {
            return Ok(());
        }
        let mut child = self.child.borrow_mut();
        let ended = [PATIENCE, HURRY].into_iter().any(|patience| {
            terminate(&child);
            ends_within(&mut child, patience)
        });
        if ended {
            return Ok(());
        }
        // Its directory names its processes, for whoever has to find them.
        self.data.disable_cleanup(true);
        let _ = child.kill().and_then(|()| child.wait());
        let seconds = (PATIENCE + HURRY).as_secs();
        let message = format!("the server did not stop within {seconds} s and was killed");
        let hint = format!(
            "its processes may still run: `serin serve --data-dir {}` and Ctrl-C",
            self.data().display()
        );
        Err(Failure::internal(message).hint(hint))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Reported where it is stopped in order; here only the processes matter.
        let _ = self.end();
    }
}

fn terminate(child: &Child) {
    if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        // Not waited for yet, so the number is still its own.
        let _ = kill_process(pid, Signal::TERM);
    }
}

fn ends_within(child: &mut Child, patience: Duration) -> bool {
    let start = Instant::now();
    while start.elapsed() < patience {
        if !matches!(child.try_wait(), Ok(None)) {
            return true;
        }
        thread::sleep(Duration::from_millis(10));
    }
    false
}

/// A new file for its owner only.
fn private(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
}

fn failed(doing: &'static str) -> impl Fn(io::Error) -> Failure {
    move |error| Failure::internal(format!("cannot {doing}: {error}"))
}

fn data_directory() -> io::Result<TempDir> {
    let usual = env::temp_dir();
    let is_short = usual.as_os_str().len() <= LONGEST_DIRECTORY;
    let base = if is_short { usual } else { PathBuf::from("/tmp") };
    let mut builder = tempfile::Builder::new();
    builder.prefix("serin-demo-").permissions(Permissions::from_mode(0o700)).tempdir_in(base)
}

/// Below the range from which the system takes ports for others.
fn free_address() -> Result<SocketAddr, Failure> {
    let at = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let free = |address: &SocketAddr| TcpListener::bind(address).is_ok();
    let mut tries = (0..200).map(|_| at(fastrand::u16(20_000..30_000)));
    tries.find(free).ok_or_else(|| {
        let message = "200 ports of 127.0.0.1 between 20000 and 30000 are all in use";
        Failure::internal(message).hint("see which program holds them with `ss -ltnp`")
    })
}

/// What to type to start `program`: its name if the shell finds it, else its path.
pub(super) fn called(program: &Path) -> String {
    let path = env::var_os("PATH").unwrap_or_default();
    let is_it = |found: PathBuf| found.canonicalize().is_ok_and(|found| found == program);
    let name = program.file_name().unwrap_or_default();
    if env::split_paths(&path).any(|directory| is_it(directory.join(name))) {
        return Path::new(name).display().to_string();
    }
    let here = env::current_dir().ok();
    let below = here.and_then(|here| program.strip_prefix(here).ok().map(Path::to_owned));
    below.unwrap_or_else(|| program.to_owned()).display().to_string()
}

#[cfg(test)]
mod tests;
