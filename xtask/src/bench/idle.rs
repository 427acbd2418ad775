//! `bench idle`: what Serin costs when nothing happens: twenty services, each with one instance,
//! no traffic and no rollout.

use super::{
    machine,
    options::Options,
    process::{self, Cpu},
    report,
    servers::{self, Server},
};
use crate::{
    command,
    failure::{Doing, Failure, Result},
};
use serde_json::{Value, json};
use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

const SERVICES: usize = 20;
const SECONDS: u32 = 30;
/// Probes slow down after the start; what is measured is the time after that.
const SETTLE: Duration = Duration::from_secs(15);
const READY_DEADLINE: Duration = Duration::from_secs(60);

/// Serin's processes: name, the hidden word it is started with.
const PROCESSES: [(&str, &str); 3] =
    [("control plane", "__control"), ("data plane", "__proxy"), ("keeper", "serve")];

/// Measures and reports.
pub fn run(options: &Options) -> Result<()> {
    let machine = machine::describe();
    let program = super::serin_program(options)?;
    let folder = servers::scratch("idle")?;
    let serin = start(&program, &folder)?;
    let addresses = apply(&program, &folder)?;
    await_answers(&addresses)?;
    thread::sleep(SETTLE);
    let seconds = options.seconds.max(SECONDS);
    let figures = measure(serin.pid(), seconds)?;
    say(&figures, seconds, &machine)
}

fn data(folder: &Path) -> PathBuf {
    folder.join("data")
}

fn start(program: &Path, folder: &Path) -> Result<Server> {
    let data = data(folder);
    let mut serve = Command::new(program);
    serve.arg("serve").arg("--data-dir").arg(&data);
    let socket = data.join("serin.sock");
    Server::start_anywhere(serve, || UnixStream::connect(&socket).is_ok())
}

/// Applies all services; returns where they listen.
fn apply(program: &Path, folder: &Path) -> Result<Vec<SocketAddr>> {
    let addresses: Vec<SocketAddr> =
        (0..SERVICES).map(|_| servers::free_address()).collect::<Result<_>>()?;
    let documents: Vec<String> = addresses
        .iter()
        .enumerate()
        .map(|(number, address)| document(program, number, *address))
        .collect();
    let file = folder.join("serin.yaml");
    fs::write(&file, documents.join("---\n")).doing(|| format!("writing {}", file.display()))?;
    let mut apply = Command::new(program);
    apply.args(["--server", &format!("unix:{}", data(folder).join("serin.sock").display())]);
    command::capture(apply.arg("--quiet").arg("apply").arg("-f").arg(&file))?;
    Ok(addresses)
}

fn document(program: &Path, number: usize, address: SocketAddr) -> String {
    format!(
        "apiVersion: serin.dev/v1alpha1\n\
         kind: Service\n\
         metadata: {{ name: idle-{number:02} }}\n\
         spec:\n  \
           replicas: 1\n  \
           revision: v1\n  \
           run:\n    \
             command: [{:?}, \"__demo-app\"]\n    \
             env: {{ PORT: \"$(PORT)\", VERSION: \"$(REVISION)\" }}\n    \
             readiness: {{ httpGet: {{ path: /ready }} }}\n    \
             liveness: {{ httpGet: {{ path: /health }} }}\n  \
           traffic: {{ listen: \"{address}\" }}\n",
        program.display().to_string(),
    )
}

fn await_answers(addresses: &[SocketAddr]) -> Result<()> {
    let started = Instant::now();
    while let Some(mute) = addresses.iter().find(|address| !answers(**address)) {
        if started.elapsed() > READY_DEADLINE {
            return Err(Failure::new(format!("{mute} does not answer after {READY_DEADLINE:?}")));
        }
        thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

fn answers(address: SocketAddr) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        stream.write_all(b"GET /ready HTTP/1.1\r\nHost: idle\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer.starts_with("HTTP/1.1 200"))
    };
    ask().unwrap_or(false)
}

/// What one process used.
struct Figure {
    name: &'static str,
    cpu: Cpu,
    resident: u64,
}

impl Figure {
    fn cpu_percent(&self, seconds: u32) -> f64 {
        100.0 * self.cpu.total().as_secs_f64() / f64::from(seconds)
    }
}

fn measure(keeper: u32, seconds: u32) -> Result<Vec<Figure>> {
    let family = process::family(keeper)?;
    let mut pids = Vec::new();
    for (name, word) in PROCESSES {
        let pid = family.iter().copied().find(|pid| process::has_argument(*pid, word));
        pids.push((name, pid.ok_or_else(|| Failure::new(format!("no {name} is running")))?));
    }
    let before: Vec<Cpu> =
        pids.iter().map(|(_, pid)| process::cpu_of(*pid)).collect::<Result<_>>()?;
    thread::sleep(Duration::from_secs(seconds.into()));
    let figure = |((name, pid), before): (&(&'static str, u32), Cpu)| {
        let (cpu, resident) = (process::cpu_of(*pid)? - before, process::resident_bytes(*pid)?);
        Ok(Figure { name, cpu, resident })
    };
    pids.iter().zip(before).map(figure).collect()
}

fn say(figures: &[Figure], seconds: u32, machine: &Value) -> Result<()> {
    let row = |figure: &Figure| {
        vec![
            figure.name.to_owned(),
            format!("{:.2} %", figure.cpu_percent(seconds)),
            format!("{:.1} MB", figure.resident as f64 / 1e6),
        ]
    };
    let rows: Vec<Vec<String>> = figures.iter().map(row).collect();
    println!("{SERVICES} services, nothing happening for {seconds} s\n");
    print!("{}", report::table(&["process", "of one core", "memory (RSS)"], &rows));
    let entry = |figure: &Figure| {
        json!({
            "process": figure.name, "cpu_percent": figure.cpu_percent(seconds),
            "rss_bytes": figure.resident,
        })
    };
    report::save(
        "idle",
        &json!({
            "schema": "serin.bench.idle/v1", "machine": machine, "services": SERVICES,
            "seconds": seconds, "processes": figures.iter().map(entry).collect::<Vec<_>>(),
        }),
    )
}
