//! What an evaluation costs on one thread, and what it allocates. One JSON line per measure:
//! `{"name", "nanoseconds", "target", "allocations"}` (loading: `milliseconds`).
//!
//! `cargo run --release -p serin-flags --example cost [NAME]`

use serde_json::{Value, json};
use serin_flags::{Bucketing, Context, FlagSet};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::{alloc::System, hint::black_box, time::Instant};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const NOW: i64 = 1_800_000_000;
const BATCH: u32 = 2_000;
const BATCHES: u32 = 1_500;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let document = json!({"flags": flags(), "metadata": {"flagSetId": "prod"}}).to_string();
    let set =
        FlagSet::parse(document.as_bytes(), Bucketing::V3).map_err(|all| format!("{all:?}"))?;
    let body = br#"{"targetingKey":"4b3c1f0e-58a1-4d0c-9c58-0f4c6a0f4e11","email":"anna@example.com","plan":"pro","country":"de","age":42,"version":"2.7.1"}"#;
    let context = Context::from_json(body)?;
    let only = std::env::args().nth(1);
    let wanted = |name: &str| only.as_deref().is_none_or(|only| only == name);
    for (key, target) in [
        ("static", 20.0),
        ("user-list-1000", 45.0),
        ("user-list-1000-out", 45.0),
        ("three-clauses-and-fractional", 90.0),
        ("guarded-release", 120.0),
        ("guarded-release-portable", 120.0),
    ] {
        if !wanted(key) {
            continue;
        }
        measure(key, Some(target), || set.evaluate(key, &context, NOW).is_ok());
    }
    if wanted("context-from-json") {
        measure("context-from-json", None, || Context::from_json(body).is_ok());
    }
    if wanted("load-10000-flags") {
        load()?;
    }
    Ok(())
}

fn flags() -> Value {
    let users: Vec<String> =
        (0..1000).map(|n| format!("4b3c1f0e-58a1-4d0c-9c58-{n:012x}")).collect();
    let mut with: Vec<String> = users.clone();
    "4b3c1f0e-58a1-4d0c-9c58-0f4c6a0f4e11".clone_into(&mut with[700]);
    let listed =
        |users: &[String]| json!({"if": [{"in": [{"var": "targetingKey"}, users]}, "on", null]});
    let unit = |salt: &str| json!({"cat": [salt, {"var": "targetingKey"}]});
    let clauses = json!({"and": [
        {"==": [{"var": "plan"}, "pro"]},
        {"in": [{"var": "country"}, ["de", "at", "ch"]]},
        {">=": [{"var": "age"}, 18]},
    ]});
    let split = json!({"fractional": [unit("checkout:"), ["on", 25_000], ["off", 75_000]]});
    let arms = json!({"fractional": [unit("arm:"), ["on", 50_000], ["off", 50_000]]});
    let portable = json!({"fractional": [unit("exposure:"), [arms, 100_000], ["off", 0]]});
    let guarded = json!({"serin_release":
        ["v3", {"var": "targetingKey"}, 100_000, "exposure", 50_000, "arm", "on", "off"]});
    json!({
        "static": flag(&Value::Null),
        "user-list-1000": flag(&listed(&with)),
        "user-list-1000-out": flag(&listed(&users)),
        "three-clauses-and-fractional": flag(&json!({"if": [clauses, split, null]})),
        "guarded-release": flag(&guarded),
        "guarded-release-portable": flag(&portable),
    })
}

fn flag(targeting: &Value) -> Value {
    json!({
        "state": "ENABLED",
        "variants": {"on": true, "off": false},
        "defaultVariant": "off",
        "targeting": targeting,
        "metadata": {"owner": "shop"},
    })
}

/// The fastest of several batches: what disturbs a batch only makes it slower.
fn measure(name: &str, target: Option<f64>, work: impl Fn() -> bool) {
    assert!(work(), "{name} does not answer");
    let region = Region::new(ALLOCATOR);
    black_box(work());
    let allocations = region.change().allocations;
    let batch = || {
        let start = Instant::now();
        for _ in 0..BATCH {
            black_box(work());
        }
        start.elapsed().as_secs_f64() * 1e9 / f64::from(BATCH)
    };
    let nanoseconds = (0..BATCHES).map(|_| batch()).fold(f64::INFINITY, f64::min);
    let nanoseconds = (nanoseconds * 10.0).round() / 10.0;
    println!(
        "{}",
        json!({"name": name, "nanoseconds": nanoseconds, "target": target, "allocations": allocations})
    );
}

/// Reads 10 000 flags with rules.
fn load() -> Result<(), Box<dyn std::error::Error>> {
    let one = flags()["three-clauses-and-fractional"].clone();
    let flags: serde_json::Map<_, _> =
        (0..10_000).map(|n| (format!("team-{}.flag-{n}", n % 37), one.clone())).collect();
    let document = json!({"flags": flags}).to_string();
    let read = || {
        let start = Instant::now();
        let set = FlagSet::parse(document.as_bytes(), Bucketing::V3);
        let took = start.elapsed().as_secs_f64() * 1e3;
        set.map(|set| (set.flags().len(), took)).map_err(|all| format!("{all:?}"))
    };
    let mut fastest = f64::INFINITY;
    for _ in 0..15 {
        let (count, took) = read()?;
        assert_eq!(count, 10_000);
        fastest = fastest.min(took);
    }
    let milliseconds = (fastest * 10.0).round() / 10.0;
    let line = json!({
        "name": "load-10000-flags",
        "milliseconds": milliseconds,
        "target": 200.0,
        "bytes": document.len(),
    });
    println!("{line}");
    Ok(())
}
