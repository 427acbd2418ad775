//! Mangled documents, contexts and imports: nothing panics, what is refused says why, and what is
//! taken answers, twice the same.
//!
//! A run of some thousands with each test run; `cargo xtask soak flags` plays millions with new
//! seeds. A failure names the seed: `SERIN_SEED=N SERIN_MANGLED=1` repeats it alone.
#![allow(clippy::unwrap_used)]

use fastrand::Rng;
use serde_json::{Value, json};
use serin_flags::{Bucketing, Context, FlagSet, Limits, import};
use std::panic::{AssertUnwindSafe, catch_unwind};

const MANGLED: u64 = 3_000;
const SEED: u64 = 1;
const NOW_S: i64 = 1_800_000_000;

/// Words that mean something somewhere.
const WORDS: &[&str] = &[
    "if",
    "and",
    "or",
    "!",
    "==",
    "<",
    "in",
    "var",
    "cat",
    "substr",
    "fractional",
    "sem_ver",
    "starts_with",
    "map",
    "filter",
    "reduce",
    "all",
    "missing",
    "missing_some",
    "merge",
    "max",
    "%",
    "$ref",
    "shared",
    "$flagd.timestamp",
    "targetingKey",
    "on",
    "off",
    "ENABLED",
    "DISABLED",
    "serin_split",
    "serin_release",
    "serin_regex",
    "serin_cidr",
    "serin_date",
    "serin_text",
    "v2",
    "v3",
    "md5-100",
    "unleash",
    "(a*)*b",
    "10.0.0.0/8",
    "1.2.3",
    "",
    "ü\u{0}",
    "accumulator",
];

fn document() -> Value {
    let key = json!({"var": "targetingKey"});
    let flag = |targeting: Value| {
        json!({"state": "ENABLED", "variants": {"on": true, "off": false}, "defaultVariant": "off",
            "targeting": targeting, "metadata": {"owner": "ada", "n": 1}})
    };
    json!({
        "metadata": {"flagSetId": "prod"},
        "$evaluators": {"shared": {"ends_with": [{"var": "email"}, "@corp.com"]}},
        "flags": {
            "plain": flag(Value::Null),
            "shared": flag(json!({"if": [{"$ref": "shared"}, "on", null]})),
            "split": flag(json!({"fractional": [{"cat": ["s", key]}, ["on", 30], ["off", {"+": [60, 10]}]]})),
            "lists": flag(json!({"if": [{"some": [{"var": "tags"}, {"in": [{"var": ""}, ["a", "b"]]}]},
                {"if": [{">": [{"reduce": [{"var": "n"}, {"+": [{"var": "current"}, {"var": "accumulator"}]}, 0]}, 3]}, "on"]},
                {"substr": [{"cat": ["xo", "n"]}, 1, -1]}]})),
            "version": flag(json!({"if": [{"sem_ver": [{"var": "version"}, "^", "1.2.0"]}, "on", "off"]})),
            "own": flag(json!({"if": [{"or": [{"serin_regex": [{"var": "email"}, "^a+", "i"]},
                {"serin_cidr": [{"var": "ip"}, "10.0.0.0/8", "::1"]}, {"serin_date": [{"var": "born"}, "<", 0]},
                {"serin_text": [{"var": "email"}, "contains", "x"]}]}, "on",
                {"serin_split": ["unleash", "s", key, ["on", 50_000], ["off", 50_000]]}]})),
            "release": flag(json!({"serin_release": ["v3", key, 20_000, "e", 50_000, "a", "on", "off"]})),
        },
    })
}

fn context() -> Value {
    json!({"targetingKey": "user-1", "email": "a@corp.com", "tags": ["a", "c"], "n": [1, 2, 3],
        "version": "1.2.3", "ip": "10.1.2.3", "born": "2001-01-01T00:00:00Z", "deep": {"er": [{}]}})
}

#[test]
fn nothing_mangled_does_harm() {
    let number = |name: &str, otherwise: u64| {
        std::env::var(name).map_or(otherwise, |text| text.parse().unwrap())
    };
    let (first, count) = (number("SERIN_SEED", SEED), number("SERIN_MANGLED", MANGLED));
    let mut taken = 0;
    for seed in first..first + count {
        match catch_unwind(AssertUnwindSafe(|| play(seed))) {
            Ok(was_taken) => taken += u64::from(was_taken),
            Err(panic) => {
                eprintln!("repeat with SERIN_SEED={seed} SERIN_MANGLED=1");
                std::panic::resume_unwind(panic);
            }
        }
    }
    println!("{count} documents from seed {first}, {taken} of them were taken");
    assert!(
        count < 100 || taken > count / 20,
        "{taken} of {count} were taken: too few to say much"
    );
}

/// Plays one seed; whether the document was taken.
fn play(seed: u64) -> bool {
    let mut rng = Rng::with_seed(seed);
    let text = mangled(&document(), &mut rng);
    let context = mangled(&context(), &mut rng);
    imported(&text, &mut rng);
    let bucketing = if rng.bool() { Bucketing::V2 } else { Bucketing::V3 };
    let limits = Limits { nodes_per_flag: 10_000, nodes: 50_000, ..Limits::default() };
    let set = match FlagSet::parse_within(&text, bucketing, &limits) {
        Ok(set) => set,
        Err(problems) => {
            assert!(!problems.is_empty(), "refused without a word");
            assert!(problems.iter().all(|problem| !problem.to_string().is_empty()));
            return false;
        }
    };
    let Ok(context) = Context::from_json(&context) else { return true };
    for flag in set.flags() {
        let key = flag.key();
        let answers = [0, 1].map(|_| set.evaluate(key, &context, NOW_S));
        assert_eq!(answers[0], answers[1], "{key}");
        if let Ok(found) = &answers[0] {
            assert_eq!(found.value.is_some(), found.variant.is_some(), "{key}");
        }
        let traced = set.evaluate_traced(key, &context, NOW_S).0;
        assert_eq!(answers[0].is_ok(), traced.is_ok(), "{key}");
    }
    true
}

/// Whatever the readers of other formats make of it, they end.
fn imported(text: &[u8], rng: &mut Rng) {
    let read = match rng.u8(..4) {
        0 => import::flagd(text, "set", Bucketing::V3),
        1 => import::unleash(text, "set", "production"),
        2 => import::launchdarkly(text, "set", "production"),
        _ => import::growthbook(text, "set"),
    };
    if let Err(problems) = read {
        assert!(!problems.is_empty(), "refused without a word");
    }
}

/// A few changes, to the values of JSON or to its bytes.
fn mangled(value: &Value, rng: &mut Rng) -> Vec<u8> {
    let mut value = value.clone();
    for _ in 0..rng.u8(1..6) {
        change(&mut value, rng);
    }
    let mut text = value.to_string().into_bytes();
    if rng.u8(..3) == 0 {
        for _ in 0..rng.u8(1..6) {
            change_bytes(&mut text, rng);
        }
    }
    text
}

/// Goes down some way and changes what is there.
fn change(value: &mut Value, rng: &mut Rng) {
    let goes_on = rng.u8(..8) > 0;
    match value {
        Value::Array(items) if goes_on && !items.is_empty() => {
            let at = rng.usize(..items.len());
            match rng.u8(..12) {
                0 => drop(items.remove(at)),
                1 => items.push(items[at].clone()),
                _ => change(&mut items[at], rng),
            }
        }
        Value::Object(entries) if goes_on && !entries.is_empty() => {
            let name = entries.keys().nth(rng.usize(..entries.len())).unwrap().clone();
            match rng.u8(..16) {
                0 => drop(entries.remove(&name)),
                1 => {
                    let held = entries.remove(&name).unwrap();
                    entries.insert(word(rng), held);
                }
                _ => change(&mut entries[&name], rng),
            }
        }
        _ => *value = random(rng, 3),
    }
}

fn random(rng: &mut Rng, depth: u8) -> Value {
    let numbers = [json!(0), json!(-1), json!(1e308), json!(i64::MIN), json!(u64::MAX), json!(0.1)];
    match rng.u8(..9) {
        0 => Value::Null,
        1 => json!(rng.bool()),
        2 => numbers[rng.usize(..numbers.len())].clone(),
        3 => json!(rng.i32(..)),
        4 | 5 => json!(word(rng)),
        6 if depth > 0 => (0..rng.u8(..4)).map(|_| random(rng, depth - 1)).collect(),
        7 if depth > 0 => json!({word(rng): random(rng, depth - 1)}),
        _ => nested(rng),
    }
}

/// Deep, in one way or the other.
fn nested(rng: &mut Rng) -> Value {
    let deep = if rng.u8(..20) == 0 { 120 } else { 5 };
    let name = word(rng);
    (0..deep).fold(
        json!(1),
        |inner, _| if name.is_empty() { json!([inner]) } else { json!({&name: [inner]}) },
    )
}

fn word(rng: &mut Rng) -> String {
    WORDS[rng.usize(..WORDS.len())].to_owned()
}

fn change_bytes(text: &mut Vec<u8>, rng: &mut Rng) {
    if text.is_empty() {
        return;
    }
    let at = rng.usize(..text.len());
    let to = rng.usize(at..text.len().min(at + 40));
    match rng.u8(..6) {
        0 => text[at] = rng.u8(..),
        1 => drop(text.drain(at..to)),
        2 => text.truncate(at),
        3 => drop(text.splice(at..at, word(rng).into_bytes())),
        4 => {
            let part = text[at..to].to_vec();
            text.splice(at..at, part);
        }
        _ => drop(text.splice(at..at, b"[{\"".repeat(rng.usize(..200)))),
    }
}
