//! `bench proxy`: processor time for a request, beside nginx and haproxy with the same split on
//! the same upstream. Rounds are interleaved and their order is reversed every time, so that
//! what else the machine does meets all alike; ratios are to nginx of the same round.

use super::{
    data_plane::DataPlane,
    machine,
    options::Options,
    process::{self, Cpu},
    report,
    servers::{self, LOAD_CORE, Server, Upstream},
    wrk::{self, Seen},
};
use crate::failure::Result;
use serde_json::{Value, json};
use std::{net::SocketAddr, path::Path};

const CONNECTIONS: u32 = 64;
const WARM_SECONDS: u32 = 1;
const WORKLOADS: [(&str, &str); 2] = [("small GET", "/"), ("10 KB response", "/10k")];
const REFERENCE: &str = "nginx";

/// A server that takes part.
struct Contestant {
    name: &'static str,
    server: Server,
    address: SocketAddr,
}

/// One measurement.
struct Cell {
    workload: usize,
    round: usize,
    name: &'static str,
    cpu: Cpu,
    seen: Seen,
}

impl Cell {
    /// Processor time for one request, in microseconds.
    fn cost(&self) -> f64 {
        micros_each(self.cpu.total(), self.seen.requests)
    }
}

fn micros_each(time: std::time::Duration, requests: u64) -> f64 {
    time.as_secs_f64() * 1e6 / requests.max(1) as f64
}

/// Measures and reports.
pub fn run(options: &Options) -> Result<()> {
    super::prepare(options)?;
    let machine = machine::describe();
    let program = super::data_plane_program(options)?;
    let folder = servers::scratch("proxy")?;
    let upstream = Upstream::start(&folder)?;
    let contestants = contestants(&program, &folder, &upstream)?;
    let mut cells = Vec::new();
    for round in 0..options.rounds {
        for (workload, (_, path)) in WORKLOADS.iter().enumerate() {
            for contestant in in_turn(&contestants, round) {
                let (cpu, seen) = measure(contestant, path, options)?;
                cells.push(Cell { workload, round, name: contestant.name, cpu, seen });
            }
        }
        println!("round {} of {} done", round + 1, options.rounds);
    }
    say(&cells, &contestants, options, &machine)
}

fn contestants(program: &Path, folder: &Path, upstream: &Upstream) -> Result<Vec<Contestant>> {
    let data_plane = DataPlane::start(program, folder, upstream)?;
    data_plane.split()?;
    let (nginx, nginx_address) = servers::nginx_proxy(folder, upstream)?;
    let (haproxy, haproxy_address) = servers::haproxy_proxy(folder, upstream)?;
    Ok(vec![
        Contestant { name: "serin", server: data_plane.server, address: data_plane.address },
        Contestant { name: REFERENCE, server: nginx, address: nginx_address },
        Contestant { name: "haproxy", server: haproxy, address: haproxy_address },
    ])
}

/// Forward in even rounds, backward in odd ones.
fn in_turn(contestants: &[Contestant], round: usize) -> Vec<&Contestant> {
    let mut order: Vec<&Contestant> = contestants.iter().collect();
    if round % 2 == 1 {
        order.reverse();
    }
    order
}

fn measure(contestant: &Contestant, path: &str, options: &Options) -> Result<(Cpu, Seen)> {
    let url = format!("http://{}{path}", contestant.address);
    wrk::run(&url, LOAD_CORE, CONNECTIONS, WARM_SECONDS)?;
    let pid = contestant.server.pid();
    let before = process::cpu_of_tree(pid)?;
    let seen = wrk::run(&url, LOAD_CORE, CONNECTIONS, options.seconds)?;
    Ok((process::cpu_of_tree(pid)? - before, seen))
}

fn say(cells: &[Cell], contestants: &[Contestant], options: &Options, on: &Value) -> Result<()> {
    let mut results = Vec::new();
    for (workload, (title, _)) in WORKLOADS.iter().enumerate() {
        let of = |c: &Contestant| summary(cells, workload, c.name);
        let summaries: Vec<Value> = contestants.iter().map(of).collect();
        println!("\n{title}\n\n{}", table(&summaries));
        results.push(json!({"workload": title, "proxies": summaries}));
    }
    for contestant in contestants {
        let memory = process::resident_bytes(contestant.server.pid())? as f64 / 1e6;
        println!("{}: {memory:.1} MB after the load", contestant.name);
    }
    report::save(
        "proxy",
        &json!({
            "schema": "serin.bench.proxy/v1", "machine": on, "rounds": options.rounds,
            "seconds": options.seconds, "connections": CONNECTIONS, "results": results,
        }),
    )
}

fn summary(cells: &[Cell], workload: usize, name: &str) -> Value {
    let mine: Vec<&Cell> =
        cells.iter().filter(|c| c.workload == workload && c.name == name).collect();
    let median = |figure: &dyn Fn(&Cell) -> f64| {
        report::median(&mine.iter().map(|cell| figure(cell)).collect::<Vec<_>>())
    };
    let costs: Vec<f64> = mine.iter().map(|cell| cell.cost()).collect();
    json!({
        "name": name,
        "cpu_us": median(&Cell::cost),
        "cpu_us_each": costs,
        "user_us": median(&|c| micros_each(c.cpu.user, c.seen.requests)),
        "system_us": median(&|c| micros_each(c.cpu.system, c.seen.requests)),
        "ratio": median(&|c| c.cost() / reference(cells, c)),
        "rate": median(&|c| c.seen.rate),
        "p50_us": median(&|c| c.seen.p50.as_secs_f64() * 1e6),
        "p99_us": median(&|c| c.seen.p99.as_secs_f64() * 1e6),
        "errors": mine.iter().map(|c| c.seen.errors).sum::<u64>(),
    })
}

/// What the reference needed in the same round.
fn reference(cells: &[Cell], cell: &Cell) -> f64 {
    let same =
        |c: &&Cell| c.name == REFERENCE && c.workload == cell.workload && c.round == cell.round;
    cells.iter().find(same).map_or(f64::NAN, Cell::cost)
}

fn table(summaries: &[Value]) -> String {
    let head = [
        "proxy",
        "CPU µs/request",
        "user",
        "system",
        "x nginx",
        "requests/s",
        "p50 ms",
        "p99 ms",
        "errors",
    ];
    let row = |s: &Value| {
        let number = |key: &str, scale: f64, digits: usize| {
            format!("{:.digits$}", s[key].as_f64().unwrap_or(f64::NAN) * scale)
        };
        vec![
            s["name"].as_str().unwrap_or_default().to_owned(),
            number("cpu_us", 1.0, 1),
            number("user_us", 1.0, 1),
            number("system_us", 1.0, 1),
            number("ratio", 1.0, 2),
            number("rate", 1.0, 0),
            number("p50_us", 1e-3, 2),
            number("p99_us", 1e-3, 2),
            s["errors"].to_string(),
        ]
    };
    report::table(&head, &summaries.iter().map(row).collect::<Vec<_>>())
}
