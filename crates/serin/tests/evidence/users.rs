//! Users who come at moments of their own, whatever the service does, and remember who answered.

use fastrand::Rng;
use std::collections::BTreeMap;
use std::io::{self, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// The longest that anybody waits for an answer.
const PATIENT: Duration = Duration::from_secs(30);

/// When answers that do not come are not waited for any longer.
const HOPELESS: Duration = Duration::from_secs(120);

/// Who comes, and how often.
#[derive(Debug, Clone, Copy)]
pub struct Crowd {
    /// Requests a second of all together.
    pub rate: f64,
    /// Connections; each has its own users and one request at a time.
    pub lines: usize,
    /// Users on each line who keep their cookies; 0: strangers every time.
    pub users: usize,
    /// Of those, so many make half of the requests.
    pub heavy: usize,
}

impl Crowd {
    /// Strangers, so many requests a second.
    pub const fn strangers(rate: f64) -> Self {
        Self { rate, lines: 12, users: 0, heavy: 0 }
    }
}

/// Users at work, until asked for the report.
pub struct Users {
    shared: Arc<Shared>,
    lines: Vec<JoinHandle<()>>,
}

struct Shared {
    address: SocketAddr,
    stop: AtomicBool,
    /// Milliseconds until somebody gives up.
    patience: AtomicU64,
    seen: Mutex<Report>,
}

/// What they saw.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Whole answers by the version that gave them: all, and those with a status of 500 and above.
    pub by_version: BTreeMap<String, (u64, u64)>,
    /// Whole answers of all versions when this one gave its last.
    pub last: BTreeMap<String, u64>,
    /// Requests that somebody gave up.
    pub given_up: u64,
    /// No answer, a broken one, or one that Serin gave in the app's place.
    pub lost: Vec<String>,
    /// Moves of users from one version to another.
    pub moves: BTreeMap<(String, String), u64>,
}

impl Report {
    /// Whole answers.
    pub fn answers(&self) -> u64 {
        self.by_version.values().map(|(answers, _)| answers).sum()
    }

    /// Answers of `version`, and errors among them.
    pub fn of(&self, version: &str) -> (u64, u64) {
        self.by_version.get(version).copied().unwrap_or_default()
    }

    /// Answers that other versions had given when `version` gave its last.
    pub fn others_by_the_end_of(&self, version: &str) -> u64 {
        self.last.get(version).map_or(0, |all| all - self.of(version).0)
    }

    fn answered(&mut self, status: u16, version: &str) {
        if version.is_empty() {
            return self.lost.push(format!("status {status} of serin itself"));
        }
        let (answers, errors) = self.by_version.entry(version.to_owned()).or_default();
        *answers += 1;
        *errors += u64::from(status >= 500);
        self.last.insert(version.to_owned(), self.answers());
    }
}

impl Users {
    /// Lets them come.
    pub fn start(address: SocketAddr, crowd: Crowd) -> Self {
        let shared = Arc::new(Shared {
            address,
            stop: AtomicBool::new(false),
            patience: AtomicU64::new(PATIENT.as_millis() as u64),
            seen: Mutex::default(),
        });
        let line = |seed| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || Line::new(shared, crowd, seed).serve())
        };
        let lines = (0..crowd.lines as u64).map(line).collect();
        Self { shared, lines }
    }

    /// From now on they give up after so long; `None`: they do not.
    pub fn patience(&self, patience: Option<Duration>) {
        let patience = patience.unwrap_or(PATIENT).as_millis() as u64;
        self.shared.patience.store(patience, Ordering::SeqCst);
    }

    /// What they saw so far.
    pub fn so_far(&self) -> Report {
        self.shared.seen().clone()
    }

    /// Waits until so many more answers have come.
    pub fn wait_for(&self, answers: u64) {
        let (until, begun) = (self.so_far().answers() + answers, Instant::now());
        while self.so_far().answers() < until {
            let seen = self.so_far();
            assert!(begun.elapsed() < HOPELESS, "{answers} more answers do not come: {seen:?}");
            thread::park_timeout(Duration::from_millis(10));
        }
    }

    /// Ends their work and tells what they saw.
    pub fn report(mut self) -> Report {
        self.end();
        self.so_far()
    }

    fn end(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        for line in self.lines.drain(..) {
            line.join().expect("the line's own panic says what happened");
        }
    }
}

impl Drop for Users {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
    }
}

impl Shared {
    fn seen(&self) -> MutexGuard<'_, Report> {
        self.seen.lock().unwrap()
    }

    fn patience(&self) -> Duration {
        Duration::from_millis(self.patience.load(Ordering::SeqCst))
    }
}

#[derive(Clone, Default)]
struct User {
    cookie: Option<String>,
    version: Option<String>,
}

/// Users who use one connection, one after the other.
struct Line {
    shared: Arc<Shared>,
    rng: Rng,
    mean_gap: f64,
    users: Vec<User>,
    heavy: usize,
    kept: Option<BufReader<TcpStream>>,
}

struct Answer {
    status: u16,
    version: String,
    cookie: Option<String>,
}

impl Line {
    fn new(shared: Arc<Shared>, crowd: Crowd, seed: u64) -> Self {
        Self {
            shared,
            rng: Rng::with_seed(seed),
            mean_gap: crowd.lines as f64 / crowd.rate,
            users: vec![User::default(); crowd.users],
            heavy: crowd.heavy,
            kept: None,
        }
    }

    fn serve(mut self) {
        let mut due = Instant::now();
        while !self.shared.stop.load(Ordering::SeqCst) {
            // Moments of a Poisson process: they do not wait for the answer before.
            due += Duration::from_secs_f64(-(1.0 - self.rng.f64()).ln() * self.mean_gap);
            // tidy: sleep: users come when they like; that they do is what is tested with
            thread::sleep(due.saturating_duration_since(Instant::now()));
            self.visit();
        }
    }

    fn visit(&mut self) {
        let chosen = self.choose();
        let cookie = chosen.and_then(|user| self.users[user].cookie.clone());
        match self.ask(cookie.as_deref()) {
            Ok(answer) => self.answered(chosen, answer),
            Err(error) if is_impatience(&error) => self.shared.seen().given_up += 1,
            Err(error) => {
                let loss = format!("{:?}: {error}", error.kind());
                self.shared.seen().lost.push(loss);
            }
        }
    }

    fn choose(&mut self) -> Option<usize> {
        let (all, heavy) = (self.users.len(), self.heavy);
        match all {
            0 => None,
            _ if heavy > 0 && self.rng.bool() => Some(self.rng.usize(..heavy)),
            _ => Some(self.rng.usize(heavy..all)),
        }
    }

    fn answered(&mut self, chosen: Option<usize>, answer: Answer) {
        let mut seen = self.shared.seen();
        seen.answered(answer.status, &answer.version);
        let Some(user) = chosen.map(|user| &mut self.users[user]) else { return };
        user.cookie = answer.cookie.or(user.cookie.take());
        let before = user.version.replace(answer.version.clone());
        if let Some(before) = before.filter(|before| *before != answer.version) {
            *seen.moves.entry((before, answer.version)).or_default() += 1;
        }
    }

    /// One request; the connection is kept while it can be used again.
    fn ask(&mut self, cookie: Option<&str>) -> io::Result<Answer> {
        let mut reader = match self.kept.take() {
            Some(reader) => reader,
            None => connect(self.shared.address)?,
        };
        reader.get_ref().set_read_timeout(Some(self.shared.patience()))?;
        let cookie = cookie.map_or_else(String::new, |cookie| format!("cookie: {cookie}\r\n"));
        let request = format!("GET / HTTP/1.1\r\nhost: shop\r\n{cookie}\r\n");
        reader.get_mut().write_all(request.as_bytes())?;
        let status = status(&mut reader)?;
        let headers = headers(&mut reader)?;
        let length = headers.get("content-length").and_then(|n| n.parse().ok()).unwrap_or(0);
        reader.read_exact(&mut vec![0; length])?;
        if headers.get("connection").is_none_or(|value| value != "close") {
            self.kept = Some(reader);
        }
        let pair = |cookie: &String| cookie.split(';').next().map(str::to_owned);
        let cookie = headers.get("set-cookie").and_then(pair);
        let version = headers.get("x-version").cloned().unwrap_or_default();
        Ok(Answer { status, version, cookie })
    }
}

fn is_impatience(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

fn connect(address: SocketAddr) -> io::Result<BufReader<TcpStream>> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    Ok(BufReader::new(stream))
}

fn status(reader: &mut impl io::BufRead) -> io::Result<u16> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let status = line.split(' ').nth(1).and_then(|code| code.parse().ok());
    status.ok_or_else(|| io::Error::other(format!("no status: {line:?}")))
}

fn headers(reader: &mut impl io::BufRead) -> io::Result<BTreeMap<String, String>> {
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { return Ok(headers) };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
}
