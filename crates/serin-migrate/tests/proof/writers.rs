//! Clients of both versions that write all the time, each its own rows, and know what they hold.

use crate::model::{Act, Row, Side, first, query, read_as};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tokio_postgres::{Client, NoTls};

/// Clients.
const CLIENTS: i64 = 4;

/// A server that is started again answers within this time.
const PATIENCE: Duration = Duration::from_secs(60);

/// Findings that are kept.
const FINDINGS: usize = 20;

/// Which versions may write now.
#[derive(Debug, Clone, Copy, Default)]
struct Allowed {
    old: bool,
    new: bool,
    ended: bool,
}

struct Shared {
    url: String,
    rows: i64,
    allowed: RwLock<Allowed>,
    done: AtomicU64,
    findings: Mutex<Vec<String>>,
}

/// The clients, and all that they know.
pub struct Writers {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<BTreeMap<i64, Row>>>,
}

impl Writers {
    /// Old clients write from now on; ids `1..=rows` are there.
    pub fn start(url: String, rows: i64, seed: u64) -> Self {
        let shared = Arc::new(Shared {
            url,
            rows,
            allowed: RwLock::new(Allowed { old: true, ..Allowed::default() }),
            done: AtomicU64::new(0),
            findings: Mutex::default(),
        });
        let threads = (0..CLIENTS).map(|number| {
            let shared = Arc::clone(&shared);
            let chance = fastrand::Rng::with_seed(seed * 100 + number as u64);
            std::thread::spawn(move || Writer::new(&shared, number, chance).run())
        });
        Self { threads: threads.collect(), shared }
    }

    /// From now on these write; writes of others are over when this returns.
    pub fn allow(&self, old: bool, new: bool) {
        let mut allowed = self.shared.allowed.write().unwrap_or_else(PoisonError::into_inner);
        *allowed = Allowed { old, new, ..*allowed };
    }

    /// Comes back when so many more writes are done.
    pub fn after(&self, writes: u64) {
        let until = self.shared.done.load(Ordering::Relaxed) + writes;
        while self.shared.done.load(Ordering::Relaxed) < until && self.findings().is_empty() {
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }

    /// What was wrong so far.
    pub fn findings(&self) -> Vec<String> {
        self.shared.findings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ends them, and compares all rows as `sides` see them.
    pub fn end(self, sides: &[Side]) -> Vec<String> {
        {
            let mut allowed = self.shared.allowed.write().unwrap_or_else(PoisonError::into_inner);
            allowed.ended = true;
        }
        let mut rows = BTreeMap::new();
        for thread in self.threads {
            rows.extend(thread.join().unwrap());
        }
        let runtime = runtime();
        let client = connect(&runtime, &self.shared.url).unwrap();
        for side in sides {
            let said = runtime.block_on(client.query(query(*side), &[]));
            let said = match said {
                Ok(said) => said,
                Err(error) => {
                    self.shared.found(format!("{side:?} clients cannot read: {error:?}"));
                    continue;
                }
            };
            let said: BTreeMap<i64, String> = said
                .iter()
                .map(|row| (row.get::<_, String>(0).parse().unwrap(), row.get(1)))
                .collect();
            self.shared.compare(*side, &rows, &said);
        }
        self.shared.findings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Shared {
    fn found(&self, what: String) {
        let mut findings = self.findings.lock().unwrap_or_else(PoisonError::into_inner);
        if findings.len() < FINDINGS {
            findings.push(what);
        }
    }

    fn compare(&self, side: Side, rows: &BTreeMap<i64, Row>, said: &BTreeMap<i64, String>) {
        let ids: std::collections::BTreeSet<_> = rows.keys().chain(said.keys()).collect();
        for id in ids {
            let must = rows.get(id).map(|row| read_as(side, row));
            if must.as_ref() != said.get(id) {
                self.found(format!(
                    "{side:?} clients read {:?} of row {id}, not {must:?}",
                    said.get(id)
                ));
            }
        }
    }
}

struct Writer<'a> {
    shared: &'a Shared,
    number: i64,
    chance: fastrand::Rng,
    rows: BTreeMap<i64, Row>,
    runtime: Runtime,
    clients: [Option<Client>; 2],
}

/// What became of a write.
enum Came {
    Through,
    /// The database refused it: nothing happened.
    Refused(String),
    /// The connection ended meanwhile: it may have happened.
    Lost,
}

impl<'a> Writer<'a> {
    fn new(shared: &'a Shared, number: i64, chance: fastrand::Rng) -> Self {
        let own = (1..=shared.rows).filter(|id| id % CLIENTS == number);
        let rows = own.map(|id| (id, first(id))).collect();
        Self { shared, number, chance, rows, runtime: runtime(), clients: [None, None] }
    }

    fn run(mut self) -> BTreeMap<i64, Row> {
        loop {
            // Held while writing, so that a version that may not write any more does not.
            let allowed = self.shared.allowed.read().unwrap_or_else(PoisonError::into_inner);
            match *allowed {
                Allowed { ended: true, .. } => return self.rows,
                Allowed { old: true, new: true, .. } => {
                    let side = if self.chance.bool() { Side::Old } else { Side::New };
                    self.write(side);
                }
                Allowed { old: true, .. } => self.write(Side::Old),
                Allowed { new: true, .. } => self.write(Side::New),
                Allowed { .. } => {}
            }
            drop(allowed);
            // Leaves room for whoever wants to change what is allowed.
            std::thread::park_timeout(Duration::from_millis(1));
        }
    }

    fn write(&mut self, side: Side) {
        // Some ids that are not there yet, too.
        let range = self.shared.rows / CLIENTS + 20;
        let id = self.chance.i64(0..range) * CLIENTS + self.number;
        let act = Act::any(side, &mut self.chance);
        let before = self.rows.get(&id).cloned();
        let after = act.applied(id, before.clone());
        let now = match self.attempt(&act, id) {
            Came::Through => after,
            Came::Refused(said) => {
                self.shared.found(format!("{act:?} of row {id} was refused: {said}"));
                before
            }
            Came::Lost => self.which(side, id, before, after),
        };
        match now {
            Some(row) => self.rows.insert(id, row),
            None => self.rows.remove(&id),
        };
        self.shared.done.fetch_add(1, Ordering::Relaxed);
    }

    fn attempt(&mut self, act: &Act, id: i64) -> Came {
        self.connect(act.side());
        let Some(client) = &self.clients[act.side() as usize] else { return Came::Lost };
        let sql = act.sql(id);
        let done = self.runtime.block_on(client.batch_execute(&sql));
        match done {
            Ok(()) => Came::Through,
            Err(error) => {
                let lost = error.code().is_none_or(|code| code.code().starts_with("57P"));
                self.clients[act.side() as usize] = None;
                if lost { Came::Lost } else { Came::Refused(error.to_string() + &told(&error)) }
            }
        }
    }

    /// The write may have happened: the row tells.
    fn which(&mut self, side: Side, id: i64, no: Option<Row>, yes: Option<Row>) -> Option<Row> {
        let said = self.read(side, id);
        let is = |row: &Option<Row>| row.as_ref().map(|row| read_as(side, row)) == said;
        match (is(&yes), is(&no)) {
            (true, _) => yes,
            (false, true) => no,
            _ => {
                self.shared.found(format!("row {id} is {said:?}: neither {no:?} nor {yes:?}"));
                no
            }
        }
    }

    fn read(&mut self, side: Side, id: i64) -> Option<String> {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            let sql = format!("{} WHERE id = {id}", query(side));
            self.connect(side);
            let Some(client) = &self.clients[side as usize] else { continue };
            if let Ok(row) = self.runtime.block_on(client.query_opt(&sql, &[])) {
                return row.map(|row| row.get(1));
            }
            self.clients[side as usize] = None;
        }
        self.shared.found("the server did not come back".into());
        None
    }

    fn connect(&mut self, side: Side) {
        let client = &mut self.clients[side as usize];
        if client.as_ref().is_some_and(|client| !client.is_closed()) {
            return;
        }
        let path = match side {
            Side::Old => "public",
            Side::New => "public_new, public",
        };
        let set = format!("SET search_path = {path}");
        *client = connect(&self.runtime, &self.shared.url)
            .filter(|client| self.runtime.block_on(client.batch_execute(&set)).is_ok());
    }
}

fn told(error: &tokio_postgres::Error) -> String {
    error.as_db_error().map_or_else(String::new, |error| format!(": {}", error.message()))
}

pub fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

/// Connects, as soon as the server is there.
fn connect(runtime: &Runtime, url: &str) -> Option<Client> {
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        if let Ok((client, connection)) = runtime.block_on(tokio_postgres::connect(url, NoTls)) {
            runtime.spawn(connection);
            return Some(client);
        }
        std::thread::park_timeout(Duration::from_millis(20));
    }
    None
}
