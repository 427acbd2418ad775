//! What is worth knowing about a choice of metrics before it is used.

use serde::{Deserialize, Serialize};

/// More metrics than this get a warning.
pub const MAX_METRICS: usize = 12;

/// What an advice is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Topic {
    /// More than [`MAX_METRICS`].
    TooMany,
    /// A metric that a small canary cannot move, or that says nothing about users.
    LowValue,
    /// A metric named twice.
    Repeated,
    /// Sticky sessions with requests as units.
    WrongUnit,
}

/// One warning, with its reason and what to do instead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Advice {
    /// What it is about.
    pub topic: Topic,
    /// The metric, if it is about one.
    pub metric: Option<String>,
    /// The sentence for people.
    pub text: String,
}

/// Words by which a metric of low value is known, and why it is one.
const LOW_VALUE: [(&[&str], &str); 3] = [
    (
        &["cpu"],
        "system-wide CPU hardly moves with a small canary; take CPU per request of the canary's own instances",
    ),
    (
        &["disk"],
        "disk usage moves too slowly to judge a rollout by it; watch it with an alert instead",
    ),
    (
        &[
            "requestcount",
            "totalrequest",
            "requeststotal",
            "throughput",
            "rps",
            "requestspersecond",
        ],
        "the number of requests is set by the weights, not by the version; take the share that failed",
    ),
];

/// Words that make a resource metric one of the canary itself.
const OWN: [&str; 3] = ["perrequest", "canary", "instance"];

/// Warnings about a list of metric names.
pub fn advise(metrics: &[&str]) -> Vec<Advice> {
    let mut found: Vec<Advice> = too_many(metrics.len()).into_iter().collect();
    found.extend(metrics.iter().filter_map(|name| low_value(name)));
    let repeated = metrics.iter().enumerate().filter(|(at, name)| metrics[..*at].contains(name));
    found.extend(repeated.map(|(_, name)| Advice {
        topic: Topic::Repeated,
        metric: Some((*name).to_owned()),
        text: format!("{name} is listed twice and costs its share of alpha twice; remove one"),
    }));
    found
}

/// A warning about sessions that stay with a version while requests are counted: requests of one
/// session fail together, so that false alarms come in many times as often as promised.
pub fn unit_advice(sticky: bool, session_units: bool) -> Option<Advice> {
    (sticky && !session_units).then(|| Advice {
        topic: Topic::WrongUnit,
        metric: None,
        text:
            "sessions stay with one version, but requests are counted as if they were independent: \
               clean versions are then rolled back far more often than alpha says; count sessions"
                .into(),
    })
}

fn too_many(m: usize) -> Option<Advice> {
    let nats = libm::log(m.max(1) as f64);
    (m > MAX_METRICS).then(|| Advice {
        topic: Topic::TooMany,
        metric: None,
        text: format!(
            "{m} metrics share one alpha: if only one of them is bad, rolling back takes {nats:.1} \
             nats more evidence (ln {m}); with thresholds each adds its own false alarms; keep the \
             {MAX_METRICS} that users feel most"
        ),
    })
}

fn low_value(name: &str) -> Option<Advice> {
    let plain: String =
        name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    if OWN.iter().any(|word| plain.contains(word)) {
        return None;
    }
    let hit = LOW_VALUE.iter().find(|(words, _)| words.iter().any(|word| plain.contains(word)));
    hit.map(|(_, why)| Advice {
        topic: Topic::LowValue,
        metric: Some(name.to_owned()),
        text: format!("{name}: {why}"),
    })
}
