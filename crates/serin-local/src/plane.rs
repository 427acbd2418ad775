//! The data plane's client. Orders are level-triggered: the newest one of each service is given
//! until the data plane holds it on its disk, also to one that was started again.

use crate::error::Error;
use serin_proxy::wire::{Counters, Held, Order, Reply, Request, Route};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{MissedTickBehavior, sleep, timeout};

/// Name of the data plane's socket in the data directory.
const SOCKET: &str = "proxy.sock";
/// Time the data plane has to answer an order.
const ORDER: Duration = Duration::from_secs(2);
/// Time it has for the counters.
const COUNT: Duration = Duration::from_secs(1);
/// Time it has to say that it is there, and time between two such questions: one that hangs keeps
/// its connections open, and nothing else would tell.
const PING: (Duration, Duration) = (Duration::from_secs(1), Duration::from_millis(500));
/// Time between two tries to connect: doubled from the first to the last.
const RETRY: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));
/// Time between two tries of an order that was refused or did not get onto the disk.
const AGAIN: Duration = Duration::from_secs(1);

/// What the data plane says.
#[derive(Debug)]
pub(crate) enum PlaneFact {
    /// It is there and holds these orders.
    Met(Vec<Held>),
    /// It holds an order.
    Applied { service: String, order: Order, durable: bool, error: Option<String> },
    /// It holds a newer one, or could not do it.
    Refused { service: String, have: Option<Order>, why: String },
    /// It has forgotten the service.
    Withdrawn { service: String },
    /// It went away.
    Down,
}

/// What one service shall be in the data plane.
#[derive(Debug, Clone)]
pub(crate) enum Wanted {
    /// This table.
    Route(Box<Route>),
    /// Nothing. It may come back under any generation: all its orders come from us, in order.
    Withdrawn,
}

/// A handle; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Plane {
    orders: mpsc::UnboundedSender<(String, Wanted)>,
    counts: mpsc::UnboundedSender<oneshot::Sender<Counters>>,
    evidence: mpsc::UnboundedSender<(BTreeSet<String>, oneshot::Sender<Counters>)>,
    socket: PathBuf,
}

impl Plane {
    /// Begins to connect to the data plane of `data`; `tell` gets what it says.
    pub(crate) fn start(
        data: &Path,
        tell: impl Fn(PlaneFact) -> bool + Send + Sync + 'static,
    ) -> Self {
        let socket = data.join(SOCKET);
        let (orders, incoming) = mpsc::unbounded_channel();
        let (counts, asked) = mpsc::unbounded_channel();
        let (evidence, wanted) = mpsc::unbounded_channel();
        let mut task = Task::new(socket.clone(), incoming);
        tokio::spawn(async move { task.run(tell).await });
        tokio::spawn(count(socket.clone(), asked));
        tokio::spawn(count_evidence(socket.clone(), wanted));
        Self { orders, counts, evidence, socket }
    }

    /// Gives an order; a newer one of the same service replaces it.
    pub(crate) fn order(&self, service: &str, wanted: Wanted) {
        // Fails only when everything is ending.
        let _ = self.orders.send((service.into(), wanted));
    }

    /// Everything counted so far.
    pub(crate) async fn counters(&self) -> Result<Counters, Error> {
        let (reply, answer) = oneshot::channel();
        self.counts.send(reply).map_err(|_| Error::Ended)?;
        answer.await.map_err(|_| self.away())
    }

    /// What is evidence about these services.
    pub(crate) async fn evidence(&self, services: BTreeSet<String>) -> Result<Counters, Error> {
        let (reply, answer) = oneshot::channel();
        self.evidence.send((services, reply)).map_err(|_| Error::Ended)?;
        answer.await.map_err(|_| self.away())
    }

    fn away(&self) -> Error {
        Error::Away { who: "the data plane", socket: self.socket.clone() }
    }
}

/// One connection: a line out, a line in.
struct Connection {
    stream: BufReader<UnixStream>,
}

impl Connection {
    async fn open(socket: &Path) -> io::Result<Self> {
        Ok(Self { stream: BufReader::new(UnixStream::connect(socket).await?) })
    }

    /// Asks; the connection is of no use any more after an error.
    async fn call(&mut self, request: &Request, patience: Duration) -> io::Result<Reply> {
        let mut line = serde_json::to_vec(request)?;
        line.push(b'\n');
        let ask = async {
            self.stream.get_mut().write_all(&line).await?;
            let mut reply = String::new();
            match self.stream.read_line(&mut reply).await? {
                0 => Err(io::ErrorKind::UnexpectedEof.into()),
                _ => Ok(serde_json::from_str(&reply)?),
            }
        };
        timeout(patience, ask).await.map_err(|_| io::ErrorKind::TimedOut)?
    }

    async fn ping(&mut self) -> io::Result<()> {
        match self.call(&Request::Ping, PING.0).await? {
            Reply::Pong { .. } => Ok(()),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }
}

struct Task {
    socket: PathBuf,
    orders: mpsc::UnboundedReceiver<(String, Wanted)>,
    /// The newest order of each service.
    wanted: BTreeMap<String, Wanted>,
    /// Services whose newest order has to be given now.
    due: BTreeSet<String>,
    /// Services whose newest order was refused, or is held but not on the disk.
    unsettled: BTreeSet<String>,
}

impl Task {
    fn new(socket: PathBuf, orders: mpsc::UnboundedReceiver<(String, Wanted)>) -> Self {
        let (wanted, due, unsettled) = Default::default();
        Self { socket, orders, wanted, due, unsettled }
    }

    async fn run(&mut self, tell: impl Fn(PlaneFact) -> bool + Sync) {
        let mut wait = RETRY.0;
        while !self.orders.is_closed() {
            if let Ok(mut connection) = Connection::open(&self.socket).await
                && self.greet(&mut connection, &tell).await.is_ok()
            {
                wait = RETRY.0;
                let over = self.serve(&mut connection, &tell).await;
                if over || !tell(PlaneFact::Down) {
                    return;
                }
            }
            sleep(wait).await;
            wait = (wait * 2).min(RETRY.1);
        }
    }

    /// Learns what it holds; whatever is older than wanted is due.
    async fn greet(
        &mut self,
        connection: &mut Connection,
        tell: &(impl Fn(PlaneFact) -> bool + Sync),
    ) -> io::Result<()> {
        let Reply::Table(held) = connection.call(&Request::Table, ORDER).await? else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        let orders: BTreeMap<&str, Order> = held.iter().map(|h| (&*h.service, h.order)).collect();
        let behind = |(service, wanted): (&String, &Wanted)| match wanted {
            Wanted::Route(route) => orders.get(service.as_str()) != Some(&route.order()),
            Wanted::Withdrawn => true,
        };
        let due = self.wanted.iter().filter(|(s, w)| behind((s, w))).map(|(s, _)| s.clone());
        self.due = due.collect();
        tell(PlaneFact::Met(held));
        Ok(())
    }

    /// Gives orders until the connection breaks; true when nobody has any more.
    async fn serve(
        &mut self,
        connection: &mut Connection,
        tell: &(impl Fn(PlaneFact) -> bool + Sync),
    ) -> bool {
        let mut pings = tokio::time::interval(PING.1);
        let mut again = std::pin::pin!(sleep(AGAIN));
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            while let Some(service) = self.due.pop_first() {
                if self.give(connection, service, tell).await.is_err() {
                    return false;
                }
            }
            tokio::select! {
                order = self.orders.recv() => match order {
                    Some(order) => self.take(order),
                    None => return true,
                },
                // Nothing was asked, so whatever comes now is the end.
                _ = connection.stream.fill_buf() => return false,
                _ = pings.tick() => if connection.ping().await.is_err() {
                    return false;
                },
                () = &mut again, if !self.unsettled.is_empty() => {
                    self.due.append(&mut self.unsettled);
                    again.set(sleep(AGAIN));
                }
            }
        }
    }

    fn take(&mut self, (service, wanted): (String, Wanted)) {
        self.due.insert(service.clone());
        self.wanted.insert(service, wanted);
        while let Ok((service, wanted)) = self.orders.try_recv() {
            self.due.insert(service.clone());
            self.wanted.insert(service, wanted);
        }
    }

    async fn give(
        &mut self,
        connection: &mut Connection,
        service: String,
        tell: &(impl Fn(PlaneFact) -> bool + Sync),
    ) -> io::Result<()> {
        let Some(wanted) = self.wanted.get(&service) else { return Ok(()) };
        let request = match wanted.clone() {
            Wanted::Route(route) => Request::Apply(*route),
            Wanted::Withdrawn => Request::Remove { service: service.clone(), generation: None },
        };
        let reply = connection.call(&request, ORDER).await?;
        self.unsettled.remove(&service);
        tell(match reply {
            Reply::Applied { generation, sub, durable, error } => {
                if !durable || error.is_some() {
                    self.unsettled.insert(service.clone());
                }
                PlaneFact::Applied { service, order: Order { generation, sub }, durable, error }
            }
            Reply::Removed { durable, .. } => {
                if !durable {
                    self.unsettled.insert(service.clone());
                }
                PlaneFact::Withdrawn { service }
            }
            Reply::Stale { have } => {
                let why = format!("the data plane holds the newer order {have} of {service}");
                PlaneFact::Refused { service, have: Some(have), why }
            }
            Reply::Error(why) => {
                self.unsettled.insert(service.clone());
                PlaneFact::Refused { service, have: None, why }
            }
            _ => return Err(io::ErrorKind::InvalidData.into()),
        });
        Ok(())
    }
}

/// Answers requests for the counters over a connection of its own: they are long, and orders must
/// not wait behind them.
async fn count(socket: PathBuf, mut asked: mpsc::UnboundedReceiver<oneshot::Sender<Counters>>) {
    let mut connection = None;
    while let Some(first) = asked.recv().await {
        let mut askers = vec![first];
        while let Ok(more) = asked.try_recv() {
            askers.push(more);
        }
        if let Some(counters) = ask_twice(&socket, &mut connection, &Request::Counters).await {
            for asker in askers {
                let _ = asker.send(counters.clone());
            }
        }
    }
}

/// The same for evidence, on another connection: a judge does not wait for what people look at.
async fn count_evidence(
    socket: PathBuf,
    mut asked: mpsc::UnboundedReceiver<(BTreeSet<String>, oneshot::Sender<Counters>)>,
) {
    let mut connection = None;
    while let Some((services, asker)) = asked.recv().await {
        let request = Request::Evidence { services };
        let mut counters = ask_twice(&socket, &mut connection, &request).await;
        if counters.is_none() {
            // A data plane from before this question was known.
            counters = ask_twice(&socket, &mut connection, &Request::Counters).await;
        }
        if let Some(counters) = counters {
            let _ = asker.send(counters);
        }
    }
}

/// A kept connection may belong to a data plane that is gone: the second try is a new one. One that
/// does not answer in time gets no second try.
async fn ask_twice(
    socket: &Path,
    kept: &mut Option<Connection>,
    request: &Request,
) -> Option<Counters> {
    let mut counters = ask_counters(socket, kept, request).await;
    if counters.as_ref().is_err_and(|e| e.kind() != io::ErrorKind::TimedOut) {
        counters = ask_counters(socket, kept, request).await;
    }
    counters.ok()
}

async fn ask_counters(
    socket: &Path,
    kept: &mut Option<Connection>,
    request: &Request,
) -> io::Result<Counters> {
    let mut connection = match kept.take() {
        Some(connection) => connection,
        None => Connection::open(socket).await?,
    };
    match connection.call(request, COUNT).await? {
        Reply::Counters(counters) => {
            *kept = Some(connection);
            Ok(*counters)
        }
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}
