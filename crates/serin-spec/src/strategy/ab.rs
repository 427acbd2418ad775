//! `ab`: a test of versions or variants by a goal, with users who stay with theirs.

use super::{Around, Frame, Usual, frame, percent};
use crate::{
    field::Field,
    reader::Reader,
    steps::{self, experiment},
};
use serin_core::{Experiment, HeaderMatch, Millis, Schedule, Step, Weight};

const HOUR: Millis = Millis::secs(3600);
const MONTH: Millis = Millis::secs(30 * 86_400);

/// How users are told apart.
#[derive(Clone, Copy, PartialEq)]
enum By {
    Share,
    Cookie,
    Header,
}

pub(crate) fn read(field: &Field<'_>, around: &Around<'_>) -> Option<Schedule> {
    let mut reader = field.map()?;
    let frame = Frame::read(&mut reader, around, Usual::BESIDE);
    let by = reader.or("by", By::Share, |f| {
        f.choice(&[("share", By::Share), ("cookie", By::Cookie), ("header", By::Header)])
    });
    let only = only(&mut reader, by);
    let variants =
        reader.or("variants", Some(Vec::new()), |f| Some(steps::variants(&f, around.base)));
    let arms = variants.as_ref().map_or(0, Vec::len);
    let weight = reader.or("weight", equal_share(arms), |f| steps::weight(&f));
    let at_least = reader.or("duration", HOUR, |f| f.duration(Millis::secs(1)..=MONTH));
    let deadline = reader.or("deadline", experiment::usual_deadline(at_least), |f| {
        f.duration(Millis::secs(1)..=MONTH)
    });
    let winner = experiment::rule(&mut reader);
    experiment::check_deadline(&reader, at_least, deadline);
    check_sticky(&reader, around, by);
    reader.finish();
    let (variants, only) = (variants?, only?);
    experiment::check_shares(field, weight, &variants);
    let trial = Experiment { variants, at_least, deadline, winner: Some(winner?) };
    let all = vec![Step::SetWeight(weight), Step::Experiment(trial), percent(100)];
    let schedule = Schedule { only, ..frame.of("ab", all) };
    check_worker(field, around);
    frame::check_start(&field.map()?, &schedule);
    Some(schedule)
}

fn check_worker(field: &Field<'_>, around: &Around<'_>) {
    if around.worker {
        let message = "`ab` shares out users, and a worker has none";
        field.report(field.key_problem("worker", message).hint("use `rolling`"));
    }
}

/// As much for the candidate as for stable and for each variant.
fn equal_share(variants: usize) -> Weight {
    let parts = 100 / (variants as u64 + 2) * 1000;
    Weight::try_from(parts).unwrap_or(Weight::HALF)
}

/// The users who take part, where not all do.
fn only(reader: &mut Reader<'_>, by: By) -> Option<Vec<HeaderMatch>> {
    let written = reader.has("match");
    let found = reader.or("match", Some(Vec::new()), |f| Some(steps::header_matches(&f)));
    if written != (by == By::Header) {
        let message = if written {
            "`match` picks users by a header, and this test is not by header"
        } else {
            "`by: header` needs the headers of those who take part"
        };
        let hint = "write `by: header` with `match: [{ headerName: x-user-type, headerValue: { \
                    exact: insider } }]`";
        reader.report(reader.key_problem("wrong-choice", message).hint(hint));
    }
    found
}

/// Users who change sides between two requests tell nothing about either.
fn check_sticky(reader: &Reader<'_>, around: &Around<'_>, by: By) {
    if around.sticky || around.worker {
        return;
    }
    let message = "users must stay with their version while they are tested, and `traffic` has no \
                   `affinity`";
    let hint = "write `traffic: { affinity: { cookie: serin } }`";
    let problem = reader.key_problem("no-affinity", message).hint(hint);
    reader.report(if by == By::Cookie { problem } else { problem.warning() });
}
