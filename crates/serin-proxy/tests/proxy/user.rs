//! A user: one connection, bytes as they are.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

/// A response.
#[derive(Debug)]
pub struct Got {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Got {
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(':'));
        let mut hits = lines.filter(|(key, _)| key.eq_ignore_ascii_case(name));
        hits.next().map(|(_, value)| value.trim())
    }
}

/// A connection.
pub struct User {
    pub reader: BufReader<TcpStream>,
}

impl User {
    pub fn connect(addr: SocketAddr) -> Self {
        let stream = TcpStream::connect(addr).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        Self { reader: BufReader::new(stream) }
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.reader.get_mut().write_all(bytes.as_ref()).unwrap();
    }

    pub fn get(&mut self, path: &str) -> Got {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: shop\r\n\r\n"));
        self.receive()
    }

    /// Enough good requests for cohorts to close soon.
    pub fn set_pace(&mut self) {
        (0..30).for_each(|_| assert!(self.get("/pace").status < 300));
    }

    pub fn post(&mut self, path: &str, body: &str) -> Got {
        let length = body.len();
        self.send(format!(
            "POST {path} HTTP/1.1\r\nHost: shop\r\nContent-Length: {length}\r\n\r\n{body}"
        ));
        self.receive()
    }

    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.reader.read_line(&mut line).unwrap();
        line
    }

    /// Everything until the connection ends.
    pub fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        self.reader.read_to_end(&mut rest).unwrap();
        rest
    }

    /// The head of the next response; empty when the connection has ended.
    pub fn head(&mut self) -> String {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            match self.reader.read_line(&mut head) {
                Ok(0) | Err(_) => break,
                Ok(_) => {}
            }
        }
        head
    }

    pub fn receive(&mut self) -> Got {
        self.try_receive().expect("a response")
    }

    /// The next response, whole; `None` when the connection ends before.
    pub fn try_receive(&mut self) -> Option<Got> {
        let head = self.head();
        let status = head.split(' ').nth(1)?.parse().ok()?;
        let mut got = Got { status, head, body: Vec::new() };
        if let Some(length) = got.header("content-length") {
            got.body = vec![0; length.parse().unwrap()];
            self.reader.read_exact(&mut got.body).ok()?;
        } else if got.header("transfer-encoding").is_some() {
            while let Some(part) = self.chunk()? {
                got.body.extend_from_slice(&part);
            }
        } else if status != 204 && status != 304 {
            self.reader.read_to_end(&mut got.body).ok()?;
        }
        Some(got)
    }

    /// One chunk; `Some(None)` is the last.
    #[expect(clippy::option_option, reason = "the connection can end, and so can the body")]
    pub fn chunk(&mut self) -> Option<Option<Vec<u8>>> {
        let size = usize::from_str_radix(self.line().trim(), 16).ok()?;
        if size == 0 {
            while !matches!(self.line().as_str(), "\r\n" | "") {}
            return Some(None);
        }
        let mut part = vec![0; size + 2];
        self.reader.read_exact(&mut part).ok()?;
        part.truncate(size);
        Some(Some(part))
    }

    /// Goes away.
    pub fn hang_up(self) {
        let _ = self.reader.get_ref().shutdown(Shutdown::Both);
    }

    /// Whether the other side has closed.
    pub fn is_closed(&mut self) -> bool {
        !matches!(self.reader.fill_buf(), Ok([_, ..]))
    }
}
