//! Settings of a service's life beside its steps.

use super::words;
use serin_core::{DataFormats, OnFailure, OnNewRevision, ServiceSpec, Train};

pub(super) const KEYS: &str = "onNewRevision, onFailure, holdAfter, keepOld, keepFailed, \
                               historyLimit, data, hourCost, train";

/// Takes one `key=value`; false when the key is none of these.
pub(super) fn change(spec: &mut ServiceSpec, key: &str, value: &str) -> Result<bool, String> {
    match key {
        "onNewRevision" => spec.on_new_revision = on_new_revision(value)?,
        "onFailure" => spec.rollback.on_failure = on_failure(value)?,
        "holdAfter" => spec.rollback.hold_after = value == "yes",
        "keepOld" => spec.schedule.keep_old = words::span(value)?,
        "keepFailed" => spec.schedule.keep_failed = words::span(value)?,
        "historyLimit" => spec.history_limit = words::number(value, 1, 50)? as u32,
        "data" => spec.data = Some(data(value)?),
        "train" if value == "none" => spec.train = None,
        "train" => spec.train = Some(Train::Every(words::span(value)?)),
        "hourCost" => spec.instance_hour_cost = Some(words::number(value, 0, 1000)? as f64),
        _ => return Ok(false),
    }
    Ok(true)
}

fn on_new_revision(word: &str) -> Result<OnNewRevision, String> {
    match word {
        "restart" => Ok(OnNewRevision::Restart),
        "queue" => Ok(OnNewRevision::Queue),
        "reject" => Ok(OnNewRevision::Reject),
        _ => Err(format!("`{word}` is not allowed; allowed: restart, queue, reject")),
    }
}

fn on_failure(word: &str) -> Result<OnFailure, String> {
    match word.split_once(':') {
        None if word == "rollback" => Ok(OnFailure::Rollback),
        None if word == "hold" => Ok(OnFailure::Hold),
        Some(("confirm", time)) => Ok(OnFailure::Confirm { timeout: words::span(time)? }),
        _ => Err(format!("`{word}` is not allowed; allowed: rollback, hold, confirm:5m")),
    }
}

/// `1,2>2`: reads 1 and 2, writes 2.
fn data(word: &str) -> Result<DataFormats, String> {
    let wrong = || format!("`{word}` is not READS>WRITES such as 1,2>2");
    let (reads, writes) = word.split_once('>').ok_or_else(wrong)?;
    let number = |word: &str| word.parse::<u32>().map_err(|_| wrong());
    let reads = reads.split(',').map(number).collect::<Result<_, _>>()?;
    Ok(DataFormats { reads, writes: number(writes)? })
}
