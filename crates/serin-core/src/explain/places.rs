//! What the instances of a rollout wait for: those of the candidate, and both sides where they trade
//! places.

use super::{WaitingOn, acknowledgement, leaving};
use crate::engine::trade::Trade;
use crate::{Millis, Rollout, RolloutKind, Service, Timestamp};

/// What a step waits for that sizes the candidate.
pub(super) fn scale_waits(service: &Service, r: &Rollout, now: Timestamp) -> WaitingOn {
    if r.places.is_some() {
        return waits(service, r, now);
    }
    let waits = instances_wait(service, r, service.wanted_size(r), now);
    waits.unwrap_or_else(|| acknowledgement(service))
}

/// Instances of the candidate that are not ready or not warm.
pub(super) fn instances_wait(
    service: &Service,
    r: &Rollout,
    wanted: u32,
    now: Timestamp,
) -> Option<WaitingOn> {
    let revision = r.candidate.clone();
    let ready = service.ready(&revision);
    if ready < wanted {
        return Some(WaitingOn::Instances { revision, ready, wanted });
    }
    let warm = service.ready_for(&revision, now);
    let cold = r.kind != RolloutKind::First && warm < r.schedule.warm_up;
    let left = Millis(r.schedule.warm_up.0.saturating_sub(warm.0));
    (cold && wanted > 0).then_some(WaitingOn::WarmUp { revision, left })
}

/// What the two sides wait for while they trade places.
pub(super) fn waits(service: &Service, r: &Rollout, now: Timestamp) -> WaitingOn {
    let back = !r.is_on_trial();
    let (Some(trade), Some(stable)) = (Trade::of(service, r), r.baseline.as_ref()) else {
        return acknowledgement(service);
    };
    let (rises, falls) = if back { (stable, &r.candidate) } else { (&r.candidate, stable) };
    let (rising, falling) = trade.rising(back);
    if let Some(since) = r.downtime.since.filter(|_| rising.ready == 0) {
        let (revision, so_far) = (rises.clone(), now.since(since));
        let wanted = trade.wanted(back);
        return WaitingOn::Down { revision, ready: rising.ready, wanted, so_far };
    }
    if let Some(until) = r.places.as_ref().and_then(|places| places.failed?.until) {
        let what = format!("a failed place of {} to be tried again", r.candidate.version);
        return WaitingOn::Time { left: until.since(now), what };
    }
    if !service.is_applied() {
        return acknowledgement(service);
    }
    if rising.ready < rising.planned {
        let (revision, ready, wanted) = (rises.clone(), rising.ready, trade.wanted(back));
        return WaitingOn::Instances { revision, ready, wanted };
    }
    if let (false, Some(waits)) = (back, instances_wait(service, r, rising.planned, now)) {
        return waits;
    }
    let going = falling.leaving + falling.alive.saturating_sub(falling.planned);
    if going > 0 {
        let seen = service.observed.revisions.get(falls);
        let in_flight = seen.map_or(0, |seen| seen.in_flight);
        return WaitingOn::Room { revision: falls.clone(), leaving: going, in_flight };
    }
    if back { leaving(service, r, Some(&r.candidate), now) } else { acknowledgement(service) }
}
