//! Numbers that instances publish themselves, in the text format of Prometheus: what a worker
//! without traffic is judged by.
//!
//! They are told only when every ready instance of a revision has told its own: a sum without one
//! of them would look like fewer failures, or a shorter queue.

use crate::crew::Wanted;
use crate::route::address;
use crate::world::{Fleet, Instance};
use serin_core::{Millis, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Most bytes of an answer that are read.
const MAX_ANSWER: usize = 512 << 10;
/// Most names of one instance.
const MAX_NAMES: usize = 500;
/// Time one look may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// Shortest time between two looks.
const MIN_PERIOD: Millis = Millis::secs(1);
/// Failures in a row before what an instance told last counts no more.
const STALE_AFTER: u32 = 3;

/// Numbers by name.
pub type Numbers = BTreeMap<String, f64>;

/// What one instance published, and when it is asked next.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Published {
    /// When the next look is due.
    pub next_at: Timestamp,
    /// Whether a look is under way.
    pub reading: bool,
    /// Failures in a row.
    pub failures: u32,
    /// What it told last.
    pub numbers: Option<Numbers>,
}

/// When an instance is asked next; nothing while it is being asked, or has nothing to tell.
pub(crate) fn reading_at(instance: &Instance, wanted: Wanted<'_>) -> Option<Timestamp> {
    let asks = wanted.run.metrics.is_some() && instance.is_ready() && instance.pid.is_some();
    (asks && !instance.published.reading).then_some(instance.published.next_at)
}

/// The sum over instances; nothing unless all have told theirs.
pub(crate) fn sum<'a>(instances: impl Iterator<Item = &'a Instance>) -> Numbers {
    let all: Option<Vec<&Numbers>> = instances.map(|i| i.published.numbers.as_ref()).collect();
    let mut sum = Numbers::new();
    for (name, number) in all.into_iter().flatten().flatten() {
        *sum.entry(name.clone()).or_default() += number;
    }
    sum
}

impl Fleet {
    /// An instance is being asked for its numbers.
    pub fn reading(&mut self, id: &str) {
        if let Some(instance) = self.instances.get_mut(id) {
            instance.published.reading = true;
        }
    }

    /// It was asked; the next time is a `period` later.
    pub fn read(
        &mut self,
        id: &str,
        period: Millis,
        result: Result<Numbers, String>,
        now: Timestamp,
    ) {
        let Some(instance) = self.instances.get_mut(id) else { return };
        let published = &mut instance.published;
        published.reading = false;
        published.next_at = now.plus(period.max(MIN_PERIOD));
        if let Ok(numbers) = result {
            (published.failures, published.numbers) = (0, Some(numbers));
            return;
        }
        published.failures += 1;
        if published.failures >= STALE_AFTER {
            published.numbers = None;
        }
    }
}

/// Reads what the instance at `port` publishes under `path`.
pub(crate) async fn fetch(path: &str, port: u16) -> Result<Numbers, String> {
    match timeout(PATIENCE, get(path, port)).await {
        Ok(Ok(text)) => Ok(parse(&text)),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer in {} s", PATIENCE.as_secs())),
    }
}

async fn get(path: &str, port: u16) -> io::Result<String> {
    let mut stream = TcpStream::connect(address(port)).await?;
    // Of HTTP/1.0: the answer comes as it is, and ends with its length or the connection.
    let request = format!("GET {path} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    while body(&answer)?.is_none() {
        if answer.len() > MAX_ANSWER {
            return Err(bad("the answer is longer than 512 KiB"));
        }
        if stream.read_buf(&mut answer).await? == 0 {
            return rest(&answer);
        }
    }
    body(&answer)?.ok_or_else(|| bad("the answer is not whole"))
}

fn bad(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

/// Head and what has come of the body; nothing while the head is not whole.
fn split(answer: &[u8]) -> io::Result<Option<(String, &[u8])>> {
    let Some(at) = answer.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
    let head = String::from_utf8_lossy(&answer[..at]).to_ascii_lowercase();
    let status = head.split(' ').nth(1);
    if !head.starts_with("http/1.") || status != Some("200") {
        return Err(bad("the answer is not `200 OK`"));
    }
    Ok(Some((head, &answer[at + 4..])))
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = head.lines().filter_map(|line| line.split_once(':'));
    lines.find(|(key, _)| *key == name).map(|(_, value)| value.trim())
}

/// The body, once all of it is known to be there.
fn body(answer: &[u8]) -> io::Result<Option<String>> {
    let Some((head, body)) = split(answer)? else { return Ok(None) };
    if header(&head, "transfer-encoding").is_some() {
        return Ok(unchunked(body));
    }
    let length = header(&head, "content-length").and_then(|length| length.parse::<usize>().ok());
    let whole = length.and_then(|length| body.get(..length));
    Ok(whole.map(|body| String::from_utf8_lossy(body).into_owned()))
}

/// The body of an answer that ends with its connection.
fn rest(answer: &[u8]) -> io::Result<String> {
    match split(answer)? {
        Some((head, body)) if header(&head, "content-length").is_none() => {
            Ok(String::from_utf8_lossy(body).into_owned())
        }
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// Some servers send chunks whatever they are asked for.
fn unchunked(mut body: &[u8]) -> Option<String> {
    let mut whole = Vec::new();
    loop {
        let at = body.windows(2).position(|two| two == b"\r\n")?;
        let size = std::str::from_utf8(&body[..at]).ok()?.split(';').next()?.trim();
        let size = usize::from_str_radix(size, 16).ok().filter(|size| *size <= MAX_ANSWER)?;
        if size == 0 {
            return Some(String::from_utf8_lossy(&whole).into_owned());
        }
        whole.extend_from_slice(body.get(at + 2..at + 2 + size)?);
        body = body.get(at + 2 + size + 2..)?;
    }
}

/// Counters, gauges and what has no type, summed over their labels. Buckets and quantiles are no
/// numbers that can be added up, and what is not finite is no number.
pub fn parse(text: &str) -> Numbers {
    let spread: BTreeSet<&str> = text.lines().filter_map(spread).collect();
    let mut numbers = Numbers::new();
    for (name, value) in text.lines().filter_map(sample) {
        let is_part = spread.contains(name)
            || name.strip_suffix("_bucket").is_some_and(|family| spread.contains(family));
        if is_part || !value.is_finite() {
            continue;
        }
        if numbers.len() < MAX_NAMES || numbers.contains_key(name) {
            *numbers.entry(name.to_owned()).or_default() += value;
        }
    }
    numbers
}

/// The name in `# TYPE name histogram`, or `summary`.
fn spread(line: &str) -> Option<&str> {
    let mut words = line.strip_prefix('#')?.split_whitespace();
    let (word, name, kind) = (words.next()?, words.next()?, words.next()?);
    (word == "TYPE" && matches!(kind, "histogram" | "gaugehistogram" | "summary")).then_some(name)
}

/// Name and value of `name{labels} value [time]`.
fn sample(line: &str) -> Option<(&str, f64)> {
    let line = line.trim_start();
    let end = line.find(|c: char| c == '{' || c.is_whitespace())?;
    let (name, rest) = line.split_at(end);
    let named = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    if name.is_empty() || !name.chars().all(named) {
        return None;
    }
    let rest = if rest.starts_with('{') { &rest[labels(rest)?..] } else { rest };
    Some((name, rest.split_whitespace().next()?.parse().ok()?))
}

/// Length of `{name="value",...}`; a value may hold `}`, and `\"`.
fn labels(text: &str) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '}' if !quoted => return Some(at + 1),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests;
