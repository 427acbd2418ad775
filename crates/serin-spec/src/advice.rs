//! What a service without a ladder of evidence could have for its traffic, and what that would find.

use crate::{
    strategy::{Frame, evidence, percent},
    written::written_out,
};
use serin_core::{Analysis, Millis, Schedule, ServiceSpec, Step, Weight};
use serin_stats::planner::{self, Question};

/// Longer than this nobody waits for a good version, in seconds.
const PATIENCE: f64 = 6.0 * 3600.0;
/// The shortest time at a rung: less shows no crash.
const AT_LEAST: Millis = Millis::secs(30);

/// A proposal.
#[derive(Debug, Clone, PartialEq)]
pub struct Advice {
    /// What to write under `spec.strategy`; `None` where the traffic is too thin for evidence.
    pub strategy: Option<String>,
    /// What it takes and finds, beside what there is now, in one sentence.
    pub sentence: String,
}

/// What to propose to the owner of `spec`, whose users send `rps` requests a second (above 0), a
/// share of `errors` (0 to 0.5) of which fail. `None` for a service whose steps ask for evidence
/// already, for a worker, and for numbers that are none.
pub fn advice(spec: &ServiceSpec, rps: f64, errors: f64) -> Option<Advice> {
    let schedule = &spec.schedule;
    let sound = rps > 0.0 && rps.is_finite() && (0.0..=0.5).contains(&errors);
    if !sound || schedule.rungs() > 0 || spec.traffic.listen.is_none() {
        return None;
    }
    let analysis = schedule.analysis.clone().filter(Analysis::compares).unwrap_or_default();
    let config = analysis.judge_config(spec.traffic.affinity.is_some()).ok()?;
    let first = planner::usual_share(rps * 86_400.0).low;
    let detect = (errors * analysis.harm_ratio).max(analysis.harm_floor).min(0.99);
    let question =
        Question { config, baseline: errors, detect, share: first, rps: Some(rps), within: None };
    let shares = planner::ladder(first);
    let stages = planner::schedule(&question, &shares);
    let takes = stages.last().map(|stage| stage.until.max(30.0 * stages.len() as f64));
    Some(match takes.filter(|seconds| *seconds <= PATIENCE) {
        Some(takes) => Advice {
            strategy: Some(text(&shares, analysis)),
            sentence: found(&question, takes, schedule),
        },
        None => Advice { strategy: None, sentence: too_thin(&question, takes) },
    })
}

/// The ladder, as it is written.
fn text(shares: &[f64], analysis: Analysis) -> String {
    let weight = |share: &f64| Weight::try_from((share * 100_000.0).round() as u64).ok();
    let rungs = shares.iter().filter_map(weight);
    let mut steps: Vec<_> =
        rungs.flat_map(|weight| [Step::SetWeight(weight), evidence(AT_LEAST)]).collect();
    steps.push(percent(100));
    let written = written_out(&Frame::usual(analysis).of("canary", steps));
    let lines = written.lines().map(|line| format!("    {line}\n"));
    lines.fold("canary:\n  steps:\n".into(), |text, line| text + &line)
}

fn found(question: &Question, takes: f64, now: &Schedule) -> String {
    let Question { baseline, detect, share, .. } = question;
    let ladder = format!(
        "{}: a ladder of evidence promotes a good version after about {}",
        traffic(question),
        span(takes)
    );
    let finds = question.detection().map(|timing| {
        let half = timing.median;
        let seconds = half.seconds.unwrap_or(0.0);
        format!(
            "; one that fails {} instead of {} stays at {} of the traffic and is taken back after \
             about {} of its requests ({})",
            rate(*detect),
            rate(*baseline),
            rate(*share),
            half.canary,
            span(seconds)
        )
    });
    format!("{ladder}{}; {}", finds.unwrap_or_default(), present(question, now))
}

/// What the schedule there is can find before everybody has the new version.
fn present(question: &Question, now: &Schedule) -> String {
    let name = &now.strategy;
    let (seconds, share) = exposure(now);
    if now.analysis.is_none() || seconds < 1.0 {
        return format!("`{name}` compares nothing before everybody has the new version");
    }
    let asked = Question { share, within: Some(seconds), ..question.clone() };
    let worst = asked.answer().ok().and_then(|power| power.detectable).and_then(|d| d.p90);
    match worst {
        Some(worst) if worst <= question.detect => {
            format!("`{name}` would find it too, and takes {} for any version", span(seconds))
        }
        Some(worst) => format!(
            "`{name}` gives everybody the new version after {}, in which nine in ten are found only \
             of those that fail {} or more",
            span(seconds),
            rate(worst)
        ),
        None => format!(
            "`{name}` gives everybody the new version after {}, too soon to find any rate of errors \
             nine times in ten",
            span(seconds)
        ),
    }
}

/// Seconds until everybody has the new version, and the largest share on the way.
fn exposure(schedule: &Schedule) -> (f64, f64) {
    let (mut seconds, mut share) = (0.0, 0.01);
    for (_, step) in schedule.steps() {
        match step {
            Step::SetWeight(Weight::ALL) => break,
            Step::SetWeight(weight) => share = f64::from(weight.parts()) / 100_000.0,
            Step::Pause(Some(span)) => seconds += span.0 as f64 / 1000.0,
            Step::Bake(bake) => seconds += bake.at_least.0 as f64 / 1000.0,
            _ => {}
        }
    }
    (seconds, share)
}

fn too_thin(question: &Question, takes: Option<f64>) -> String {
    const MONTH: f64 = 30.0 * 86_400.0;
    let takes = match takes {
        Some(seconds) if seconds < MONTH => format!("about {}", span(seconds)),
        _ => "more than a month".into(),
    };
    format!(
        "{}: evidence that a version does no harm would take {takes}; watch health and errors with \
         what there is, or try versions on copies first: `strategy: shadow`",
        traffic(question)
    )
}

fn traffic(question: &Question) -> String {
    let rps = question.rps.unwrap_or(0.0);
    let shown = if rps >= 10.0 { format!("{rps:.0}") } else { format!("{rps:.2}") };
    format!("at {shown} requests a second with {} errors", rate(question.baseline))
}

/// `0.5 %`, `12 %`.
fn rate(share: f64) -> String {
    let percent = (share * 1e5).round() / 1e3;
    let rounded = if percent >= 10.0 { percent.round() } else { (percent * 100.0).round() / 100.0 };
    format!("{rounded} %")
}

fn span(seconds: f64) -> String {
    Millis::secs(seconds.ceil() as u64).to_string()
}
