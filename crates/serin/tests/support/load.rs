//! Users: each asks again and again, and remembers every answer that was not right.

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// Users of a service, until asked for the report.
pub struct Load {
    shared: Arc<Shared>,
    users: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    answers: AtomicU64,
    by_version: Mutex<BTreeMap<String, u64>>,
    failures: Mutex<Vec<String>>,
}

/// What the users saw.
#[derive(Debug)]
pub struct Report {
    /// Whole answers.
    pub answers: u64,
    /// By the version that answered.
    pub by_version: BTreeMap<String, u64>,
    /// No answer, a broken one, or a status of 500 and above.
    pub failures: Vec<String>,
}

/// Whether a user keeps the connection for the next request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connections {
    /// Kept.
    Kept,
    /// A new one for each request.
    Fresh,
}

impl Load {
    /// Starts so many users, each one request after the other.
    pub fn start(address: SocketAddr, users: usize, connections: Connections) -> Self {
        let shared = Arc::new(Shared::default());
        let user = || {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || shared.user(address, connections))
        };
        let users = (0..users).map(|_| user()).collect();
        Self { shared, users }
    }

    /// Waits until so many more answers have come.
    pub fn wait_for(&self, answers: u64) {
        let until = self.shared.answers.load(Ordering::SeqCst) + answers;
        while self.shared.answers.load(Ordering::SeqCst) < until {
            std::thread::yield_now();
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }

    /// Ends the users and tells what they saw.
    pub fn report(self) -> Report {
        self.shared.stop.store(true, Ordering::SeqCst);
        for user in self.users {
            user.join().unwrap();
        }
        Report {
            answers: self.shared.answers.load(Ordering::SeqCst),
            by_version: std::mem::take(&mut self.shared.by_version.lock().unwrap()),
            failures: std::mem::take(&mut self.shared.failures.lock().unwrap()),
        }
    }
}

impl Shared {
    fn user(&self, address: SocketAddr, connections: Connections) {
        let mut kept = None;
        while !self.stop.load(Ordering::SeqCst) {
            match ask(address, &mut kept) {
                Ok((status, version)) => self.answered(status, version),
                Err(error) => {
                    kept = None;
                    self.failures.lock().unwrap().push(format!("{:?}: {error}", error.kind()));
                }
            }
            if connections == Connections::Fresh {
                kept = None;
            }
        }
    }

    fn answered(&self, status: u16, version: String) {
        self.answers.fetch_add(1, Ordering::SeqCst);
        if status >= 500 {
            self.failures.lock().unwrap().push(format!("status {status} of {version}"));
        }
        *self.by_version.lock().unwrap().entry(version).or_default() += 1;
    }
}

/// One request; the connection stays in `kept` while it can be used again.
fn ask(address: SocketAddr, kept: &mut Option<BufReader<TcpStream>>) -> io::Result<(u16, String)> {
    let mut reader = match kept.take() {
        Some(reader) => reader,
        None => connect(address)?,
    };
    reader.get_mut().write_all(b"GET / HTTP/1.1\r\nhost: shop\r\n\r\n")?;
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let status = line.split(' ').nth(1).and_then(|code| code.parse().ok());
    let status = status.ok_or_else(|| io::Error::other(format!("no status: {line:?}")))?;
    let headers = headers(&mut reader)?;
    let length = headers.get("content-length").and_then(|n| n.parse().ok()).unwrap_or(0);
    reader.read_exact(&mut vec![0; length])?;
    if headers.get("connection").is_none_or(|value| value != "close") {
        *kept = Some(reader);
    }
    Ok((status, headers.get("x-version").cloned().unwrap_or_else(|| "serin".into())))
}

fn connect(address: SocketAddr) -> io::Result<BufReader<TcpStream>> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    stream.set_nodelay(true)?;
    Ok(BufReader::new(stream))
}

fn headers(reader: &mut impl io::BufRead) -> io::Result<BTreeMap<String, String>> {
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { return Ok(headers) };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_ascii_lowercase());
    }
}
