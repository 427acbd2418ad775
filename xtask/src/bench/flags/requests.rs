//! Requests to the edge, which has one core for itself; the load has the other.

use super::{
    FLAGS, file,
    load::{self, Load, Seen},
};
use crate::{
    bench::{
        options::Options,
        process, report,
        servers::{self, PROXY_CORE, Server},
    },
    failure::{Doing, Failure, Result},
};
use serde_json::{Value, json};
use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

const CONNECTIONS: usize = 64;
const WARM: Duration = Duration::from_secs(1);
/// A user as apps describe one.
const CONTEXT: &str = r#"{"context":{"targetingKey":"user-4711","email":"ada@example.com","plan":"pro","age":42,"country":"de"}}"#;
const SINGLE: &str = "/ofrep/v1/evaluate/flags/flag-003";
const BULK: &str = "/ofrep/v1/evaluate/flags";

/// What is asked.
struct Question {
    title: &'static str,
    path: &'static str,
    /// The client has the answer already.
    known: bool,
    /// Requests a second on one core.
    goal: f64,
}

const QUESTIONS: &[Question] = &[
    Question { title: "one flag", path: SINGLE, known: false, goal: 80_000.0 },
    Question { title: "350 flags", path: BULK, known: false, goal: 25_000.0 },
    Question { title: "350 flags, not changed (304)", path: BULK, known: true, goal: 80_000.0 },
];

/// An edge on a core of its own, with one thread.
pub fn edge(program: &Path, name: &str) -> Result<(Server, SocketAddr)> {
    let address = servers::free_address()?;
    let mut command = Command::new(program);
    command.args(["--quiet", "flags-edge", "--threads", "1", "--listen", &address.to_string()]);
    command.arg("--from").arg(file(name)?);
    Ok((Server::start(&command, PROXY_CORE, || servers::listens(address))?, address))
}

/// Measures every question in rounds; medians.
pub fn measure(program: &Path, options: &Options) -> Result<Value> {
    let (server, address) = edge(program, "flags")?;
    let mut answers = Vec::new();
    load::pin()?;
    for question in QUESTIONS {
        let start = if question.known { "HTTP/1.1 304 " } else { "HTTP/1.1 200 " };
        let mut load = Load::open(address, CONNECTIONS, request_of(question, address)?, start)?;
        load.run(WARM)?;
        let mut rounds = Vec::new();
        for _ in 0..options.rounds {
            let (before, started) = (process::cpu_of_tree(server.pid())?, Instant::now());
            let seen = load.run(Duration::from_secs(options.seconds.into()))?;
            let cpu = process::cpu_of_tree(server.pid())? - before;
            rounds.push(Round { seen, cpu: cpu.total(), time: started.elapsed() });
        }
        answers.push(summary(question, &rounds));
    }
    println!("{}", table(&answers));
    let memory = process::resident_bytes(server.pid())? as f64 / 1e6;
    println!("edge: {memory:.1} MB after the load\n");
    Ok(json!({"flags": FLAGS, "connections": CONNECTIONS, "answers": answers}))
}

/// One measurement.
struct Round {
    seen: Seen,
    /// Time the server had on its core.
    cpu: Duration,
    time: Duration,
}

/// Of one question: requests a second as they were, and on a core of one's own: what else ran on
/// the core took time the edge did not have.
fn summary(question: &Question, rounds: &[Round]) -> Value {
    let of = |figure: &dyn Fn(&Round) -> f64| {
        report::median(&rounds.iter().map(figure).collect::<Vec<_>>())
    };
    let each = |round: &Round| round.cpu.as_secs_f64() / round.seen.requests.max(1) as f64;
    json!({
        "title": question.title,
        "goal": question.goal,
        "rate": of(&|round| round.seen.rate),
        "cpu_us": of(&|round| each(round) * 1e6),
        "rate_of_a_core": of(&|round| 1.0 / each(round)),
        "busy": of(&|round| round.cpu.as_secs_f64() / round.time.as_secs_f64()),
        "errors": rounds.iter().map(|round| round.seen.errors).sum::<u64>(),
    })
}

fn table(answers: &[Value]) -> String {
    let head = [
        "OFREP, one core",
        "requests/s",
        "core busy",
        "CPU µs/request",
        "requests/s of a whole core",
        "goal",
        "errors",
    ];
    let row = |answer: &Value| {
        let number = |key: &str, scale: f64, digits: usize| {
            format!("{:.digits$}", answer[key].as_f64().unwrap_or(f64::NAN) * scale)
        };
        vec![
            answer["title"].as_str().unwrap_or_default().to_owned(),
            number("rate", 1.0, 0),
            format!("{} %", number("busy", 100.0, 0)),
            number("cpu_us", 1.0, 1),
            number("rate_of_a_core", 1.0, 0),
            number("goal", 1.0, 0),
            answer["errors"].to_string(),
        ]
    };
    report::table(&head, &answers.iter().map(row).collect::<Vec<_>>())
}

/// What is sent: always the same.
fn request_of(question: &Question, address: SocketAddr) -> Result<String> {
    let mut known = String::new();
    if question.known {
        let tag = tag(&post(address, question.path)?)?;
        known = format!("If-None-Match: {tag}\r\n");
    }
    Ok(format!(
        "POST {} HTTP/1.1\r\nHost: edge\r\nContent-Type: application/json\r\n{known}\
         Content-Length: {}\r\n\r\n{CONTEXT}",
        question.path,
        CONTEXT.len()
    ))
}

fn tag(answer: &str) -> Result<String> {
    let lines = answer.lines().filter_map(|line| line.split_once(": "));
    let mut tags = lines.filter(|(name, _)| name.eq_ignore_ascii_case("etag"));
    let tag = tags.next().map(|(_, tag)| tag.trim().to_owned());
    tag.ok_or_else(|| Failure::new(format!("no ETag in {answer:.300}")))
}

/// Asks once; the answer with its head.
pub fn post(address: SocketAddr, path: &str) -> Result<String> {
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(address)?;
        let length = CONTEXT.len();
        write!(
            stream,
            "POST {path} HTTP/1.1\r\nHost: edge\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{CONTEXT}"
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    ask().doing(|| format!("asking {address}{path}"))
}
