//! Threads that serve an edge, for hosts that have none of their own.

use crate::edge::Edge;
use crate::serve::{Worker, serve};
use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};

/// Connections at a time on each thread; more wait in the backlog.
const MAX_CONNECTIONS: usize = 20_000;
/// Pause after an accept that failed for want of descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// After the edge has closed, what runs has this long.
const LINGER: Duration = Duration::from_secs(5);

/// Threads that serve.
pub struct Host {
    edge: Arc<Edge>,
    senders: Vec<UnboundedSender<Given>>,
    threads: Vec<JoinHandle<()>>,
}

/// What a thread is given.
enum Given {
    Listener(TcpListener),
    Stream(std::net::TcpStream),
}

impl Host {
    /// Starts so many threads; 0 = one for each core.
    ///
    /// # Errors
    /// Whatever the system says.
    pub fn start(edge: &Arc<Edge>, threads: usize) -> io::Result<Self> {
        let count = match threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            some => some,
        };
        let (senders, receivers): (Vec<_>, Vec<_>) =
            (0..count).map(|_| mpsc::unbounded_channel()).unzip();
        let mut threads = Vec::with_capacity(count);
        for (index, given) in receivers.into_iter().enumerate() {
            let (edge, all) = (edge.clone(), senders.clone());
            let mut builder = tokio::runtime::Builder::new_current_thread();
            builder.enable_all();
            let work = move || {
                if let Ok(runtime) = builder.build_local(tokio::runtime::LocalOptions::default()) {
                    runtime.block_on(work(edge, index, given, all));
                }
            };
            threads.push(std::thread::Builder::new().name(format!("edge-{index}")).spawn(work)?);
        }
        Ok(Self { edge: edge.clone(), senders, threads })
    }

    /// Serves what connects here.
    ///
    /// # Errors
    /// The listener cannot be made non-blocking.
    pub fn listen(&self, listener: TcpListener) -> io::Result<()> {
        listener.set_nonblocking(true)?;
        if let Some(first) = self.senders.first() {
            let _ = first.send(Given::Listener(listener));
        }
        Ok(())
    }

    /// Stops accepting, ends streams, lets requests finish for a few seconds.
    pub fn stop(self) {
        self.edge.close();
        drop(self.senders);
        for thread in self.threads {
            let _ = thread.join();
        }
    }
}

async fn work(
    edge: Arc<Edge>,
    index: usize,
    mut given: UnboundedReceiver<Given>,
    all: Vec<UnboundedSender<Given>>,
) {
    let mut closing = edge.closing();
    let worker = Worker::new(edge);
    let room = Arc::new(tokio::sync::Semaphore::new(MAX_CONNECTIONS));
    loop {
        let next = tokio::select! {
            next = given.recv() => next,
            _ = closing.wait_for(|closing| *closing) => None,
        };
        match next {
            None => break,
            Some(Given::Listener(listener)) => {
                if let Ok(listener) = tokio::net::TcpListener::from_std(listener) {
                    let closing = worker.edge.closing();
                    tokio::task::spawn_local(accept(listener, index, all.clone(), closing));
                }
            }
            Some(Given::Stream(stream)) => {
                let Ok(stream) = tokio::net::TcpStream::from_std(stream) else { continue };
                let (worker, room) = (worker.clone(), room.clone());
                tokio::task::spawn_local(async move {
                    if let Ok(_place) = room.acquire_owned().await {
                        serve(worker, stream).await;
                    }
                });
            }
        }
    }
    let all_gone = room.acquire_many(MAX_CONNECTIONS as u32);
    let _ = tokio::time::timeout(LINGER, all_gone).await;
}

/// Accepts, and deals connections out in turn.
async fn accept(
    listener: tokio::net::TcpListener,
    first: usize,
    all: Vec<UnboundedSender<Given>>,
    mut closing: tokio::sync::watch::Receiver<bool>,
) {
    let mut turn = first;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = closing.wait_for(|closing| *closing) => return,
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        turn = (turn + 1) % all.len();
        if stream.set_nodelay(true).is_ok()
            && let Ok(stream) = stream.into_std()
        {
            let _ = all[turn].send(Given::Stream(stream));
        }
    }
}
