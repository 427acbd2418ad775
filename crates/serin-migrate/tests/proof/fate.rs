//! What is killed, and when.

use crate::runner::{Verb, spawn};
use serin_migrate::Plan;
use serin_postgres::Cluster;
use std::process::{Child, Output};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

/// The longest that a process of the runner takes.
const LONGEST: Duration = Duration::from_secs(300);

/// Kills at random moments.
pub struct Fate {
    pub chance: fastrand::Rng,
    /// Of the runner, of its connections, of the server.
    pub kills: [u32; 3],
}

impl Fate {
    pub fn new(seed: u64) -> Self {
        Self { chance: fastrand::Rng::with_seed(seed), kills: [0; 3] }
    }

    /// Runs to the end, and kills something at most `most` times on the way.
    pub fn run(&mut self, cluster: &Cluster, database: &str, plan: &Plan, verb: Verb, most: u32) {
        let url = cluster.url(database);
        let mut left = most;
        loop {
            let process = spawn(&url, plan, verb);
            let (pid, ended) = watched(process);
            let mut killed = false;
            while left > 0 {
                let moment = Duration::from_millis(self.chance.u64(1..900));
                match ended.recv_timeout(moment) {
                    Err(RecvTimeoutError::Timeout) => {
                        left -= 1;
                        killed = true;
                        if self.kill(cluster, database, pid) {
                            break;
                        }
                    }
                    Ok(ended) => {
                        if ended.status.success() {
                            return;
                        }
                        assert!(
                            killed,
                            "the runner failed although nothing was killed: {}",
                            said(&ended)
                        );
                        break;
                    }
                    Err(RecvTimeoutError::Disconnected) => break,
                }
            }
            match ended.recv_timeout(LONGEST) {
                Ok(ended) if ended.status.success() => return,
                Ok(ended) => {
                    assert!(
                        killed,
                        "the runner failed although nothing was killed: {}",
                        said(&ended)
                    );
                }
                Err(RecvTimeoutError::Disconnected) => {
                    assert!(killed, "nobody waited for the runner");
                }
                Err(RecvTimeoutError::Timeout) => panic!("the runner never ends"),
            }
        }
    }

    /// Kills one thing; true when it was the runner itself.
    fn kill(&mut self, cluster: &Cluster, database: &str, pid: u32) -> bool {
        match self.chance.u8(0..20) {
            0..=11 => {
                self.kills[0] += 1;
                // It may have ended meanwhile.
                let _ = std::process::Command::new("kill").args(["-9", &pid.to_string()]).status();
                true
            }
            12..=16 => {
                self.kills[1] += 1;
                let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE \
                    datname = current_database() AND application_name LIKE 'serin-migrate-%'";
                drop(cluster.sql(database, sql));
                false
            }
            _ => {
                self.kills[2] += 1;
                cluster.kill();
                cluster.resume().unwrap();
                false
            }
        }
    }
}

/// What a process said.
fn said(ended: &Output) -> String {
    String::from_utf8_lossy(&ended.stderr).into_owned()
}

/// Waits for its end beside.
fn watched(process: Child) -> (u32, Receiver<Output>) {
    let (ends, ended) = channel();
    let pid = process.id();
    std::thread::spawn(move || {
        if let Ok(ended) = process.wait_with_output() {
            let _ = ends.send(ended);
        }
    });
    (pid, ended)
}
