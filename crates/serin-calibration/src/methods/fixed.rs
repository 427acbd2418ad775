//! Tests made for one look: at the end, peeked at, and with O'Brien and Fleming's boundary.

use super::Totals;
use crate::traffic::Moment;
use crate::watch::Watch;
use serin_stats::normal;

/// The hour all of these plan for.
pub const HORIZON: f64 = 3600.0;

/// A one-sided pooled two-proportion z-test.
struct Z {
    totals: Totals,
    seconds: f64,
    /// The z at which it alarms, by the part of the hour that is over.
    boundary: Boundary,
}

enum Boundary {
    Always(f64),
    AtEnd(f64),
    /// `z sqrt(part)` is held against it (O'Brien and Fleming 1979).
    Shrinking(f64),
}

impl Z {
    fn boxed(boundary: Boundary) -> Box<dyn Watch> {
        Box::new(Self { totals: Totals::default(), seconds: 0.0, boundary })
    }
}

impl Watch for Z {
    fn observe(&mut self, moment: &Moment) -> bool {
        self.totals.add(&moment.requests);
        self.seconds += f64::from(moment.requests.seconds);
        let variance = self.totals.pooled_variance();
        if !self.totals.are_enough() || variance <= 0.0 {
            return false;
        }
        let z = self.totals.difference() / libm::sqrt(variance);
        let part = self.seconds / HORIZON;
        match self.boundary {
            Boundary::Always(limit) => z > limit,
            Boundary::AtEnd(limit) => part >= 1.0 && z > limit,
            Boundary::Shrinking(limit) => z * libm::sqrt(part) >= limit,
        }
    }
}

/// Looked at every time.
pub fn peeked(alpha: f64) -> Box<dyn Watch> {
    Z::boxed(Boundary::Always(normal::quantile(1.0 - alpha)))
}

/// Looked at once, when the hour is over.
pub fn once(alpha: f64) -> Box<dyn Watch> {
    Z::boxed(Boundary::AtEnd(normal::quantile(1.0 - alpha)))
}

/// Looked at every time, with alpha 0.05 spent for continuous looks over the hour: the boundary of
/// Brownian motion, `P(max B > b) = 2 P(B > b) = 0.05`.
pub fn obrien_fleming() -> Box<dyn Watch> {
    Z::boxed(Boundary::Shrinking(normal::quantile(0.975)))
}
