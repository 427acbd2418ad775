//! What the tests write: numbered entries of accounts, in which each loss, each repetition and
//! each wrong order is seen.

use crate::two;
use serde_json::json;
use serin_dual::Side;
use serin_dual::outbox::{Change, Connect, Dual, Pair, Refusal, Stores, Urls, setup};
use serin_postgres::Cluster;
use tokio_postgres::Transaction;

pub const STREAM: &str = "entries";

/// `came` numbers the entries in the order in which they were made in this store.
const TABLE: &str = "\
CREATE TABLE entries (came bigserial PRIMARY KEY, account text NOT NULL, number int NOT NULL);
CREATE INDEX ON entries (account, number);";

pub struct Entries;

async fn insert(store: &Transaction<'_>, change: &Change) -> Result<(), Refusal> {
    let account = change.body["account"].as_str().unwrap_or_default();
    let number = change.body["number"].as_i64().unwrap_or_default() as i32;
    if change.kind == "bad" {
        return Err(Refusal::Reason("an entry that the other store does not take".into()));
    }
    let sql = "INSERT INTO entries (account, number) VALUES ($1, $2)";
    store.execute(sql, &[&account, &number]).await?;
    Ok(())
}

impl Stores for Entries {
    async fn in_old(&self, store: &Transaction<'_>, change: &Change) -> Result<(), Refusal> {
        insert(store, change).await
    }

    async fn in_new(&self, store: &Transaction<'_>, change: &Change) -> Result<(), Refusal> {
        insert(store, change).await
    }
}

pub fn entry(account: &str, number: i32) -> Change {
    Change::new("entry", json!({ "account": account, "number": number }))
}

/// Both databases with their tables.
pub struct Place {
    pub cluster: &'static Cluster,
    pub old: String,
    pub new: String,
    pub urls: Urls,
}

impl Place {
    pub async fn make() -> Option<Self> {
        let (cluster, old, new) = two()?;
        let urls = crate::urls(cluster, &old, &new);
        let place = Self { cluster, old, new, urls };
        for side in [Side::Old, Side::New] {
            let client = place.urls.connect(side).await.unwrap();
            client.batch_execute(TABLE).await.unwrap();
            setup(&client, side, STREAM).await.unwrap();
        }
        Some(place)
    }

    pub async fn pair(&self) -> Pair {
        self.urls.pair().await.unwrap()
    }

    pub fn sql(&self, side: Side, sql: &str) -> String {
        let database = match side {
            Side::Old => &self.old,
            Side::New => &self.new,
        };
        self.cluster.sql(database, sql).unwrap()
    }

    /// Every account has 1, 2, 3, .. in this order and once, in both stores, and both have the
    /// same accounts; their sum.
    pub fn check(&self) -> i64 {
        let oracle = "\
            SELECT count(*) FROM (
                SELECT number, row_number() OVER (PARTITION BY account ORDER BY came) AS expected
                FROM entries) AS numbered WHERE number <> expected";
        let all = "SELECT account || ' ' || max(number) FROM entries GROUP BY account ORDER BY 1";
        for side in [Side::Old, Side::New] {
            assert_eq!(self.sql(side, oracle), "0", "entries out of order in the {side} store");
        }
        assert_eq!(self.sql(Side::Old, all), self.sql(Side::New, all));
        let counts =
            [Side::Old, Side::New].map(|side| self.sql(side, "SELECT count(*) FROM entries"));
        assert_eq!(counts[0], counts[1]);
        counts[0].parse().unwrap()
    }
}

/// Writes the account's next entry.
pub async fn write_next(dual: &Dual<Entries>, pair: &mut Pair, account: &str) -> i32 {
    loop {
        let writing = match dual.begin(pair, account).await {
            Ok(writing) => writing,
            Err(error) if error.is_passing() => {
                tokio::task::yield_now().await;
                continue;
            }
            Err(error) => panic!("{error}"),
        };
        let last = "SELECT coalesce(max(number), 0) FROM entries WHERE account = $1";
        let number: i32 = writing.store().query_one(last, &[&account]).await.unwrap().get(0);
        let change = entry(account, number + 1);
        insert(writing.store(), &change).await.unwrap();
        writing.commit(&change).await.unwrap();
        return number + 1;
    }
}
