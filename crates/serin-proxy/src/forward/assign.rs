//! Which arm a request belongs to, and which one serves it.

use super::{Answer, Carry, own};
use crate::count::{Dealt, Ticket};
use crate::route::{Arm, Route};
use crate::steer::{self, Way};
use http::{HeaderMap, StatusCode};

/// No arm has a ready instance.
pub struct NotReady;

/// A request and its arm.
pub struct Assigned<'a> {
    /// Where it is counted.
    pub ticket: Ticket,
    /// Who serves it.
    pub arm: &'a Arm,
    /// The arm it was dealt to; nothing for one that was led.
    pub dealt: Option<usize>,
}

impl Carry {
    /// The arm of the request, and the arm that serves it: override, rule, user, weight.
    pub(super) fn assign<'a>(
        &self,
        route: &'a Route,
        headers: &HeaderMap,
    ) -> Result<Assigned<'a>, NotReady> {
        if route.preview {
            return self.lead(route, Some(0));
        }
        match route.steer.as_ref().map_or(Way::Dealt, |steer| steer.way(headers)) {
            Way::Dealt => self.deal(route),
            Way::Led(arm) => self.lead(route, arm),
        }
    }

    fn dealt(&self) -> Dealt {
        Dealt { clock: self.session.worker.clock, arrived: self.arrived, user: self.user }
    }

    fn deal<'a>(&self, route: &'a Route) -> Result<Assigned<'a>, NotReady> {
        let mut rng = self.session.worker.rng.borrow_mut();
        let index = route.choose(self.user, &mut rng).ok_or(NotReady)?;
        let (arm, turn) = (&route.arms[index], self.session.turn.clone());
        let mut ticket = Ticket::assign(arm.count.clone(), self.dealt(), turn);
        if !arm.backends.is_empty() {
            return Ok(Assigned { ticket, arm, dealt: Some(index) });
        }
        let Some(other) = route.substitute(self.user, &mut rng) else {
            ticket.failed();
            return Err(NotReady);
        };
        // Held against a revision on trial while stable is there. A stable revision that is away
        // says nothing about the candidate: its errors would only make harm look usual.
        if arm.count.is_on_trial() {
            ticket.judge(None);
        }
        ticket.fallback();
        Ok(Assigned { ticket, arm: &route.arms[other], dealt: Some(other) })
    }

    /// A request that says where it goes. Without a ready instance there, stable serves it, or
    /// whoever can: a wish is no reason to fail. Only a preview is for its own revision alone.
    fn lead<'a>(&self, route: &'a Route, to: Option<usize>) -> Result<Assigned<'a>, NotReady> {
        let ready = |arm: &usize| route.arms.get(*arm).is_some_and(|arm| !arm.backends.is_empty());
        let stable = || steer::stable(&route.arms).filter(|_| !route.preview);
        let asked = to.filter(|to| *to < route.arms.len()).or_else(stable).ok_or(NotReady)?;
        let count = route.arms[asked].count.clone();
        let mut ticket = Ticket::lead(count, self.dealt(), self.session.turn.clone());
        if ready(&asked) {
            return Ok(Assigned { ticket, arm: &route.arms[asked], dealt: None });
        }
        let mut rng = self.session.worker.rng.borrow_mut();
        let mut anybody = || if route.preview { None } else { route.substitute(None, &mut rng) };
        let other = stable().filter(ready).or_else(&mut anybody);
        let Some(other) = other else {
            ticket.failed();
            return Err(NotReady);
        };
        ticket.fallback();
        Ok(Assigned { ticket, arm: &route.arms[other], dealt: None })
    }

    /// What a user is told whom nobody can serve now.
    pub(super) fn not_ready(&self) -> Answer {
        let route = &self.route;
        route.service.no_ready.set(route.service.no_ready.get() + 1);
        let line = if route.preview {
            "serin: no instance of the revision under preview is ready; try again in a moment\n"
        } else if route.arms.iter().all(|arm| arm.weight == 0) {
            "serin: no revision takes requests now; try again in a moment\n"
        } else {
            "serin: no ready instance\n"
        };
        own(&self.session, StatusCode::SERVICE_UNAVAILABLE, line)
    }
}
