//! An edge with a set of flags, and a client of HTTP/1.1.

use serde_json::{Value, json};
use serin_edge::{Counts, Edge, Host, Revision, Settings, Source, Table};
use serin_flags::Bucketing;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

/// A running edge with two threads.
pub struct Rig {
    pub edge: Arc<Edge>,
    pub addr: SocketAddr,
    host: Option<Host>,
}

impl Rig {
    /// With this table.
    pub fn new(table: Table) -> Self {
        Self::with(&Settings::new([7; 32]), |edge| drop(edge.replace(table).unwrap()))
    }

    /// With one flagd document as the set `production`.
    pub fn flagd(document: Value) -> Self {
        let rig = Self::with(&Settings::new([7; 32]), |_| {});
        rig.put(1, document);
        rig
    }

    pub fn with(settings: &Settings, fill: impl FnOnce(&Edge)) -> Self {
        let edge = Edge::new(settings);
        fill(&edge);
        let host = Host::start(&edge, 2).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        host.listen(listener).unwrap();
        Self { edge, addr, host: Some(host) }
    }

    /// Replaces the document.
    pub fn put(&self, n: u64, document: Value) {
        let table = Table { revision: Revision { epoch: 1, n }, ..Table::default() };
        let name = "production".to_owned();
        let document = Arc::new(document);
        let source = Source::Document { name, document, bucketing: Bucketing::V3 };
        self.edge.replace_sources(table, vec![source]).unwrap();
    }

    pub fn client(&self) -> Client {
        Client::connect(self.addr)
    }

    /// One request on a connection of its own.
    pub fn ask(&self, head: &str, body: &str) -> Got {
        self.client().ask(head, body)
    }

    /// One flag over OFREP.
    pub fn flag(&self, key: &str, context: &Value) -> Got {
        let body = json!({ "context": context }).to_string();
        self.ask(&format!("POST /ofrep/v1/evaluate/flags/{key}"), &body)
    }

    pub fn counts(&self) -> Counts {
        self.edge.counts()
    }

    pub fn stop(&mut self) {
        self.host.take().unwrap().stop();
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        // Its threads end by themselves: a client in this very thread could not say goodbye.
        self.edge.close();
    }
}

/// An answer.
#[derive(Debug)]
pub struct Got {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Got {
    pub fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(':'));
        let mut hits = lines.filter(|(key, _)| key.eq_ignore_ascii_case(name));
        hits.next().map(|(_, value)| value.trim())
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("{self:?}"))
    }
}

/// A connection.
pub struct Client {
    reader: BufReader<TcpStream>,
}

impl Client {
    pub fn connect(addr: SocketAddr) -> Self {
        let stream = TcpStream::connect(addr).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        Self { reader: BufReader::new(stream) }
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.reader.get_mut().write_all(bytes).unwrap();
    }

    /// `head` is the method, the path, and lines of headers.
    pub fn ask(&mut self, head: &str, body: &str) -> Got {
        let (line, headers) = head.split_once('\n').unwrap_or((head, ""));
        let headers = headers.replace('\n', "\r\n");
        let headers = if headers.is_empty() { headers } else { headers + "\r\n" };
        let length = body.len();
        let text = format!(
            "{line} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
        );
        self.send(text.as_bytes());
        self.receive()
    }

    pub fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let count = self.reader.read_line(&mut line).unwrap_or(0);
        (count > 0).then_some(line)
    }

    pub fn receive_head(&mut self) -> Got {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            head.push_str(&self.line().unwrap_or_else(|| panic!("only {head:?}")));
        }
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Got { status, head, body: String::new() }
    }

    pub fn receive(&mut self) -> Got {
        let mut got = self.receive_head();
        let length = got.header("content-length").map_or(0, |text| text.parse().unwrap());
        let mut body = vec![0; length];
        self.reader.read_exact(&mut body).unwrap();
        got.body = String::from_utf8(body).unwrap();
        got
    }

    /// Opens an event stream.
    pub fn open(&mut self, path: &str, headers: &str) -> Got {
        let text = format!("GET {path} HTTP/1.1\r\nHost: a\r\n{headers}\r\n");
        self.send(text.as_bytes());
        self.receive_head()
    }

    /// The next event: its lines, or none when the stream has ended.
    pub fn event(&mut self) -> Option<Vec<String>> {
        let size = self.line()?;
        let size = usize::from_str_radix(size.trim(), 16).unwrap();
        let mut part = vec![0; size + 2];
        self.reader.read_exact(&mut part).unwrap();
        part.truncate(size);
        let text = String::from_utf8(part).unwrap();
        (size > 0).then(|| text.trim_end().lines().map(str::to_owned).collect())
    }
}

/// A flagd document with one of everything.
pub fn document() -> Value {
    let flag = |variants: Value, default: Value| json!({"state": "ENABLED", "variants": variants, "defaultVariant": default});
    let booleans = || json!({"on": true, "off": false});
    let mut flags = json!({
        "bool": flag(booleans(), "on".into()),
        "text": flag(json!({"hi": "hello", "bye": "good-bye"}), "hi".into()),
        "int": flag(json!({"one": 1, "ten": 10}), "ten".into()),
        "float": flag(json!({"half": 0.5, "seven": 7.0}), "seven".into()),
        "object": flag(json!({"a": {"title": "T", "n": 3}}), "a".into()),
        "null": flag(booleans(), Value::Null),
        "plan": flag(booleans(), "off".into()),
        "broken": flag(booleans(), "off".into()),
        "lost": flag(booleans(), "off".into()),
        "now": flag(booleans(), "off".into()),
        "off": flag(booleans(), "on".into()),
    });
    flags["off"]["state"] = "DISABLED".into();
    flags["plan"]["targeting"] = json!({"if": [{"$ref": "isPro"}, "on", null]});
    flags["plan"]["metadata"] = json!({"owner": "shop", "flagSetId": "mine"});
    flags["broken"]["targeting"] = json!({"if": [{"$ref": "nowhere"}, "on"]});
    flags["lost"]["targeting"] = json!({"if": [true, "purple"]});
    flags["now"]["targeting"] =
        json!({"if": [{"<": [{"var": "$flagd.timestamp"}, 4_000_000_000_u64]}, "on"]});
    json!({
        "metadata": {"flagSetId": "production", "version": "7"},
        "$evaluators": {"isPro": {"==": [{"var": "plan"}, "pro"]}},
        "flags": flags,
    })
}
