//! A small app on threads: each request goes to a handler that writes what it likes.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// One request as it arrived.
pub struct Asked {
    /// Request line and headers, as they came.
    pub head: String,
    pub method: String,
    pub path: String,
    pub reader: BufReader<TcpStream>,
    pub stream: TcpStream,
}

impl Asked {
    /// Value of a header, by its lower-case name.
    pub fn header(&self, name: &str) -> Option<String> {
        self.headers(name).into_iter().next()
    }

    pub fn headers(&self, name: &str) -> Vec<String> {
        let lines = self.head.lines().filter_map(|line| line.split_once(':'));
        let hits = lines.filter(|(key, _)| key.eq_ignore_ascii_case(name));
        hits.map(|(_, value)| value.trim().to_owned()).collect()
    }

    /// The request body, by its length or by chunks.
    pub fn body(&mut self) -> io::Result<Vec<u8>> {
        if let Some(length) = self.header("content-length") {
            let mut body = vec![0; length.parse().unwrap()];
            self.reader.read_exact(&mut body)?;
            return Ok(body);
        }
        let mut body = Vec::new();
        if self.header("transfer-encoding").is_some() {
            while self.chunk(&mut body)? {}
        }
        Ok(body)
    }

    /// Reads one chunk; false after the last.
    pub fn chunk(&mut self, body: &mut Vec<u8>) -> io::Result<bool> {
        let mut size = String::new();
        self.reader.read_line(&mut size)?;
        let size = usize::from_str_radix(size.trim(), 16).map_err(io::Error::other)?;
        let mut part = vec![0; size + 2];
        self.reader.read_exact(&mut part)?;
        body.extend_from_slice(&part[..size]);
        Ok(size > 0)
    }

    /// Answers with a status and a body of known length.
    pub fn reply(&mut self, status: u16, body: &str) -> io::Result<()> {
        let length = body.len();
        let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\n\r\n");
        self.stream.write_all(format!("{head}{body}").as_bytes())
    }
}

type Handler = dyn Fn(&mut Asked) -> io::Result<()> + Send + Sync;

struct State {
    handler: Box<Handler>,
    open: Mutex<Vec<TcpStream>>,
    stopped: AtomicBool,
    served: AtomicUsize,
}

/// A running app.
pub struct App {
    pub addr: SocketAddr,
    state: Arc<State>,
}

impl App {
    /// Starts an app on a free port. An error of the handler closes the connection.
    pub fn start(handler: impl Fn(&mut Asked) -> io::Result<()> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let state = Arc::new(State {
            handler: Box::new(handler),
            open: Mutex::default(),
            stopped: AtomicBool::new(false),
            served: AtomicUsize::new(0),
        });
        let for_accept = state.clone();
        std::thread::spawn(move || accept(&listener, &for_accept));
        Self { addr, state }
    }

    /// Answers everything with its own name.
    pub fn named(name: &'static str) -> Self {
        Self::start(move |asked| {
            asked.body()?;
            asked.reply(200, name)
        })
    }

    /// Requests it has begun to serve.
    pub fn served(&self) -> usize {
        self.state.served.load(Ordering::SeqCst)
    }

    /// Dies like a killed process: nothing listens, every connection breaks.
    pub fn kill(&self) {
        self.state.stopped.store(true, Ordering::SeqCst);
        // Wakes the accept, which then drops the listener.
        let _ = TcpStream::connect(self.addr);
        while TcpStream::connect(self.addr).is_ok() {}
        self.drop_connections();
    }

    /// Closes every connection, and goes on listening.
    pub fn drop_connections(&self) {
        for stream in self.state.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for App {
    fn drop(&mut self) {
        self.kill();
    }
}

fn accept(listener: &TcpListener, state: &Arc<State>) {
    for stream in listener.incoming() {
        if state.stopped.load(Ordering::SeqCst) {
            return;
        }
        let stream = stream.unwrap();
        state.open.lock().unwrap().push(stream.try_clone().unwrap());
        let state = state.clone();
        std::thread::spawn(move || {
            let _ = converse(&stream, &state);
            let _ = stream.shutdown(Shutdown::Both);
        });
    }
}

fn converse(stream: &TcpStream, state: &State) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head)? == 0 {
                return Ok(());
            }
        }
        state.served.fetch_add(1, Ordering::SeqCst);
        let mut words = head.split_whitespace().map(str::to_owned);
        let (method, path) = (words.next().unwrap(), words.next().unwrap());
        let stream = stream.try_clone()?;
        let mut asked = Asked { head, method, path, reader, stream };
        (state.handler)(&mut asked)?;
        reader = asked.reader;
    }
}
