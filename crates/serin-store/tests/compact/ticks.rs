//! What judges were given: packed when a rollout has ended, given up when twenty newer ones have.

use super::world::{World, shop};
use serin_core::{RecordedTick, judge_again};
use serin_store::{Store, TicksKept};

fn all(world: &World, id: u64) -> Vec<(u64, RecordedTick)> {
    world.store.ticks(&shop(), id, 0, 100_000).unwrap()
}

#[test]
fn packed_ticks_are_the_same_ticks() {
    let mut world = World::new(Store::in_memory().unwrap());
    world.roll("v1", 1_000_000);
    world.roll("v2", 3);
    let before = all(&world, 2);
    assert!(before.len() >= 2);
    world.compact();
    assert_eq!(all(&world, 2), before);
    let record = world.store.record(&shop(), 2).unwrap().unwrap();
    let judge = judge_again(before.iter().map(|(_, tick)| tick)).unwrap();
    assert_eq!(Some(judge.assess(record.assessed_at.unwrap())), record.assessment);
}

#[test]
fn pages_go_over_blocks_and_rows_alike() {
    let mut world = World::new(Store::in_memory().unwrap());
    world.roll("v1", 1_000_000);
    world.deploy("v2");
    world.settle();
    world.give_ticks(590);
    let before = all(&world, 2);
    assert!(before.len() > 520, "only {} ticks", before.len());
    world.compact();
    let packed = all(&world, 2);
    assert_eq!(packed, before);
    let mut paged = vec![];
    loop {
        let after = paged.last().map_or(0, |(seq, _): &(u64, RecordedTick)| *seq);
        let page = world.store.ticks(&shop(), 2, after, 100).unwrap();
        assert!(page.len() <= 100);
        if page.is_empty() {
            break;
        }
        paged.extend(page);
    }
    assert_eq!(paged, before);
    world.give_ticks(1);
    let numbers: Vec<u64> = all(&world, 2).iter().map(|(seq, _)| *seq).collect();
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "{numbers:?}");
}

#[test]
fn ticks_leave_with_the_oldest_records_and_it_is_said() {
    let mut world = World::new(Store::in_memory().unwrap());
    world.roll("v1", 1_000_000);
    for _ in 0..22 {
        world.roll("v2", 3);
    }
    let before = world.now;
    assert_eq!(world.store.ticks_kept(&shop(), 3).unwrap(), TicksKept::All);
    world.compact();
    let kept = |id| (all(&world, id).len(), world.store.ticks_kept(&shop(), id).unwrap());
    assert_eq!(kept(2), (0, TicksKept::GoneSince(before)));
    assert_eq!(kept(3), (0, TicksKept::GoneSince(before)));
    assert_eq!(kept(1), (0, TicksKept::All), "there was nothing to give up");
    assert!(kept(4).0 > 0 && kept(4).1 == TicksKept::All);
    let record = world.store.record(&shop(), 3).unwrap().unwrap();
    assert!(record.assessment.is_some(), "the verdict stays");
}
