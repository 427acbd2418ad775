//! In-process evaluation side by side: Serin, `datalogic-rs` and `unleash-yggdrasil`, one thread.
//!
//! A line of JSON for each engine and rule: nanoseconds of the fastest of many short rounds, because
//! what else the machine does only makes a round slower. Context and rules are ready before the
//! clock starts, for every engine.

mod datalogic;
mod serin;
mod yggdrasil;

use serde_json::{Value, json};
use std::hint::black_box;
use std::time::Instant;

const ROUNDS: usize = 1000;
const EVALUATIONS: u32 = 1600;

const USERS_IN_TURN: usize = 16;
/// Entries of the user list.
pub const USERS: usize = 1000;

/// The rules, in flagd's form; what `if` and `fractional` mean is the same in each engine.
pub fn rules() -> Vec<(&'static str, Value)> {
    let users: Vec<String> = (0..USERS).map(|at| format!("user-{at}")).collect();
    let key = json!({"var": "targetingKey"});
    let split = |salt: &str, on: u32| json!({"fractional": [{"cat": [salt, key]}, ["on", on], ["off", 100_000 - on]]});
    let clauses = json!({"and": [
        {"in": [{"var": "country"}, ["de", "fr", "it"]]},
        {"==": [{"var": "plan"}, "pro"]},
        {">=": [{"var": "age"}, 18]},
    ]});
    let treated = json!({"fractional": [{"cat": ["arm", key]}, ["on", 50_000], ["off", 50_000]]});
    let guarded =
        json!({"fractional": [{"cat": ["exposure", key]}, [treated, 20_000], ["off", 80_000]]});
    vec![
        ("static", Value::Null),
        ("user list of 1,000", json!({"if": [{"in": [key, users]}, "on", "off"]})),
        ("three clauses, percentage", json!({"if": [clauses, split("salt", 50_000), "off"]})),
        ("two-level guarded release", guarded),
    ]
}

/// The users all engines evaluate for, in turn: all of the list, all matched by the clauses, on
/// either side of every percentage.
pub fn users() -> impl Iterator<Item = String> {
    (0..USERS_IN_TURN).map(|at| format!("user-{}", USERS - 1 - at * 7))
}

/// A user as an object of JSON.
pub fn context(user: &str) -> Value {
    json!({"targetingKey": user, "country": "it", "plan": "pro", "age": 40})
}

/// Measures one evaluation and prints it. `evaluate` is told the number of the user.
pub fn measure<T>(engine: &str, rule: &str, mut evaluate: impl FnMut(usize) -> T) {
    let mut round = || {
        let started = Instant::now();
        for at in 0..EVALUATIONS {
            black_box(evaluate(at as usize % USERS_IN_TURN));
        }
        started.elapsed().as_nanos() as f64 / f64::from(EVALUATIONS)
    };
    let ns = (0..ROUNDS).map(|_| round()).fold(f64::INFINITY, f64::min);
    println!("{}", json!({"engine": engine, "rule": rule, "ns": ns}));
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    serin::run()?;
    datalogic::run()?;
    yggdrasil::run();
    Ok(())
}
