//! The users of one service: independent clients on real connections, many of them no good.

use crate::app::{BIG, ODDS, POISON};
use serin_calibration::rng::Rng;
use serin_core::AffinityKey;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;

/// A client that is stuck lets go after this.
const STUCK: Duration = Duration::from_secs(20);
/// What is later than this is not caught up with.
const LAG: Duration = Duration::from_millis(100);
/// Most requests of one service under way; others stay at home.
const PATIENT: usize = 200;
/// Connections kept for the next request.
const IDLE: usize = 8;
/// Receive buffer of a slow reader, in bytes.
const SMALL_BUFFER: u32 = 4096;

/// What clients do.
#[derive(Clone, Debug)]
pub struct Traffic {
    /// Arrivals a second (Poisson), repetitions not counted.
    pub rate: f64,
    /// Share that opens a connection of its own.
    pub fresh: f64,
    /// Share that sends its body in small parts, over up to 1.5 s.
    pub slow_bodies: f64,
    /// Share that asks for much and reads it slowly.
    pub slow_readers: f64,
    /// Share that stops within the head.
    pub half_heads: f64,
    /// Share that stops within the body.
    pub stuck: f64,
    /// Share that asks for much and stops reading it.
    pub stalled: f64,
    /// Share that gives up after 50 to 300 ms.
    pub impatient: f64,
    /// Seconds after which the others give up: from, to.
    pub patience: (f64, f64),
    /// How often a failed request is repeated at once.
    pub retries: usize,
    /// Share that fails wherever it goes, repeated or not.
    pub poison: f64,
    /// Who the users are; without, each request is anonymous.
    pub users: Option<Population>,
}

impl Default for Traffic {
    fn default() -> Self {
        Self {
            rate: 40.0,
            fresh: 0.1,
            slow_bodies: 0.0,
            slow_readers: 0.0,
            half_heads: 0.0,
            stuck: 0.0,
            stalled: 0.0,
            impatient: 0.0,
            patience: (20.0, 20.0),
            retries: 0,
            poison: 0.0,
            users: None,
        }
    }
}

/// Users with names.
#[derive(Clone, Copy, Debug)]
pub struct Population {
    /// How many.
    pub count: usize,
    /// Share whose requests fail in 30 of 100 cases.
    pub clumped: f64,
    /// A few among them.
    pub heavy: Option<Heavy>,
}

/// Users who ask much, and for what always fails.
#[derive(Clone, Copy, Debug)]
pub struct Heavy {
    /// How many.
    pub count: usize,
    /// Their share of the requests.
    pub share: f64,
}

type Line = BufReader<TcpStream>;

/// All clients of one service.
pub struct Crowd {
    addr: SocketAddr,
    traffic: Traffic,
    key: Option<AffinityKey>,
    idle: Mutex<Vec<Line>>,
    cookies: Mutex<Vec<Option<String>>>,
    rng: Mutex<Rng>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    Plain,
    SlowBody,
    SlowReader,
    HalfHead,
    Stuck,
    Stalled,
}

impl Manner {
    fn reads_slowly(self) -> bool {
        matches!(self, Self::SlowReader | Self::Stalled)
    }
}

/// One thing somebody wants.
#[derive(Clone, Debug)]
struct Errand {
    manner: Manner,
    patience: Duration,
    /// Time between the parts of what is slow.
    pause: Duration,
    fresh: bool,
    poison: bool,
    odds: u32,
    user: Option<usize>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Crowd {
    /// Clients of the service at `addr`, known by `key`.
    pub fn new(
        addr: SocketAddr,
        traffic: Traffic,
        key: Option<AffinityKey>,
        rng: Rng,
    ) -> Arc<Self> {
        let users = traffic.users.map_or(0, |users| users.count);
        let cookies = Mutex::new(vec![None; users]);
        Arc::new(Self { addr, traffic, key, idle: Mutex::default(), cookies, rng: Mutex::new(rng) })
    }

    /// Sends requests until it is dropped.
    pub async fn run(self: Arc<Self>) {
        let mut errands = JoinSet::new();
        let mut next = tokio::time::Instant::now();
        loop {
            let gap = -libm::log(lock(&self.rng).uniform()) / self.traffic.rate;
            next += Duration::from_secs_f64(gap);
            tokio::time::sleep_until(next).await;
            // A machine that stood still is no reason for a flood.
            next = next.max(tokio::time::Instant::now() - LAG);
            while errands.try_join_next().is_some() {}
            let errand = self.errand();
            if errands.len() < PATIENT {
                errands.spawn(self.clone().go(errand));
            }
        }
    }

    fn errand(&self) -> Errand {
        let (t, mut rng) = (&self.traffic, lock(&self.rng));
        let user = t.users.map(|users| users.draw(&mut rng));
        let heavy = t.users.and_then(|users| users.heavy).map_or(0, |heavy| heavy.count);
        let is_heavy = user.is_some_and(|user| user < heavy);
        let patience = if rng.happens(t.impatient) { (0.05, 0.3) } else { t.patience };
        Errand {
            manner: t.manner(&mut rng),
            patience: between(&mut rng, patience),
            pause: between(&mut rng, (0.01, 0.3)),
            fresh: rng.happens(t.fresh),
            poison: rng.happens(t.poison) || is_heavy,
            odds: user.map_or(0, |user| self.odds(user)),
            user,
        }
    }

    /// In how many of 100 cases a user's requests fail at least.
    fn odds(&self, user: usize) -> u32 {
        let Some(users) = self.traffic.users else { return 0 };
        let clumped = (users.count as f64 * users.clumped) as usize;
        if users.count - user <= clumped { 30 } else { 0 }
    }

    async fn go(self: Arc<Self>, errand: Errand) {
        for _ in 0..=self.traffic.retries {
            let done = tokio::time::timeout(errand.patience, self.exchange(&errand)).await;
            if !matches!(done, Ok(Ok(500..) | Err(_))) {
                return;
            }
        }
    }

    async fn exchange(&self, errand: &Errand) -> io::Result<u16> {
        let slow = errand.manner.reads_slowly();
        let pooled = if errand.fresh || slow { None } else { lock(&self.idle).pop() };
        if let Some(mut line) = pooled
            && let Ok(answer) = self.ask(&mut line, errand).await
        {
            return Ok(self.done(line, answer, errand));
        }
        let mut line = self.connect(slow).await?;
        let answer = self.ask(&mut line, errand).await?;
        Ok(self.done(line, answer, errand))
    }

    async fn connect(&self, slow: bool) -> io::Result<Line> {
        let socket = TcpSocket::new_v4()?;
        if slow {
            socket.set_recv_buffer_size(SMALL_BUFFER)?;
        }
        let stream = socket.connect(self.addr).await?;
        stream.set_nodelay(true)?;
        Ok(BufReader::with_capacity(2048, stream))
    }

    fn done(&self, line: Line, answer: Answer, errand: &Errand) -> u16 {
        if let (Some(user), Some(cookie)) = (errand.user, answer.cookie) {
            lock(&self.cookies)[user].get_or_insert(cookie);
        }
        let mut idle = lock(&self.idle);
        let again = answer.keep && !errand.fresh && !errand.manner.reads_slowly();
        if again && idle.len() < IDLE {
            idle.push(line);
        }
        answer.status
    }

    async fn ask(&self, line: &mut Line, errand: &Errand) -> io::Result<Answer> {
        let head = self.head(errand);
        match errand.manner {
            Manner::HalfHead => {
                line.get_mut().write_all(&head.as_bytes()[..head.len() / 2]).await?;
                tokio::time::sleep(STUCK).await;
                return Err(io::ErrorKind::TimedOut.into());
            }
            Manner::SlowBody => {
                line.get_mut().write_all(head.as_bytes()).await?;
                for _ in 0..5 {
                    tokio::time::sleep(errand.pause).await;
                    line.get_mut().write_all(&[b'x'; 200]).await?;
                }
            }
            Manner::Stuck => {
                line.get_mut().write_all(head.as_bytes()).await?;
                line.get_mut().write_all(&[b'x'; 300]).await?;
                tokio::time::sleep(STUCK).await;
                return Err(io::ErrorKind::TimedOut.into());
            }
            Manner::Plain | Manner::SlowReader | Manner::Stalled => {
                line.get_mut().write_all(head.as_bytes()).await?;
            }
        }
        answer(line, errand).await
    }

    fn head(&self, errand: &Errand) -> String {
        let (method, length) = match errand.manner {
            Manner::SlowBody | Manner::Stuck => ("POST", "content-length: 1000\r\n"),
            _ => ("GET", ""),
        };
        let path = if errand.manner.reads_slowly() { BIG } else { "/" };
        let poison = if errand.poison { format!("{POISON}: 1\r\n") } else { String::new() };
        let odds = match errand.odds {
            0 => String::new(),
            odds => format!("{ODDS}: {odds}\r\n"),
        };
        let close = if errand.fresh { "connection: close\r\n" } else { "" };
        let who = errand.user.map_or(String::new(), |user| self.name(user));
        format!("{method} {path} HTTP/1.1\r\nhost: shop\r\n{length}{poison}{odds}{close}{who}\r\n")
    }

    fn name(&self, user: usize) -> String {
        match &self.key {
            None | Some(AffinityKey::Address) => String::new(),
            Some(AffinityKey::Header(header)) => format!("{header}: user-{user}\r\n"),
            Some(AffinityKey::Cookie(_)) => {
                let cookie = lock(&self.cookies)[user].clone();
                cookie.map_or(String::new(), |pair| format!("cookie: {pair}\r\n"))
            }
        }
    }
}

impl Traffic {
    fn manner(&self, rng: &mut Rng) -> Manner {
        let shares = [
            (self.slow_bodies, Manner::SlowBody),
            (self.slow_readers, Manner::SlowReader),
            (self.half_heads, Manner::HalfHead),
            (self.stuck, Manner::Stuck),
            (self.stalled, Manner::Stalled),
        ];
        let mut at = rng.uniform();
        for (share, manner) in shares {
            if at < share {
                return manner;
            }
            at -= share;
        }
        Manner::Plain
    }
}

impl Population {
    /// The heavy ones come first.
    fn draw(&self, rng: &mut Rng) -> usize {
        let heavy = self.heavy.unwrap_or(Heavy { count: 0, share: 0.0 });
        let among = |rng: &mut Rng, count: usize| (rng.uniform() * count as f64) as usize;
        if heavy.count > 0 && rng.happens(heavy.share) {
            return among(rng, heavy.count);
        }
        heavy.count + among(rng, self.count - heavy.count)
    }
}

fn between(rng: &mut Rng, (from, to): (f64, f64)) -> Duration {
    Duration::from_secs_f64(from + (to - from) * rng.uniform())
}

struct Answer {
    status: u16,
    keep: bool,
    /// `name=value` of a cookie that was set.
    cookie: Option<String>,
}

async fn answer(line: &mut Line, errand: &Errand) -> io::Result<Answer> {
    let broken = || io::Error::from(io::ErrorKind::UnexpectedEof);
    let mut text = String::new();
    line.read_line(&mut text).await?;
    let status = text.split(' ').nth(1).and_then(|word| word.parse().ok()).ok_or_else(broken)?;
    let mut answer = Answer { status, keep: true, cookie: None };
    let mut left = 0;
    loop {
        text.clear();
        if line.read_line(&mut text).await? == 0 {
            return Err(broken());
        }
        let Some((name, value)) = text.trim_end().split_once(':') else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => left = value.trim().parse().map_err(io::Error::other)?,
            "connection" => answer.keep = !value.contains("close"),
            "set-cookie" => answer.cookie = value.trim().split(';').next().map(str::to_owned),
            _ => {}
        }
    }
    body(line, left, errand).await?;
    Ok(answer)
}

async fn body(line: &mut Line, mut left: usize, errand: &Errand) -> io::Result<()> {
    let slow = errand.manner.reads_slowly();
    let mut part = vec![0; if slow { 16 * 1024 } else { 2048 }];
    while left > 0 {
        let want = part.len().min(left);
        let got = line.read(&mut part[..want]).await?;
        if got == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        left -= got;
        if errand.manner == Manner::Stalled {
            tokio::time::sleep(STUCK).await;
            return Err(io::ErrorKind::TimedOut.into());
        }
        if slow {
            tokio::time::sleep(errand.pause / 10).await;
        }
    }
    Ok(())
}
