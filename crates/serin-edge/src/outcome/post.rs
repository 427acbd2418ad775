//! `POST /v1/flag-outcomes`: what became of users, as a list in JSON.

use super::{Ended, Said, Taken};
use crate::access::selector;
use crate::body::Body;
use crate::clock::{now_ms, now_s};
use crate::routes::{self, Call, denied, json, status, text};
use crate::set::Set;
use http::{HeaderMap, Response, StatusCode};
use hyper::body::Incoming;
use serde::Deserialize;
use serde_json::{Map, Value, json as object};
use serin_flags::{Context, Datum};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Where outcomes are sent.
pub const PATH: &str = "/v1/flag-outcomes";
/// Tells a batch that is sent again from a new one.
const BATCH: &str = "idempotency-key";
/// Most outcomes of one request.
const MAX_OUTCOMES: usize = 10_000;
/// Longest flag, variant, id or batch key, in bytes.
const MAX_NAME: usize = 200;
/// Longest targeting key, in bytes.
const MAX_USER: usize = 4096;
/// Longest time that something takes, in milliseconds: a day.
const MAX_DURATION_MS: f64 = 86_400_000.0;

/// One outcome, as it is sent.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct One {
    flag: String,
    targeting_key: String,
    #[serde(default)]
    attributes: Map<String, Value>,
    #[serde(default)]
    variant: Option<String>,
    ok: bool,
    #[serde(default)]
    duration_ms: Option<f64>,
    #[serde(default)]
    goal: bool,
    #[serde(default)]
    id: Option<String>,
    /// Milliseconds of Unix time.
    #[serde(default)]
    at: Option<u64>,
}

/// Takes a list of outcomes.
pub async fn answer(call: Call<'_>, body: Incoming) -> Response<Body> {
    if let Err(why) = call.grant.backend() {
        return denied(why);
    }
    if !call.worker.edge.is_judging() {
        let what =
            "no release is judged here; send outcomes to the flags' address of `serin serve`\n";
        return text(StatusCode::MISDIRECTED_REQUEST, what);
    }
    let body = match routes::read(body).await {
        Ok(body) => body,
        Err(code) => return status(code),
    };
    let set = match chosen(&call) {
        Ok(set) => set,
        Err(response) => return *response,
    };
    let read = batch(&call.parts.headers).and_then(|batch| Ok((batch, read(&body)?)));
    match read {
        Ok((batch, all)) => json(StatusCode::OK, count(&call, set, batch, &all)),
        Err(why) => text(StatusCode::BAD_REQUEST, why + "; nothing of it was counted\n"),
    }
}

/// The set of a request, or what to answer.
fn chosen<'a>(call: &'a Call<'_>) -> Result<&'a Arc<Set>, Box<Response<Body>>> {
    let named = call.parts.uri.query().and_then(|text| routes::query(text, "set").next());
    let selected = selector(&call.parts.headers)
        .map_err(|why| Box::new(text(StatusCode::BAD_REQUEST, why + "\n")))?;
    let set = call.set(named.as_deref().or(selected)).map_err(|why| Box::new(denied(why)))?;
    set.ok_or_else(|| {
        let what = "there is no such set of flags; `serin flag sets` lists them\n";
        Box::new(text(StatusCode::NOT_FOUND, what))
    })
}

/// The key of the batch, if it has one.
fn batch(headers: &HeaderMap) -> Result<Option<&str>, String> {
    let Some(value) = headers.get(BATCH) else { return Ok(None) };
    let key = value.to_str().ok().filter(|key| (1..=MAX_NAME).contains(&key.len()));
    let why = || format!("the header Idempotency-Key must be 1 to {MAX_NAME} characters of ASCII");
    key.map(Some).ok_or_else(why)
}

/// All outcomes, or why none can be taken.
fn read(body: &[u8]) -> Result<Vec<One>, String> {
    let all: Vec<One> = serde_json::from_slice(body)
        .map_err(|error| format!("the body is no list of outcomes: {error}"))?;
    if all.len() > MAX_OUTCOMES {
        return Err(format!("{} outcomes are too many; send {MAX_OUTCOMES} at a time", all.len()));
    }
    for (n, one) in all.iter().enumerate() {
        one.check().map_err(|why| format!("outcome {}: {why}", n + 1))?;
    }
    Ok(all)
}

impl One {
    fn check(&self) -> Result<(), String> {
        let within = |what: &str, text: &str, most: usize| match text.len() {
            0 => Err(format!("`{what}` is empty")),
            long if long > most => Err(format!("`{what}` has {long} bytes; at most {most}")),
            _ => Ok(()),
        };
        within("flag", &self.flag, MAX_NAME)?;
        within("targetingKey", &self.targeting_key, MAX_USER)?;
        self.variant.as_ref().map_or(Ok(()), |text| within("variant", text, MAX_NAME))?;
        self.id.as_ref().map_or(Ok(()), |text| within("id", text, MAX_NAME))?;
        match self.duration_ms {
            Some(took) if !(0.0..=MAX_DURATION_MS).contains(&took) => {
                Err(format!("`durationMs` is {took}; it must be 0 to {MAX_DURATION_MS}"))
            }
            _ => Ok(()),
        }
    }

    fn context(&self) -> Context<'_> {
        let mut context = Context::new();
        for (name, value) in &self.attributes {
            if let Some(datum) = Datum::from_value(value) {
                context.set(name.as_str(), datum);
            }
        }
        context.set_targeting_key(self.targeting_key.as_str());
        context
    }

    /// What tells it from all others: its own id, or its place in a batch that has one.
    fn id(&self, batch: Option<&str>, n: usize) -> Option<String> {
        let own = self.id.as_ref().map(|id| format!("id {} {id}", self.flag));
        own.or_else(|| Some(format!("batch {n} {}", batch?)))
    }
}

/// Counts all of them, and says what was done with how many.
fn count(call: &Call<'_>, set: &Set, batch: Option<&str>, all: &[One]) -> String {
    let (edge, now_s, now_ms) = (&call.worker.edge, now_s(), now_ms());
    let (mut done, mut unknown) = (BTreeMap::<Taken, u64>::new(), 0);
    for (n, one) in all.iter().enumerate() {
        if set.place(&one.flag).is_none() {
            edge.tally.unknown(set.name(), &one.flag, 1);
            unknown += 1;
            continue;
        }
        let (context, id) = (one.context(), one.id(batch, n));
        let said = Said {
            flag: &one.flag,
            variant: one.variant.as_deref(),
            context: &context,
            ended: Ended {
                failed: !one.ok,
                took_us: one.duration_ms.map(|took| (took * 1_000.0) as u64),
                reached: one.goal,
            },
            id: id.as_deref().map(str::as_bytes),
            age_ms: one.at.map_or(0, |at| now_ms.saturating_sub(at)),
        };
        *done.entry(edge.outcome(set, &said, now_s)).or_default() += 1;
    }
    let of = |taken: Taken| done.get(&taken).copied().unwrap_or_default();
    object!({
        "counted": of(Taken::Counted),
        "repeated": of(Taken::Repeated),
        "late": of(Taken::Late),
        "mismatched": of(Taken::Mismatched),
        "apart": of(Taken::Apart),
        "notReported": of(Taken::NotReported),
        "unknown": unknown,
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_list_of_outcomes_is_refused_whole() {
        let user = r#"{"flag":"a","targetingKey":"u1","#;
        for (body, why) in [
            ("{}".to_owned(), "no list of outcomes"),
            (format!(r#"[{user}"error":true}}]"#), "unknown field `error`"),
            (format!(r#"[{user}"variant":"on"}}]"#), "missing field `ok`"),
            (format!(r#"[{user}"ok":1}}]"#), "invalid type"),
            (
                format!(r#"[{user}"ok":true}},{user}"ok":true,"id":""}}]"#),
                "outcome 2: `id` is empty",
            ),
            (format!(r#"[{user}"ok":true,"durationMs":-1}}]"#), "`durationMs` is -1"),
            (format!(r#"[{user}"ok":true,"durationMs":1e9}}]"#), "`durationMs` is 1000000000"),
            (r#"[{"flag":"a","targetingKey":"","ok":true}]"#.to_owned(), "`targetingKey` is empty"),
            (format!(r#"[{{"flag":"{}","targetingKey":"u","ok":true}}]"#, "f".repeat(201)), "201"),
            (format!("[{}]", vec![format!("{user}\"ok\":true}}"); 10_001].join(",")), "too many"),
        ] {
            let found = read(body.as_bytes()).err().unwrap_or_default();
            assert!(found.contains(why), "{found} for {why}");
        }
        let full = r#"[{"flag":"a","targetingKey":"u","attributes":{"plan":"pro"},"variant":"on",
            "ok":false,"durationMs":0.5,"goal":true,"id":"7","at":1}]"#;
        let all = read(full.as_bytes()).unwrap();
        let context = all[0].context();
        assert_eq!(context.targeting_key(), Some("u"));
        assert!(context.get("plan").is_some());
        assert!(read(b"[]").unwrap().is_empty());
    }

    #[test]
    fn an_id_is_its_own_or_the_place_in_a_batch() {
        let text = r#"[{"flag":"a","targetingKey":"u","ok":true,"id":"7"},
                       {"flag":"a","targetingKey":"u","ok":true}]"#;
        let all = read(text.as_bytes()).unwrap();
        assert_eq!(all[0].id(Some("b"), 0).as_deref(), Some("id a 7"));
        assert_eq!(all[1].id(Some("b"), 1).as_deref(), Some("batch 1 b"));
        assert_eq!(all[1].id(None, 1), None, "the same twice may be two");
        let mut headers = HeaderMap::new();
        assert_eq!(batch(&headers), Ok(None));
        headers.insert(BATCH, "x".repeat(201).parse().unwrap());
        assert!(batch(&headers).is_err());
    }
}
