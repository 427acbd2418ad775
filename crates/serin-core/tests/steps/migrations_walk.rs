//! Walks of chance through everything that can happen to a migration: rules that hold in each
//! state.

use super::migrations::{begun, deploy, promoted, ready};
use crate::support::{World, revision};
use serin_core::*;

/// Numbers of chance from a seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        // Steele's splitmix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        ((z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb) >> 33) % n
    }
}

/// News of every kind, of what is owed now or was owed once.
fn news(dice: &mut Dice, world: &mut World, orders: &mut Vec<MigrationOrder>) {
    orders.extend(migrations_wanted(&world.service));
    orders.extend(shapes_watched(&world.service));
    if orders.is_empty() {
        return;
    }
    let late = dice.below(4) == 0;
    let at = if late { dice.below(orders.len() as u64) as usize } else { orders.len() - 1 };
    let news = match dice.below(6) {
        0 => MigrationNews::Progress(MigrationProgress::default()),
        1 => MigrationNews::Stopped { why: "away".into() },
        2 => MigrationNews::Refused { why: "no".into() },
        _ => match orders[at].goal {
            MigrationGoal::Ready { .. } => ready(dice.below(2) == 0),
            MigrationGoal::Back { .. } => MigrationNews::Back,
            MigrationGoal::Contract { .. } => MigrationNews::Contracted,
            MigrationGoal::Halt { .. } if dice.below(2) == 0 => MigrationNews::Contracted,
            MigrationGoal::Halt { .. } => MigrationNews::Halted,
            MigrationGoal::Watch { .. } => MigrationNews::Compared { doubt: doubt(dice) },
        },
    };
    let event = Event::Migrated { order: Box::new(orders[at].clone()), news };
    world.event(&event).unwrap();
}

fn doubt(dice: &mut Dice) -> Option<Doubt> {
    let apart = Doubt::Apart { what: "3 rows differ".into() };
    (dice.below(8) == 0).then_some(apart)
}

fn act(dice: &mut Dice, world: &mut World, orders: &mut Vec<MigrationOrder>) {
    let contract = Ask::Contract { override_reason: Some("chance".into()), backup: None };
    // Refusals are as good as anything else.
    let _ = match dice.below(16) {
        0 => deploy(world, "v2", true),
        1 => deploy(world, "v3", false),
        2 => world.ask(Ask::Abort),
        3 => world.ask(Ask::Promote { full: true }),
        4 => world.ask(Ask::Pause),
        5 => world.ask(Ask::Resume),
        6 => world.ask(Ask::Rollback { to: Some(revision("v1")) }),
        7 => world.ask(contract),
        8 => {
            world.advance(30);
            Ok(())
        }
        9..=12 => {
            world.observe(world.perfect());
            Ok(())
        }
        _ => {
            news(dice, world, orders);
            Ok(())
        }
    };
}

/// What must hold whatever happened.
fn check(world: &World, seed: u64) {
    let service = &world.service;
    let view = |id: &RevisionId| service.revisions[id].run.database.as_ref()?.view.clone();
    let open = service.schemas.open.as_ref();
    let there = |view: &Option<String>| {
        let of_open = open.is_some_and(|open| open.view == *view && view.is_some());
        of_open || service.schemas.settled == *view
    };
    for (id, planned) in &world.plan().revisions {
        let runs = planned.replicas > 0;
        assert!(!runs || there(&view(id)), "seed {seed}: {id} without its schema");
    }
    for order in migrations_wanted(service) {
        let seen = service.observed.revisions.keys();
        let mut seen = seen.chain(world.plan().revisions.keys());
        let new = |id: &RevisionId| view(id).is_some() && view(id) == open.unwrap().view;
        match order.goal {
            MigrationGoal::Back { .. } => {
                assert!(!seen.any(new), "seed {seed}: back while the new shape is used");
            }
            MigrationGoal::Contract { .. } | MigrationGoal::Halt { .. } => {
                assert!(seen.all(new), "seed {seed}: contract while the old shape is used");
            }
            MigrationGoal::Ready { .. } | MigrationGoal::Watch { .. } => {}
        }
    }
}

#[test]
fn no_walk_starts_code_without_schema_or_takes_a_schema_that_is_used() {
    let (mut contracted, mut back) = (0, 0);
    for seed in 0..400_u64 {
        let world = if seed.is_multiple_of(2) { begun() } else { promoted() };
        let (mut dice, mut world, mut orders) = (Dice(seed), world, vec![]);
        for _ in 0..80 {
            act(&mut dice, &mut world, &mut orders);
            check(&world, seed);
        }
        contracted += u32::from(world.told.iter().any(|line| line.contains("only the new shape")));
        back += u32::from(world.told.iter().any(|line| line.contains("only the old shape")));
    }
    assert!(contracted > 20 && back > 20, "the walks get somewhere: {contracted}, {back}");
}
