//! `blueGreen`: a whole second environment, tested before one atomic switch, the old one kept warm
//! for a way back at once.

use super::{Around, DAY, Frame, HOUR, Usual, frame, percent};
use crate::{
    field::Field,
    reader::Reader,
    steps::{self, Climbed, Start},
};
use serin_core::{Hook, Millis, MirrorRoute, Scale, Schedule, Stage, Step, Weight};
use serin_stats::threshold::Check;

const USUAL: Usual = Usual { keep_warm: super::KEEP_WARM, keep_old: HOUR };

/// What is done between the tests and the switch.
#[derive(Default)]
struct Promotion {
    manual: bool,
    after: Option<Millis>,
}

pub(crate) fn read(field: &Field<'_>, around: &Around<'_>) -> Option<Schedule> {
    let mut reader = field.map_or_nothing()?;
    let mut frame = Frame::read(&mut reader, around, USUAL);
    let mut checks = frame.analysis.checks.clone();
    let preview = reader.maybe("previewReplicas", |f| f.integer(1..=100)).map(|n| n as u32);
    let promotion = promotion(&mut reader);
    let before = reader
        .or("prePromotion", Some(Vec::new()), |f| Some(pre_promotion(&f, around, &mut checks)));
    let switch = reader.or("traffic", Some(vec![percent(100)]), |f| {
        Some(traffic(&f, &frame, around, &mut checks))
    });
    let after = reader.or("postPromotion", Some(Vec::new()), |f| {
        Some(post_promotion(&f, &mut frame, &mut checks))
    });
    steps_belong_elsewhere(&mut reader);
    check_address(&reader, around, &promotion);
    reader.finish();
    let mut tests =
        vec![Step::SetScale(preview.map_or(Scale::Share(Weight::ALL), Scale::Instances))];
    tests.extend(before?);
    tests.extend(promotion.after.map(|span| Step::Pause(Some(span))));
    tests.extend(promotion.manual.then_some(Step::Pause(None)));
    let mut switching = Vec::new();
    switching.extend(preview.map(|_| Step::SetScale(Scale::Share(Weight::ALL))));
    switching.extend(switch?);
    switching.extend(after?);
    let stage = |name: &str, steps| Stage { name: name.into(), steps };
    let stages = vec![stage("preview", tests), stage("switch", switching)];
    let schedule = frame.staged("blueGreen", stages, checks);
    frame::check_start(&field.map_or_nothing()?, &schedule);
    Some(schedule)
}

fn promotion(reader: &mut Reader<'_>) -> Promotion {
    let automatic = reader.or("autoPromotion", true, |f| f.truth());
    let after = reader.maybe("autoPromotionAfter", |f| f.duration(Millis(1)..=DAY));
    if let Some(field) = reader.peek("autoPromotionAfter").filter(|_| !automatic) {
        let message = "`autoPromotionAfter` says when to promote, and `autoPromotion: false` says \
                       that a person does";
        field.report(field.key_problem("contradiction", message).hint("remove one of the two"));
    }
    Promotion { manual: !automatic, after }
}

/// Tests, copies and checks before any user sees the new colour; then people.
fn pre_promotion(
    field: &Field<'_>,
    around: &Around<'_>,
    checks: &mut Vec<Check>,
) -> Option<Vec<Step>> {
    let mut reader = field.map()?;
    let run = reader.or("run", Some(Vec::new()), |f| Some(steps::hooks(&f, around.base)));
    let mirror = reader.maybe("mirror", |f| steps::percentage(&f));
    let analysis = reader.maybe("analysis", |f| named(&f, checks));
    let approval = reader.maybe("approval", |f| steps::approval(&f));
    if reader.len() == 0 {
        let hint = "write for example `run: { http: { url: /status } }`";
        reader.report(reader.key_problem("empty-value", "`prePromotion` is empty").hint(hint));
    }
    if let Some(field) =
        reader.peek("analysis").filter(|_| !reader.has("mirror") && !around.metrics)
    {
        let message = "these checks look at the candidate's requests, and before the switch it has \
                       none: they would wait for ever";
        let hint = "add `mirror: 100` to send it copies, or check after the switch in \
                    `postPromotion`";
        field.report(steps::blocks(&field, message).hint(hint));
    }
    reader.finish();
    let route = |share: Weight| {
        let matches = Vec::new();
        Step::SetMirror(MirrorRoute { name: "preview".into(), matches, share })
    };
    let run: Vec<Hook> = run?;
    let mut all = Vec::new();
    all.extend((!run.is_empty()).then_some(Step::Run(run)));
    all.extend(mirror.map(route));
    all.extend(analysis);
    all.extend(mirror.map(|_| route(Weight::NONE)));
    all.extend(approval.map(Step::Approve));
    Some(all)
}

fn named(field: &Field<'_>, checks: &mut Vec<Check>) -> Option<Step> {
    let named = steps::named_checks(field, checks)?;
    checks.extend(named.new);
    for check in checks.iter_mut().filter(|c| named.step.checks.contains(&c.name)) {
        // The step says when it begins.
        check.starting_step = 0;
    }
    Some(Step::Analyse(named.step))
}

/// How long the switch is watched, and the checks it has to pass, while the way back is instant.
fn post_promotion(
    field: &Field<'_>,
    frame: &mut Frame,
    checks: &mut Vec<Check>,
) -> Option<Vec<Step>> {
    let mut reader = field.map()?;
    let watch = reader.maybe("watch", |f| f.duration(Millis::secs(1)..=DAY));
    let analysis = reader.maybe("analysis", |f| named(&f, checks));
    if reader.len() == 0 {
        let hint = "write for example `watch: 2m`";
        reader.report(reader.key_problem("empty-value", "`postPromotion` is empty").hint(hint));
    }
    reader.finish();
    if let Some(watch) = watch {
        frame.analysis.after_promotion = frame.analysis.after_promotion.max(watch);
    }
    Some(analysis.into_iter().collect())
}

/// `instant`, or the steps of a canary between the two colours.
fn traffic(
    field: &Field<'_>,
    frame: &Frame,
    around: &Around<'_>,
    checks: &mut Vec<Check>,
) -> Option<Vec<Step>> {
    if !field.is_map() {
        field.choice(&[("instant", ())])?;
        return Some(vec![percent(100)]);
    }
    let mut reader = field.map()?;
    let allow_decrease = reader.or("allowDecrease", false, |f| f.truth());
    let judged = frame.judged().with(checks);
    let start = Start { judged, around, instances: true, allow_decrease };
    let climbed =
        reader.need("steps", "[setWeight: 10, setWeight: 100]", |f| steps::read(&f, start));
    reader.finish();
    let Climbed { steps, checks: all } = climbed?;
    *checks = all;
    Some(steps)
}

fn steps_belong_elsewhere(reader: &mut Reader<'_>) {
    if let Some(field) = reader.take_silently("steps") {
        let message = "`blueGreen` switches all traffic at once and has no `steps`";
        let hint = "for a canary inside the switch write `traffic: { steps: [...] }`; else use \
                    `canary`";
        reader.report(field.key_problem("wrong-choice", message).hint(hint));
    }
}

/// Whoever tests or looks at the new colour must be able to reach it.
fn check_address(reader: &Reader<'_>, around: &Around<'_>, promotion: &Promotion) {
    if around.preview || around.worker {
        return;
    }
    let hint = "add `preview: \"127.0.0.1:8081\"` to `traffic`";
    if let Some(field) = reader.peek("prePromotion") {
        let message = "`prePromotion` looks at the candidate before it has traffic, and `traffic` \
                       names no `preview` address to reach it at";
        field.report(field.key_problem("missing-preview", message).hint(hint));
    } else if promotion.manual {
        let message = "a person decides about the switch, and `traffic` names no `preview` address \
                       to look at the candidate";
        reader.report(reader.key_problem("missing-preview", message).warning().hint(hint));
    }
}
