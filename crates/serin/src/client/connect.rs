//! Reaching the server.

use super::endpoint::Endpoint;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::time::Duration;
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, sleep, timeout};

/// Longest wait for a connection.
const PATIENCE: Duration = Duration::from_secs(5);
/// Longest wait for a server that is starting: `serin serve &` may be a moment behind.
const STARTING: Duration = Duration::from_secs(10);
/// Longest wait when nothing says that a server is starting.
const ABSENT: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(50);

/// A connection of either kind.
pub enum Stream {
    /// A socket of this machine.
    Unix(UnixStream),
    /// TCP.
    Tcp(TcpStream),
}

/// Connects; waits a while for a server of this machine that is just starting or being restarted.
pub async fn connect(endpoint: &Endpoint) -> io::Result<Stream> {
    let attempt = async {
        match endpoint {
            Endpoint::Unix(path) => connect_unix(path).await.map(Stream::Unix),
            Endpoint::Tcp(host) => TcpStream::connect(host).await.map(Stream::Tcp),
        }
    };
    match endpoint {
        Endpoint::Unix(_) => attempt.await,
        Endpoint::Tcp(_) => timeout(PATIENCE, attempt).await.unwrap_or_else(|_| Err(too_slow())),
    }
}

async fn connect_unix(path: &Path) -> io::Result<UnixStream> {
    let start = Instant::now();
    loop {
        let error = match timeout(PATIENCE, UnixStream::connect(path)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => error,
            Err(_) => return Err(too_slow()),
        };
        let soon = matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused);
        let patience = if keeper_lives(path) { STARTING } else { ABSENT };
        if !soon || start.elapsed() > patience {
            return Err(error);
        }
        sleep(PAUSE).await;
    }
}

/// Whether the keeper of this data directory runs: its pid is in the lock file.
fn keeper_lives(socket: &Path) -> bool {
    let lock = socket.with_file_name("lock");
    let pid = fs::read_to_string(lock).ok().and_then(|text| text.trim().parse().ok());
    let pid = pid.and_then(rustix::process::Pid::from_raw);
    pid.is_some_and(|pid| rustix::process::test_kill_process(pid).is_ok())
}

fn too_slow() -> io::Error {
    io::Error::new(ErrorKind::TimedOut, format!("no answer within {} s", PATIENCE.as_secs()))
}
