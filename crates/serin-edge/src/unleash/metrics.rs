//! What clients that evaluate themselves have seen.

use crate::body::Body;
use crate::routes::{Call, status};
use crate::set::Set;
use crate::tally::{Answer, Protocol};
use bytes::Bytes;
use http::{Response, StatusCode};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Deserialize)]
struct Metrics {
    bucket: Bucket,
}

#[derive(Deserialize)]
struct Bucket {
    #[serde(default)]
    toggles: BTreeMap<String, Toggle>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Toggle {
    yes: u64,
    no: u64,
    variants: BTreeMap<String, u64>,
}

/// What a proxy has gathered of many clients. Which applications they are is of no use here.
#[derive(Deserialize)]
struct Gathered {
    #[serde(default)]
    metrics: Vec<Feature>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Feature {
    #[serde(rename = "featureName")]
    name: String,
    #[serde(default)]
    environment: Option<String>,
    #[serde(flatten)]
    seen: Toggle,
}

/// What Unleash calls the variant of a flag that is off.
const OFF: &str = "disabled";

/// Takes a report.
pub fn take(
    call: &Call<'_>,
    set: Option<&Arc<Set>>,
    body: &Bytes,
    done: StatusCode,
) -> Response<Body> {
    let Ok(metrics) = serde_json::from_slice::<Metrics>(body) else {
        return status(StatusCode::BAD_REQUEST);
    };
    for (flag, toggle) in metrics.bucket.toggles {
        count(call, set, &flag, &toggle);
    }
    status(done)
}

/// Takes what a proxy has gathered. An environment is the set of its name, if there is one and the
/// token is for it; else what the token is for.
pub fn take_all(call: &Call<'_>, set: Option<&Arc<Set>>, body: &Bytes) -> Response<Body> {
    let Ok(gathered) = serde_json::from_slice::<Gathered>(body) else {
        return status(StatusCode::BAD_REQUEST);
    };
    for feature in gathered.metrics {
        let named = feature.environment.as_deref().and_then(|name| call.set(Some(name)).ok()?);
        count(call, named.or(set), &feature.name, &feature.seen);
    }
    status(StatusCode::ACCEPTED)
}

fn count(call: &Call<'_>, set: Option<&Arc<Set>>, flag: &str, toggle: &Toggle) {
    let (tally, name) = (&call.worker.edge.tally, set.map_or("", |set| set.name()));
    if set.and_then(|set| set.place(flag)).is_none() {
        tally.unknown(name, flag, toggle.yes.saturating_add(toggle.no));
        return;
    }
    let report = |variant: &str, result: &str, count: u64| {
        let answer = Answer {
            set: name.to_owned(),
            flag: flag.to_owned(),
            variant: variant.to_owned(),
            reason: "UNKNOWN".to_owned(),
            protocol: Protocol::UnleashMetrics,
            result: result.to_owned(),
            strategy: String::new(),
        };
        tally.report(answer, count);
    };
    // Who asked for a variant is in `yes` or `no` too.
    let mut on = 0_u64;
    for (variant, count) in toggle.variants.iter().filter(|(variant, _)| *variant != OFF) {
        on = on.saturating_add(*count);
        report(variant, variant, *count);
    }
    report("", "true", toggle.yes.saturating_sub(on));
    report("", "false", toggle.no);
}
