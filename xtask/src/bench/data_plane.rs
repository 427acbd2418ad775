//! Serin's data plane as a benchmark sees it: a process, and a control socket with one JSON
//! document per line.

use super::servers::{PROXY_CORE, Server, Upstream, listens};
use crate::failure::{Doing, Failure, Result};
use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader, Write},
    net::SocketAddr,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::Command,
};

/// All traffic, in the data plane's parts.
pub const WEIGHT_TOTAL: u32 = 100_000;

const SERVICE: &str = "shop";

/// A running data plane with one service.
pub struct DataPlane {
    /// Its process.
    pub server: Server,
    /// Where the service is served.
    pub address: SocketAddr,
    socket: PathBuf,
    upstream: [[SocketAddr; 2]; 2],
}

impl DataPlane {
    /// Starts `program` on the proxy's core.
    pub fn start(program: &Path, folder: &Path, upstream: &Upstream) -> Result<Self> {
        let folder = folder.join("data-plane");
        std::fs::create_dir_all(&folder).doing(|| format!("making {}", folder.display()))?;
        let socket = folder.join("proxy.sock");
        let mut command = Command::new(program);
        command.arg("--control").arg(&socket).arg("--table").arg(folder.join("table.json"));
        command.args(["--workers", "1"]);
        let server = Server::start(&command, PROXY_CORE, || UnixStream::connect(&socket).is_ok())?;
        let address = super::servers::free_address()?;
        Ok(Self { server, address, socket, upstream: [upstream.stable, upstream.candidate] })
    }

    /// A connection to the control socket.
    pub fn control(&self) -> Result<Control> {
        let stream = UnixStream::connect(&self.socket)
            .doing(|| format!("connecting to {}", self.socket.display()))?;
        let writer = stream.try_clone().doing(|| "copying the control connection".to_owned())?;
        Ok(Control { reader: BufReader::new(stream), writer })
    }

    /// The order that gives the candidate `weight` parts, as plan number `n`.
    pub fn route(&self, n: u64, weight: u32) -> Value {
        json!({"apply": {
            "service": SERVICE,
            "listen": self.address,
            "generation": {"epoch": 1, "n": n},
            "arms": [
                arm("v1", "stable", WEIGHT_TOTAL - weight, self.upstream[0]),
                arm("v2", "candidate", weight, self.upstream[1]),
            ],
        }})
    }

    /// Splits 90/10 and waits until the service is open.
    pub fn split(&self) -> Result<()> {
        self.control()?.apply(&self.route(1, WEIGHT_TOTAL / 10))?;
        if listens(self.address) {
            return Ok(());
        }
        Err(Failure::new(format!("the data plane took the route, but {} is shut", self.address)))
    }
}

fn arm(revision: &str, role: &str, weight: u32, instances: [SocketAddr; 2]) -> Value {
    let backend = |(number, address): (usize, SocketAddr)| json!({"instance": format!("{revision}-{number}"), "addr": address, "ready_since_ms": 0});
    let backends: Vec<Value> = instances.into_iter().enumerate().map(backend).collect();
    json!({"revision": revision, "role": role, "weight": weight, "backends": backends})
}

/// A connection to the control socket.
pub struct Control {
    reader: BufReader<UnixStream>,
    writer: UnixStream,
}

impl Control {
    /// Sends one request line and reads its reply.
    pub fn ask(&mut self, request: &Value) -> Result<Value> {
        let sent = self.writer.write_all(format!("{request}\n").as_bytes());
        sent.doing(|| "writing to the data plane".to_owned())?;
        let mut line = String::new();
        self.reader.read_line(&mut line).doing(|| "reading from the data plane".to_owned())?;
        serde_json::from_str(&line).doing(|| format!("reading the reply `{}`", line.trim()))
    }

    /// Applies a route; anything but `applied` is a failure.
    pub fn apply(&mut self, route: &Value) -> Result<()> {
        let reply = self.ask(route)?;
        match &reply["applied"] {
            Value::Object(applied) if !applied.contains_key("error") => Ok(()),
            _ => Err(Failure::new(format!("the data plane did not take the route: {reply}"))),
        }
    }

    /// Requests the data plane could not get answered.
    pub fn dropped(&mut self) -> Result<u64> {
        let reply = self.ask(&json!("counters"))?;
        let dropped = reply["counters"]["dropped"].as_array();
        let dropped = dropped.ok_or_else(|| Failure::new(format!("no counters in {reply}")))?;
        let kinds = ["no_ready", "failed", "timeout", "truncated"];
        let of = |entry: &Value| kinds.iter().filter_map(|kind| entry[kind].as_u64()).sum::<u64>();
        Ok(dropped.iter().map(of).sum())
    }
}
