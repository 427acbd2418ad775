//! `rolling`: the candidate takes stable's places, a batch at a time.

use super::{Around, Frame, Usual, bake, frame};
use crate::{field::Field, reader::Reader};
use serin_core::{Amount, Capacity, Millis, OnInstanceFailure, Schedule, Step, Weight};

const HOUR: Millis = Millis::secs(3600);
/// How long a batch is looked at before the next, unless said.
const VERIFY: Millis = Millis::secs(10);
const QUARTER: Amount = Amount::Percent(25);

pub(crate) fn read(field: &Field<'_>, around: &Around<'_>) -> Option<Schedule> {
    let mut reader = field.map_or_nothing()?;
    let frame = Frame::read(&mut reader, around, Usual::REPLACED);
    let max_surge = reader.or("maxSurge", QUARTER, |f| amount(&f, 0));
    let max_unavailable = reader.or("maxUnavailable", Amount::Count(0), |f| amount(&f, 0));
    let batch = reader.or("batch", QUARTER, |f| amount(&f, 1));
    let verify = reader.or("verify", VERIFY, |f| verify(&f));
    let on_instance_failure = reader.or("onInstanceFailure", OnInstanceFailure::Back, |f| {
        f.choice(&[
            ("back", OnInstanceFailure::Back),
            ("stop", OnInstanceFailure::Stop),
            ("forward", OnInstanceFailure::Forward),
        ])
    });
    check_room(&reader, around, max_surge, max_unavailable);
    no_steps(&mut reader);
    reader.finish();
    let waits = |weight| [Step::SetWeight(weight), bake(verify)];
    let steps = batches(batch, around.replicas).into_iter().flat_map(waits).collect();
    let schedule = Schedule {
        capacity: Capacity::Replace { max_surge, max_unavailable },
        on_instance_failure,
        ..frame.of("rolling", steps)
    };
    frame::check_start(&reader_again(field)?, &schedule);
    Some(schedule)
}

fn reader_again<'a>(field: &Field<'a>) -> Option<Reader<'a>> {
    field.map_or_nothing()
}

/// Nothing can be replaced where no instance may be added and none taken.
fn check_room(reader: &Reader<'_>, around: &Around<'_>, surge: Amount, unavailable: Amount) {
    let n = around.replicas;
    if surge.up(n) > 0 || unavailable.down(n) > 0 {
        return;
    }
    let message = format!(
        "with {n} replicas `maxSurge` is 0 and `maxUnavailable` is {}: no instance may be added \
         and none taken away, so nothing could ever be replaced",
        unavailable.down(n)
    );
    let hint = "write `maxSurge: 1` to add before taking away, or `maxUnavailable: 1`";
    let field = reader.peek("maxUnavailable").or_else(|| reader.peek("maxSurge"));
    let problem = match field {
        Some(field) => field.problem("contradiction", message),
        None => reader.key_problem("contradiction", message),
    };
    reader.report(problem.hint(hint));
}

/// Batches have no steps of their own, and no step that asks for evidence.
fn no_steps(reader: &mut Reader<'_>) {
    if let Some(field) = reader.take_silently("steps") {
        let message = "`rolling` has no `steps`: it goes batch by batch and asks for no evidence";
        let hint = "set `batch` and `verify`, or use `canary: { dynamicStableScale: true, steps: \
                    [...] }`";
        reader.report(field.key_problem("wrong-choice", message).hint(hint));
    }
}

/// A time. Evidence is what a canary asks for.
fn verify(field: &Field<'_>) -> Option<Millis> {
    if field.is_map() {
        let message = "`verify` is a time: a rolling update asks for no evidence";
        let hint = "write `verify: 30s`; to wait for evidence use `canary: { dynamicStableScale: \
                    true, steps: [...] }`";
        field.report(field.problem("wrong-type", message).hint(hint));
        return None;
    }
    field.duration(Millis(0)..=HOUR)
}

/// `25%` or a number of instances.
fn amount(field: &Field<'_>, least: u64) -> Option<Amount> {
    let text = field.scalar().unwrap_or_default();
    if !text.trim_end().ends_with('%') {
        return field.integer(least..=100).map(|n| Amount::Count(n as u32));
    }
    let share = field.percent(least as f64..=100.0)? * 100.0;
    if (share - share.round()).abs() < 1e-9 {
        return Some(Amount::Percent(share.round() as u32));
    }
    field.report(field.problem("out-of-range", format!("{} is no whole percentage", field.what)));
    None
}

/// Weights batch by batch, up to everything. In instances where they are counted in instances.
fn batches(batch: Amount, replicas: u32) -> Vec<Weight> {
    let (size, whole) = match batch {
        Amount::Percent(percent) => (percent, 100),
        Amount::Count(n) => (n, replicas),
    };
    let parts = |n: u32| u64::from(n.min(whole)) * 100_000 / u64::from(whole.max(1));
    let count = whole.div_ceil(size.max(1)).max(1);
    (1..=count).filter_map(|n| Weight::try_from(parts(n.saturating_mul(size))).ok()).collect()
}
