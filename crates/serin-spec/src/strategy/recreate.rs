//! `recreate`: the old version is stopped before the new one starts. Users wait.

use super::{Around, Frame, Usual, frame, percent};
use crate::field::Field;
use serin_core::{Amount, Capacity, Schedule, Stage};

pub(crate) fn read(field: &Field<'_>, around: &Around<'_>) -> Option<Schedule> {
    let mut reader = field.map_or_nothing()?;
    let window = reader.maybe("maintenanceWindow", |f| f.word().map(str::to_owned));
    let frame = Frame::read(&mut reader, around, Usual::REPLACED);
    if around.environment == "production" && !reader.has("maintenanceWindow") {
        let message = "avoid `recreate` for production services: it stops the service while it \
                       changes the version";
        let hint = "write `maintenanceWindow: \"Sunday 02:00 to 02:10\"` so that everybody knows \
                    when, or use `rolling`";
        reader.report(reader.key_problem("downtime-in-production", message).hint(hint));
    }
    if let Some(field) = reader.peek("keepOld") {
        let message = "`keepOld` keeps the old version running, and `recreate` stops it first";
        field.report(field.key_problem("contradiction", message).hint("remove it"));
    }
    reader.finish();
    let name = window.map_or_else(|| "recreate".into(), |at| format!("recreate ({at})"));
    let checks = frame.analysis.checks.clone();
    let stages = vec![Stage { name, steps: vec![percent(100)] }];
    let capacity =
        Capacity::Replace { max_surge: Amount::Count(0), max_unavailable: Amount::Percent(100) };
    let schedule = Schedule { capacity, ..frame.staged("recreate", stages, checks) };
    frame::check_start(&field.map_or_nothing()?, &schedule);
    Some(schedule)
}
