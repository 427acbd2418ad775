//! Evaluates flags of a document without a server: `answers DOCUMENT [v2|v3] [NOW]` reads lines of
//! `{"flag": "key", "context": {...}}` and prints one answer for each.

use serde_json::{Value, json};
use serin_flags::{Bucketing, Context, EvalError, FlagSet, Resolution};
use std::io::{BufRead, Write};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let document = std::fs::read(arguments.next().ok_or("which document?")?)?;
    let bucketing = match arguments.next().as_deref() {
        Some("v2") => Bucketing::V2,
        _ => Bucketing::V3,
    };
    let now_s = arguments.next().map_or(Ok(0), |now| now.parse())?;
    let set = FlagSet::parse(&document, bucketing).map_err(|problems| {
        problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    })?;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for line in std::io::stdin().lock().lines() {
        let question: Value = serde_json::from_str(&line?)?;
        let key = question["flag"].as_str().unwrap_or("");
        let context = Context::from_value(&question["context"]);
        let answer = context.map_err(EvalError::from);
        let answer = answer.as_ref().map_err(Clone::clone);
        let answer = answer.and_then(|context| set.evaluate(key, context, now_s));
        writeln!(out, "{}", line_of(answer))?;
    }
    Ok(())
}

fn line_of(answer: Result<Resolution<'_>, EvalError>) -> Value {
    match answer {
        Ok(found) => json!({
            "value": found.value.map(|value| value.value().clone()),
            "variant": found.variant,
            "reason": found.reason.as_str(),
        }),
        Err(error) => json!({"errorCode": error.code.as_str(), "errorDetails": error.details}),
    }
}
