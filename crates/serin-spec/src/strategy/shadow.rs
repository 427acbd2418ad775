//! `shadow`: copies of the traffic go to the candidate, and users see stable alone.

use super::{Around, Frame, HOUR, Usual, frame, percent};
use crate::{field::Field, reader::Reader, steps};
use serin_core::{
    Approval, Bake, Millis, MirrorRoute, RequestMatch, Scale, Schedule, Step, Weight,
};

const MONTH: Millis = Millis::secs(30 * 86_400);
/// The route's name.
const SHADOW: &str = "shadow";
/// How long somebody may still keep a version that is thrown away after its test.
const LAST_WORD: Millis = Millis::secs(60);

/// What follows the test.
#[derive(Clone, Copy)]
enum Then {
    Pause,
    Promote,
    Discard,
}

pub(crate) fn read(field: &Field<'_>, around: &Around<'_>) -> Option<Schedule> {
    let mut reader = field.map_or_nothing()?;
    let frame = Frame::read(&mut reader, around, Usual::BESIDE);
    let share = reader.or("percent", Weight::ALL, |f| steps::percentage(&f));
    let matches = reader.or("match", Some(Vec::new()), |f| Some(steps::request_matches(&f)));
    let bake = look(&mut reader);
    let then = reader.or("then", Then::Pause, |f| {
        let names =
            [("pause", Then::Pause), ("promote", Then::Promote), ("discard", Then::Discard)];
        f.choice(&names)
    });
    if around.worker {
        let message = "`shadow` copies requests, and a worker has none";
        reader.report(reader.key_problem("worker", message).hint("use `rolling`"));
    }
    reader.finish();
    let mut all = test(share, matches?, bake);
    match then {
        Then::Pause => all.push(Step::Pause(None)),
        Then::Promote => {}
        Then::Discard => {
            let timeout = Some(LAST_WORD);
            all.push(Step::Approve(Approval { from: Vec::new(), count: 1, timeout }));
        }
    }
    all.extend((share < Weight::ALL).then_some(Step::SetScale(Scale::Share(Weight::ALL))));
    all.push(percent(100));
    let schedule = frame.of("shadow", all);
    if !around.worker {
        frame::must_judge(field, around, "shadow", &schedule);
    }
    frame::check_start(&field.map_or_nothing()?, &schedule);
    Some(schedule)
}

/// How long the copies are looked at: until the evidence is there, unless only a time is said.
fn look(reader: &mut Reader<'_>) -> Bake {
    let timed = reader.has("for");
    let at_least = reader.or("for", Millis(0), |f| f.duration(Millis::secs(1)..=MONTH));
    let until = reader.or("until", !timed, |f| f.choice(&[("evidence", true)]));
    let usual = HOUR.max(Millis(at_least.0 * 2));
    let deadline = reader.or("deadline", usual, |f| f.duration(Millis::secs(1)..=MONTH));
    if deadline <= at_least {
        let message =
            format!("the deadline of {deadline} comes before the {at_least} of `for` are over");
        let hint = "write a `deadline` longer than `for`";
        reader.report(reader.key_problem("deadline-too-short", message).hint(hint));
    }
    Bake { at_least, requests: 0, until_evidence: until, deadline }
}

/// Instances for the copies, the copies, a look at them, and their end.
fn test(share: Weight, matches: Vec<RequestMatch>, bake: Bake) -> Vec<Step> {
    let route =
        |matches, share| Step::SetMirror(MirrorRoute { name: SHADOW.into(), matches, share });
    vec![
        Step::SetScale(Scale::Share(share)),
        route(matches, share),
        Step::Bake(bake),
        route(Vec::new(), Weight::NONE),
    ]
}
