//! Users who come all the time.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

/// The status that a user of this name gets.
pub fn ask(line: &mut BufReader<TcpStream>, user: usize) -> u16 {
    ask_for(line, "/", user)
}

pub fn ask_for(line: &mut BufReader<TcpStream>, path: &str, user: usize) -> u16 {
    let head = format!("GET {path} HTTP/1.1\r\nHost: shop\r\nCookie: serin=u{user}\r\n\r\n");
    line.get_mut().write_all(head.as_bytes()).unwrap();
    let (mut status, mut length) = (0, 0);
    loop {
        let mut text = String::new();
        line.read_line(&mut text).unwrap();
        if text.trim().is_empty() {
            break;
        }
        if let Some(code) = text.strip_prefix("HTTP/1.1 ") {
            status = code[..3].parse().unwrap();
        }
        if let Some(bytes) = text.to_ascii_lowercase().strip_prefix("content-length:") {
            length = bytes.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    line.read_exact(&mut body).unwrap();
    status
}

/// Users who come all the time.
pub struct Crowd {
    stop: Arc<AtomicBool>,
    lines: Vec<JoinHandle<()>>,
}

impl Crowd {
    pub fn start(listen: SocketAddr) -> Self {
        Self::of(listen, 2_000, 0)
    }

    /// So many users, who come in the order of a seed.
    pub fn of(listen: SocketAddr, users: usize, seed: u64) -> Self {
        Self::going(listen, users, seed, &["/"])
    }

    /// Each request is for one of these.
    pub fn going(
        listen: SocketAddr,
        users: usize,
        seed: u64,
        paths: &'static [&'static str],
    ) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let line = |line: u64| {
            let stop = stop.clone();
            thread::spawn(move || {
                let mut rng = fastrand::Rng::with_seed(seed * 4 + line);
                let mut line = BufReader::new(TcpStream::connect(listen).unwrap());
                while !stop.load(Ordering::SeqCst) {
                    let path = paths[rng.usize(..paths.len())];
                    ask_for(&mut line, path, rng.usize(..users));
                }
            })
        };
        Self { lines: (0..4).map(line).collect(), stop }
    }

    pub fn end(self) {
        self.stop.store(true, Ordering::SeqCst);
        self.lines.into_iter().for_each(|line| line.join().unwrap());
    }
}
