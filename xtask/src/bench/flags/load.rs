//! A load that costs next to nothing: one request over and over on many connections, answers that
//! are all of one length. So the server is what is measured, not the client.

use crate::{
    bench::servers::LOAD_CORE,
    command,
    failure::{Doing, Failure, Result},
};
use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    process::Command,
    time::{Duration, Instant},
};

/// A server that is silent for so long does not answer any more.
const SILENCE: Duration = Duration::from_secs(10);

/// What a load saw.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    /// Whole answers.
    pub requests: u64,
    /// In a second.
    pub rate: f64,
    /// Answers of another status than the first one.
    pub errors: u64,
}

/// Connections, and what is asked on each.
pub struct Load {
    streams: Vec<TcpStream>,
    request: Vec<u8>,
    /// Bytes of an answer, and how it begins.
    length: usize,
    start: Vec<u8>,
}

/// The calling thread runs on the core of the load from now on.
pub fn pin() -> Result<()> {
    let thread =
        fs::read_link("/proc/thread-self").doing(|| "looking for this thread".to_owned())?;
    let number = thread.file_name().unwrap_or_default();
    let mut taskset = Command::new("taskset");
    taskset.args(["-c", "-p", &LOAD_CORE.to_string()]).arg(number);
    command::capture(&mut taskset).map(|_| ())
}

impl Load {
    /// Connects, and asks once to see what an answer looks like; it must begin with `start`.
    pub fn open(
        address: SocketAddr,
        connections: usize,
        request: String,
        start: &str,
    ) -> Result<Self> {
        let connect = |_| {
            let stream = TcpStream::connect(address)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(SILENCE))?;
            Ok(stream)
        };
        let streams = (0..connections).map(connect).collect::<std::io::Result<Vec<_>>>();
        let streams = streams.doing(|| format!("connecting to {address}"))?;
        let (request, start) = (request.into_bytes(), start.as_bytes().to_vec());
        let mut load = Self { streams, request, length: 0, start };
        load.length = load.learn().doing(|| format!("asking {address}"))?;
        Ok(load)
    }

    fn learn(&mut self) -> std::io::Result<usize> {
        let Some(stream) = self.streams.first_mut() else { return Ok(0) };
        stream.write_all(&self.request)?;
        let mut answer = Vec::new();
        let mut piece = vec![0; 64 * 1024];
        loop {
            let count = stream.read(&mut piece)?;
            answer.extend_from_slice(&piece[..count]);
            let text = String::from_utf8_lossy(&answer);
            if count == 0 || !answer.starts_with(&self.start) {
                return Err(std::io::Error::other(format!("it answers {text:.300}")));
            }
            if let Some(length) = whole(&text).filter(|length| *length <= answer.len()) {
                return Ok(length);
            }
        }
    }

    /// Asks on all connections at once, again and again.
    pub fn run(&mut self, time: Duration) -> Result<Seen> {
        let started = Instant::now();
        let (mut requests, mut errors) = (0, 0);
        let mut answer = vec![0; self.length];
        while started.elapsed() < time {
            for stream in &mut self.streams {
                stream.write_all(&self.request).doing(|| "asking".to_owned())?;
            }
            for stream in &mut self.streams {
                stream.read_exact(&mut answer).doing(|| "reading an answer".to_owned())?;
                errors += u64::from(!answer.starts_with(&self.start));
                requests += 1;
            }
        }
        if requests == 0 {
            return Err(Failure::new("nothing was asked"));
        }
        Ok(Seen { requests, rate: requests as f64 / started.elapsed().as_secs_f64(), errors })
    }
}

/// Bytes of an answer whose head is whole. Without a length there is no body.
fn whole(answer: &str) -> Option<usize> {
    let head = answer.find("\r\n\r\n")? + 4;
    let lines = answer[..head].lines().filter_map(|line| line.split_once(':'));
    let mut lengths = lines.filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    Some(head + lengths.next().map_or(0, |(_, text)| text.trim().parse().unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::whole;

    #[test]
    fn an_answer_is_as_long_as_it_says() {
        assert_eq!(whole("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n{"), Some(41));
        assert_eq!(whole("HTTP/1.1 304 Not Modified\r\n\r\n"), Some(29));
        assert_eq!(whole("HTTP/1.1 200 OK\r\nContent-Le"), None);
    }
}
