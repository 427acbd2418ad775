//! Routes by header and copies: set by steps, gone before anything else on every way out.

use super::{Turn, convict};
use crate::{
    Fact, HeaderMatch, HeaderRoute, Mirror, MirrorRoute, Phase, Plan, Preview, RevisionId, Rollout,
    Rule, Service, TextMatch, Weight,
};

/// Rules, copies and preview of the world `service` wants.
#[derive(Debug, Default)]
pub(super) struct Routes {
    pub(super) rules: Vec<Rule>,
    pub(super) only: Vec<HeaderMatch>,
    pub(super) mirror: Option<Mirror>,
    pub(super) preview: Option<Preview>,
}

/// What is wanted now: nothing but the preview unless the steps are under way, so nothing is left
/// behind.
pub(super) fn wanted(service: &Service) -> Routes {
    if service.removing {
        return Routes::default();
    }
    let stepping = |r: &&Rollout| matches!(r.phase, Phase::Stepping);
    let Some(rollout) = service.rollout.as_ref().filter(stepping) else {
        return Routes { preview: preview(service, None), ..Routes::default() };
    };
    let to = &rollout.candidate;
    let rule = |route: &HeaderRoute| Rule {
        name: route.name.clone(),
        matches: route.matches.clone(),
        to: to.clone(),
    };
    let mirror = rollout.beside.mirror.as_ref().map(|route| Mirror {
        to: to.clone(),
        matches: route.matches.clone(),
        share: route.share,
    });
    let some = rollout.weight < Weight::ALL;
    Routes {
        rules: rollout.beside.routes.iter().map(rule).collect(),
        only: if some { rollout.schedule.only.clone() } else { vec![] },
        mirror: mirror.filter(|_| some),
        preview: preview(service, Some(to)),
    }
}

/// The address for those who try `candidate`: it leads there once that was ready, and to stable
/// before and between rollouts, so that it never stops answering. It is not moved for a moment
/// without a ready instance.
fn preview(service: &Service, candidate: Option<&RevisionId>) -> Option<Preview> {
    let listen = service.spec.traffic.preview?;
    let known = service.plan.as_deref().and_then(|plan| plan.preview.as_ref());
    let leads = |to: &&RevisionId| {
        let same = known.is_some_and(|known| known.listen == listen && known.to == **to);
        same || service.ready(to) > 0
    };
    let to = candidate.into_iter().chain(service.stable.as_ref()).find(leads)?;
    Some(Preview { listen, to: to.clone() })
}

/// Whether the data plane has what the state wants.
fn is_confirmed(service: &Service) -> bool {
    let wanted = wanted(service);
    let has = |plan: &Plan| plan.rules == wanted.rules && plan.mirror == wanted.mirror;
    service.plan.as_deref().is_some_and(has) && service.is_applied()
}

impl Turn {
    /// Sets or takes away a route, and goes on when the data plane has confirmed it.
    pub(super) fn header_route(&mut self, route: &HeaderRoute) -> bool {
        let Some(rollout) = self.service.rollout.as_ref() else { return false };
        let known = rollout.beside.routes.iter().find(|r| r.name == route.name);
        let wanted = Some(route).filter(|route| !route.matches.is_empty());
        if known == wanted {
            return self.routed();
        }
        if !self.may_route(wanted.is_some()) {
            return false;
        }
        let on = wanted.is_some();
        let Some(rollout) = self.service.rollout.as_mut() else { return false };
        let routes = &mut rollout.beside.routes;
        match routes.iter_mut().find(|r| r.name == route.name) {
            Some(known) if on => known.clone_from(route),
            Some(_) => routes.retain(|r| r.name != route.name),
            None => routes.push(route.clone()),
        }
        let revision = rollout.candidate.clone();
        let what = if on { words(&route.matches) } else { String::new() };
        self.tell(Fact::HeaderRoute { revision, name: route.name.clone(), what });
        true
    }

    /// The same of copies.
    pub(super) fn mirror_route(&mut self, route: &MirrorRoute) -> bool {
        let Some(rollout) = self.service.rollout.as_ref() else { return false };
        let wanted = Some(route).filter(|route| route.share > Weight::NONE);
        if rollout.beside.mirror.as_ref() == wanted {
            return self.routed();
        }
        if !self.may_route(wanted.is_some()) {
            return false;
        }
        let Some(rollout) = self.service.rollout.as_mut() else { return false };
        rollout.beside.mirror = wanted.cloned();
        let revision = rollout.candidate.clone();
        self.tell(Fact::Mirror { revision, share: route.share });
        true
    }

    /// Nothing is led to a candidate without a ready instance, nor moved while it is held.
    fn may_route(&self, on: bool) -> bool {
        let Some(rollout) = self.service.rollout.as_ref() else { return false };
        let ready = convict::is_up(&self.service, rollout, self.now);
        rollout.paused.is_none() && (!on || ready)
    }

    fn routed(&mut self) -> bool {
        let held = self.service.rollout.as_ref().is_none_or(|r| r.paused.is_some());
        let go = !held && is_confirmed(&self.service);
        if go {
            self.next_step(self.now);
        }
        go
    }
}

/// Conditions in words.
pub(crate) fn words(matches: &[HeaderMatch]) -> String {
    let one = |m: &HeaderMatch| match &m.value {
        TextMatch::Exact(text) => format!("{}: {text}", m.header),
        TextMatch::Prefix(text) => format!("{}: {text}...", m.header),
        TextMatch::Regex(text) => format!("{} like /{text}/", m.header),
        TextMatch::Present => format!("any {}", m.header),
    };
    matches.iter().map(one).collect::<Vec<_>>().join(" or ")
}
