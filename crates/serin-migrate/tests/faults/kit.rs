//! A database, migrations planned as a person would have them, and clients that know what they
//! wrote.

use crate::model::{Side, TABLE, document};
use crate::writers::Writers;
use serde_json::Value;
use serin_migrate::{
    Alone, Database, Error, Ident, Patience, Plan, Runner, Say, State, Status, World,
};
use serin_postgres::{Cluster, Settings, newest, shared};
use std::sync::Arc;
use tokio_postgres::{Client, NoTls};

/// Writes that clients do while nothing happens.
pub const WRITES: u64 = 200;

/// One database.
#[derive(Clone)]
pub struct Lab {
    pub cluster: &'static Cluster,
    pub database: String,
}

/// Calls something at each point that the runner reaches.
pub struct Points<F>(pub F);

impl<F: Fn(&str) + Send + Sync> World for Points<F> {
    fn reached(&self, point: &str) {
        (self.0)(point);
    }
}

/// A server of its own; it ends with this process.
pub fn own(parameters: &[(&str, &str)]) -> Option<&'static Cluster> {
    shared()?;
    let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    let parameters = parameters.iter().map(owned).collect();
    let settings = Settings { parameters, ..Settings::default() };
    Some(Box::leak(Box::new(Cluster::start(&newest().unwrap(), &settings).unwrap())))
}

/// Short waits, so that a refusal comes soon.
pub fn patience() -> Patience {
    Patience { budget_ms: 30_000, server_ms: 30_000, quiet_ms: 0, ..Patience::default() }
}

/// What a person says who knows.
pub fn sure() -> Say {
    Say { backup: Some("none needed: a test".into()), ..Say::default() }
}

impl Lab {
    /// A database with these tables; `None` without a server.
    pub fn new(setup: &str) -> Option<Self> {
        Some(Self::on(shared()?, setup))
    }

    pub fn on(cluster: &'static Cluster, setup: &str) -> Self {
        let lab = Self { cluster, database: cluster.database().unwrap() };
        lab.sql(setup);
        lab
    }

    /// The table of the model, with `rows` rows.
    pub fn of_model(rows: i64) -> Option<Self> {
        Some(Self::of_model_on(shared()?, rows))
    }

    pub fn of_model_on(cluster: &'static Cluster, rows: i64) -> Self {
        let fill = "INSERT INTO t SELECT n, n % 1000, 'l' || n, 'x' || n FROM generate_series";
        Self::on(cluster, &format!("{TABLE}; {fill}(1, {rows}) n"))
    }

    /// Runs SQL, with what it printed.
    pub fn sql(&self, sql: &str) -> String {
        self.cluster.sql(&self.database, sql).unwrap_or_else(|error| panic!("{error}\n{sql}"))
    }

    /// What the server says against SQL.
    pub fn error(&self, sql: &str) -> String {
        match self.cluster.sql(&self.database, sql) {
            Ok(out) => panic!("was not refused: {sql}\n{out}"),
            Err(error) => error.to_string(),
        }
    }

    /// Asks until the answer is `t`; what is not there yet is a no.
    pub fn until(&self, question: &str) {
        while !self.cluster.sql(&self.database, question).is_ok_and(|answer| answer == "t") {}
    }

    pub fn url(&self) -> String {
        self.cluster.url(&self.database)
    }

    pub fn runner(&self) -> Runner {
        self.runner_in(Arc::new(Alone))
    }

    pub fn runner_in(&self, world: Arc<dyn World>) -> Runner {
        runner_at(&self.url(), world)
    }

    /// The plan of a document, under this name.
    pub fn plan(&self, name: &str, document: &Value) -> Result<Plan, Error> {
        let migration = serin_migrate::migration(name, document)?;
        block(self.runner().plan(&migration))
    }

    pub fn planned(&self, name: &str, document: &Value) -> Plan {
        self.plan(name, document).unwrap_or_else(|error| panic!("{error}"))
    }

    /// The plan of the model's migration.
    pub fn plan_of_model(&self) -> Plan {
        self.planned("01", &document())
    }

    /// Takes a document to where both shapes are in use.
    pub fn start(&self, name: &str, document: &Value) -> Plan {
        let plan = self.planned(name, document);
        let status = block(self.runner().start(&plan)).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(status.state, State::Dual);
        plan
    }

    pub fn revert(&self) {
        let status = block(self.runner().revert(&Say::default()));
        assert_eq!(status.unwrap_or_else(|error| panic!("{error}")).state, State::Reverted);
    }

    pub fn contract(&self) {
        let status = block(self.runner().contract(&sure()));
        assert_eq!(status.unwrap_or_else(|error| panic!("{error}")).state, State::Done);
    }

    pub fn status(&self) -> Option<Status> {
        block(self.runner().status()).unwrap()
    }

    /// Comes back when the runner says that it waits for this.
    pub fn until_waiting(&self, part: &str) -> String {
        // What stopped it before is told until it has gone on.
        let before = self.status().and_then(|status| status.error);
        loop {
            let Some(status) = self.status() else { continue };
            if let Some(waiting) = status.waiting.filter(|waiting| waiting.contains(part)) {
                return waiting;
            }
            assert!(status.error.is_none() || status.error == before, "{:?}", status.error);
            assert!(status.ended_ms.is_none(), "it did not wait");
        }
    }

    /// Old clients of the model that write from now on.
    pub fn writers(&self, rows: i64, seed: u64) -> Writers {
        Writers::start(self.url(), rows, seed)
    }
}

pub fn runner_at(url: &str, world: Arc<dyn World>) -> Runner {
    let database = Database::new(url, Ident::new("public").unwrap()).unwrap();
    Runner::new(database, world, "tester").patience(patience())
}

/// Both versions write for a while, then what they must read is compared, in both shapes.
pub fn both_write(writers: Writers) {
    writers.allow(true, true);
    writers.after(WRITES);
    let findings = writers.end(&[Side::Old, Side::New]);
    assert!(findings.is_empty(), "{findings:#?}");
}

/// Only the new version is left, and writes for a while.
pub fn new_writes(writers: Writers) {
    writers.allow(false, true);
    writers.after(WRITES);
    let findings = writers.end(&[Side::New]);
    assert!(findings.is_empty(), "{findings:#?}");
}

/// Runs to the end on a runtime of its own.
pub fn block<T>(work: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(1).enable_all().build().unwrap().block_on(work)
}

/// A connection that looks its tables up in `path`.
pub async fn client(lab: &Lab, path: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(&lab.url(), NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute(&format!("SET search_path = {path}")).await.unwrap();
    client
}
