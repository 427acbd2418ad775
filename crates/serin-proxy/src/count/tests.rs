use super::*;
use crate::affinity::User;
use crate::clock::Clock;
use crate::flags::Part;
use serin_stats::bucket_of_us;
use std::time::{Duration, Instant};

fn dealt(clock: Clock, arrived: Instant) -> Dealt {
    Dealt { clock, arrived, user: None }
}

fn arm(pace: &Rc<Pace>, role: Role) -> Rc<ArmCount> {
    let wire = wire::Arm { revision: "v1".into(), role, weight: 100_000, backends: vec![] };
    Rc::new(ArmCount::new(&wire, pace.clone(), None))
}

/// A pace of 20 requests that took this long each.
fn paced(us: u64) -> Rc<Pace> {
    let pace = Rc::new(Pace::default());
    (0..20).for_each(|_| pace.add(bucket_of_us(us), 0));
    pace
}

#[test]
fn what_is_unfinished_at_the_close_is_an_error_and_is_not_counted_again() {
    let arm = arm(&paced(1_000), Role::Candidate);
    (0..3).for_each(|_| arm.enter(10_200, None));
    arm.settle(10, 10_900, Outcome::Good(7), None);
    arm.settle(10, 11_999, Outcome::Error, None);
    assert_eq!(arm.report(11_999).judged, Judged::default());
    assert_eq!(arm.oldest_open_s(), Some(10));
    let closed =
        Judged { n: 3, errors: 2, unfinished: 1, latency: vec![(7, 1)], ..Judged::default() };
    assert_eq!(arm.report(12_000).judged, closed);
    arm.settle(10, 12_001, Outcome::Good(9), None);
    assert_eq!(arm.report(90_000).judged, closed);
    assert_eq!(arm.oldest_open_s(), None);
}

#[test]
fn an_end_after_the_deadline_does_not_count_even_before_the_fold() {
    let arm = arm(&paced(1_000), Role::Candidate);
    arm.enter(10_200, None);
    arm.settle(10, 12_000, Outcome::Good(9), None);
    let judged = arm.report(12_000).judged;
    assert_eq!((judged.n, judged.unfinished, judged.latency), (1, 1, vec![]));
}

#[test]
fn a_client_that_leaves_is_in_neither_count() {
    let arm = arm(&paced(1_000), Role::Candidate);
    (0..2).for_each(|_| arm.enter(10_200, None));
    arm.settle(10, 10_300, Outcome::Aborted, None);
    arm.settle(10, 10_300, Outcome::Upgraded, None);
    let judged = arm.report(12_000).judged;
    assert_eq!((judged.n, judged.errors, judged.aborted), (1, 0, 1));
}

#[test]
fn cohorts_wait_four_p99_of_stable_between_1_and_30_seconds() {
    for (us, closes) in [(1_000, 12_000), (1_000_000, 15_016), (60_000_000, 41_000)] {
        let arm = arm(&paced(us), Role::Candidate);
        arm.enter(10_000, None);
        assert_eq!(arm.report(closes - 1).judged.n, 0, "{us} us");
        assert_eq!(arm.report(closes).judged.n, 1, "{us} us");
    }
}

#[test]
fn without_a_pace_the_cohort_waits_until_there_is_one() {
    let pace = Rc::new(Pace::default());
    let arm = arm(&pace, Role::Candidate);
    arm.enter(10_000, None);
    assert_eq!(arm.report(39_000).judged.n, 0);
    (0..20).for_each(|_| pace.add(320, 39_000));
    assert_eq!(arm.report(39_001).judged.n, 1);
    let unknown = Rc::new(Pace::default());
    let arm = self::arm(&unknown, Role::Candidate);
    arm.enter(10_000, None);
    assert_eq!(arm.report(40_999).judged.n, 0);
    assert_eq!(arm.report(41_000).judged.n, 1);
}

#[test]
fn only_stable_sets_the_pace() {
    let pace = Rc::new(Pace::default());
    let clock = Clock::start();
    for role in [Role::Candidate, Role::Stable] {
        let now = Instant::now();
        let mut ticket = Ticket::assign(arm(&pace, role), dealt(clock, now), Rc::default());
        ticket.finish(now + Duration::from_millis(1), false);
    }
    assert_eq!(pace.recent.borrow().total(), 1);
}

#[test]
fn a_failed_first_attempt_is_the_outcome_whatever_the_retry_brings() {
    let arm = arm(&paced(1_000), Role::Candidate);
    let now = Instant::now();
    let mut ticket = Ticket::assign(arm.clone(), dealt(Clock::start(), now), Rc::default());
    ticket.judge(None);
    ticket.first_attempt_failed();
    ticket.retry();
    ticket.finish(now + Duration::from_millis(1), false);
    drop(ticket);
    let report = arm.report(u64::MAX / 2);
    let (judged, totals) = (report.judged, report.totals);
    assert_eq!((judged.n, judged.errors, judged.latency.len()), (1, 1, 0));
    assert_eq!((totals.requests, totals.retries, totals.client_aborts), (1, 1, 0));
    assert_eq!(totals.latency.len(), 1);
}

#[test]
fn a_request_served_elsewhere_is_this_arms_error_and_nothing_else() {
    let arm = arm(&paced(1_000), Role::Candidate);
    let now = Instant::now();
    let mut ticket = Ticket::assign(arm.clone(), dealt(Clock::start(), now), Rc::default());
    ticket.judge(None);
    ticket.fallback();
    ticket.judge(None);
    ticket.finish(now + Duration::from_millis(1), true);
    let report = arm.report(u64::MAX / 2);
    assert_eq!((report.judged.n, report.judged.errors), (1, 1));
    assert_eq!((report.totals.requests, report.totals.fallback), (1, 1));
    assert_eq!((report.totals.responses_5xx, report.totals.latency.len()), (0, 0));
}

#[test]
fn a_dropped_ticket_was_given_up_by_the_client() {
    let arm = arm(&paced(1_000), Role::Candidate);
    let mut ticket =
        Ticket::assign(arm.clone(), dealt(Clock::start(), Instant::now()), Rc::default());
    ticket.judge(None);
    drop(ticket);
    let report = arm.report(u64::MAX / 2);
    assert_eq!((report.judged.n, report.judged.aborted, report.totals.client_aborts), (0, 1, 1));
}

#[test]
fn each_instance_has_counts_of_its_own() {
    let arm = arm(&paced(1_000), Role::Stable);
    assert_eq!([arm.slot("a"), arm.slot("b"), arm.slot("a")], [Some(0), Some(1), Some(0)]);
    (0..4).for_each(|_| arm.enter(10_000, Some(1)));
    arm.enter(10_500, Some(0));
    arm.enter(10_500, None);
    arm.settle(10, 10_600, Outcome::Good(7), Some(1));
    arm.settle(10, 10_600, Outcome::Error, Some(1));
    arm.settle(10, 10_600, Outcome::Aborted, Some(1));
    arm.settle(10, 10_600, Outcome::Good(7), Some(0));
    arm.settle(10, 10_600, Outcome::Error, None);
    assert_eq!(arm.report(11_999).instances, []);
    let report = arm.report(12_000);
    assert_eq!((report.judged.n, report.judged.errors), (5, 3));
    assert_eq!(report.instances, [("a".into(), 1, 0), ("b".into(), 3, 2)]);
    arm.enter(13_000, Some(1));
    arm.settle(13, 13_000, Outcome::Good(7), Some(1));
    assert_eq!(arm.report(20_000).instances, [("a".into(), 1, 0), ("b".into(), 4, 2)]);
}

/// n, errors, unfinished, aborted.
fn counts(judged: &Judged) -> [u64; 4] {
    [judged.n, judged.errors, judged.unfinished, judged.aborted]
}

#[test]
fn what_waits_for_its_client_at_the_close_is_given_up_and_the_rest_is_an_error() {
    let arm = arm(&paced(1_000), Role::Candidate);
    let slot = arm.slot("a");
    (0..3).for_each(|_| arm.enter(10_200, slot));
    (0..2).for_each(|_| arm.pass(10, 10_900, true, slot));
    arm.pass(10, 11_000, false, slot);
    let report = arm.report(12_000);
    assert_eq!(counts(&report.judged), [2, 2, 2, 1]);
    assert_eq!(report.instances, [("a".into(), 2, 2)]);
    arm.pass(10, 12_000, false, slot);
    arm.settle(10, 12_001, Outcome::Good(7), slot);
    assert_eq!(counts(&arm.report(90_000).judged), [2, 2, 2, 1]);
}

#[test]
fn a_turn_after_the_deadline_does_not_count_even_before_the_fold() {
    let arm = arm(&paced(1_000), Role::Candidate);
    (0..2).for_each(|_| arm.enter(10_200, None));
    arm.pass(10, 11_999, true, None);
    arm.pass(10, 12_000, true, None);
    arm.pass(10, 12_000, false, None);
    assert_eq!(counts(&arm.report(12_000).judged), [1, 1, 1, 1]);
}

#[test]
fn whoever_waited_counts_by_the_outcome_once_there_is_one() {
    for (end, wanted) in [
        (Ticket::timed_out as fn(&mut Ticket), [1, 1, 0, 0]),
        (Ticket::aborted, [0, 0, 0, 1]),
        (Ticket::upgraded, [1, 0, 0, 0]),
    ] {
        let (arm, turn) = (arm(&paced(1_000), Role::Candidate), Rc::new(Turn::default()));
        let clock = Clock::start();
        let mut ticket = Ticket::assign(arm.clone(), dealt(clock, Instant::now()), turn.clone());
        turn.pass(true, || panic!("nothing is judged yet"));
        ticket.judge(None);
        for to_client in [true, true, false, true] {
            turn.pass(to_client, || clock.now_ms());
        }
        end(&mut ticket);
        turn.pass(false, || panic!("its turn has ended with it"));
        turn.pass(true, || panic!("nothing is judged any more"));
        assert_eq!(counts(&arm.report(u64::MAX / 2).judged), wanted);
    }
}

#[test]
fn a_request_counts_in_the_arms_of_flags_whatever_its_own_says() {
    let pace = paced(1_000);
    let sessions = crate::sessions::Sessions::default();
    let generation = wire::Generation { epoch: 1, n: 1 };
    let flag = |role| {
        let seats = sessions.seats("flag:production:a", generation, ("on@01", role), 1);
        let wire = wire::Arm { revision: "on@01".into(), role, weight: 0, backends: vec![] };
        Rc::new(ArmCount::new(&wire, pace.clone(), Some(seats)))
    };
    let (own, treated, control) =
        (arm(&pace, Role::Stable), flag(Role::Candidate), flag(Role::Stable));
    let clock = Clock::start();
    let now = Instant::now();
    for (arm, user, status) in [(&treated, 1, 500), (&control, 2, 404), (&treated, 1, 200)] {
        let turn = Rc::<Turn>::default();
        // Led by a header: no evidence on the service's own arm.
        let mut ticket = Ticket::lead(own.clone(), dealt(clock, now), turn.clone());
        let (user, count) = (User(user), arm.clone());
        ticket.takes_part(Part { count, user, who: user, goal: None }, true);
        if status >= 400 {
            ticket.miss();
        }
        ticket.judge(None);
        turn.pass(true, || clock.ms(now));
        turn.pass(false, || clock.ms(now));
        ticket.finish(now + Duration::from_millis(1), status >= 500);
    }
    let later = clock.now_ms() + 100_000;
    let report = |arm: &ArmCount| {
        let mut counters = wire::Counters {
            services: vec![wire::ServiceCounters {
                service: "flag:production:a".into(),
                generation,
                closed_through_s: 0,
                arms: vec![arm.report(later)],
                crossed: 0,
            }],
            ..wire::Counters::default()
        };
        sessions.report(later, &mut counters);
        let arm = counters.services[0].arms[0].clone();
        let judged = (arm.judged.n, arm.judged.errors, arm.judged.goals);
        (judged, arm.assigned, arm.totals.requests)
    };
    assert_eq!(report(&treated), ((1, 1, 1), 2, 2), "one user, two requests, one of them good");
    assert_eq!(report(&control), ((1, 0, 0), 1, 1), "answered with 400 or more");
    let own = own.report(later);
    assert_eq!((own.judged.n, own.judged.goals, own.totals.requests), (0, 0, 3));
    assert_eq!(own.led, 3);
}
