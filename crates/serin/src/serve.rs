//! `serin serve`, and the processes it starts itself as.

use crate::cli::{Global, ServeArgs};
use crate::client::{SOCKET, data_dir};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::printer::{Line, Printer, Tone};
use clap::Parser;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, getpid, kill_process, pidfd_open};
use serde_json::json;
use serin_keeper::protocol;
use std::ffi::OsString;
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// After SIGTERM, requests on the data plane have this long to finish.
const DRAIN: Duration = Duration::from_secs(30);
/// Port of the flags unless said; flagd serves OFREP there.
const FLAGS_PORT: u16 = 8016;
/// flagd's ports: gRPC evaluation, sync, OFREP.
const FLAGD_PORTS: [u16; 3] = [8013, 8015, 8016];
/// Pause between two looks at whether the API answers.
const PAUSE: Duration = Duration::from_millis(50);
/// After this, a start without an answer is worth a word.
const SLOW: Duration = Duration::from_secs(10);

/// How the keeper starts the planes.
#[derive(Debug, Parser)]
struct PlaneArgs {
    #[arg(long)]
    data_dir: PathBuf,
    #[arg(long)]
    api_listen: Option<SocketAddr>,
    #[arg(long)]
    flags_listen: Vec<SocketAddr>,
    #[arg(long)]
    flags_asked: bool,
}

/// `serin serve`: becomes the keeper.
pub fn serve(global: &Global, printer: Printer, args: &ServeArgs) -> Result<Exit, Failure> {
    let data = data_dir(global)?;
    let data = std::path::absolute(&data).map_err(|error| {
        Failure::internal(format!("cannot resolve {}: {error}", data.display()))
    })?;
    let options = options(&data, args)?;
    args.while_pid.map_or(Ok(()), end_with)?;
    let printer = Arc::new(printer);
    let greeter = Arc::clone(&printer);
    // Detached on purpose: it must not keep a keeper alive that could not start.
    thread::spawn(move || greet(&greeter, &data));
    serin_keeper::run(options).map_err(|error| failure(&error))?;
    Ok(Exit::Reached)
}

/// Ends this server in order, as SIGTERM does, once another process has ended.
fn end_with(pid: i32) -> Result<(), Failure> {
    let found = Pid::from_raw(pid).ok_or(io::Error::from(io::ErrorKind::InvalidInput));
    let watched = found.and_then(|pid| Ok(pidfd_open(pid, PidfdFlags::empty())?));
    let watched = watched
        .map_err(|error| Failure::internal(format!("cannot watch process {pid}: {error}")))?;
    // Detached: it ends with this process at the latest.
    thread::spawn(move || {
        while poll(&mut [PollFd::new(&watched, PollFlags::IN)], None) == Err(Errno::INTR) {}
        let _ = kill_process(getpid(), Signal::TERM);
    });
    Ok(())
}

fn options(data: &Path, args: &ServeArgs) -> Result<serin_keeper::Options, Failure> {
    let exe = std::env::current_exe()
        .map_err(|error| Failure::internal(format!("cannot find this program: {error}")))?;
    let Some(text) = data.to_str() else {
        let message = format!("the data directory {} is not UTF-8", data.display());
        return Err(Failure::usage("bad-data-dir", message).hint("choose another --data-dir"));
    };
    let plane = |verb: &str| vec![verb.to_owned(), "--data-dir".to_owned(), text.to_owned()];
    let mut control_args = plane("__control");
    if let Some(address) = args.api_listen {
        control_args.extend(["--api-listen".to_owned(), address.to_string()]);
    }
    for address in flag_addresses(args) {
        control_args.extend(["--flags-listen".to_owned(), address.to_string()]);
    }
    if args.flags_listen.is_some() || args.flagd_compat {
        control_args.push("--flags-asked".to_owned());
    }
    let proxy_args = plane("__proxy");
    Ok(serin_keeper::Options { data: data.to_path_buf(), exe, control_args, proxy_args })
}

/// Where flags are served: where asked, then on the ports that flagd's clients try.
fn flag_addresses(args: &ServeArgs) -> Vec<SocketAddr> {
    let local = |port: u16| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let compat: &[u16] = if args.flagd_compat { &FLAGD_PORTS } else { &[] };
    let mut all = vec![args.flags_listen.unwrap_or(local(FLAGS_PORT))];
    for address in compat.iter().map(|port| local(*port)) {
        if !all.contains(&address) {
            all.push(address);
        }
    }
    all
}

fn failure(error: &serin_keeper::Error) -> Failure {
    use serin_keeper::Error::{Exposed, Io, Locked, PathTooLong};
    let (exit, code) = match error {
        Locked { .. } => (Exit::Usage, "data-dir-in-use"),
        PathTooLong { .. } => (Exit::Usage, "path-too-long"),
        Exposed { .. } => (Exit::Usage, "data-dir-exposed"),
        Io { .. } => (Exit::Internal, "internal"),
    };
    Failure::new(exit, code, error.to_string())
}

/// Says where the server is once it answers.
fn greet(printer: &Printer, data: &Path) {
    let start = Instant::now();
    let socket = data.join(SOCKET);
    let mut warned = false;
    while !answers(&socket) {
        if !warned && start.elapsed() > SLOW {
            warned = true;
            let logs = data.join("logs");
            let text = format!(": the control plane does not answer yet; see {}", logs.display());
            printer.alarm(&Line::toned(Tone::Warn, "warning").text(text));
        }
        thread::sleep(PAUSE);
    }
    if printer.is_json() {
        let pid = std::process::id();
        printer.document(&json!({
            "schema": "serin.serve/v1", "pid": pid, "data_dir": data, "socket": socket
        }));
        return;
    }
    printer.note(&Line::plain(format!("serving: unix:{}", socket.display())));
    let prefix = if crate::client::default_data_dir().is_ok_and(|usual| usual == data) {
        String::new()
    } else {
        format!("SERIN_DATA={} ", data.display())
    };
    let next =
        Line::plain("next: ").add(Tone::Accent, format!("{prefix}serin apply -f serin.yaml"));
    printer.note(&next);
}

/// Whether something speaks HTTP on the socket.
fn answers(socket: &Path) -> bool {
    let ask = || -> io::Result<bool> {
        let mut stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(
            b"GET /api/v1/server HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n",
        )?;
        let mut start = [0; 5];
        stream.read_exact(&mut start)?;
        Ok(&start == b"HTTP/")
    };
    ask().unwrap_or(false)
}

/// `serin __control`: the control plane.
pub fn control_main(words: &[OsString]) -> ExitCode {
    let PlaneArgs { data_dir, api_listen, flags_listen, flags_asked } =
        PlaneArgs::parse_from(&words[1..]);
    let flags_listen = serin_server::FlagsListen { at: flags_listen, asked: flags_asked };
    let options = serin_server::Options { data: data_dir, api_listen, flags_listen };
    ended(serin_server::run(&options))
}

/// `serin __proxy`: the data plane.
pub fn proxy_main(words: &[OsString]) -> ExitCode {
    let data = PlaneArgs::parse_from(&words[1..]).data_dir;
    ended(serin_proxy::run(serin_proxy::Options {
        control: data.join(protocol::PROXY_SOCKET),
        table: data.join("table.json"),
        keeper: Some(data.join(protocol::SOCKET)),
        workers: 0,
        drain_deadline: DRAIN,
    }))
}

/// Their stderr is a log that the keeper keeps.
fn ended<E: std::error::Error + Send + Sync + 'static>(result: Result<(), E>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let printer = Printer::new(crate::printer::Settings::default());
            printer.failure(&Failure::internal(format!("{:#}", anyhow::Error::new(error))));
            ExitCode::FAILURE
        }
    }
}
