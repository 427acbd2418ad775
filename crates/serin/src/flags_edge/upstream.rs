//! Flags from another Serin, followed for as long as it is there.

use super::copy::Copy;
use super::warn;
use crate::printer::Printer;
use bytes::{Buf, Bytes, BytesMut};
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serin_edge::{Edge, FOLLOW_CHANGES, FOLLOW_KEEP_ALIVE, FOLLOW_PATH, Refused, Table, Upsert};
use std::io;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

/// Pauses between attempts grow up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const CONNECT: Duration = Duration::from_secs(5);
/// Without a word for so long, nobody is there any more.
const SILENCE: Duration = FOLLOW_KEEP_ALIVE.saturating_mul(3);
/// Longest line, in bytes.
const MAX_LINE: usize = 256 << 20;

/// Another Serin.
pub struct Upstream {
    /// `host:port`.
    host: String,
    token: Option<String>,
}

impl Upstream {
    /// Follows this one.
    pub fn new(host: String, token: Option<String>) -> Self {
        Self { host, token }
    }

    /// Keeps the edge and the copy as the other one is. Whatever becomes of it, the last flags
    /// go on.
    pub async fn follow(&self, printer: &Printer, edge: &Edge, copy: Option<&Copy>) {
        let mut pause = FIRST_PAUSE;
        let mut said = String::new();
        loop {
            let mut tables = 0;
            let end = self.listen(printer, edge, copy, &mut tables).await;
            let why =
                end.err().map_or_else(|| "it closed the stream".to_owned(), |e| e.to_string());
            if tables > 0 {
                pause = FIRST_PAUSE;
                said.clear();
            }
            if said != why {
                let text = format!("lost {}: {why}; the last flags go on", self.host);
                warn(printer, &text);
                said = why;
            }
            sleep(pause).await;
            pause = (2 * pause).min(LONGEST_PAUSE);
        }
    }

    async fn listen(
        &self,
        printer: &Printer,
        edge: &Edge,
        copy: Option<&Copy>,
        tables: &mut usize,
    ) -> io::Result<()> {
        let mut body = self.open().await?;
        let mut held = BytesMut::new();
        while let Some(frame) = timeout(SILENCE, body.frame()).await? {
            let Ok(data) = frame.map_err(io::Error::other)?.into_data() else { continue };
            // What was held before has no end in it.
            let mut from = held.len();
            held.extend_from_slice(&data);
            while let Some(end) = held[from..].iter().position(|byte| *byte == b'\n') {
                let line = held.split_to(from + end);
                held.advance(1);
                from = 0;
                if !line.is_empty() {
                    take(printer, edge, copy, &line)?;
                    *tables += 1;
                }
            }
            if held.len() > MAX_LINE {
                return Err(io::Error::other("it sends a line without end"));
            }
        }
        Ok(())
    }

    async fn open(&self) -> io::Result<Incoming> {
        let stream = timeout(CONNECT, TcpStream::connect(&self.host)).await??;
        let shake = hyper::client::conn::http1::handshake::<_, Empty<Bytes>>(TokioIo::new(stream));
        let (mut sender, connection) = shake.await.map_err(io::Error::other)?;
        tokio::spawn(connection);
        let path = format!("{FOLLOW_PATH}?{FOLLOW_CHANGES}=1");
        let mut request = Request::get(path).header(header::HOST, &self.host);
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = request.body(Empty::new()).map_err(io::Error::other)?;
        let response = timeout(CONNECT, sender.send_request(request)).await?;
        let response = response.map_err(io::Error::other)?;
        match response.status() {
            StatusCode::OK => Ok(response.into_body()),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Err(io::Error::other("it does not know the token; set SERIN_FLAGS_TOKEN"))
            }
            other => Err(io::Error::other(format!("it answers {other}; is it a Serin's flags?"))),
        }
    }
}

fn take(printer: &Printer, edge: &Edge, copy: Option<&Copy>, line: &[u8]) -> io::Result<()> {
    // Of a change of one flag, and of nothing else, the base comes first.
    let taken = if line.starts_with(b"{\"base\"") {
        edge.upsert(&serde_json::from_slice::<Upsert>(line)?)
    } else {
        edge.replace(serde_json::from_slice::<Table>(line)?)
    };
    match taken {
        Ok(refused) => refused.iter().for_each(|set| warn(printer, &set.to_string())),
        Err(Refused::Stale(have)) if line.starts_with(b"{\"base\"") => {
            // Another connection begins with the whole table.
            return Err(io::Error::other(format!("a change does not fit the flags at {have}")));
        }
        Err(refused) => {
            warn(printer, &format!("{refused}; the last flags go on"));
            return Ok(());
        }
    }
    printer.trace(&format!("flags at revision {}", edge.revision()));
    if let Some(copy) = copy
        && let Err(error) = copy.write(&edge.table())
    {
        warn(printer, &format!("the copy is not on disk: {error}"));
    }
    Ok(())
}
