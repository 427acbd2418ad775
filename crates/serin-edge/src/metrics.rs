//! What was counted, as Prometheus reads it.

use crate::body::Body;
use crate::routes::{Call, denied, text};
use crate::tally::Counts;
use http::{Response, StatusCode};
use std::fmt::Write as _;

/// Where it is.
pub const PATH: &str = "/metrics";

/// Answers with everything counted.
pub fn answer(call: &Call<'_>) -> Response<Body> {
    if let Err(why) = call.grant.backend() {
        return denied(why);
    }
    let mut counts = call.worker.edge.counts();
    if let Some(only) = &call.grant.only {
        counts.evaluations.retain(|one| one.answer.set == *only);
        counts.unknown.retain(|one| one.set == *only);
        counts.outcomes.retain(|one| one.set == *only);
    }
    text(StatusCode::OK, exposition(&counts))
}

/// Counts as text in Prometheus' exposition format.
pub fn exposition(counts: &Counts) -> String {
    let mut out = String::from(
        "# HELP feature_flag_evaluation_total Evaluations of feature flags.\n\
         # TYPE feature_flag_evaluation_total counter\n",
    );
    for one in &counts.evaluations {
        let answer = &one.answer;
        let labels = [
            ("flag", answer.flag.as_str()),
            ("result", &answer.result),
            ("strategy", &answer.strategy),
            ("variant", &answer.variant),
            ("reason", &answer.reason),
            ("protocol", answer.protocol.as_str()),
            ("set", &answer.set),
        ];
        line(&mut out, "feature_flag_evaluation_total", &labels, one.count);
    }
    out.push_str(
        "# HELP feature_flag_unknown_total Questions for flags that do not exist.\n\
         # TYPE feature_flag_unknown_total counter\n",
    );
    for one in &counts.unknown {
        let labels = [("flag", one.key.as_str()), ("set", &one.set)];
        line(&mut out, "feature_flag_unknown_total", &labels, one.count);
    }
    out.push_str(
        "# HELP feature_flag_outcome_total Outcomes of users that apps reported.\n\
         # TYPE feature_flag_outcome_total counter\n",
    );
    for one in &counts.outcomes {
        let labels =
            [("flag", one.flag.as_str()), ("set", &one.set), ("taken", one.taken.as_str())];
        line(&mut out, "feature_flag_outcome_total", &labels, one.count);
    }
    let _ = write!(
        out,
        "# HELP feature_flag_streams Open event streams.\n\
         # TYPE feature_flag_streams gauge\nfeature_flag_streams {}\n",
        counts.streams
    );
    out
}

fn line(out: &mut String, name: &str, labels: &[(&str, &str)], count: u64) {
    let escaped = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let labels: Vec<String> =
        labels.iter().map(|(key, value)| format!("{key}=\"{}\"", escaped(value))).collect();
    let _ = writeln!(out, "{name}{{{}}} {count}", labels.join(","));
}
