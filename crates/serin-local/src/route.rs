//! The table a plan and the instances at hand make.

use crate::crew::{Crew, Wanted, crews};
use crate::world::{Fleet, Instance, InstanceId, Phase};
use serin_core::{
    Affinity, AffinityKey, CarriedFlags, ClientSpan, Clients, FlagSource, Generation, Goal,
    HeaderMatch, Mirror, Plan, Preview, RequestMatch, Rule, TextMatch, Weight,
};
use serin_proxy::wire;
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};

/// The data plane's word for a generation.
pub fn wire_generation(generation: Generation) -> wire::Generation {
    wire::Generation { epoch: generation.epoch, n: generation.n }
}

/// Address of an instance.
pub fn address(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// The table for `plan` with the instances of `fleet`, those in `leaving` left out. Its `sub`
/// follows on the newest order known. An arm whose crew has no ready instance stays in it
/// without backends: the data plane falls back and counts it.
pub fn route(plan: &Plan, fleet: &Fleet, leaving: &BTreeSet<InstanceId>) -> wire::Route {
    let generation = wire_generation(plan.generation);
    let sub = match fleet.table.newest() {
        Some(newest) if newest.generation == generation => newest.sub + 1,
        _ => 0,
    };
    let arm = |(crew, wanted)| arm(fleet, leaving, &crew, wanted);
    let (listen, arms) =
        (plan.listen.unwrap_or_else(|| address(0)), crews(plan).map(arm).collect());
    wire::Route {
        sub,
        request_timeout_ms: plan.request_timeout.0,
        warmup_ms: plan.warm_up.0,
        affinity: plan.affinity.as_ref().map(affinity),
        override_header: plan.override_header.clone(),
        rules: plan.rules.iter().map(rule).collect(),
        only: plan.only.iter().map(header).collect(),
        mirror: plan.mirror.as_ref().map(mirror),
        preview: plan.preview.as_ref().map(preview),
        goal: plan.goal.as_ref().map(goal),
        flags: plan.carries.as_ref().map(flags),
        clients: plan.clients.iter().map(|(id, one)| (id.to_string(), clients(one))).collect(),
        ..wire::Route::new(plan.service.as_str(), listen, generation, arms)
    }
}

fn rule(rule: &Rule) -> wire::Rule {
    let matches = rule.matches.iter().map(header).collect();
    wire::Rule { name: rule.name.clone(), matches, to: rule.to.to_string() }
}

fn header(one: &HeaderMatch) -> wire::HeaderMatch {
    wire::HeaderMatch { header: one.header.clone(), value: text(&one.value) }
}

fn text(text: &TextMatch) -> wire::TextMatch {
    match text {
        TextMatch::Exact(text) => wire::TextMatch::Exact(text.clone()),
        TextMatch::Prefix(text) => wire::TextMatch::Prefix(text.clone()),
        TextMatch::Regex(text) => wire::TextMatch::Regex(text.clone()),
        TextMatch::Present => wire::TextMatch::Present,
    }
}

fn mirror(mirror: &Mirror) -> wire::Mirror {
    let one = |one: &RequestMatch| wire::RequestMatch {
        methods: one.methods.clone(),
        path: one.path.as_ref().map(text),
        headers: one.headers.iter().map(header).collect(),
    };
    wire::Mirror {
        to: mirror.to.to_string(),
        matches: mirror.matches.iter().map(one).collect(),
        share: mirror.share.parts(),
    }
}

fn preview(preview: &Preview) -> wire::Preview {
    wire::Preview { listen: preview.listen, to: preview.to.to_string() }
}

fn goal(goal: &Goal) -> wire::Goal {
    wire::Goal { method: goal.method.clone(), path: text(&goal.path) }
}

fn flags(flags: &CarriedFlags) -> wire::Flags {
    let source = |source: &FlagSource| match source {
        FlagSource::Header(name) => wire::Source::Header(name.clone()),
        FlagSource::Cookie(name) => wire::Source::Cookie(name.clone()),
        FlagSource::Claim(name) => wire::Source::Claim(name.clone()),
    };
    let attributes = flags.attributes.iter();
    wire::Flags {
        set: flags.set.clone(),
        keys: flags.keys.clone(),
        user: source(&flags.user),
        attributes: attributes.map(|(name, from)| (name.clone(), source(from))).collect(),
        token: flags.token.clone(),
    }
}

fn clients(clients: &Clients) -> wire::Clients {
    let span = |span: &ClientSpan| wire::ClientSpan { from: span.from, below: span.below };
    wire::Clients {
        header: clients.header.clone(),
        serves: clients.serves.spans().iter().map(span).collect(),
        assume: clients.assume,
    }
}

/// In whole seconds, and within what the data plane takes: a plan must not fail for that.
fn affinity(affinity: &Affinity) -> wire::Affinity {
    wire::Affinity {
        key: match &affinity.key {
            AffinityKey::Cookie(name) => wire::AffinityKey::Cookie(name.clone()),
            AffinityKey::Header(name) => wire::AffinityKey::Header(name.clone()),
            AffinityKey::Address => wire::AffinityKey::Address,
        },
        salt: affinity.salt.clone(),
        window_s: (affinity.window.0 / 1000).clamp(1, u64::from(wire::MAX_WINDOW_S)) as u32,
    }
}

/// Whether two tables lead requests to the same places.
pub fn same_way(a: &wire::Route, b: &wire::Route) -> bool {
    wire::Route { sub: b.sub, ..a.clone() } == *b
}

fn arm(
    fleet: &Fleet,
    leaving: &BTreeSet<InstanceId>,
    crew: &Crew,
    wanted: Wanted<'_>,
) -> wire::Arm {
    wire::Arm {
        revision: crew.revision.to_string(),
        role: crew.wire_role(wanted.role),
        weight: wanted.weight.parts(),
        backends: backends(fleet, leaving, crew, wanted.weight),
    }
}

fn backends(
    fleet: &Fleet,
    leaving: &BTreeSet<InstanceId>,
    crew: &Crew,
    weight: Weight,
) -> Vec<wire::Backend> {
    let usable = || fleet.holders(crew).filter(|(id, i)| !leaving.contains(*id) && !i.dead);
    let mut chosen: Vec<_> = usable().filter(|(_, i)| may_serve(fleet, i)).collect();
    if chosen.is_empty() && weight > Weight::NONE {
        // The last instance of a crew with users keeps them although its probe says no: a slow
        // answer is better than none, and the judge sees its errors. Only death takes it out.
        let routed = fleet.routed();
        chosen = usable().filter(|(id, i)| was_serving(routed.as_ref(), id, i)).collect();
    }
    chosen.into_iter().map(backend).collect()
}

/// Ready, or taken over while the data plane may be leading requests to it and not probed yet.
fn may_serve(fleet: &Fleet, instance: &Instance) -> bool {
    instance.is_ready() || (instance.unproven_since().is_some() && fleet.table.acked.is_some())
}

fn was_serving(routed: Option<&BTreeSet<&str>>, id: &str, instance: &Instance) -> bool {
    match routed {
        Some(routed) => routed.contains(id),
        None => instance.adopted.is_some(),
    }
}

fn backend((id, instance): (&InstanceId, &Instance)) -> wire::Backend {
    let since = match instance.phase {
        Phase::Ready { since } | Phase::Starting { since } => since,
        Phase::Unready { ready_since } => ready_since,
        _ => instance.started,
    };
    wire::Backend { instance: id.clone(), addr: address(instance.port), ready_since_ms: since.0 }
}
