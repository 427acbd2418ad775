//! One try of a probe, over a connection of its own, answered in words.

use crate::route::address;
use serin_core::{Millis, Probe, ProbeKind};
use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Most bytes of an answer that are read.
const MAX_ANSWER: usize = 64 << 10;
/// Time the app gets to finish its answer after the status is known.
const TAIL: Duration = Duration::from_millis(50);

/// Tries `probe` on the instance at `port`: `GET /ready: 200 OK`, or why not.
pub(crate) async fn attempt(probe: &Probe, port: u16) -> Result<String, String> {
    let what = match &probe.kind {
        ProbeKind::HttpGet { path } => format!("GET {path}"),
        ProbeKind::Tcp => format!("connect to port {port}"),
    };
    let answer = timeout(Duration::from_millis(probe.timeout.0), ask(&probe.kind, port)).await;
    match answer {
        Ok(Ok(Ok(status))) => Ok(format!("{what}: {status}")),
        Ok(Ok(Err(status))) => Err(format!("{what}: {status}")),
        Ok(Err(error)) => Err(format!("{what}: {}", words(&error))),
        Err(_) => Err(format!("{what}: no answer in {}", Millis(probe.timeout.0))),
    }
}

async fn ask(kind: &ProbeKind, port: u16) -> io::Result<Result<String, String>> {
    let mut stream = TcpStream::connect(address(port)).await?;
    let ProbeKind::HttpGet { path } = kind else { return Ok(Ok("connected".into())) };
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUser-Agent: serin-probe\r\n\
         Accept: */*\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::with_capacity(1024);
    let status = loop {
        if stream.read_buf(&mut answer).await? == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "closed without an answer"));
        }
        if let Some(status) = status(&answer)? {
            break status;
        }
    };
    finish(&mut stream, answer).await;
    Ok(status)
}

/// Reads the rest of a short answer, so that closing does not look like a fault to the app.
async fn finish(stream: &mut TcpStream, mut answer: Vec<u8>) {
    let rest = async {
        while answer.len() < MAX_ANSWER && stream.read_buf(&mut answer).await.unwrap_or(0) > 0 {}
    };
    // It may be longer than we wait; the status is all we need.
    let _ = timeout(TAIL, rest).await;
}

/// The verdict on an answer: nothing while its first line is not whole.
fn status(answer: &[u8]) -> io::Result<Option<Result<String, String>>> {
    let bad = || io::Error::new(io::ErrorKind::InvalidData, "not an HTTP answer");
    let Some(end) = answer.iter().position(|byte| *byte == b'\n') else {
        return if answer.len() >= MAX_ANSWER { Err(bad()) } else { Ok(None) };
    };
    let line = String::from_utf8_lossy(&answer[..end]);
    let (_, status) =
        line.trim_end().split_once(' ').filter(|(v, _)| v.starts_with("HTTP/")).ok_or_else(bad)?;
    let code: u16 = status.get(..3).and_then(|code| code.parse().ok()).ok_or_else(bad)?;
    let status: String = status.trim_end().chars().take(80).collect();
    Ok(Some(if (200..400).contains(&code) { Ok(status) } else { Err(status) }))
}

fn words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".into(),
        io::ErrorKind::ConnectionReset => "connection reset".into(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests;
