//! Properties over random histories.

use super::*;
use crate::gate::{Backlog, Checksum, Compared, preset};
use proptest::prelude::*;

fn variant() -> impl Strategy<Value = String> {
    let known = prop::sample::select(Phase::ALL.to_vec()).prop_map(|p| p.variant().to_owned());
    prop_oneof![9 => known, 1 => "[a-z_]{0,12}"]
}

fn evidence() -> impl Strategy<Value = Evidence> {
    let backlog = (0_u64..200, 0_u64..2000, 0_u64..2).prop_map(|(waiting, ms, dead)| Backlog {
        waiting,
        oldest: Duration::from_millis(ms),
        dead,
    });
    let reads =
        (0_u64..3000, 0_u64..3).prop_map(|(compared, differed)| Compared { compared, differed });
    let checksum = (any::<bool>(), 0_u64..7200)
        .prop_map(|(equal, secs)| Checksum { equal, age: Duration::from_secs(secs) });
    let parts = (
        prop::option::weighted(0.9, backlog),
        prop::option::weighted(0.9, reads),
        prop::option::weighted(0.9, checksum),
        any::<bool>(),
    );
    parts.prop_map(|(backlog, reads, checksum, approved)| Evidence {
        backlog,
        reads,
        checksum,
        approved,
    })
}

/// Times may run backwards.
fn history() -> impl Strategy<Value = Vec<(String, Evidence, u64)>> {
    prop::collection::vec((variant(), evidence(), 0_u64..2_000_000), 1..60)
}

fn follow(
    history: &[(String, Evidence, u64)],
    mut check: impl FnMut(State, &Step, &Evidence, u64),
) {
    let rules = preset("rehearsal").unwrap().rules;
    let mut state = State { phase: Phase::WriteOld, since: 0 };
    for (variant, evidence, now) in history {
        let step = step(state, variant, evidence, &rules, *now);
        check(state, &step, evidence, *now);
        state = step.state;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn forward_is_one_phase_and_never_without_evidence(history in history()) {
        follow(&history, |before, step, evidence, now| {
            if step.state.phase > before.phase {
                assert_eq!(before.phase.next(), Some(step.state.phase));
                assert_eq!(step.state.since, now);
                let backlog = evidence.backlog.expect("a move forward without a measured outbox");
                assert_eq!(backlog.dead, 0);
                if step.state.phase.holder() == crate::Side::New {
                    assert!(evidence.checksum.is_some_and(|checksum| checksum.equal));
                    assert!(evidence.reads.is_some_and(|reads| reads.compared >= 1000));
                    assert!(now - before.since >= 300_000);
                }
            }
        });
    }

    #[test]
    fn from_new_only_nothing_leads_back(history in history()) {
        follow(&history, |before, step, _, _| {
            if before.phase == Phase::NewOnly {
                assert_eq!(step.state, before);
            }
        });
    }

    #[test]
    fn writes_change_hands_only_without_loss_or_with_consent(history in history()) {
        follow(&history, |before, step, evidence, _| {
            let Outcome::Moved { costs, .. } = &step.outcome else { return };
            if before.phase.holder() == step.state.phase.holder() {
                return;
            }
            let loses = costs.iter().any(|cost| matches!(cost, Cost::Loses { .. }));
            let waits = costs.iter().any(|cost| matches!(cost, Cost::WritersWait { .. }));
            assert!(loses != waits, "{costs:?}");
            assert!(!loses || evidence.approved);
            let behind = evidence.backlog.map(|b| b.waiting);
            assert!(loses || behind.is_some_and(|waiting| waiting <= 100));
        });
    }

    #[test]
    fn what_is_not_done_changes_nothing(history in history()) {
        follow(&history, |before, step, _, _| {
            let moved = matches!(step.outcome, Outcome::Moved { .. });
            assert!(moved || step.state == before);
            if let Outcome::Held { unmet, .. } = &step.outcome {
                assert!(!unmet.is_empty());
            }
        });
    }

    #[test]
    fn asking_twice_is_asking_once(history in history()) {
        let rules = preset("rehearsal").unwrap().rules;
        follow(&history, |_, done, evidence, now| {
            let again = step(done.state, done.state.phase.variant(), evidence, &rules, now);
            assert_eq!(again.outcome, Outcome::Unchanged);
            assert_eq!(again.state, done.state);
        });
    }
}
