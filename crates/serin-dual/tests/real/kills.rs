//! Workers killed at any moment, with writers running.

use crate::ledger::{Entries, Place, STREAM, write_next};
use serin_dual::outbox::{
    Connect as _, Dual, HandoverLimits, Tally, Urls, Worker, WorkerSettings, backlog,
};
use serin_dual::{Phase, Side};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::watch;

/// Writes that may wait for the workers.
const AHEAD: i64 = 400;

const WORKER: &str = "SERIN_DUAL_TEST_WORKER";

/// Not a test: what the other one starts this program as.
#[test]
fn worker_process() {
    let Ok(given) = std::env::var(WORKER) else { return };
    let (old, new) = given.split_once(' ').unwrap();
    let urls = Urls { old: old.into(), new: new.into() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let settings = WorkerSettings {
        // Small, so that there are many moments between two commits.
        batch: 7,
        together: 3,
        idle: Duration::from_millis(1),
        ..WorkerSettings::default()
    };
    let (_keep, stop) = watch::channel(false);
    let dual = Dual::new(STREAM, Entries);
    let worker = Worker::new(&dual, Side::Old, settings);
    runtime.block_on(worker.run(&urls, &Tally::default(), stop)).unwrap();
}

fn start(urls: &Urls) -> Child {
    let program = std::env::current_exe().unwrap();
    let mut command = Command::new(program);
    command.args(["--exact", "kills::worker_process", "--nocapture"]);
    command.env(WORKER, format!("{} {}", urls.old, urls.new));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// How many kills: 20, or as many as asked for.
fn kills() -> u32 {
    std::env::var("SERIN_DUAL_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(20)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_workers_lose_nothing_and_repeat_nothing() {
    let Some(place) = Place::make().await else { return };
    let (dual, mut pair) = (Dual::new(STREAM, Entries), place.pair().await);
    dual.settle(&mut pair, Phase::DualWriteReadOld, &HandoverLimits::default()).await.unwrap();
    let (allowed, written) = (Arc::new(AtomicI64::new(AHEAD)), Arc::new(AtomicU64::new(0)));
    let writers: Vec<_> = (0..4).map(|n| writer(&place, n, &allowed, &written)).collect();
    let mut random = fastrand::Rng::with_seed(0x5E21_0D0A);
    let applied = place.urls.connect(Side::New).await.unwrap();
    let mut workers = [Killed(start(&place.urls)), Killed(start(&place.urls))];
    for _ in 0..kills() {
        // So many more changes arrive, then one of the two is killed, wherever it is.
        let now = count(&applied).await;
        allowed.store(now + AHEAD, Ordering::Relaxed);
        let goal = now + random.i64(1..60);
        while count(&applied).await < goal {
            tokio::task::yield_now().await;
        }
        let victim = random.usize(0..2);
        workers[victim] = Killed(start(&place.urls));
    }
    allowed.store(-1, Ordering::Relaxed);
    for writer in writers {
        writer.await.unwrap();
    }
    let outbox = place.urls.connect(Side::Old).await.unwrap();
    while backlog(&outbox, Side::Old, STREAM).await.unwrap().waiting > 0 {
        tokio::task::yield_now().await;
    }
    drop(workers);
    assert_eq!(place.check() as u64, written.load(Ordering::Relaxed));
}

/// Many keys, some of them shared with another writer.
fn writer(
    place: &Place,
    number: u64,
    allowed: &Arc<AtomicI64>,
    written: &Arc<AtomicU64>,
) -> tokio::task::JoinHandle<()> {
    let (urls, allowed, written) = (place.urls.clone(), Arc::clone(allowed), Arc::clone(written));
    tokio::spawn(async move {
        let mut random = fastrand::Rng::with_seed(number);
        let (dual, mut pair) = (Dual::new(STREAM, Entries), urls.pair().await.unwrap());
        loop {
            // Not so far ahead that the end waits for long.
            match allowed.load(Ordering::Relaxed) {
                -1 => break,
                most if written.load(Ordering::Relaxed) as i64 >= most => {
                    tokio::task::yield_now().await;
                    continue;
                }
                _ => {}
            }
            let account = format!("a{}", random.u32(0..12));
            write_next(&dual, &mut pair, &account).await;
            written.fetch_add(1, Ordering::Relaxed);
        }
    })
}

async fn count(client: &tokio_postgres::Client) -> i64 {
    client.query_one("SELECT count(*) FROM entries", &[]).await.unwrap().get(0)
}
