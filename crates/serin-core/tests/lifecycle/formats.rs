//! Data formats: who runs beside whom, and where a way back leads.

use super::*;

fn formats(reads: &[u32], writes: u32) -> DataFormats {
    DataFormats { reads: reads.iter().copied().collect(), writes }
}

fn deploy(
    world: &mut World,
    version: &str,
    data: impl Into<Option<DataFormats>>,
) -> Result<(), Refusal> {
    let mut spec = world.service.spec.clone();
    spec.data = data.into();
    let ask = DeployAsk {
        spec,
        revision: revision(version),
        allow_bad: false,
        departure: None,
        skips: Skips::Nothing,
    };
    world.ask(Ask::Deploy(Box::new(ask)))
}

/// v1 reads and writes as said and is stable.
fn on(data: impl Into<Option<DataFormats>>, capacity: Capacity) -> World {
    let mut world = World::new(quick());
    world.service.spec.schedule.analysis = None;
    world.service.spec.schedule.capacity = capacity;
    deploy(&mut world, "v1", data).unwrap();
    run_out(&mut world);
    world
}

const RECREATE: Capacity =
    Capacity::Replace { max_surge: Amount::Count(0), max_unavailable: Amount::Percent(100) };
const ROLLING: Capacity =
    Capacity::Replace { max_surge: Amount::Percent(25), max_unavailable: Amount::Count(0) };

#[test]
fn two_revisions_run_beside_each_other_only_when_each_reads_the_other() {
    let both = formats(&[1, 2], 1);
    let cases = [
        (Some(formats(&[1], 1)), Some(formats(&[1], 1)), None),
        (Some(formats(&[1], 1)), Some(both.clone()), None),
        (Some(both), Some(formats(&[1, 2], 2)), None),
        (
            Some(formats(&[1], 1)),
            Some(formats(&[1, 2], 2)),
            Some("v1 cannot read data format 2, which v2 writes (it reads 1)"),
        ),
        (
            Some(formats(&[1], 1)),
            Some(formats(&[2], 2)),
            Some("v2 cannot read data format 1, which v1 writes (it reads 2)"),
        ),
        (None, Some(formats(&[2], 2)), None),
        (Some(formats(&[1], 1)), None, None),
    ];
    for (old, new, expected) in cases {
        for capacity in [Capacity::Beside, ROLLING] {
            let mut world = on(old.clone(), capacity);
            let answer = deploy(&mut world, "v2", new.clone());
            let refusal = answer.err();
            assert_eq!(refusal.as_ref().map(|r| r.message.as_str()), expected);
            assert!(refusal.is_none_or(|r| r.code == RefusalCode::Incompatible));
        }
    }
}

#[test]
fn where_they_never_run_together_the_way_back_is_told_instead() {
    let mut world = on(formats(&[1], 1), RECREATE);
    deploy(&mut world, "v2", formats(&[1, 2], 2)).unwrap();
    assert!(told(&world, "v1 cannot read data format 2, which v2 writes"), "{:?}", world.told);
}

#[test]
fn the_last_good_one_can_read_what_runs_now_writes() {
    let mut world = on(formats(&[1], 1), Capacity::Beside);
    for (version, reads, writes) in [("v2", [1, 2], 1), ("v3", [1, 2], 2)] {
        deploy(&mut world, version, formats(&reads, writes)).unwrap();
        run_out(&mut world);
        assert_eq!(world.service.stable, Some(revision(version)), "{}", world.waiting);
    }
    assert_eq!(world.service.last_good(), Some(&revision("v2")));
    world.ask(Ask::Mark { revision: revision("v2"), bad: true }).unwrap();
    assert_eq!(world.service.last_good(), None, "v1 reads format 1 alone");
    let (class, why) = rollback_class(&world.service, &revision("v1"));
    assert_eq!(class, RollbackClass::Data, "{why}");
    // A person may all the same.
    world.ask(Ask::Rollback { to: Some(revision("v1")) }).unwrap();
    assert_eq!(world.rollout().back.as_ref().unwrap().class, RollbackClass::Data);
}
