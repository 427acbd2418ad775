//! From the metrics' classifications to one score, and from scores to the end of a run.

use super::{
    classify::Classification,
    config::{Compat, JudgeConfig},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Share of metrics without data from which on there is no score, in percent.
const NODATA_PERCENT: usize = 50;
const UNGROUPED: &str = "ungrouped";

/// What the score needs to know about a metric. Muted metrics are not handed in.
#[derive(Clone, Copy, Debug)]
pub struct Vote<'a> {
    /// The metric's name.
    pub name: &'a str,
    /// Its classification.
    pub classification: Classification,
    /// Whether it fails the whole canary unless it passed.
    pub critical: bool,
    /// Its groups.
    pub groups: &'a [String],
}

/// What a score means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ScoreClass {
    /// At least the pass threshold.
    Pass,
    /// At least the marginal threshold.
    Marginal,
    /// Below.
    Fail,
    /// Too little was judged (improved rules only; Kayenta says Fail).
    Nodata,
}

/// One group's score.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GroupScore {
    /// The group.
    pub name: String,
    /// Percentage of its counted metrics that passed; 0 if none is counted.
    pub score: f64,
    /// Percentage it counts for in the whole.
    pub weight: f64,
    /// Metrics that passed.
    pub passed: usize,
    /// Metrics that are counted.
    pub counted: usize,
}

/// The whole canary's score.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// 0 to 100, two decimals.
    pub score: f64,
    /// What it means.
    pub classification: ScoreClass,
    /// Why the score is 0 whatever the groups say.
    pub reason: Option<String>,
    /// The groups, by name.
    pub groups: Vec<GroupScore>,
}

/// Scores the metrics.
pub fn score(judge: &JudgeConfig, votes: &[Vote]) -> Summary {
    let groups = weighted(judge, tally(judge.compat, votes));
    if let Some(vote) =
        votes.iter().find(|v| v.critical && v.classification != Classification::Pass)
    {
        let reason = format!("the critical metric {} is {:?}", vote.name, vote.classification);
        let class = classify_score(judge, 0.0);
        return Summary { score: 0.0, classification: class, reason: Some(reason), groups };
    }
    if let Some(reason) = too_little(judge.compat, votes, &groups) {
        let class = match judge.compat {
            Compat::Kayenta => classify_score(judge, 0.0),
            Compat::Improved => ScoreClass::Nodata,
        };
        return Summary { score: 0.0, classification: class, reason: Some(reason), groups };
    }
    let score = round_half_up(groups.iter().map(|g| effective(g) * (g.weight / 100.0)).sum());
    Summary { score, classification: classify_score(judge, score), reason: None, groups }
}

/// What a score means by the judge's thresholds.
pub fn classify_score(judge: &JudgeConfig, score: f64) -> ScoreClass {
    if score >= judge.pass {
        ScoreClass::Pass
    } else if score >= judge.marginal {
        ScoreClass::Marginal
    } else {
        ScoreClass::Fail
    }
}

fn too_little(compat: Compat, votes: &[Vote], groups: &[GroupScore]) -> Option<String> {
    let lost = |c| match compat {
        Compat::Kayenta => c == Classification::Nodata,
        Compat::Improved => matches!(c, Classification::Nodata | Classification::Error),
    };
    let (of, count) = (votes.len(), votes.iter().filter(|v| lost(v.classification)).count());
    if of > 0 && count * 100 >= of * NODATA_PERCENT {
        return Some(format!(
            "{count} of {of} metrics have no data; {NODATA_PERCENT} % is too much"
        ));
    }
    let nothing =
        compat == Compat::Improved && groups.iter().all(|g| g.weight * g.counted as f64 <= 0.0);
    nothing.then(|| "no metric that counts was judged".to_owned())
}

/// Per group: (passed, counted).
fn tally<'a>(compat: Compat, votes: &[Vote<'a>]) -> BTreeMap<&'a str, (usize, usize)> {
    let mut tally = BTreeMap::new();
    for vote in votes {
        let alone = vote.groups.is_empty() && compat == Compat::Improved;
        let names = vote.groups.iter().map(String::as_str).chain(alone.then_some(UNGROUPED));
        for name in names {
            let (passed, counted) = tally.entry(name).or_insert((0, 0));
            *passed += usize::from(vote.classification == Classification::Pass);
            *counted += usize::from(counts(vote.classification));
        }
    }
    tally
}

fn counts(classification: Classification) -> bool {
    !matches!(classification, Classification::Nodata | Classification::Error)
}

fn weighted(judge: &JudgeConfig, tally: BTreeMap<&str, (usize, usize)>) -> Vec<GroupScore> {
    let given: f64 = judge.group_weights.values().sum();
    let unlisted = tally.keys().filter(|name| !judge.group_weights.contains_key(**name)).count();
    let share = (100.0 - given) / unlisted.max(1) as f64;
    let group = |(name, (passed, counted)): (&str, (usize, usize))| GroupScore {
        name: name.to_owned(),
        score: if counted == 0 { 0.0 } else { passed as f64 / counted as f64 * 100.0 },
        weight: judge.group_weights.get(name).copied().unwrap_or(share),
        passed,
        counted,
    };
    let groups = tally.into_iter().map(group).collect();
    if judge.compat == Compat::Improved { normalised(groups) } else { groups }
}

/// Groups in which nothing was counted give their weight to the others.
fn normalised(mut groups: Vec<GroupScore>) -> Vec<GroupScore> {
    for group in groups.iter_mut().filter(|g| g.counted == 0) {
        group.weight = 0.0;
    }
    let sum: f64 = groups.iter().map(|g| g.weight).sum();
    for group in groups.iter_mut().filter(|_| sum > 0.0) {
        group.weight *= 100.0 / sum;
    }
    groups
}

/// Kayenta takes a group without any counted metric for a perfect one.
fn effective(group: &GroupScore) -> f64 {
    if group.counted == 0 { 100.0 } else { group.score }
}

/// Two decimals, half up in the decimal digits: 33.335 is 33.34, whatever its binary is.
fn round_half_up(score: f64) -> f64 {
    let text = score.max(0.0).to_string();
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let thousandths = format!("{whole}{:0<3}", fraction.get(..3).unwrap_or(fraction));
    thousandths.parse::<u64>().map_or(0.0, |t| ((t + 5) / 10) as f64 / 100.0)
}

/// How a run of several judgements ended, or where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RunOutcome {
    /// All judgements are in and the last one is good enough.
    Pass,
    /// The last judgement is not good enough, or there was none.
    Fail,
    /// This judgement (from 0) was so bad that the run ended there.
    Terminated(usize),
}

/// The outcome of a finished run from its scores in time order.
pub fn run_outcome(judge: &JudgeConfig, scores: &[f64]) -> RunOutcome {
    if let Some(at) = scores.iter().position(|s| terminates(judge, *s)) {
        return RunOutcome::Terminated(at);
    }
    let good = scores.last().is_some_and(|last| *last >= judge.pass);
    if good { RunOutcome::Pass } else { RunOutcome::Fail }
}

/// Whether a score ends a run before its time. Kayenta's runs also end on a score equal to the
/// marginal threshold, which its classifier calls marginal; the improved rules go on.
pub fn terminates(judge: &JudgeConfig, score: f64) -> bool {
    let at_threshold = judge.compat == Compat::Kayenta && score <= judge.marginal;
    at_threshold || classify_score(judge, score) == ScoreClass::Fail
}
