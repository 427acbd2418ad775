//! The control thread: listens to orders, keeps the listeners the table asks for, puts the
//! workers' counters together, and ends the process when told to.

use crate::fds;
use crate::hosted::Hosted;
use crate::merge::{level, merge};
use crate::table::{Refused, Table};
use crate::wire::{Counters, FlagsReply, Held, MAX_FDS, Reply, Request, Route};
use crate::{Error, Options, worker};
use serin_edge::Answer;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Interest};
use tokio::net::{UnixListener, UnixStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::{self, UnboundedSender};
use tokio::sync::{Mutex, Notify, oneshot};

/// Longest request line.
const MAX_LINE: u64 = 64 * 1024 * 1024;
/// Pause between attempts to open what could not be opened.
const REOPEN: Duration = Duration::from_millis(250);

/// State of the control thread.
pub struct Control {
    table: Arc<Table>,
    hosted: Arc<Hosted>,
    keeper: Option<PathBuf>,
    workers: Vec<UnboundedSender<worker::Order>>,
    listeners: RefCell<BTreeMap<SocketAddr, TcpListener>>,
    opening: Mutex<()>,
    /// Some address could not be opened.
    unopened: Notify,
    seq: Cell<u64>,
    closed_through_s: Cell<u64>,
    draining: Cell<bool>,
    quit: Notify,
}

impl Control {
    /// The control thread of these workers.
    pub fn new(
        table: Arc<Table>,
        hosted: Arc<Hosted>,
        keeper: Option<PathBuf>,
        workers: Vec<UnboundedSender<worker::Order>>,
    ) -> Rc<Self> {
        Rc::new(Self {
            table,
            hosted,
            keeper,
            workers,
            listeners: RefCell::default(),
            opening: Mutex::new(()),
            unopened: Notify::new(),
            seq: Cell::new(0),
            closed_through_s: Cell::new(0),
            draining: Cell::new(false),
            quit: Notify::new(),
        })
    }

    /// Serves until told to end, then until the workers have drained or the deadline is over.
    ///
    /// # Errors
    /// The control socket cannot be opened, or signals cannot be caught.
    pub async fn run(self: Rc<Self>, options: &Options) -> Result<(), Error> {
        let mut term = signal(SignalKind::terminate()).map_err(Error::Runtime)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(Error::Runtime)?;
        let socket = open_socket(&options.control)
            .map_err(|source| Error::Control { path: options.control.clone(), source })?;
        tokio::task::spawn_local(self.clone().keep_open());
        tokio::task::spawn_local(self.clone().accept(socket));
        tokio::select! {
            _ = term.recv() => {}
            _ = interrupt.recv() => {}
            () = self.quit.notified() => {}
        }
        self.drain(options.drain_deadline).await;
        Ok(())
    }

    async fn drain(&self, deadline: Duration) {
        self.draining.set(true);
        self.listeners.borrow_mut().clear();
        self.hosted.edge.close();
        let (done, mut all_done) = mpsc::unbounded_channel();
        // The first passes the word on.
        self.tell_first(worker::Order::Drain(done));
        let _ = tokio::time::timeout(deadline, all_done.recv()).await;
    }

    /// Opens what the table asks for; what fails is tried again until it works.
    async fn keep_open(self: Rc<Self>) {
        loop {
            if self.open_listeners().await.is_empty() {
                self.unopened.notified().await;
            }
            tokio::time::sleep(REOPEN).await;
        }
    }

    /// Opens and closes listeners as the table asks. What failed, by address.
    async fn open_listeners(&self) -> BTreeMap<SocketAddr, io::Error> {
        let _opening = self.opening.lock().await;
        let mut failed = BTreeMap::new();
        if self.draining.get() {
            return failed;
        }
        let routes = self.table.shared.routes();
        let routed: BTreeSet<SocketAddr> =
            routes.values().flat_map(|route| route.addresses()).collect();
        // A service's users come before flags where both ask for an address.
        let flags: BTreeSet<SocketAddr> = self
            .hosted
            .edge
            .addresses()
            .into_iter()
            .filter(|addr| !routed.contains(addr))
            .collect();
        self.table.shared.set_flag_addresses(flags.clone());
        let wanted: BTreeSet<SocketAddr> = routed.into_iter().chain(flags).collect();
        self.close_unwanted(&wanted);
        for addr in wanted {
            if !self.listeners.borrow().contains_key(&addr)
                && let Err(error) = self.open(addr).await
            {
                self.unopened.notify_one();
                failed.insert(addr, error);
            }
        }
        failed
    }

    fn close_unwanted(&self, wanted: &BTreeSet<SocketAddr>) {
        self.listeners.borrow_mut().retain(|addr, _| {
            let keep = wanted.contains(addr);
            if !keep {
                self.tell_first(worker::Order::Unlisten(*addr));
            }
            keep
        });
    }

    async fn open(&self, addr: SocketAddr) -> io::Result<()> {
        let keeper = self.keeper.clone();
        let open = move || match keeper {
            Some(keeper) => fds::fetch(&keeper, addr),
            None => fds::bind(addr),
        };
        let listener = tokio::task::spawn_blocking(open).await.map_err(io::Error::other)??;
        if self.draining.get() {
            return Ok(());
        }
        self.tell_first(worker::Order::Listen(addr, listener.try_clone()?));
        self.listeners.borrow_mut().insert(addr, listener);
        Ok(())
    }

    fn tell_first(&self, order: worker::Order) {
        if let Some(first) = self.workers.first() {
            let _ = first.send(order);
        }
    }

    async fn accept(self: Rc<Self>, socket: UnixListener) {
        loop {
            match socket.accept().await {
                Ok((stream, _)) => {
                    tokio::task::spawn_local(self.clone().converse(stream));
                }
                Err(_) => tokio::time::sleep(REOPEN).await,
            }
        }
    }

    /// One controller's connection; an error of it ends it.
    async fn converse(self: Rc<Self>, stream: UnixStream) {
        let mut reader = BufReader::new(stream);
        let mut line = Vec::new();
        let mut counted = BTreeMap::new();
        loop {
            line.clear();
            let read = (&mut reader).take(MAX_LINE).read_until(b'\n', &mut line).await;
            if !matches!(read, Ok(1..)) || line.last() != Some(&b'\n') {
                return;
            }
            let sent = match serde_json::from_slice(&line) {
                Ok(Request::Listeners) => self.send_listeners(reader.get_mut()).await,
                Ok(Request::FlagCounts) => {
                    let reply = self.flag_counts(&mut counted).await;
                    send(reader.get_mut(), &reply).await
                }
                Ok(request) => send(reader.get_mut(), &self.answer(request).await).await,
                Err(error) => {
                    let reply = Reply::Error(format!("not a request: {error}"));
                    send(reader.get_mut(), &reply).await
                }
            };
            if sent.is_err() {
                return;
            }
        }
    }

    async fn answer(&self, request: Request) -> Reply {
        match request {
            Request::Apply(route) => self.apply(route).await,
            Request::Remove { service, generation } => {
                self.table.remove(&service, generation);
                let (durable, error) = self.changed().await;
                self.open_listeners().await;
                Reply::Removed { durable, error }
            }
            Request::Flags(table) => {
                let addresses = table.listen.clone();
                self.flags(addresses, move |hosted| hosted.replace(table)).await
            }
            Request::FlagUpsert(change) => {
                self.flags(Vec::new(), move |hosted| hosted.upsert(&change)).await
            }
            Request::FlagCounts => self.flag_counts(&mut BTreeMap::new()).await,
            Request::Counters => Reply::Counters(Box::new(self.counters().await)),
            Request::Evidence { services } => {
                let mut counters = self.counters().await;
                counters.keep_evidence(&services);
                Reply::Counters(Box::new(counters))
            }
            Request::Ping => Reply::Pong {
                pid: std::process::id(),
                epoch: self.table.shared.clock.epoch(),
                draining: self.draining.get(),
            },
            Request::Table => Reply::Table(self.held()),
            Request::Listeners => Reply::Error("listeners travel by themselves".to_owned()),
            Request::Quit => {
                self.quit.notify_one();
                Reply::Quitting
            }
        }
    }

    async fn apply(&self, route: Route) -> Reply {
        let (order, mut addresses) = (route.order(), route.addresses());
        match self.table.apply(route) {
            Err(Refused::Stale(have)) => return Reply::Stale { have },
            Err(refused) => return Reply::Error(refused.to_string()),
            Ok(()) => {}
        }
        let (durable, mut error) = self.changed().await;
        let failed = self.open_listeners().await;
        if let Some((addr, why)) = addresses.find_map(|addr| failed.get_key_value(&addr)) {
            error.get_or_insert(format!("{addr} is not open yet: {why}"));
        }
        Reply::Applied { generation: order.generation, sub: order.sub, durable, error }
    }

    /// Changes flags in a thread of its own: compiling many takes a while.
    async fn flags(
        &self,
        addresses: Vec<SocketAddr>,
        change: impl FnOnce(&Hosted) -> FlagsReply + Send + 'static,
    ) -> Reply {
        let hosted = self.hosted.clone();
        let changed = move || (change(&hosted), hosted.is_untidy());
        let (mut reply, is_untidy) = match tokio::task::spawn_blocking(changed).await {
            Ok(done) => done,
            Err(error) => return Reply::Error(format!("the flags could not be changed: {error}")),
        };
        self.settle().await;
        if is_untidy {
            let hosted = self.hosted.clone();
            tokio::task::spawn_blocking(move || hosted.fold());
        }
        let failed = self.open_listeners().await;
        if let FlagsReply::Held { error, .. } = &mut reply
            && let Some((addr, why)) = addresses.iter().find_map(|addr| failed.get_key_value(addr))
        {
            error.get_or_insert(format!("{addr} is not open yet: {why}"));
        }
        Reply::Flags(reply)
    }

    /// What was counted and `seen` does not have yet, found in a thread of its own: of many flags
    /// there is a lot.
    async fn flag_counts(&self, seen: &mut BTreeMap<Answer, u64>) -> Reply {
        let (edge, mut known) = (self.hosted.edge.clone(), std::mem::take(seen));
        let found = tokio::task::spawn_blocking(move || {
            let mut counts = edge.counts();
            counts.keep_news(&mut known);
            (counts, known)
        });
        match found.await {
            Ok((counts, known)) => {
                *seen = known;
                Reply::FlagCounts(Box::new(counts))
            }
            Err(error) => Reply::Error(format!("the evaluations were not counted: {error}")),
        }
    }

    /// Waits until the streams that a change woke have written it to their sockets.
    async fn settle(&self) {
        let mut waiting = Vec::new();
        for worker in &self.workers {
            let (reply, settled) = oneshot::channel();
            if worker.send(worker::Order::Settle(reply)).is_ok() {
                waiting.push(settled);
            }
        }
        for settled in waiting {
            let _ = settled.await;
        }
    }

    /// Tells the workers, who would notice only with the next request, and the disk.
    async fn changed(&self) -> (bool, Option<String>) {
        for worker in &self.workers {
            let _ = worker.send(worker::Order::CatchUp);
        }
        let table = self.table.clone();
        let saved = tokio::task::spawn_blocking(move || table.save()).await;
        match saved.map_err(io::Error::other).and_then(|result| result) {
            Ok(()) => (true, None),
            Err(error) => (false, Some(format!("the table is not on disk: {error}"))),
        }
    }

    async fn counters(&self) -> Counters {
        let mut waiting = Vec::new();
        for worker in &self.workers {
            let (reply, report) = oneshot::channel();
            if worker.send(worker::Order::Report(reply)).is_ok() {
                waiting.push(report);
            }
        }
        let mut all = Counters { closed_through_s: u64::MAX, ..Counters::default() };
        for report in waiting {
            if let Ok(report) = report.await {
                merge(&mut all, report);
            }
        }
        let shared = &self.table.shared;
        let now_ms = shared.clock.now_ms();
        shared.reported.report(now_ms, &mut all);
        shared.sessions.report(now_ms, &mut all);
        level(&mut all);
        self.seq.set(self.seq.get() + 1);
        if all.closed_through_s != u64::MAX {
            self.closed_through_s.set(all.closed_through_s.max(self.closed_through_s.get()));
        }
        all.closed_through_s = self.closed_through_s.get();
        all.seq = self.seq.get();
        all.epoch = self.table.shared.clock.epoch();
        all
    }

    fn held(&self) -> Vec<Held> {
        let listeners = self.listeners.borrow();
        let held = |route: &Arc<Route>| Held {
            service: route.service.clone(),
            order: route.order(),
            listen: route.listen,
            listening: listeners.contains_key(&route.listen),
        };
        self.table.shared.routes().values().map(held).collect()
    }

    async fn send_listeners(&self, stream: &mut UnixStream) -> io::Result<()> {
        let copies: Vec<(SocketAddr, TcpListener)> = {
            let listeners = self.listeners.borrow();
            let copy = |(addr, listener): (&SocketAddr, &TcpListener)| {
                listener.try_clone().map(|copy| (*addr, copy))
            };
            listeners.iter().take(MAX_FDS).map(copy).collect::<io::Result<_>>()?
        };
        let line = encode(&Reply::Addrs(copies.iter().map(|(addr, _)| *addr).collect()))?;
        let all: Vec<_> = copies.iter().map(|(_, listener)| listener.as_fd()).collect();
        let sent =
            stream.async_io(Interest::WRITABLE, || fds::send(stream.as_fd(), &line, &all)).await?;
        stream.write_all(&line[sent..]).await
    }
}

fn encode(reply: &Reply) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(reply)?;
    line.push(b'\n');
    Ok(line)
}

async fn send(stream: &mut UnixStream, reply: &Reply) -> io::Result<()> {
    stream.write_all(&encode(reply)?).await
}

/// Opens the control socket for its owner only. It appears under its name with its final mode,
/// in place of one that an earlier process left.
fn open_socket(path: &Path) -> io::Result<UnixListener> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let mut temp = path.as_os_str().to_owned();
    temp.push(format!(".{}", std::process::id()));
    let temp = PathBuf::from(temp);
    let _ = fs::remove_file(&temp);
    let socket = UnixListener::bind(&temp)?;
    fs::set_permissions(&temp, fs::Permissions::from_mode(0o600))?;
    fs::rename(&temp, path)?;
    Ok(socket)
}
