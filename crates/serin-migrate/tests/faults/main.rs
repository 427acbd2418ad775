//! Faults from outside while a migration is under way: the network, other tools, clients of every
//! kind, a full disk. Asked is what clients see: no write lost, both shapes right.

#![allow(clippy::unwrap_used, reason = "tests")]
#![allow(clippy::expect_used, reason = "tests")]

mod beside;
mod chain;
mod clients;
mod kit;
mod late;
#[path = "../proof/model.rs"]
mod model;
mod network;
mod replica;
mod rights;
mod room;
mod rows;
#[path = "../proof/runner.rs"]
mod runner;
#[path = "../proof/writers.rs"]
mod writers;

#[test]
fn runner_of_its_own() {
    runner::main();
}
