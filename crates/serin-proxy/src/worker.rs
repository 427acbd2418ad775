//! A worker: one thread with a runtime, pools and counters of its own. Worker 0 also accepts, and
//! deals connections out in turn.

use crate::clock::Clock;
use crate::route::{Backend, Route};
use crate::session;
use crate::shard::Shard;
use crate::table::Shared;
use crate::wire::Counters;
use fastrand::Rng;
use serin_edge::Edge;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::task::AbortHandle;

/// From the start of a drain, idle connections have this long to send a request that can be
/// answered with `Connection: close`.
const LINGER: Duration = Duration::from_secs(1);
const SWEEP: Duration = Duration::from_secs(1);
/// Pause after an accept that failed for want of descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What the control thread, or worker 0, tells a worker.
pub enum Order {
    /// Accept on this listener (worker 0 only).
    Listen(SocketAddr, std::net::TcpListener),
    /// Stop accepting on this address.
    Unlisten(SocketAddr),
    /// Serve this connection.
    Serve(std::net::TcpStream, SocketAddr, SocketAddr, OwnedSemaphorePermit),
    /// Look at the table even without traffic.
    CatchUp,
    /// Answer once everything that was woken before has had its turn.
    Settle(oneshot::Sender<()>),
    /// Report the counters.
    Report(oneshot::Sender<Counters>),
    /// Finish what runs, then say so by dropping this. Reports are given until the end.
    Drain(UnboundedSender<Never>),
}

/// What is never sent: a channel of it only closes.
pub enum Never {}

/// An address that users connect to.
pub struct Port {
    pub addr: SocketAddr,
    route: RefCell<Option<Rc<Route>>>,
}

/// One worker.
pub struct Worker {
    pub clock: Clock,
    pub rng: RefCell<Rng>,
    /// Answers carry `Connection: close`.
    pub draining: Cell<bool>,
    /// Idle connections are closed.
    pub closing: Cell<bool>,
    shared: Arc<Shared>,
    flags: Rc<serin_edge::Worker>,
    version: Cell<u64>,
    ports: RefCell<HashMap<SocketAddr, Rc<Port>>>,
    shard: RefCell<Shard>,
    next_id: Cell<u64>,
    open: Cell<u64>,
    ended: Notify,
    sleepers: RefCell<HashMap<u64, Waker>>,
}

/// A connection's place among the open ones.
pub struct Live {
    worker: Rc<Worker>,
    id: u64,
    _permit: OwnedSemaphorePermit,
}

impl Live {
    /// Number of the connection.
    pub fn id(&self) -> u64 {
        self.id
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.worker.open.set(self.worker.open.get() - 1);
        self.worker.ended.notify_one();
    }
}

impl Worker {
    fn new(shared: Arc<Shared>, edge: Arc<Edge>) -> Rc<Self> {
        Rc::new(Self {
            clock: shared.clock,
            rng: RefCell::new(Rng::new()),
            draining: Cell::new(false),
            closing: Cell::new(false),
            shard: RefCell::new(Shard::new(shared.sessions.clone())),
            shared,
            flags: serin_edge::Worker::new(edge),
            version: Cell::new(0),
            ports: RefCell::default(),
            next_id: Cell::new(0),
            open: Cell::new(0),
            ended: Notify::new(),
            sleepers: RefCell::default(),
        })
    }

    /// The route that holds for a request arriving now.
    pub fn route(&self, port: &Port) -> Option<Rc<Route>> {
        self.catch_up();
        port.route.borrow().clone()
    }

    fn catch_up(&self) {
        let version = self.shared.version();
        if version == self.version.get() {
            return;
        }
        self.version.set(version);
        let mut shard = self.shard.borrow_mut();
        shard.adopt(&self.shared.routes(), &self.shared.flags());
        self.ports.borrow_mut().retain(|_, port| {
            Self::point(port, &shard);
            // One without a route is asked for again when somebody comes.
            port.route.borrow().is_some() || Rc::strong_count(port) > 1
        });
    }

    /// A port shows the route that listens there, or, once that has moved elsewhere, the route
    /// its connections were made for. A preview does not move: nobody is led to users' revisions
    /// who came for another one.
    fn point(port: &Port, shard: &Shard) {
        let mut held = port.route.borrow_mut();
        let before = held.as_ref().filter(|route| !route.preview);
        let before = before.map(|route| route.service.name.clone());
        *held = shard.listening(port.addr).or_else(|| shard.route(&before?));
    }

    fn port(&self, addr: SocketAddr) -> Rc<Port> {
        self.catch_up();
        let mut ports = self.ports.borrow_mut();
        let port = ports.entry(addr).or_insert_with(|| {
            let port = Port { addr, route: RefCell::default() };
            Self::point(&port, &self.shard.borrow());
            Rc::new(port)
        });
        port.clone()
    }

    /// Keeps a way to wake an open connection.
    pub fn remember(&self, id: u64, waker: &Waker) {
        self.sleepers.borrow_mut().entry(id).or_insert_with(|| waker.clone());
    }

    /// A connection has ended.
    pub fn forget(&self, id: u64) {
        self.sleepers.borrow_mut().remove(&id);
    }

    fn live(self: &Rc<Self>, permit: OwnedSemaphorePermit) -> Live {
        self.open.set(self.open.get() + 1);
        self.next_id.set(self.next_id.get() + 1);
        Live { worker: self.clone(), id: self.next_id.get(), _permit: permit }
    }

    fn serve(
        self: &Rc<Self>,
        stream: TcpStream,
        port: SocketAddr,
        peer: SocketAddr,
        permit: OwnedSemaphorePermit,
    ) {
        let live = self.live(permit);
        if self.shared.flag_addresses().contains(&port) {
            let flags = self.flags.clone();
            tokio::task::spawn_local(async move {
                serin_edge::serve(flags, stream).await;
                drop(live);
            });
            return;
        }
        let port = self.port(port);
        tokio::task::spawn_local(session::serve(self.clone(), port, stream, peer, live));
    }

    /// Room for connections to an address.
    fn slots(&self, addr: SocketAddr) -> Arc<Semaphore> {
        let is_flags = self.shared.flag_addresses().contains(&addr);
        if is_flags { self.shared.flag_slots.clone() } else { self.shared.slots.clone() }
    }

    fn report(&self) -> Counters {
        self.catch_up();
        self.shard.borrow_mut().report(self.clock.now_ms())
    }

    fn sweep(&self) {
        let now = Instant::now();
        self.shard
            .borrow_mut()
            .backends()
            .for_each(|backend: &Rc<Backend>| backend.pool.sweep(now));
    }

    async fn drained(&self) {
        self.draining.set(true);
        let linger = tokio::time::sleep(LINGER);
        tokio::pin!(linger);
        while self.open.get() > 0 {
            tokio::select! {
                () = self.ended.notified() => {}
                () = &mut linger, if !self.closing.get() => {
                    self.closing.set(true);
                    self.sleepers.borrow().values().for_each(Waker::wake_by_ref);
                }
            }
        }
    }
}

/// Runs one worker until it is told to drain and its last connection has ended.
pub fn run(
    shared: Arc<Shared>,
    edge: Arc<Edge>,
    orders: UnboundedReceiver<Order>,
    workers: Vec<UnboundedSender<Order>>,
) -> io::Result<()> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().build_local(tokio::runtime::LocalOptions::default())?;
    runtime.block_on(obey(Worker::new(shared, edge), orders, workers));
    Ok(())
}

async fn obey(
    worker: Rc<Worker>,
    mut orders: UnboundedReceiver<Order>,
    workers: Vec<UnboundedSender<Order>>,
) {
    let mut accepting = Accepting { worker: worker.clone(), workers, tasks: HashMap::new() };
    let mut sweep = tokio::time::interval(SWEEP);
    loop {
        let order = tokio::select! {
            order = orders.recv() => order,
            _ = sweep.tick() => {
                worker.sweep();
                continue;
            }
        };
        match order {
            None => return,
            Some(Order::Drain(done)) => {
                accepting.end(&done);
                let worker = worker.clone();
                tokio::task::spawn_local(async move {
                    worker.drained().await;
                    drop(done);
                });
            }
            Some(Order::Listen(addr, listener)) => accepting.begin(addr, listener),
            Some(Order::Unlisten(addr)) => {
                accepting.tasks.remove(&addr).inspect(AbortHandle::abort);
            }
            Some(Order::Serve(stream, port, peer, permit)) => {
                if let Ok(stream) = TcpStream::from_std(stream) {
                    worker.serve(stream, port, peer, permit);
                }
            }
            Some(Order::CatchUp) => worker.catch_up(),
            Some(Order::Settle(reply)) => {
                worker.flags.catch_up();
                let _ = reply.send(());
            }
            Some(Order::Report(reply)) => {
                let _ = reply.send(worker.report());
            }
        }
    }
}

/// Worker 0's listeners; `workers` are the others.
struct Accepting {
    worker: Rc<Worker>,
    workers: Vec<UnboundedSender<Order>>,
    tasks: HashMap<SocketAddr, AbortHandle>,
}

impl Accepting {
    fn begin(&mut self, addr: SocketAddr, listener: std::net::TcpListener) {
        if let Ok(listener) = TcpListener::from_std(listener) {
            let accept = accept(self.worker.clone(), addr, listener, self.workers.clone());
            let task = tokio::task::spawn_local(accept).abort_handle();
            self.tasks.insert(addr, task).inspect(AbortHandle::abort);
        }
    }

    /// Ends accepting, and passes the word on behind the connections already dealt out.
    fn end(&mut self, done: &UnboundedSender<Never>) {
        for (_, task) in self.tasks.drain() {
            task.abort();
        }
        for other in &self.workers {
            let _ = other.send(Order::Drain(done.clone()));
        }
    }
}

/// Accepts for all workers; `workers` are the others, after this one.
async fn accept(
    worker: Rc<Worker>,
    addr: SocketAddr,
    listener: TcpListener,
    workers: Vec<UnboundedSender<Order>>,
) {
    let mut turn = 0;
    loop {
        // At the limit, clients wait in the backlog.
        let Ok(permit) = worker.slots(addr).acquire_owned().await else { return };
        let Ok((stream, peer)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        if tune(&stream).is_err() {
            continue;
        }
        turn = (turn + 1) % (workers.len() + 1);
        match turn.checked_sub(1).map(|index| &workers[index]) {
            None => worker.serve(stream, addr, peer, permit),
            Some(other) => {
                if let Ok(stream) = stream.into_std() {
                    let _ = other.send(Order::Serve(stream, addr, peer, permit));
                }
            }
        }
    }
}

/// No delay for small writes; a peer that vanished is noticed by the kernel some day.
fn tune(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    rustix::net::sockopt::set_socket_keepalive(stream, true)?;
    Ok(())
}
