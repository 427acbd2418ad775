//! A stream of server-sent events.

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serin_server::api::view::JournalLine;

/// Longest line of a stream, in bytes; a longer one ends it.
const LONGEST: usize = 4 << 20;

/// Journal lines as they come.
#[derive(Debug)]
pub struct Events {
    body: Incoming,
    parser: Parser,
}

impl Events {
    pub(super) fn new(body: Incoming) -> Self {
        Self { body, parser: Parser::default() }
    }

    /// The next line; `None` when the stream has ended, however it did.
    pub async fn next(&mut self) -> Option<JournalLine> {
        loop {
            while let Some(data) = self.parser.take() {
                // An event this version does not know is not for it.
                if let Ok(line) = serde_json::from_str(&data) {
                    return Some(line);
                }
            }
            let frame = self.body.frame().await?.ok()?;
            if let Ok(data) = frame.into_data() {
                self.parser.push(&data)?;
            }
        }
    }
}

/// Puts the bytes of a stream together to the data of its events.
#[derive(Debug, Default)]
struct Parser {
    bytes: Vec<u8>,
    data: String,
}

impl Parser {
    /// Takes more bytes; `None` when a line is too long to be one.
    fn push(&mut self, bytes: &Bytes) -> Option<()> {
        self.bytes.extend_from_slice(bytes);
        (self.bytes.len() + self.data.len() <= LONGEST).then_some(())
    }

    /// The data of the next whole event.
    fn take(&mut self) -> Option<String> {
        while let Some(end) = self.bytes.iter().position(|b| *b == b'\n') {
            let line: Vec<u8> = self.bytes.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line);
            let line = line.trim_end_matches(['\n', '\r']);
            if let Some(data) = line.strip_prefix("data:") {
                self.data.push_str(data.strip_prefix(' ').unwrap_or(data));
            } else if line.is_empty() && !self.data.is_empty() {
                return Some(std::mem::take(&mut self.data));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_whole_however_they_are_cut() {
        let text =
            ": beat\n\nid: 1\nevent: journal\ndata: {\"a\":\ndata: 1}\r\n\r\nid: 2\ndata:x\n\n";
        for size in [1, 3, 7, text.len()] {
            let mut parser = Parser::default();
            let mut seen = Vec::new();
            for chunk in text.as_bytes().chunks(size) {
                parser.push(&Bytes::copy_from_slice(chunk)).unwrap();
                seen.extend(std::iter::from_fn(|| parser.take()));
            }
            assert_eq!(seen, ["{\"a\":1}", "x"]);
        }
    }
}
