//! What one worker knows of services: their routes, instances and counters.

use crate::affinity::Affinity;
use crate::count::ArmCount;
use crate::flags::{self, Carried, Counted, Sets};
use crate::merge::merge_dropped;
use crate::mirror::Mirror;
use crate::route::{Arm, Backend, Route, Service, ranged};
use crate::sessions::{Seats, Sessions};
use crate::steer::{self, Goal, Steer};
use crate::wire::{self, Counters, Dropped, Generation, InstanceLoad, ServiceCounters};
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// Generations whose counters are kept for each service.
pub const GENERATIONS: usize = 16;
/// The last counters of a service can be read for this long after its end.
const OVER_MS: u64 = 30_000;

/// One generation's counters.
struct Book {
    generation: Generation,
    arms: Vec<Rc<ArmCount>>,
}

#[derive(Default)]
struct Kept {
    service: Rc<Service>,
    route: Option<Rc<Route>>,
    listen: Option<SocketAddr>,
    preview: Option<(SocketAddr, Rc<Route>)>,
    books: VecDeque<Book>,
    /// Since when the table is without it and nothing of it runs.
    over_ms: Option<u64>,
}

/// One worker's part of everything.
pub struct Shard {
    sessions: Arc<Sessions>,
    /// The sets of flags that the routes were made with.
    flags: Arc<Sets>,
    services: BTreeMap<String, Kept>,
    /// In the table, or still holding something.
    backends: Vec<Rc<Backend>>,
    /// What was dropped of services that are forgotten.
    dropped: BTreeMap<String, Dropped>,
}

impl Shard {
    /// A worker that knows nothing; `sessions` are those of all workers.
    pub fn new(sessions: Arc<Sessions>) -> Self {
        let (flags, services, backends, dropped) = Default::default();
        Self { sessions, flags, services, backends, dropped }
    }

    /// Makes the table true here.
    pub fn adopt(&mut self, routes: &BTreeMap<String, Arc<wire::Route>>, flags: &Arc<Sets>) {
        let turned = !Arc::ptr_eq(&self.flags, flags);
        self.flags = flags.clone();
        for (name, kept) in &mut self.services {
            if !routes.contains_key(name) {
                (kept.route, kept.listen, kept.preview) = (None, None, None);
            }
        }
        for (name, route) in routes {
            let held = self.services.get(name).and_then(|kept| kept.route.as_ref());
            let other = held.is_none_or(|held| held.order != route.order());
            if other || (turned && route.flags.is_some()) {
                self.take(name, route);
            }
        }
        self.forget_gone();
    }

    /// The flags that requests of a service carry, each with its counters.
    fn carried(&mut self, name: &str, wire: &wire::Flags) -> Option<Carried> {
        let sets = self.flags.clone();
        let set = sets.get(&wire.set)?;
        let counted = flags::watched(&set.definition, name).map(|watched| {
            let kept = self.services.entry(watched.service.to_owned()).or_default();
            kept.over_ms = None;
            let sessions = &self.sessions;
            let count = |arm: &wire::Arm| {
                kept.count(watched.generation, arm, || {
                    let key = (arm.revision.as_str(), arm.role);
                    let (generation, window_s) = (watched.generation, watched.window_s);
                    Some(sessions.seats(watched.service, generation, key, window_s))
                })
            };
            (watched.key.to_owned(), Counted::new(&watched, count))
        });
        let counted = counted.collect();
        Carried::new(name, wire, set, counted)
    }

    fn take(&mut self, name: &str, wire: &wire::Route) {
        let carried = wire.flags.as_ref().and_then(|flags| self.carried(name, flags));
        let kept = self.services.entry(name.to_owned()).or_insert_with(|| Kept {
            service: Rc::new(Service { name: name.to_owned(), ..Service::default() }),
            ..Kept::default()
        });
        let backends = &mut self.backends;
        let affinity = wire.affinity.as_ref().and_then(Affinity::new);
        let window_s = affinity.as_ref().map(Affinity::window_s);
        let arms = wire.arms.iter().map(|arm| {
            let count = kept.count(wire.generation, arm, || {
                let seats = |window_s| {
                    let key = (arm.revision.as_str(), arm.role);
                    self.sessions.seats(name, wire.generation, key, window_s)
                };
                window_s.map(seats)
            });
            let backends = arm.backends.iter().map(|one| find(backends, name, one)).collect();
            Arm::new(arm, count, backends)
        });
        let arms = ranged(arms.collect());
        let own = |revision: &str| steer::find(&arms, revision);
        let shown = wire.preview.as_ref().map(|preview| (preview.listen, own(&preview.to)));
        let shown = shown.map(|(addr, arm)| (addr, arm.map(|arm| arms[arm].again())));
        let mirror = wire.mirror.as_ref().filter(|mirror| mirror.share > 0);
        let route = Route {
            order: wire.order(),
            steer: Steer::new(wire, &arms),
            mirror: mirror.and_then(|mirror| Some(Mirror::new(mirror, own(&mirror.to)?))),
            goal: wire.goal.as_ref().and_then(Goal::new),
            flags: carried,
            preview: false,
            arms,
            affinity,
            timeout: (wire.request_timeout_ms > 0)
                .then(|| Duration::from_millis(wire.request_timeout_ms)),
            warmup_ms: wire.warmup_ms,
            service: kept.service.clone(),
        };
        kept.preview = shown.map(|(addr, arm)| (addr, Rc::new(preview(&route, arm))));
        kept.route = Some(Rc::new(route));
        kept.listen = Some(wire.listen);
        kept.over_ms = None;
    }

    fn is_listed(&self, backend: &Rc<Backend>) -> bool {
        let route = self.services.get(&backend.service).and_then(|kept| kept.route.as_ref());
        route.is_some_and(|route| {
            route.arms.iter().flat_map(|arm| &arm.backends).any(|one| Rc::ptr_eq(one, backend))
        })
    }

    fn forget_gone(&mut self) {
        let mut backends = std::mem::take(&mut self.backends);
        backends.retain(|backend| {
            let listed = self.is_listed(backend);
            if !listed {
                backend.pool.close();
            }
            listed || backend.in_flight.get() > 0
        });
        self.backends = backends;
    }

    /// Forgets services that the table is without, once everybody had time to read their last
    /// counters.
    fn forget_over(&mut self, now_ms: u64) {
        let dropped = &mut self.dropped;
        self.services.retain(|name, kept| {
            if kept.route.is_some() || !kept.is_idle(now_ms) {
                kept.over_ms = None;
                return true;
            }
            let since = *kept.over_ms.get_or_insert(now_ms);
            let keep = now_ms < since + OVER_MS;
            let last = self::dropped(&kept.service);
            if !keep && last.total() > 0 {
                merge_dropped(dropped.entry(name.clone()).or_default(), &last);
            }
            keep
        });
    }

    /// The route of a service.
    pub fn route(&self, service: &str) -> Option<Rc<Route>> {
        self.services.get(service)?.route.clone()
    }

    /// The route that listens on an address.
    pub fn listening(&self, addr: SocketAddr) -> Option<Rc<Route>> {
        let mut kept = self.services.values();
        kept.find_map(|kept| match &kept.preview {
            _ if kept.listen == Some(addr) => kept.route.clone(),
            Some((preview, route)) if *preview == addr => Some(route.clone()),
            _ => None,
        })
    }

    /// Every instance that may have idle connections.
    pub fn backends(&self) -> impl Iterator<Item = &Rc<Backend>> {
        self.backends.iter()
    }

    /// This worker's part of the counters; epoch and sequence are the process's.
    pub fn report(&mut self, now_ms: u64) -> Counters {
        self.forget_gone();
        self.forget_over(now_ms);
        let services = self.services.iter().flat_map(|(name, kept)| kept.report(name, now_ms));
        let services: Vec<ServiceCounters> = services.collect();
        let all_closed = (now_ms / 1_000).saturating_sub(1);
        let closed = services.iter().map(|service| service.closed_through_s).min();
        Counters {
            now_ms,
            closed_through_s: closed.unwrap_or(all_closed),
            services,
            instances: self.backends.iter().map(|backend| load(backend)).collect(),
            dropped: self.dropped(),
            ..Counters::default()
        }
    }
}

impl Shard {
    fn dropped(&self) -> Vec<Dropped> {
        let mut all = self.dropped.clone();
        for (name, kept) in &self.services {
            merge_dropped(all.entry(name.clone()).or_default(), &dropped(&kept.service));
        }
        let named = |(service, dropped)| Dropped { service, ..dropped };
        all.into_iter().map(named).collect()
    }
}

/// The route of the preview address: of one arm, or of none when its revision is not there.
fn preview(of: &Route, arm: Option<Arm>) -> Route {
    Route {
        order: of.order,
        timeout: of.timeout,
        warmup_ms: of.warmup_ms,
        arms: arm.into_iter().collect(),
        affinity: None,
        steer: None,
        mirror: None,
        goal: None,
        flags: None,
        preview: true,
        // Failures here are not those of users.
        service: Rc::new(Service { name: of.service.name.clone(), ..Service::default() }),
    }
}

impl Kept {
    /// Whether nothing of it is counted any more: no request holds an arm, no cohort is open.
    fn is_idle(&self, now_ms: u64) -> bool {
        let mut arms = self.books.iter().flat_map(|book| &book.arms);
        arms.all(|arm| Rc::strong_count(arm) == 1 && arm.is_closed(now_ms))
    }

    fn report(&self, name: &str, now_ms: u64) -> Vec<ServiceCounters> {
        let report = |book: &Book| ServiceCounters {
            service: name.to_owned(),
            generation: book.generation,
            closed_through_s: 0,
            arms: book.arms.iter().map(|arm| arm.report(now_ms)).collect(),
            crossed: 0,
        };
        let mut reports: Vec<ServiceCounters> = self.books.iter().map(report).collect();
        let arms = self.books.iter().flat_map(|book| &book.arms);
        let open = arms.filter_map(|arm| arm.oldest_open_s()).min();
        for report in &mut reports {
            report.closed_through_s = open.unwrap_or(now_ms / 1_000).saturating_sub(1);
        }
        reports
    }

    /// The counters of an arm in a generation; a newer order of the generation goes on with them.
    fn count(
        &mut self,
        generation: Generation,
        arm: &wire::Arm,
        seats: impl Fn() -> Option<Seats>,
    ) -> Rc<ArmCount> {
        if self.books.back().is_none_or(|book| book.generation != generation) {
            self.books.push_back(Book { generation, arms: Vec::new() });
            if self.books.len() > GENERATIONS {
                self.books.pop_front();
            }
        }
        let pace = self.service.pace.clone();
        let new = || Rc::new(ArmCount::new(arm, pace, seats()));
        let Some(book) = self.books.back_mut() else { return new() };
        if let Some(count) = book.arms.iter().find(|count| count.is(arm)) {
            count.set_weight(arm.weight);
            return count.clone();
        }
        let count = new();
        book.arms.push(count.clone());
        count
    }
}

fn find(backends: &mut Vec<Rc<Backend>>, service: &str, wire: &wire::Backend) -> Rc<Backend> {
    let held = backends.iter().find(|backend| backend.is(service, wire));
    if let Some(backend) = held {
        backend.pool.open();
        return backend.clone();
    }
    let backend = Rc::new(Backend::new(service, wire));
    backends.push(backend.clone());
    backend
}

fn load(backend: &Backend) -> InstanceLoad {
    InstanceLoad {
        service: backend.service.clone(),
        instance: backend.instance.clone(),
        in_flight: backend.in_flight.get(),
        upgraded: backend.upgraded.get(),
    }
}

fn dropped(service: &Service) -> Dropped {
    Dropped {
        service: service.name.clone(),
        no_ready: service.no_ready.get(),
        failed: service.failed.get(),
        timeout: service.timeout.get(),
        truncated: service.truncated.get(),
    }
}

#[cfg(test)]
mod tests;
