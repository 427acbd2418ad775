//! npm's `unleash-server` beside Serin: as many flags, the same user, its frontend API. It needs a
//! Postgres database, which is named by an environment variable.

use super::{
    FLAGS,
    load::{self, Load},
};
use crate::{
    bench::{
        options::Options,
        process, report,
        servers::{self, PROXY_CORE, Server},
    },
    command,
    failure::{Doing, Failure, Result},
    root,
};
use serde_json::{Value, json};
use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

/// The version that is measured.
const PACKAGE: &str = "unleash-server@7.5.1";
/// Names an empty database, `postgres://USER@HOST:PORT/NAME`.
const DATABASE: &str = "SERIN_BENCH_UNLEASH_DATABASE";
const ADMIN: &str = "*:*.admin";
const FRONTEND: &str = "default:development.frontend";
/// It compiles its definitions anew once a second.
const SETTLE: Duration = Duration::from_secs(5);
const CONNECTIONS: usize = 64;

/// Measures it, or says why not.
pub fn measure(options: &Options) -> Value {
    let measured = try_to_measure(options);
    measured.unwrap_or_else(|failure| {
        println!("{PACKAGE} was not measured: {failure}\n");
        json!({"package": PACKAGE, "not_measured": failure.to_string()})
    })
}

fn try_to_measure(options: &Options) -> Result<Value> {
    let database = std::env::var(DATABASE).map_err(|_| {
        Failure::new(format!("it needs Postgres; name an empty database in {DATABASE}"))
    })?;
    let program = install(options)?;
    let address = servers::free_address()?;
    let mut env = Command::new("env");
    let port = address.port();
    env.args([format!("DATABASE_URL={database}"), format!("HTTP_PORT={port}")]);
    env.args(["DATABASE_SSL=false", "HTTP_HOST=127.0.0.1", "LOG_LEVEL=error"]);
    env.args(["SEND_TELEMETRY=false", "CHECK_VERSION=false", "NODE_ENV=production"]);
    env.arg(format!("INIT_ADMIN_API_TOKENS={ADMIN}"));
    env.arg(format!("INIT_FRONTEND_API_TOKENS={FRONTEND}")).arg("node").arg(program);
    let patient = Instant::now();
    let mut server = Server::start(&env, PROXY_CORE, || servers::listens(address));
    while server.is_err() && patient.elapsed() < Duration::from_secs(60) {
        server = Server::start(&env, PROXY_CORE, || servers::listens(address));
    }
    let server = server?;
    (0..FLAGS).try_for_each(|at| make(address, at))?;
    std::thread::sleep(SETTLE);
    load::pin()?;
    let request = format!(
        "GET /api/frontend?userId=user-4711&properties%5Bplan%5D=pro HTTP/1.1\r\nHost: bench\r\n\
         Authorization: {FRONTEND}\r\n\r\n"
    );
    let mut load = Load::open(address, CONNECTIONS, request, "HTTP/1.1 200 ")?;
    load.run(Duration::from_secs(1))?;
    let before = process::cpu_of_tree(server.pid())?;
    let seen = load.run(Duration::from_secs(options.seconds.into()))?;
    let cpu = (process::cpu_of_tree(server.pid())? - before).total().as_secs_f64();
    let each = cpu / seen.requests as f64;
    let row = [
        PACKAGE.to_owned(),
        format!("{:.0}", seen.rate),
        format!("{:.1}", each * 1e6),
        format!("{:.0}", 1.0 / each),
        seen.errors.to_string(),
    ];
    let head =
        ["350 flags, frontend API", "requests/s", "CPU µs/request", "of a whole core", "errors"];
    println!("{}", report::table(&head, &[row.to_vec()]));
    Ok(json!({
        "package": PACKAGE, "rate": seen.rate, "cpu_us": each * 1e6, "rate_of_a_core": 1.0 / each,
        "errors": seen.errors,
    }))
}

/// Installs it, unless it is there; no package runs code of its own. Where it is.
fn install(options: &Options) -> Result<PathBuf> {
    let folder = root::target().join("bench/unleash");
    let program = folder.join("node_modules/unleash-server/dist/server.js");
    if program.is_file() {
        return Ok(program);
    }
    if !options.install {
        return Err(Failure::new("it is not installed, and --no-install was given"));
    }
    fs::create_dir_all(&folder).doing(|| format!("creating {}", folder.display()))?;
    let words = ["install", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
    command::run(Command::new("npm").args(words).arg(PACKAGE).current_dir(&folder))?;
    Ok(program)
}

/// Makes a flag with a rule, as those of the edge in turn.
fn make(address: SocketAddr, at: usize) -> Result<()> {
    let features = "/api/admin/projects/default/features";
    let name = format!("flag-{at:03}");
    let here = format!("{features}/{name}/environments/development");
    let constraint = |name: &str, operator: &str, value: &str| json!({"contextName": name, "operator": operator, "values": [value]});
    let (percent, constraints) = match at % 4 {
        0 => ("100", vec![]),
        1 => ("100", vec![constraint("email", "STR_ENDS_WITH", "@example.com")]),
        2 => ("25", vec![]),
        _ => ("50", vec![constraint("plan", "IN", "pro")]),
    };
    let strategy = json!({
        "name": "flexibleRollout",
        "parameters": {"rollout": percent, "stickiness": "default", "groupId": name},
        "constraints": constraints,
    });
    ask(address, features, &json!({"name": name, "type": "release"}))?;
    ask(address, &format!("{here}/strategies"), &strategy)?;
    ask(address, &format!("{here}/on"), &json!({}))
}

fn ask(address: SocketAddr, path: &str, body: &Value) -> Result<()> {
    let body = body.to_string();
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(address)?;
        let length = body.len();
        write!(
            stream,
            "POST {path} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\nAuthorization: {ADMIN}\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    let answer = ask().doing(|| format!("asking for {path}"))?;
    // 409: it is there from an earlier run.
    let is_done = ["HTTP/1.1 2", "HTTP/1.1 409"].iter().any(|start| answer.starts_with(start));
    if is_done { Ok(()) } else { Err(Failure::new(format!("{path}: {answer:.300}"))) }
}
