//! The control loop with many services, some of them rolling out all the time.

use crate::made_up::MadeUp;
use crate::process::{memory, processor, quantile, written};
use crate::world::{deploy, spec};
use serde_json::{Value, json};
use serin_core::{ServiceSpec, Timestamp};
use serin_server::executor::Executor;
use serin_server::rehearsal::{self, Rehearsal};
use serin_store::Store;
use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Builder;
use tokio::sync::mpsc;
use tokio::time::sleep;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Time between two looks at how many rollouts are under way.
const LOOK: Duration = Duration::from_millis(100);

/// Time with all rollouts under way before the measurement.
const SETTLE: Duration = Duration::from_secs(20);

/// Threads of the control plane are called so, and only they.
const NAME: &str = "control";

struct Load {
    control: Rehearsal,
    platform: MadeUp,
    specs: Vec<ServiceSpec>,
    versions: Vec<usize>,
    next: usize,
    deploys: usize,
}

/// Runs `services` services with `active` rollouts for `seconds`; says what that takes.
pub fn run(services: usize, active: usize, seconds: u64, folder: &Path) -> Result<Value> {
    let runtime =
        Builder::new_multi_thread().worker_threads(2).thread_name(NAME).enable_all().build()?;
    let path = folder.join("load.db");
    let (reports, inbox) = mpsc::channel(1024);
    let platform = MadeUp::start(reports)?;
    let (store, made_up) = (Store::open(&path)?, Arc::new(platform.clone()));
    let entered = runtime.enter();
    let control = rehearsal::start(store, folder.to_owned(), made_up, inbox)?;
    drop(entered);
    let specs = (0..services).map(spec).collect::<Result<_>>()?;
    let versions = vec![0; services];
    let load = Load { control, platform, specs, versions, next: 0, deploys: 0 };
    let mut said = measure(load, active, Duration::from_secs(seconds))?;
    // The control loop ends by itself when nobody is left who could ask.
    std::thread::sleep(Duration::from_millis(500));
    runtime.shutdown_timeout(Duration::from_secs(5));
    said["startMs"] = json!(start_again(&path)?);
    said["services"] = json!(services);
    said["active"] = json!(active);
    Ok(said)
}

/// The control loop ends with the load.
fn measure(mut load: Load, active: usize, time: Duration) -> Result<Value> {
    // On this thread, so that only the control plane's own work counts as its own.
    let own = Builder::new_current_thread().enable_time().build()?;
    own.block_on(async {
        load.first_versions().await?;
        load.keep_rolling(active, SETTLE).await?;
        load.platform.seen().delays.clear();
        let (cpu, bytes, deploys, began) =
            (processor(NAME), written(), load.deploys, Instant::now());
        load.keep_rolling(active, time).await?;
        let seconds = began.elapsed().as_secs_f64();
        let (now, most) = memory();
        let mut delays = std::mem::take(&mut load.platform.seen().delays);
        delays.sort_by(f64::total_cmp);
        Ok(json!({
            "seconds": seconds, "cpu": (processor(NAME) - cpu) / seconds,
            "memoryMb": now, "memoryMostMb": most,
            "writtenPerSecond": (written() - bytes) as f64 / seconds,
            "rollouts": load.deploys - deploys, "plans": delays.len(),
            "p50Ms": quantile(&delays, 0.5), "p99Ms": quantile(&delays, 0.99),
            "maxMs": quantile(&delays, 1.0), "repeated": load.platform.seen().repeated,
        }))
    })
}

impl Load {
    async fn deploy(&mut self, number: usize) -> Result<()> {
        self.versions[number] += 1;
        let spec = &self.specs[number];
        let event = deploy(spec, self.versions[number])?;
        self.platform.seen().asked(&spec.name);
        let done = self.control.submit(spec.name.clone(), event).await;
        done.ok_or("the control loop ended")??;
        self.deploys += 1;
        Ok(())
    }

    async fn first_versions(&mut self) -> Result<()> {
        for number in 0..self.specs.len() {
            self.deploy(number).await?;
        }
        sleep(Duration::from_secs(3)).await;
        Ok(())
    }

    /// Starts a rollout wherever one has ended.
    async fn keep_rolling(&mut self, active: usize, time: Duration) -> Result<()> {
        let began = Instant::now();
        while began.elapsed() < time {
            sleep(LOOK).await;
            let rolling = {
                let seen = self.platform.seen();
                self.specs.iter().filter(|spec| seen.is_rolling(&spec.name)).count()
            };
            for _ in rolling..active {
                self.next = (self.next + 1) % self.specs.len();
                let busy = self.platform.seen().is_rolling(&self.specs[self.next].name);
                if !busy {
                    self.deploy(self.next).await?;
                }
            }
        }
        Ok(())
    }
}

/// Milliseconds the next controller takes until it has taken over.
pub fn start_again(path: &Path) -> Result<f64> {
    let began = Instant::now();
    let now = Timestamp(jiff::Timestamp::now().as_millisecond());
    Executor::open(Store::open(path)?, None, now).map_err(|failed| failed.1)?;
    Ok(began.elapsed().as_secs_f64() * 1000.0)
}
