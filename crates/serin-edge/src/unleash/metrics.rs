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
