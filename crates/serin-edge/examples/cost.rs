//! What changes cost an edge with 10,000 flags, on one thread. One JSON line per measure:
//! `{"name", "milliseconds", "target"}`.
//!
//! `cargo run --release -p serin-edge --example cost`

use serde_json::json;
use serin_edge::{Edge, Revision, Settings, Table, Upsert};
use serin_flags::{
    Clause, Definition, Killed, Kind, Operator, Rule, Scalar, Serve, SetDefinition, Share,
    Timestamp, WHOLE,
};
use std::sync::Arc;
use std::time::Instant;

const FLAGS: u32 = 10_000;
const ROUNDS: u64 = 15;
const SET: &str = "production";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut set = SetDefinition::new(SET);
    for n in 0..FLAGS {
        set.flags.insert(format!("team-{}.flag-{n}", n % 37).parse()?, flag());
    }
    let set = Arc::new(set);
    let load = |n: u64| -> Result<(Arc<Edge>, f64), Box<dyn std::error::Error>> {
        let edge = Edge::new(&Settings::new([7; 32]));
        let revision = Revision { epoch: 1, n };
        let table = Table { revision, sets: vec![set.clone()], ..Table::default() };
        let started = Instant::now();
        edge.replace(table)?;
        Ok((edge, started.elapsed().as_secs_f64() * 1e3))
    };
    let mut fastest = f64::INFINITY;
    for _ in 0..ROUNDS {
        fastest = fastest.min(load(1)?.1);
    }
    say("edge-load-10000-definitions", fastest, Some(200.0));
    let (edge, _) = load(1)?;
    let mut fastest = f64::INFINITY;
    for n in 1..=2 * ROUNDS {
        let started = Instant::now();
        edge.upsert(&change(n)?)?;
        fastest = fastest.min(started.elapsed().as_secs_f64() * 1e3);
    }
    say("edge-kill-in-10000-flags", fastest, None);
    Ok(())
}

/// Kills a flag and takes it back, in turn.
fn change(n: u64) -> Result<Upsert, serin_flags::KeyError> {
    let by = Killed { by: "ada".to_owned(), at: Timestamp(1), reason: "errors".to_owned() };
    let killed = (n % 2 == 1).then_some(by);
    Ok(Upsert {
        base: Revision { epoch: 1, n },
        revision: Revision { epoch: 1, n: n + 1 },
        set: SET.to_owned(),
        key: "team-0.flag-0".parse()?,
        definition: Some(Arc::new(Definition { killed, ..flag() })),
    })
}

/// Three clauses and a percentage.
fn flag() -> Definition {
    let clause = |attribute: &str, operator, values| Clause {
        attribute: attribute.to_owned(),
        operator,
        values,
        inverted: false,
        ignore_case: false,
    };
    let text = |text: &str| Scalar::from(text);
    let clauses = vec![
        clause("plan", Operator::Equals, vec![text("pro")]),
        clause("country", Operator::In, vec![text("de"), text("at"), text("ch")]),
        clause("age", Operator::AtLeast, vec![Scalar::Number(18.into())]),
    ];
    let share = |variant: &str, weight| Share { variant: variant.to_owned(), weight };
    let shares = vec![share("on", WHOLE / 4), share("off", WHOLE - WHOLE / 4)];
    let serve = Serve::Split { shares, by: None, salt: None };
    let rule = Rule { name: String::new(), segments: Vec::new(), clauses, serve };
    Definition { rules: vec![rule], ..Definition::boolean(Kind::Ops, "shop") }
}

fn say(name: &str, milliseconds: f64, target: Option<f64>) {
    let milliseconds = (milliseconds * 10.0).round() / 10.0;
    println!("{}", json!({"name": name, "milliseconds": milliseconds, "target": target}));
}
