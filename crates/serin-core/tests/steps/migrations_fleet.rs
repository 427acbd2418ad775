//! The schema comes before the first place that is given away, however the fleet is changed.

use super::migrations::{begun_with, ready, say};
use crate::finish;
use crate::support::{percent, revision};
use serin_core::*;

fn replace(surge: u32, unavailable: u32) -> Capacity {
    let (max_surge, max_unavailable) = (Amount::Percent(surge), Amount::Percent(unavailable));
    Capacity::Replace { max_surge, max_unavailable }
}

/// What a strategy comes to: how the fleet is changed, and the steps behind the schema.
fn shapes() -> Vec<(&'static str, Capacity, Vec<Step>)> {
    let weights = |all: &[u32]| all.iter().map(|w| Step::SetWeight(percent(*w))).collect();
    let whole = Step::SetScale(Scale::Share(Weight::ALL));
    vec![
        ("rolling", replace(25, 0), weights(&[25, 50, 75, 100])),
        ("recreate", replace(0, 100), weights(&[100])),
        ("two colours", Capacity::Beside, vec![whole, Step::SetWeight(Weight::ALL)]),
        (
            "one box",
            Capacity::Beside,
            [vec![Step::SetScale(Scale::Instances(1))], weights(&[25, 100])].concat(),
        ),
    ]
}

#[test]
fn nothing_of_the_fleet_moves_before_the_schema_is_there() {
    for (name, capacity, steps) in shapes() {
        let mut world = begun_with(capacity, steps);
        world.advance(600);
        world.settle();
        assert_eq!((world.replicas("v1"), world.replicas("v2")), (4, 0), "{name}");
        assert_eq!(world.weight("v1"), 100, "{name}");
        say(&mut world, ready(true));
        for _ in 0..10 {
            finish(&mut world);
            world.advance(30);
        }
        assert_eq!(world.service.stable, Some(revision("v2")), "{name}: {}", world.waiting);
        let open = world.service.schemas.open.as_ref().unwrap();
        assert!(matches!(open.phase, MigrationPhase::Promoted { .. }), "{name}");
    }
}

#[test]
fn a_fleet_that_is_half_way_goes_back_before_its_schema() {
    for (name, capacity, steps) in shapes() {
        let mut world = begun_with(capacity, steps);
        say(&mut world, ready(true));
        world.advance(10);
        world.settle();
        if world.service.rollout.is_none() {
            continue;
        }
        world.ask(Ask::Abort).unwrap();
        for _ in 0..20 {
            let seen = world.perfect();
            let of_v2 = |id: &RevisionId| *id == revision("v2");
            if migrations_wanted(&world.service)
                .iter()
                .any(|o| matches!(o.goal, MigrationGoal::Back { .. }))
            {
                assert!(!seen.revisions.keys().any(of_v2), "{name}");
                break;
            }
            world.observe(seen);
            world.advance(1);
        }
        say(&mut world, MigrationNews::Back);
        world.close();
        assert_eq!((world.weight("v1"), world.replicas("v1")), (100, 4), "{name}");
    }
}
