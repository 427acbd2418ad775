//! Whatever happens in whatever order, these hold. The order comes from a fixed seed.

use super::*;
use std::collections::BTreeSet;

/// A small generator: the same seed gives the same story.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        let next = self.0.wrapping_mul(6_364_136_223_846_793_005);
        self.0 = next.wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    fn pick<'a>(&mut self, from: &'a [String]) -> Option<&'a String> {
        let len = from.len() as u64;
        (len > 0).then(|| &from[self.roll(len) as usize])
    }
}

type Revisions = &'static [(&'static str, u32, u32)];

const PLANS: [Revisions; 5] = [
    &[("v1", 100, 2)],
    &[("v1", 95, 2), ("v2", 5, 1)],
    &[("v1", 50, 3), ("v2", 50, 2)],
    &[("v1", 0, 1), ("v2", 100, 3)],
    &[("v2", 100, 2)],
];

/// One thing that may happen at any time.
fn happen(world: &mut World, dice: &mut Dice, n: &mut u64) {
    let names = world.names();
    let id = dice.pick(&names);
    match (dice.roll(9), id) {
        (0, _) => {
            *n += 1;
            let which = dice.roll(5) as usize;
            let fresh = (dice.roll(3) == 0).then(|| (dice.roll(3) as u32, dice.roll(3) as u32));
            world.want_beside(*n, PLANS[which], fresh);
        }
        (1 | 2, Some(id)) => drop(world.spawn(id)),
        (3, Some(id)) if world.fleet.instances[id].pid.is_some() => drop(world.ok(id)),
        (4, Some(id)) if world.fleet.instances[id].pid.is_some() => drop(world.fail(id, 3)),
        (5, Some(id)) => {
            if dice.roll(4) == 0 || !world.fleet.instances[id].holds_slot() {
                world.exit(id, 1);
            }
        }
        (6, _) if world.fleet.table.sent.is_some() => drop(world.ack()),
        (7, _) => {
            let held = dice.roll(2);
            let loads: Vec<(&str, u64)> = names.iter().map(|id| (id.as_str(), held)).collect();
            world.count(&loads);
        }
        _ => drop(world.pass(dice.roll(3_000))),
    }
}

/// Every action, checked before it is noted.
fn check(world: &World, action: &Action) {
    match action {
        Action::Route(route) => {
            route.check().unwrap();
            let newest = world.fleet.table.newest();
            assert!(newest < Some(route.order()), "{} after {newest:?}", route.order());
            for backend in route.arms.iter().flat_map(|arm| &arm.backends) {
                let instance = &world.fleet.instances[&backend.instance];
                assert!(instance.is_alive() && instance.ever_ready, "{} is down", backend.instance);
            }
        }
        Action::Stop { instance, .. } => {
            let routed = world.fleet.routed().unwrap_or_default();
            assert!(!routed.contains(instance.as_str()), "{instance} is in the table");
            if let Phase::Draining { left, .. } = world.fleet.instances[instance].phase {
                assert!(world.fleet.table.holds(left), "{instance} may still be served");
            }
        }
        _ => {}
    }
}

/// As [`World::go`], with every action checked.
fn go_checked(world: &mut World, seed: u64) {
    for round in 0.. {
        assert!(round < 10, "seed {seed}: no end");
        let actions = reconcile(&world.plan, &world.fleet, world.now);
        for action in &actions {
            check(world, action);
            world.fleet.note(action, world.now);
            world.carry_out(action);
        }
        if actions.is_empty() {
            return;
        }
    }
}

#[test]
fn orders_only_rise_and_nobody_is_stopped_while_in_a_table() {
    for seed in 0..100 {
        let (mut world, mut dice, mut n) = (World::new(PLANS[0]), Dice(seed), 1);
        for _ in 0..200 {
            happen(&mut world, &mut dice, &mut n);
            go_checked(&mut world, seed);
            nothing_twice(&world, seed);
        }
        arrives(&mut world, seed);
    }
}

fn nothing_twice(world: &World, seed: u64) {
    for (crew, wanted) in crews(&world.plan) {
        let count = world.fleet.holders(&crew).count();
        assert!(count <= wanted.replicas as usize, "seed {seed}: {count} of {crew:?}");
    }
    let ports: Vec<u16> = world.fleet.ports().collect();
    let distinct: BTreeSet<u16> = ports.iter().copied().collect();
    assert_eq!(ports.len(), distinct.len(), "seed {seed}: one port, two processes");
}

/// Left in peace, the world becomes what the plan says.
fn arrives(world: &mut World, seed: u64) {
    for _ in 0..6 {
        world.pass(31_000).go();
        for id in world.names() {
            match world.fleet.instances[&id].phase {
                Phase::Stopping { .. } => drop(world.exit(&id, 0)),
                Phase::Exited { .. } => {}
                _ => drop(world.spawn(&id).ok(&id)),
            }
        }
        world.go();
        world.ack().count(&[]);
    }
    world.go();
    for (crew, wanted) in crews(&world.plan) {
        let ready = world.fleet.holders(&crew).filter(|(_, i)| i.is_ready()).count();
        assert_eq!(ready, wanted.replicas as usize, "seed {seed}: {crew:?}");
    }
    let stray = |i: &Instance| i.is_alive() && i.crew.wanted(&world.plan).is_none();
    assert!(!world.fleet.instances.values().any(stray), "seed {seed}");
    let wanted: u32 = crews(&world.plan).map(|(_, wanted)| wanted.replicas).sum();
    assert_eq!(world.fleet.routed().unwrap().len(), wanted as usize, "seed {seed}");
}
