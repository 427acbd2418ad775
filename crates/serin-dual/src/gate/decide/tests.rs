//! Cases of single moves.

use super::*;
use crate::gate::{Checksum, preset};
use Phase::{DualWriteReadOld, DualWriteShadowRead, NewOnly, ReadNewDualWrite, WriteOld};

const LONG: Duration = Duration::from_hours(30 * 24);

fn rules() -> Rules {
    preset("days").unwrap().rules
}

fn good() -> Evidence {
    Evidence {
        backlog: Some(Backlog { waiting: 7, oldest: Duration::from_millis(20), dead: 0 }),
        reads: Some(Compared { compared: 50_000, differed: 0 }),
        checksum: Some(Checksum { equal: true, age: Duration::from_mins(1) }),
        approved: true,
    }
}

fn unmet(decision: Decision) -> Vec<Unmet> {
    match decision {
        Decision::Wait { unmet } => unmet,
        other => panic!("not held: {other:?}"),
    }
}

/// Every pair of phases, with all evidence good: `.` stays, `+` goes, `x` never.
#[test]
fn the_table_of_moves() {
    let expected = [
        (WriteOld, ".+xxx"),
        (DualWriteReadOld, "+.+xx"),
        (DualWriteShadowRead, "++.+x"),
        (ReadNewDualWrite, "+++.+"),
        (NewOnly, "xxxx."),
    ];
    for (from, row) in expected {
        let sign = |to| match decide(from, to, LONG, &good(), &rules()) {
            Decision::Stay => '.',
            Decision::Go { .. } => '+',
            Decision::Wait { .. } => '?',
            Decision::Never { .. } => 'x',
        };
        assert_eq!(Phase::ALL.map(sign).iter().collect::<String>(), row, "from {from}");
    }
}

#[test]
fn what_moves_cost() {
    let wait = Cost::WritersWait { waiting: 7 };
    let rows = [
        (WriteOld, DualWriteReadOld, vec![]),
        (DualWriteReadOld, DualWriteShadowRead, vec![]),
        (DualWriteShadowRead, ReadNewDualWrite, vec![wait]),
        (ReadNewDualWrite, NewOnly, vec![Cost::NoWayBack]),
        (ReadNewDualWrite, DualWriteShadowRead, vec![wait, Cost::ReadsCountAnew]),
        (ReadNewDualWrite, WriteOld, vec![wait, Cost::CopyAgain, Cost::ReadsCountAnew]),
        (DualWriteShadowRead, DualWriteReadOld, vec![Cost::ReadsCountAnew]),
        (DualWriteReadOld, WriteOld, vec![Cost::CopyAgain, Cost::ReadsCountAnew]),
    ];
    for (from, to, costs) in rows {
        let decision = decide(from, to, LONG, &good(), &rules());
        assert_eq!(decision, Decision::Go { costs }, "{from} -> {to}");
    }
}

#[test]
fn nothing_known_is_never_enough() {
    let nothing = Evidence::default();
    let asked = |from, to| unmet(decide(from, to, LONG, &nothing, &rules()));
    assert_eq!(asked(WriteOld, DualWriteReadOld), [Unmet::BacklogUnknown]);
    assert_eq!(asked(DualWriteReadOld, DualWriteShadowRead), [Unmet::BacklogUnknown]);
    let all = [Unmet::BacklogUnknown, Unmet::ReadsUnknown, Unmet::ChecksumUnknown];
    assert_eq!(asked(DualWriteShadowRead, ReadNewDualWrite), all);
    assert_eq!(asked(ReadNewDualWrite, NewOnly), [&all[..], &[Unmet::Approval]].concat());
}

/// Each piece of evidence holds the take-over by itself.
#[test]
fn one_bad_piece_holds() {
    let limit = SMALL_BACKLOG;
    let many = Backlog { waiting: 101, ..good().backlog.unwrap() };
    let late = Backlog { oldest: Duration::from_millis(1001), ..good().backlog.unwrap() };
    let dead = Backlog { dead: 2, ..good().backlog.unwrap() };
    let few = Compared { compared: 19_999, differed: 0 };
    let stale = Checksum { equal: true, age: Duration::from_secs(21_601) };
    let wrong = Checksum { equal: false, age: Duration::ZERO };
    let rows = [
        (Evidence { backlog: Some(many), ..good() }, Unmet::Backlog { found: many, limit }),
        (Evidence { backlog: Some(late), ..good() }, Unmet::Backlog { found: late, limit }),
        (Evidence { backlog: Some(dead), ..good() }, Unmet::Dead { dead: 2 }),
        (
            Evidence { reads: Some(few), ..good() },
            Unmet::TooFewReads { compared: 19_999, needs: 20_000 },
        ),
        (
            Evidence { checksum: Some(stale), ..good() },
            Unmet::ChecksumOld { age: stale.age, limit: Duration::from_hours(6) },
        ),
        (Evidence { checksum: Some(wrong), ..good() }, Unmet::ChecksumDiffers),
    ];
    for (evidence, expected) in rows {
        let decision = decide(DualWriteShadowRead, ReadNewDualWrite, LONG, &evidence, &rules());
        assert_eq!(unmet(decision), [expected]);
    }
}

const SMALL_BACKLOG: BacklogLimit = BacklogLimit { waiting: 100, oldest: Duration::from_secs(1) };

#[test]
fn a_rate_that_only_looks_good_holds() {
    // 40 of 50 000 are 0.08 %, below the limit of 0.1 %, but 0.1 % is not excluded.
    let found = Compared { compared: 50_000, differed: 40 };
    let evidence = Evidence { reads: Some(found), ..good() };
    let decision = decide(DualWriteShadowRead, ReadNewDualWrite, LONG, &evidence, &rules());
    let [Unmet::ReadsDiffer { upper, limit, .. }] = unmet(decision)[..] else { panic!("not held") };
    assert!(upper > limit && limit > 0.0008, "{upper} {limit}");
}

#[test]
fn too_early_holds() {
    let held = Duration::from_secs(3599);
    let decision = decide(DualWriteReadOld, DualWriteShadowRead, held, &good(), &rules());
    assert_eq!(unmet(decision), [Unmet::Soak { held, needs: Duration::from_hours(1) }]);
}

#[test]
fn a_lost_new_store_does_not_close_the_way_back() {
    let lost = Evidence::default();
    let held = decide(ReadNewDualWrite, DualWriteShadowRead, LONG, &lost, &rules());
    assert_eq!(unmet(held), [Unmet::BacklogUnknown]);
    let agreed = Evidence { approved: true, ..lost };
    let gone = decide(ReadNewDualWrite, DualWriteShadowRead, LONG, &agreed, &rules());
    let costs = vec![Cost::Loses { writes: None }, Cost::ReadsCountAnew];
    assert_eq!(gone, Decision::Go { costs });
    let backlog = Some(Backlog { waiting: 300, oldest: LONG, dead: 2 });
    let some = decide(
        ReadNewDualWrite,
        DualWriteShadowRead,
        LONG,
        &Evidence { backlog, ..agreed },
        &rules(),
    );
    let costs = vec![Cost::Loses { writes: Some(302) }, Cost::ReadsCountAnew];
    assert_eq!(some, Decision::Go { costs });
}

#[test]
fn sentences_have_both_numbers() {
    let text = Unmet::TooFewReads { compared: 5, needs: 1000 }.to_string();
    assert_eq!(text, "5 reads were compared, 1000 are asked for");
    let next = Never::Skips { next: DualWriteReadOld }.to_string();
    assert!(next.contains("`dual_write_read_old`"), "{next}");
    let lost = Cost::Loses { writes: Some(3) }.to_string();
    assert_eq!(lost, "3 writes are only in the new store and not seen any more");
}
