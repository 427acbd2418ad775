//! Moves the orders of a shop from one database to another while it sells.
//!
//! `cargo run -p serin-dual --example two_stores -- OLD_URL NEW_URL`

use serde_json::json;
use serin_dual::compare::{Limits, Report, Request, compare, connect};
use serin_dual::gate::{Checksum, Evidence, Outcome, State, preset, step};
use serin_dual::outbox::{
    Change, Connect, Dual, HandoverLimits, Pair, Refusal, Stores, Tally, Urls, Worker,
    WorkerSettings, backlog, setup,
};
use serin_dual::reads::{Lookup, Mismatch, ReadCounts, ReadSettings, Reader};
use serin_dual::{Phase, Side};
use std::error::Error;
use std::time::Duration;
use tokio::sync::{Mutex, watch};
use tokio_postgres::{Client, Transaction};

/// How an order is written in each store. It says the whole state, so that it may be said twice.
struct Orders;

const PUT: &str = "INSERT INTO orders (id, cents) VALUES ($1, $2)
    ON CONFLICT (id) DO UPDATE SET cents = excluded.cents";

fn order(change: &Change) -> Result<(i64, i64), Refusal> {
    let number = |name: &str| change.body[name].as_i64();
    let both = number("id").zip(number("cents"));
    both.ok_or_else(|| Refusal::Reason("an order has the numbers `id` and `cents`".into()))
}

impl Stores for Orders {
    async fn in_old(&self, store: &Transaction<'_>, change: &Change) -> Result<(), Refusal> {
        let (id, cents) = order(change)?;
        store.execute(PUT, &[&id, &cents]).await?;
        Ok(())
    }

    async fn in_new(&self, store: &Transaction<'_>, change: &Change) -> Result<(), Refusal> {
        let (id, cents) = order(change)?;
        store.execute(PUT, &[&id, &cents]).await?;
        Ok(())
    }
}

/// How an order is read in each store.
struct Lookups {
    old: Mutex<Client>,
    new: Mutex<Client>,
}

async fn cents(client: &Mutex<Client>, key: &str) -> Result<Option<i64>, String> {
    let sql = "SELECT cents FROM orders WHERE id = $1::text::bigint";
    let row = client.lock().await.query_opt(sql, &[&key]).await;
    row.map(|row| row.map(|row| row.get(0))).map_err(|error| error.to_string())
}

impl Lookup for Lookups {
    type Value = Option<i64>;
    type Error = String;

    async fn in_old(&self, key: &str) -> Result<Option<i64>, String> {
        cents(&self.old, key).await
    }

    async fn in_new(&self, key: &str) -> Result<Option<i64>, String> {
        cents(&self.new, key).await
    }

    fn differs(&self, mismatch: &Mismatch) {
        eprintln!("order {} differs", mismatch.key);
    }
}

async fn sell(dual: &Dual<Orders>, pair: &mut Pair, id: i64, cents: i64) -> Result<(), Failure> {
    let change = Change::new("order", json!({ "id": id, "cents": cents }));
    dual.write(pair, &id.to_string(), &change).await?;
    Ok(())
}

/// Brings over what was there before. Each order is read and recorded under the lock of its key,
/// so a sale at the same moment comes before it or after it, never in between.
async fn copy(dual: &Dual<Orders>, pair: &mut Pair) -> Result<(), Failure> {
    let rows = pair.side(Side::Old)?.query("SELECT id FROM orders ORDER BY id", &[]).await?;
    for row in rows {
        let id: i64 = row.get(0);
        let writing = dual.begin(pair, &id.to_string()).await?;
        let sql = "SELECT cents FROM orders WHERE id = $1";
        if let Some(row) = writing.store().query_opt(sql, &[&id]).await? {
            let cents: i64 = row.get(0);
            writing.commit(&Change::new("order", json!({ "id": id, "cents": cents }))).await?;
        }
    }
    Ok(())
}

type Failure = Box<dyn Error + Send + Sync>;

async fn compared(urls: &Urls) -> Result<Report, Failure> {
    let (from, to) = (connect(&urls.old, "from").await?, connect(&urls.new, "to").await?);
    let limits = Limits { again: Duration::from_millis(100), ..Limits::default() };
    let request = Request { limits, ..Request::new("orders") };
    Ok(compare(&from, &to, &request, &mut |_| ()).await?)
}

/// What is known. What could not be measured stays `None`, and holds the move.
async fn evidence(
    urls: &Urls,
    holder: Side,
    reads: &ReadCounts,
    report: Option<&Report>,
) -> Result<Evidence, Failure> {
    let client = urls.connect(holder).await?;
    Ok(Evidence {
        backlog: Some(backlog(&client, holder, "orders").await?),
        reads: Some(reads.since(&ReadCounts::default())),
        checksum: report.map(|r| Checksum { equal: r.is_equal(), age: Duration::ZERO }),
        approved: true,
    })
}

/// Makes the tables of both databases.
async fn prepare(urls: &Urls) -> Result<(), Failure> {
    for side in [Side::Old, Side::New] {
        let client = urls.connect(side).await?;
        let table = "CREATE TABLE IF NOT EXISTS orders (id bigint PRIMARY KEY, cents bigint)";
        client.batch_execute(table).await?;
        setup(&client, side, "orders").await?;
    }
    Ok(())
}

async fn reader(urls: &Urls) -> Result<Reader<Lookups>, Failure> {
    let old = Mutex::new(urls.connect(Side::Old).await?);
    let new = Mutex::new(urls.connect(Side::New).await?);
    // All reads, and a second look at once: a real shop samples, and waits half a second.
    let again = Duration::from_millis(10);
    let settings = ReadSettings { sample: 100_000, again, looks: 9, ..ReadSettings::default() };
    Ok(Reader::new(Lookups { old, new }, settings))
}

/// Sells and reads while the reads are compared.
async fn shadow(
    dual: &Dual<Orders>,
    pair: &mut Pair,
    reader: &Reader<Lookups>,
) -> Result<(), Failure> {
    for n in 0..1000 {
        if n % 10 == 0 {
            sell(dual, pair, 11 + n / 10 % 10, n).await?;
            // Room for ten comparisons; nobody waits in a real shop.
            reader.settled().await;
        }
        reader.read(Phase::DualWriteShadowRead, &(1 + n % 20).to_string()).await?;
    }
    reader.settled().await;
    Ok(())
}

/// Follows the flag's variants, as an operator sets them; a real move waits days between them.
async fn follow(urls: &Urls, dual: &Dual<Orders>, pair: &mut Pair) -> Result<(), Failure> {
    let reader = reader(urls).await?;
    let rules = preset("rehearsal").ok_or("no such preset")?.rules;
    let mut state = State { phase: Phase::WriteOld, since: 0 };
    let mut report = None;
    for (hours, variant) in
        (1..).zip(["dual_write_read_old", "dual_write_shadow_read", "read_new_dual_write"])
    {
        let holder = state.phase.holder();
        let known = evidence(urls, holder, &reader.counts(), report.as_ref()).await?;
        let done = step(state, variant, &known, &rules, hours * 3_600_000);
        let Outcome::Moved { .. } = done.outcome else {
            return Err(format!("{variant}: {:?}", done.outcome).into());
        };
        // First the writes, then the reads.
        dual.settle(pair, done.state.phase, &HandoverLimits::default()).await?;
        state = done.state;
        match state.phase {
            Phase::DualWriteReadOld => copy(dual, pair).await?,
            Phase::DualWriteShadowRead => {
                shadow(dual, pair, &reader).await?;
                report = Some(compared(urls).await?);
            }
            _ => sell(dual, pair, 21, 2100).await?,
        }
    }
    assert_eq!(reader.read(state.phase, "21").await?, Some(2100));
    Ok(())
}

/// Moves the shop; what the last comparison found.
pub async fn run(old: &str, new: &str) -> Result<Report, Failure> {
    let urls = Urls { old: old.to_owned(), new: new.to_owned() };
    prepare(&urls).await?;
    let dual = Dual::new("orders", Orders);
    let mut pair = urls.pair().await?;
    for id in 1..=10 {
        sell(&dual, &mut pair, id, id * 100).await?;
    }
    // One worker for each direction; in a real shop they run in each instance.
    let (stop, stopped) = watch::channel(false);
    let workers = [Side::Old, Side::New].map(|from| {
        let worker = Worker::new(&dual, from, WorkerSettings::default());
        let (urls, stopped) = (urls.clone(), stopped.clone());
        tokio::spawn(async move { worker.run(&urls, &Tally::default(), stopped).await })
    });
    follow(&urls, &dual, &mut pair).await?;
    let last = compared(&urls).await?;
    stop.send(true)?;
    for worker in workers {
        worker.await??;
    }
    Ok(last)
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut words = std::env::args().skip(1);
    let (Some(old), Some(new)) = (words.next(), words.next()) else {
        return Err("write: two_stores OLD_URL NEW_URL".into());
    };
    let report = run(&old, &new).await?;
    println!("{} orders in both, {} differ", report.rows_to, report.differing());
    Ok(())
}
