use super::*;
use crate::wire::Totals;
use serin_stats::bucket_of_us;

const GENERATION: Generation = Generation { epoch: 1, n: 1 };

/// Windows of 60 s begin at these seconds.
const START: u64 = 6_000;

struct Rig {
    sessions: Sessions,
    stable: Seats,
    canary: Seats,
}

impl Rig {
    fn new() -> Self {
        Self::with(60)
    }

    fn with(window_s: u64) -> Self {
        let sessions = Sessions::default();
        let seats = |key| sessions.seats("shop", GENERATION, key, window_s);
        let (stable, canary) = (seats(("v1", Role::Stable)), seats(("v2", Role::Candidate)));
        (0..20).for_each(|_| stable.pace(bucket_of_us(1_000), 0));
        Self { sessions, stable, canary }
    }

    fn report(&self, now_ms: u64) -> Counters {
        let arm = |(revision, role): (&str, Role)| ArmCounters {
            revision: revision.into(),
            role,
            weight_asked: 0,
            assigned: 0,
            first_assigned_ms: 0,
            last_assigned_ms: 0,
            sessions_assigned: 0,
            led: 0,
            copies: crate::wire::Copies::default(),
            split: vec![],
            instances: vec![],
            judged: crate::wire::Judged { aborted: 3, ..Default::default() },
            totals: Totals::default(),
        };
        let arms = [("v1", Role::Stable), ("v2", Role::Candidate)].map(arm).to_vec();
        let closed_through_s = now_ms / 1_000 - 1;
        let of = |service: &str, arms| ServiceCounters {
            service: service.into(),
            generation: GENERATION,
            closed_through_s,
            arms,
            crossed: 0,
        };
        let services = vec![of("other", vec![]), of("shop", arms)];
        let mut counters = Counters { closed_through_s, services, ..Counters::default() };
        self.sessions.report(now_ms, &mut counters);
        counters
    }

    fn stable(&self, now_ms: u64) -> ArmCounters {
        self.report(now_ms).arm("shop", GENERATION, "v1").unwrap().clone()
    }

    fn canary(&self, now_ms: u64) -> ArmCounters {
        self.report(now_ms).arm("shop", GENERATION, "v2").unwrap().clone()
    }
}

fn user(n: u64) -> User {
    User(User(n).second())
}

/// A request of the user that ends at once.
fn ask(seats: &Seats, user: User, now_ms: u64, outcome: Outcome) {
    seats.arrive(user, now_ms);
    let first = seats.enter(user, now_ms / 1_000);
    seats.settle(user, now_ms / 1_000, now_ms, outcome, first);
}

/// n, errors, unfinished.
fn counts(arm: &ArmCounters) -> [u64; 3] {
    [arm.judged.n, arm.judged.errors, arm.judged.unfinished]
}

#[test]
fn a_user_counts_once_in_a_window_and_an_error_marks_it() {
    let rig = Rig::new();
    for n in 0..100 {
        ask(&rig.canary, user(1), START * 1_000 + n, Outcome::Good(300));
        ask(&rig.canary, user(2), START * 1_000 + n, Outcome::Good(300 + n as u16));
    }
    ask(&rig.canary, user(2), START * 1_000 + 59_999, Outcome::Error);
    let end = (START + 61) * 1_000;
    assert_eq!(counts(&rig.canary(end - 1)), [0, 0, 0]);
    let arm = rig.canary(end);
    assert_eq!(counts(&arm), [2, 1, 0]);
    // A user with an error has no latency, as the parts must not be more than the whole.
    assert_eq!(arm.judged.latency, [(300, 1)]);
    assert_eq!((arm.judged.aborted, arm.judged.sessions), (3, true));
    assert_eq!(arm.sessions_assigned, 2);
    ask(&rig.canary, user(1), end + 5, Outcome::Upgraded);
    let arm = rig.canary(end + 120_000);
    assert_eq!((counts(&arm), arm.sessions_assigned), ([3, 1, 0], 3));
}

#[test]
fn what_runs_at_the_close_makes_its_user_an_error() {
    let rig = Rig::new();
    let second = START + 59;
    for n in 1..=4 {
        rig.stable.arrive(user(n), second * 1_000);
        assert!(rig.stable.enter(user(n), second));
    }
    let end = (START + 61) * 1_000;
    rig.stable.settle(user(1), second, end - 1, Outcome::Good(7), true);
    rig.stable.settle(user(2), second, end, Outcome::Good(7), true);
    rig.stable.settle(user(3), second, end - 1, Outcome::Error, true);
    rig.stable.arrive(user(3), end - 1_001);
    assert!(!rig.stable.enter(user(3), second));
    let arm = rig.stable(end);
    assert_eq!((counts(&arm), arm.judged.latency), ([4, 3, 2], vec![(7, 1)]));
    rig.stable.settle(user(4), second, end + 1, Outcome::Good(7), true);
    assert_eq!(counts(&rig.stable(end + 5_000)), [4, 3, 2]);
}

#[test]
fn users_without_a_word_on_the_arm_are_only_assigned() {
    let rig = Rig::new();
    rig.canary.arrive(user(1), START * 1_000);
    ask(&rig.canary, user(2), START * 1_000, Outcome::Aborted);
    ask(&rig.canary, user(3), START * 1_000, Outcome::Aborted);
    ask(&rig.canary, user(3), START * 1_000, Outcome::Good(9));
    let arm = rig.canary((START + 61) * 1_000);
    assert_eq!((counts(&arm), arm.sessions_assigned), ([1, 0, 0], 3));
    assert_eq!(arm.judged.latency, []);
}

#[test]
fn the_window_waits_for_the_cohort_of_its_last_second() {
    let start_ms = START * 1_000;
    for (us, wait) in [(1_000, 1_000), (1_000_000, 4_016), (60_000_000, 30_000)] {
        let rig = Rig::new();
        (0..4_000).for_each(|_| rig.stable.pace(bucket_of_us(us), 0));
        ask(&rig.stable, user(1), start_ms, Outcome::Good(7));
        assert_eq!(rig.stable(start_ms + 60_000 + wait - 1).judged.n, 0, "{us} us");
        assert_eq!(rig.stable(start_ms + 60_000 + wait).judged.n, 1, "{us} us");
    }
    let sessions = Sessions::default();
    let stable = sessions.seats("shop", GENERATION, ("v1", Role::Stable), 60);
    let canary = stable.clone();
    let rig = Rig { sessions, stable, canary };
    ask(&rig.stable, user(1), start_ms, Outcome::Good(7));
    assert_eq!(rig.stable(start_ms + 89_999).judged.n, 0);
    ask(&rig.stable, user(1), start_ms + 89_999, Outcome::Good(7));
    (0..20).for_each(|_| rig.stable.pace(320, start_ms + 89_999));
    assert_eq!(rig.stable(start_ms + 89_999).judged.n, 1);
}

#[test]
fn nothing_open_is_called_closed() {
    let rig = Rig::new();
    let report = |now_ms| {
        let counters = rig.report(now_ms);
        let [other, shop] = [0, 1].map(|index: usize| counters.services[index].closed_through_s);
        assert_eq!((other, shop), (now_ms / 1_000 - 1, counters.closed_through_s));
        counters
    };
    assert_eq!(report(START * 1_000).closed_through_s, START - 1);
    ask(&rig.stable, user(1), (START + 20) * 1_000, Outcome::Good(7));
    ask(&rig.canary, user(2), (START + 30) * 1_000, Outcome::Good(7));
    assert_eq!(report((START + 40) * 1_000).closed_through_s, START + 19);
    assert_eq!(report((START + 61) * 1_000 - 1).closed_through_s, START + 19);
    ask(&rig.canary, user(3), (START + 60) * 1_000 + 500, Outcome::Good(7));
    assert_eq!(report((START + 61) * 1_000).closed_through_s, START + 59);
    assert_eq!(report((START + 200) * 1_000).closed_through_s, START + 199);
}

#[test]
fn a_closed_window_is_not_opened_again() {
    let rig = Rig::new();
    ask(&rig.stable, user(1), START * 1_000, Outcome::Good(7));
    assert_eq!(rig.stable((START + 61) * 1_000).judged.n, 1);
    ask(&rig.stable, user(1), START * 1_000 + 500, Outcome::Error);
    let later = rig.stable((START + 300) * 1_000);
    assert_eq!((counts(&later), later.sessions_assigned), ([1, 0, 0], 1));
}

#[test]
fn windows_close_also_when_nobody_asks() {
    let rig = Rig::with(1);
    for second in 0..1_000 {
        ask(&rig.stable, user(1), (START + second) * 1_000, Outcome::Good(7));
    }
    let held: usize = rig.stable.ledger.shards.iter().map(|shard| lock(shard).windows.len()).sum();
    assert!(held <= 3, "{held} windows");
    assert_eq!(rig.stable((START + 2_000) * 1_000).judged.n, 1_000);
}

/// A quarter of a million users want to be counted in one window: no more than fit, the same in each arm,
/// and each of them from the window's beginning on.
#[test]
fn too_many_users_are_thinned_out_alike_in_all_arms() {
    let rig = Rig::new();
    for round in 0..2 {
        for n in 0..250_000 {
            let outcome = if round == 0 { Outcome::Error } else { Outcome::Good(7) };
            let seats = if n % 2 == 0 { &rig.stable } else { &rig.canary };
            ask(seats, user(n), START * 1_000, outcome);
        }
    }
    let end = (START + 61) * 1_000;
    let (stable, canary) = (rig.stable(end), rig.canary(end));
    let [n, m] = [stable.judged.n, canary.judged.n];
    assert!((25_000..=100_000).contains(&(n + m)), "{n} + {m}");
    let spread = 6.0 * ((n + m) as f64).sqrt() / 2.0;
    assert!((n as f64 - (n + m) as f64 / 2.0).abs() < spread, "{n} and {m}");
    for arm in [&stable, &canary] {
        assert_eq!((arm.judged.errors, arm.sessions_assigned), (arm.judged.n, arm.judged.n));
    }
}

#[test]
fn short_windows_have_room_for_fewer() {
    let room = |window_s| Rig::with(window_s).stable.tally.limit() * SHARDS;
    assert_eq!([1, 10, 60, 300].map(room), [4_992, 50_000, 100_000, 100_000]);
}

#[test]
fn users_are_split_evenly_and_alike_in_both_arms() {
    let rig = Rig::new();
    for n in 0..48_000 {
        let outcome = if n % 10 == 0 { Outcome::Error } else { Outcome::Good(7) };
        ask(&rig.stable, user(n), START * 1_000, outcome);
        ask(&rig.canary, user(n), START * 1_000, outcome);
    }
    let end = (START + 61) * 1_000;
    assert_eq!(rig.canary(end).split, rig.stable(end).split, "the same users, the same parts");
    let split = rig.stable(end).split;
    assert_eq!(split.len(), 64);
    assert_eq!(
        split.iter().fold((0, 0), |sum, part| (sum.0 + part.0, sum.1 + part.1)),
        (48_000, 4_800)
    );
    for (n, k) in split {
        assert!((612..=888).contains(&n) && (30..=120).contains(&k), "{n} {k}");
    }
}

#[test]
fn generations_are_counted_apart_and_the_oldest_forgotten() {
    let sessions = Sessions::default();
    for n in 1..=18 {
        let generation = Generation { epoch: 1, n };
        let seats = sessions.seats("shop", generation, ("v1", Role::Stable), 60);
        ask(&seats, user(1), START * 1_000, Outcome::Good(7));
    }
    let kept = lock(&sessions.services);
    let held: Vec<u64> = kept["shop"].books.iter().map(|(held, _)| held.n).collect();
    assert_eq!(held, (3..=18).collect::<Vec<_>>());
    kept["shop"].ledger.fold((START + 100) * 1_000);
    for (_, tallies) in &kept["shop"].books {
        assert_eq!(lock(&tallies[0].sums).evidence.n, 1);
    }
}

#[test]
fn a_user_is_judged_by_what_does_not_wait_for_the_user() {
    let rig = Rig::new();
    let (owing, both, other) = (user(1), user(2), user(3));
    for user in [owing, both, other] {
        rig.canary.arrive(user, START * 1_000);
        rig.canary.enter(user, START);
        rig.canary.pass(user, START, START * 1_000, true);
    }
    ask(&rig.canary, both, START * 1_000, Outcome::Good(7));
    rig.canary.pass(other, START, START * 1_000, false);
    let closes = (START + 61) * 1_000;
    assert_eq!(counts(&rig.canary(closes - 1)), [0, 0, 0]);
    rig.canary.pass(owing, START, closes, false);
    let arm = rig.canary(closes);
    assert_eq!((counts(&arm), arm.sessions_assigned), ([2, 1, 1], 3));
}

#[test]
fn a_user_who_waits_for_the_instance_beside_is_an_error() {
    let rig = Rig::new();
    rig.canary.arrive(user(1), START * 1_000);
    assert_eq!([true, false], [(); 2].map(|()| rig.canary.enter(user(1), START)));
    rig.canary.pass(user(1), START, START * 1_000, true);
    assert_eq!(counts(&rig.canary((START + 61) * 1_000)), [1, 1, 1]);
}

#[test]
fn a_user_met_in_both_arms_of_a_window_is_told_once() {
    let rig = Rig::new();
    let (ada, eve) = (User(1), User(2));
    let at = |second: u64| (START + second) * 1_000;
    let crossed = |now_s| rig.report(at(now_s)).services[1].crossed;
    for (seats, user) in [(&rig.stable, ada), (&rig.stable, eve), (&rig.stable, ada)] {
        seats.meet(user, at(1));
    }
    assert_eq!(crossed(2), 0);
    (0..3).for_each(|_| rig.canary.meet(ada, at(2)));
    rig.stable.meet(ada, at(3));
    assert_eq!(crossed(3), 1);
    // In another window, and in another generation, users may be elsewhere.
    rig.canary.meet(eve, at(60));
    let next = Generation { epoch: 1, n: 2 };
    rig.sessions.seats("shop", next, ("v1", Role::Stable), 60).meet(eve, at(61));
    assert_eq!(crossed(62), 1);
}
