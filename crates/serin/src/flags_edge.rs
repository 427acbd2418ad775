//! `serin flags-edge`: serves flags from a copy, near the apps, whatever becomes of the rest.

mod copy;
mod file;
mod upstream;

use crate::client::Endpoint;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::printer::{Line, Printer, Tone};
use clap::Args;
use copy::Copy;
use serde_json::json;
use serin_edge::{Edge, Host, Settings, Token, TokenKind};
use serin_flags::Bucketing;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};

/// The ports that flagd's clients look at unless they are told otherwise: calls, sync, OFREP.
const FLAGD_PORTS: [u16; 3] = [8013, 8015, 8016];

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  serin flags-edge --from flags.json --listen 127.0.0.1:8016
  SERIN_FLAGS_TOKEN=... serin flags-edge --from http://10.0.0.5:8016 --copy /var/lib/edge")]
pub struct FlagsEdgeArgs {
    /// A file of flags (flagd's format, or an export of Serin), or another Serin to follow
    #[arg(long, value_name = "FILE|URL")]
    from: String,
    /// Where to serve; all protocols on one port
    #[arg(long, default_value = "127.0.0.1:8016", value_name = "ADDR")]
    listen: Vec<SocketAddr>,
    /// Also open the ports that clients of flagd look at: 8013, 8015, 8016
    #[arg(long)]
    flagd_compat: bool,
    /// The token for the other Serin; better in the environment than here
    #[arg(long, env = "SERIN_FLAGS_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Tokens that clients of this edge need, one a line (file only; another Serin sends its own)
    #[arg(long, value_name = "FILE")]
    accept: Option<PathBuf>,
    /// Directory of the copy that outlives a restart
    #[arg(long, value_name = "DIR")]
    copy: Option<PathBuf>,
    /// The set a flagd file is served as, unless it says so itself (`metadata.flagSetId`)
    #[arg(long, default_value = serin_edge::FALLBACK, value_name = "NAME")]
    set: String,
    /// The hash of a flagd file's percentages: v2 or v3
    #[arg(long, default_value = "v3", value_parser = bucketing)]
    bucketing: Bucketing,
    /// A web page's origin that may ask from a browser; `*` for every one
    #[arg(long, value_name = "ORIGIN")]
    allow_origin: Vec<String>,
    /// Threads; 0 = one for each core
    #[arg(long, default_value_t = 0, value_name = "N")]
    threads: usize,
}

fn bucketing(text: &str) -> Result<Bucketing, String> {
    match text {
        "v2" => Ok(Bucketing::V2),
        "v3" => Ok(Bucketing::V3),
        _ => Err("allowed are v2 and v3".to_owned()),
    }
}

/// Serves until SIGTERM or Ctrl-C.
pub fn run(printer: &Printer, args: &FlagsEdgeArgs) -> Result<Exit, Failure> {
    let copy = args.copy.as_deref().map(Copy::open).transpose()?;
    let key = copy.as_ref().map_or_else(copy::random_key, Copy::key)?;
    let edge = Edge::new(&Settings::new(key));
    let listeners = listeners(args)?;
    let source = Source::of(args)?;
    source.begin(printer, &edge, copy.as_ref())?;
    let host = Host::start(&edge, args.threads).map_err(|error| internal(&error))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| internal(&error))?;
    let mut served = Vec::new();
    for listener in listeners {
        served.push(listener.local_addr().map_err(|error| internal(&error))?);
        host.listen(listener).map_err(|error| internal(&error))?;
    }
    greet(printer, &served);
    runtime.block_on(async {
        let mut term = signal(SignalKind::terminate()).map_err(|error| internal(&error))?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(|error| internal(&error))?;
        tokio::select! {
            () = source.follow(printer, &edge, copy.as_ref()) => {}
            _ = term.recv() => {}
            _ = interrupt.recv() => {}
        }
        Ok(())
    })?;
    host.stop();
    Ok(Exit::Reached)
}

fn internal(error: &std::io::Error) -> Failure {
    Failure::internal(format!("cannot start: {error}"))
}

fn listeners(args: &FlagsEdgeArgs) -> Result<Vec<TcpListener>, Failure> {
    let mut addresses = args.listen.clone();
    if args.flagd_compat {
        let ip = addresses[0].ip();
        addresses.extend(FLAGD_PORTS.map(|port| SocketAddr::new(ip, port)));
    }
    addresses.sort_unstable();
    addresses.dedup();
    let open = |addr: SocketAddr| {
        serin_proxy::fds::bind(addr).map_err(|error| {
            Failure::usage("address-in-use", format!("cannot listen on {addr}: {error}"))
                .hint("choose another --listen")
        })
    };
    addresses.into_iter().map(open).collect()
}

fn greet(printer: &Printer, served: &[SocketAddr]) {
    if printer.is_json() {
        printer.document(&json!({
            "schema": "serin.flags-edge/v1", "pid": std::process::id(), "listen": served
        }));
        return;
    }
    for addr in served {
        printer.note(&Line::plain(format!("serving flags: http://{addr}")));
    }
}

/// Where flags come from.
enum Source {
    File(file::File),
    Upstream(upstream::Upstream),
}

impl Source {
    fn of(args: &FlagsEdgeArgs) -> Result<Self, Failure> {
        if args.from.contains("://") {
            let Endpoint::Tcp(host) = Endpoint::parse(&args.from)? else {
                let message = format!("`{}` serves no flags", args.from);
                return Err(Failure::usage("bad-server", message).hint("write http://HOST:8016"));
            };
            return Ok(Self::Upstream(upstream::Upstream::new(host, args.token.clone())));
        }
        let tokens = args.accept.as_deref().map(tokens).transpose()?.unwrap_or_default();
        Ok(Self::File(file::File {
            path: PathBuf::from(&args.from),
            set: args.set.clone(),
            bucketing: args.bucketing,
            tokens,
            origins: args.allow_origin.clone(),
            read: std::sync::Mutex::default(),
        }))
    }

    /// Has the edge answer as well as it can before anybody asks.
    fn begin(
        &self,
        printer: &Printer,
        edge: &Arc<Edge>,
        copy: Option<&Copy>,
    ) -> Result<(), Failure> {
        match self {
            Self::File(file) => file.load(edge, 1),
            Self::Upstream(_) => {
                if let Some(table) = copy.and_then(|copy| copy.read(printer))
                    && let Err(error) = edge.replace(table)
                {
                    warn(printer, &format!("the copy cannot be used: {error}"));
                }
                Ok(())
            }
        }
    }

    async fn follow(&self, printer: &Printer, edge: &Arc<Edge>, copy: Option<&Copy>) {
        match self {
            Self::File(file) => file.follow(printer, edge).await,
            Self::Upstream(upstream) => upstream.follow(printer, edge, copy).await,
        }
    }
}

/// Tokens of a file, one a line.
fn tokens(path: &Path) -> Result<Vec<Token>, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        let message = format!("cannot read {}: {error}", path.display());
        Failure::usage("unreadable-file", message).hint("write one token a line into it")
    })?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    Ok(lines.map(|line| Token::of("", line, TokenKind::Backend)).collect())
}

fn warn(printer: &Printer, text: &str) {
    printer.alarm(&Line::toned(Tone::Warn, "warning").text(format!(": {text}")));
}
