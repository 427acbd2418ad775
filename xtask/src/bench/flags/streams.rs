//! Open event streams: what they take while nothing happens, and how soon they hear of a kill.

use super::load;
use super::requests::{edge, post};
use crate::{
    bench::{
        process, report,
        servers::{self, PROXY_CORE, Server},
    },
    command,
    failure::{Doing, Failure, Result},
};
use serde_json::{Value, json};
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

const IDLE_STREAMS: usize = 10_000;
const IDLE_GOAL_MB: f64 = 150.0;
const TOLD_STREAMS: usize = 1_000;
const TOLD_GOAL_MS: f64 = 50.0;
/// Flags in the set of the one that is killed.
const SET_SIZES: [usize; 3] = [1, 350, 10_000];
/// How often the flag is killed and set free again.
const KILLS: usize = 20;
const DEADLINE: Duration = Duration::from_secs(10);
const BULK: &str = "/ofrep/v1/evaluate/flags";
const FLAG: &str = "checkout";

/// Measures both.
pub fn measure(program: &Path) -> Result<Value> {
    load::pin()?;
    let idle = idle(program)?;
    let kills = SET_SIZES.iter().map(|flags| kill(program, *flags)).collect::<Result<Vec<_>>>()?;
    let head = [
        "flags in the set",
        "streams",
        "kills",
        "p50",
        "p99",
        "slowest",
        "goal: p99",
        "answered",
        "import",
    ];
    let ms = |figure: &Value| format!("{:.1} ms", figure.as_f64().unwrap_or(f64::NAN));
    let row = |kill: &Value| {
        let mut row = vec![kill["flags"].to_string(), TOLD_STREAMS.to_string(), KILLS.to_string()];
        row.extend([&kill["p50_ms"], &kill["p99_ms"], &kill["max_ms"]].map(ms));
        row.extend([
            format!("{TOLD_GOAL_MS:.0} ms"),
            ms(&kill["answered_ms"]),
            ms(&kill["import_ms"]),
        ]);
        row
    };
    println!("{}", report::table(&head, &kills.iter().map(row).collect::<Vec<_>>()));
    Ok(json!({"idle": idle, "kills": kills}))
}

fn idle(program: &Path) -> Result<Value> {
    let (server, address) = edge(program, "streams")?;
    let uri = uri(address)?;
    let before = process::resident_bytes(server.pid())? as f64 / 1e6;
    let streams = (0..IDLE_STREAMS).map(|_| open(address, &uri)).collect::<Result<Vec<_>>>()?;
    let after = process::resident_bytes(server.pid())? as f64 / 1e6;
    let head = ["idle event streams", "edge before", "edge with them", "goal: at most"];
    let row = [
        streams.len().to_string(),
        format!("{before:.1} MB"),
        format!("{after:.1} MB"),
        format!("{IDLE_GOAL_MB:.0} MB"),
    ];
    println!("{}", report::table(&head, &[row.to_vec()]));
    Ok(json!({"streams": streams.len(), "before_mb": before, "after_mb": after}))
}

/// Where the stream is that an answer with all flags offers.
fn uri(address: SocketAddr) -> Result<String> {
    let answer = post(address, BULK)?;
    let uri = answer.split_once("\"requestUri\":\"").and_then(|(_, rest)| rest.split_once('"'));
    let uri = uri.map(|(uri, _)| uri.to_owned());
    uri.ok_or_else(|| Failure::new(format!("no event stream in {answer:.300}")))
}

/// Opens a stream and reads what comes before the first event.
fn open(address: SocketAddr, uri: &str) -> Result<TcpStream> {
    let open = || -> std::io::Result<TcpStream> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(DEADLINE))?;
        write!(stream, "GET {uri} HTTP/1.1\r\nHost: edge\r\nAccept: text/event-stream\r\n\r\n")?;
        let mut head = [0; 1024];
        let length = stream.read(&mut head)?;
        if head[..length].starts_with(b"HTTP/1.1 200") {
            return Ok(stream);
        }
        Err(std::io::Error::other(String::from_utf8_lossy(&head[..length]).into_owned()))
    };
    open().doing(|| format!("opening the event stream {address}{uri}"))
}

/// The whole of Serin: a kill goes through the control plane to its disk and the data plane, in a
/// set with so many flags.
fn kill(program: &Path, flags: usize) -> Result<Value> {
    let folder = servers::scratch("kill")?;
    let (socket, address) = (folder.join("data/serin.sock"), servers::free_address()?);
    let mut serve = Command::new(program);
    serve.args(["serve", "--flags-listen", &address.to_string()]);
    serve.arg("--data-dir").arg(folder.join("data"));
    let ready = socket.clone();
    let _server = Server::start(&serve, PROXY_CORE, || UnixStream::connect(&ready).is_ok())?;
    let imported = import(program, &folder, &socket, flags)?;
    let make = json!({"create": true, "reason": "bench", "patch": {"owner": "bench", "kind": "ops"}, "strategies": [{"strategy": "all"}]});
    control(&socket, "PATCH", &format!("/api/v1/flags/{FLAG}"), &make)?;
    let uri = uri(address)?;
    let mut streams = (0..TOLD_STREAMS).map(|_| open(address, &uri)).collect::<Result<Vec<_>>>()?;
    for stream in &streams {
        stream.set_nonblocking(true).doing(|| "setting a stream up".to_owned())?;
    }
    let (mut told, mut answered) = (Vec::new(), Vec::new());
    for _ in 0..KILLS {
        drain(&mut streams);
        let (reached, answer) = once(&socket, &mut streams)?;
        told.extend(reached);
        answered.push(answer);
        let free = format!("/api/v1/flags/{FLAG}:on");
        control(&socket, "POST", &free, &json!({"reason": "bench"}))?;
        thread::sleep(Duration::from_millis(200));
    }
    told.sort_by(f64::total_cmp);
    let share = |of: f64| {
        let at = (told.len().saturating_sub(1) as f64 * of) as usize;
        told.get(at).copied().unwrap_or(f64::NAN)
    };
    let (p50, p99, all) = (share(0.5), share(0.99), share(1.0));
    let answer = report::median(&answered);
    Ok(json!({
        "flags": flags, "kills": KILLS, "streams": TOLD_STREAMS, "p50_ms": p50, "p99_ms": p99, "max_ms": all,
        "answered_ms": answer, "import_ms": imported,
    }))
}

/// Fills the set up to so many flags, the one that is killed among them; how long that took, in
/// milliseconds.
fn import(program: &Path, folder: &Path, socket: &Path, flags: usize) -> Result<f64> {
    let one = json!({"state": "ENABLED", "variants": {"on": true, "off": false},
        "defaultVariant": "off"});
    let all: serde_json::Map<_, _> =
        (1..flags).map(|at| (format!("flag-{at}"), one.clone())).collect();
    if all.is_empty() {
        return Ok(0.0);
    }
    let file = folder.join("import.json");
    let text = json!({"flags": all}).to_string();
    std::fs::write(&file, text).doing(|| format!("writing {}", file.display()))?;
    let mut import = Command::new(program);
    import.args(["--server", &format!("unix:{}", socket.display()), "flag", "import"]);
    let started = Instant::now();
    command::capture(import.args(["--format", "flagd", "--reason", "bench"]).arg(file))?;
    Ok(started.elapsed().as_secs_f64() * 1e3)
}

/// One kill: when each stream heard of it, and when it was answered; milliseconds after it was
/// asked for.
fn once(socket: &Path, streams: &mut [TcpStream]) -> Result<(Vec<f64>, f64)> {
    let path = format!("/api/v1/flags/{FLAG}:kill");
    let socket = PathBuf::from(socket);
    let started = Instant::now();
    let asked = thread::spawn(move || {
        control(&socket, "POST", &path, &json!({"reason": "bench"}))?;
        Ok::<f64, Failure>(started.elapsed().as_secs_f64() * 1e3)
    });
    let mut heard = vec![None; streams.len()];
    let mut buffer = [0; 4096];
    while heard.iter().any(Option::is_none) {
        if started.elapsed() > DEADLINE {
            return Err(Failure::new(format!("not every stream heard of a kill in {DEADLINE:?}")));
        }
        for (stream, heard) in streams.iter_mut().zip(&mut heard) {
            if heard.is_none() && stream.read(&mut buffer).is_ok_and(|length| length > 0) {
                *heard = Some(started.elapsed().as_secs_f64() * 1e3);
            }
        }
    }
    let answered = asked.join().map_err(|_| Failure::new("the kill was not asked for"))??;
    Ok((heard.into_iter().flatten().collect(), answered))
}

/// Reads away what was said before.
fn drain(streams: &mut [TcpStream]) {
    let mut buffer = [0; 4096];
    for stream in streams {
        while stream.read(&mut buffer).is_ok_and(|length| length > 0) {}
    }
}

/// Asks the control plane.
fn control(socket: &Path, method: &str, path: &str, body: &Value) -> Result<()> {
    let body = body.to_string();
    let ask = || -> std::io::Result<String> {
        let mut stream = UnixStream::connect(socket)?;
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: serin\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    let answer = ask().doing(|| format!("asking for {method} {path}"))?;
    if answer.starts_with("HTTP/1.1 200") || answer.starts_with("HTTP/1.1 201") {
        return Ok(());
    }
    Err(Failure::new(format!("{method} {path}: {answer:.500}")))
}
