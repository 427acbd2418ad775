//! `migrate`: the schema of the database comes before the code, whatever the strategy.

use crate::{field::Field, reader::Reader, run, strategy::Around, yaml::shown};
use serin_core::{MigrateStep, RequestMatch, Schedule, Shared, Step};

/// Methods of requests that change nothing, and so may be answered twice.
const SAFE: [&str; 3] = ["GET", "HEAD", "OPTIONS"];

/// `db/02_rename.yaml`, or a folder of such files. What is in them is read by whoever deploys.
pub(crate) fn read(field: &Field<'_>, around: &Around<'_>) -> Option<MigrateStep> {
    let path = run::path(field, around.base)?;
    if !around.database {
        let message = "this service names no `database` whose schema could be brought";
        let hint = "add `database: { url: { fromEnv: DATABASE_URL } }` beside `run`";
        field.report(field.key_problem("missing-key", message).hint(hint));
    }
    Some(MigrateStep { path, files: Shared::default() })
}

/// The schedule with `step` before all of its own, where one is asked for.
pub(crate) fn first(
    mut schedule: Schedule,
    step: Option<MigrateStep>,
    spec: &Reader<'_>,
) -> Schedule {
    if let Some(step) = step {
        if schedule.steps().any(|(_, step)| matches!(step, Step::Migrate(_))) {
            twice(spec);
        }
        if let Some(stage) = schedule.stages.first_mut() {
            stage.steps.insert(0, Step::Migrate(step));
            move_on(&mut schedule);
        }
    }
    check_copies(spec, &schedule);
    schedule
}

/// What begins with a step still begins with the same one.
fn move_on(schedule: &mut Schedule) {
    if schedule.analysis_from > 0 {
        schedule.analysis_from += 1;
    }
    let checks = schedule.analysis.iter_mut().flat_map(|analysis| &mut analysis.checks);
    for check in checks.filter(|check| check.starting_step > 0) {
        check.starting_step += 1;
    }
}

fn twice(spec: &Reader<'_>) {
    let Some(field) = spec.peek("migrate") else { return };
    let message = "both `migrate` and a step of the strategy bring a schema";
    field.report(field.key_problem("wrong-choice", message).hint("keep one of the two"));
}

/// Copies of requests that write would write everything twice, into the tables that both versions
/// use.
fn check_copies(spec: &Reader<'_>, schedule: &Schedule) {
    let brings = schedule.steps().any(|(_, step)| matches!(step, Step::Migrate(_)));
    let Some(field) = spec.peek("strategy").filter(|_| brings) else { return };
    let copied = schedule.steps().filter_map(|(_, step)| match step {
        Step::SetMirror(route) => Some(&route.matches),
        _ => None,
    });
    let method = copied.flatten().find_map(writes);
    if let Some(method) = method {
        let message = format!(
            "copies of {} requests reach the candidate, and it shares its tables with stable: \
             each would be written twice, in both shapes",
            shown(method)
        );
        let hint = "copy only what reads: leave `method` out for GET, HEAD and OPTIONS";
        field.report(field.key_problem("copies-write", message).hint(hint));
    }
}

fn writes(wanted: &RequestMatch) -> Option<&str> {
    wanted.methods.iter().map(String::as_str).find(|method| !SAFE.contains(method))
}
