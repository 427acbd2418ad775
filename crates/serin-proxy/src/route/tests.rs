use super::*;
use crate::wire::Role;

fn backend(port: u16) -> Rc<Backend> {
    let addr = ([127, 0, 0, 1], port).into();
    let wire = crate::wire::Backend { instance: port.to_string(), addr, ready_since_ms: 0 };
    Rc::new(Backend::new("shop", &wire))
}

fn arm(role: Role, weight: u32, backends: usize) -> Arm {
    let wire = crate::wire::Arm { revision: "v".into(), role, weight, backends: vec![] };
    let count = Rc::new(ArmCount::new(&wire, Rc::default(), None));
    Arm::new(&wire, count, (0..backends).map(|port| backend(port as u16)).collect())
}

fn route_of(arms: Vec<Arm>) -> Route {
    let (order, service) = (Order::default(), Rc::default());
    Route {
        order,
        timeout: None,
        warmup_ms: 0,
        arms: ranged(arms),
        affinity: None,
        steer: None,
        mirror: None,
        goal: None,
        flags: None,
        preview: false,
        service,
    }
}

fn route(weights: &[(u32, usize)]) -> Route {
    route_of(weights.iter().map(|&(weight, n)| arm(Role::Stable, weight, n)).collect())
}

/// Chi-square against the weights; the bound is the 1e-6 quantile for that many degrees.
fn chi_square(hits: &[u64], weights: &[u32]) -> f64 {
    let n: u64 = hits.iter().sum();
    let one = |(&hits, &weight): (&u64, &u32)| {
        let wanted = n as f64 * f64::from(weight) / f64::from(WEIGHT_TOTAL);
        (hits as f64 - wanted).powi(2) / wanted
    };
    hits.iter().zip(weights).map(one).sum()
}

#[test]
fn arms_get_exactly_their_weight() {
    let mut rng = Rng::with_seed(7);
    for (weights, bound) in [
        (vec![90_000, 10_000], 23.9),
        (vec![99_999, 1], 23.9),
        (vec![33_333, 33_333, 33_334], 27.6),
    ] {
        let route = route(&weights.iter().map(|weight| (*weight, 1)).collect::<Vec<_>>());
        let mut hits = vec![0; weights.len()];
        (0..2_000_000).for_each(|_| hits[route.choose(None, &mut rng).unwrap()] += 1);
        let found = chi_square(&hits, &weights);
        assert!(found < bound, "{weights:?}: {hits:?} is {found}");
    }
}

#[test]
fn weight_zero_is_never_chosen() {
    let mut rng = Rng::with_seed(7);
    let first = route(&[(0, 1), (100_000, 1)]);
    let last = route(&[(100_000, 1), (0, 1)]);
    for _ in 0..100_000 {
        assert_eq!((first.choose(None, &mut rng), last.choose(None, &mut rng)), (Some(1), Some(0)));
    }
    assert_eq!(route(&[]).choose(None, &mut rng), None);
}

#[test]
fn a_substitute_has_instances_and_weight() {
    let mut rng = Rng::with_seed(7);
    let route = route(&[(40_000, 0), (0, 2), (45_000, 1), (15_000, 1)]);
    let mut hits = [0_u64; 4];
    (0..60_000).for_each(|_| hits[route.substitute(None, &mut rng).unwrap()] += 1);
    assert_eq!((hits[0], hits[1]), (0, 0));
    assert!(chi_square(&hits[2..], &[75_000, 25_000]) < 23.9, "{hits:?}");
    assert_eq!(self::route(&[(100_000, 0), (0, 2)]).substitute(None, &mut rng), None);
}

#[test]
fn the_less_loaded_of_two_is_picked() {
    let mut rng = Rng::with_seed(7);
    let route = route(&[(100_000, 2)]);
    let arm = &route.arms[0];
    let _busy = Held::new(arm.backends[0].clone());
    for _ in 0..100 {
        let picked = arm.pick(&mut rng, 0, &[]).unwrap();
        assert!(Rc::ptr_eq(picked, &arm.backends[1]));
    }
}

#[test]
fn tried_and_refusing_instances_come_last() {
    let mut rng = Rng::with_seed(7);
    let route = route(&[(100_000, 3)]);
    let arm = &route.arms[0];
    let [a, b, c] = [0, 1, 2].map(|index: usize| arm.backends[index].addr);
    arm.backends[0].skip(5_000);
    let mut pick = |now_ms, tried: &[SocketAddr]| arm.pick(&mut rng, now_ms, tried).unwrap().addr;
    for _ in 0..50 {
        assert_ne!(pick(5_999, &[]), a);
        assert_eq!(pick(5_999, &[b]), c);
        assert_eq!(pick(5_999, &[b, c]), a);
    }
    assert!((0..200).any(|_| pick(6_000, &[]) == a));
    assert!([a, b, c].contains(&pick(5_999, &[a, b, c])));
}

#[test]
fn a_growing_weight_moves_users_to_the_candidate_and_none_away() {
    let users: Vec<User> = (0..20_000_u64).map(|n| User(User(n).second())).collect();
    let mut rng = Rng::with_seed(7);
    let mut before: Option<Vec<Role>> = None;
    for weight in [0, 1_000, 5_000, 25_000, 50_000, 75_000] {
        let route = route_of(vec![
            arm(Role::Baseline, weight / 5, 1),
            arm(Role::Stable, 100_000 - weight - weight / 5, 1),
            arm(Role::Candidate, weight, 1),
        ]);
        let mut role = |user| route.arms[route.choose(Some(user), &mut rng).unwrap()].role;
        let now: Vec<Role> = users.iter().map(|user| role(*user)).collect();
        let hits = [Role::Candidate, Role::Stable, Role::Baseline]
            .map(|role| now.iter().filter(|found| **found == role).count() as u64);
        let shares = [weight, 100_000 - weight - weight / 5, weight / 5];
        if weight > 0 {
            assert!(chi_square(&hits, &shares) < 27.6, "{weight}: {hits:?}");
        }
        for (before, now) in before.iter().flatten().zip(&now) {
            assert!(*before != Role::Candidate || *now == Role::Candidate);
            assert!(*before != Role::Baseline || *now != Role::Stable);
        }
        before = Some(now);
    }
}

#[test]
fn a_user_of_an_empty_arm_is_always_led_to_the_same_one() {
    let mut rng = Rng::with_seed(7);
    let route = route_of(vec![
        arm(Role::Candidate, 20_000, 0),
        arm(Role::Stable, 60_000, 1),
        arm(Role::Baseline, 20_000, 1),
    ]);
    let mut hits = [0_u64; 3];
    for user in (0..40_000_u64).map(|n| User(User(n).second())) {
        if route.choose(Some(user), &mut rng) == Some(0) {
            let led = route.substitute(Some(user), &mut rng);
            assert_eq!(led, route.substitute(Some(user), &mut rng));
            hits[led.unwrap()] += 1;
        }
    }
    assert_eq!(hits[0], 0);
    assert!(chi_square(&hits[1..], &[75_000, 25_000]) < 23.9, "{hits:?}");
}

#[test]
fn instances_are_told_apart_while_there_is_room() {
    let arm = arm(Role::Stable, 0, 120);
    let slots: Vec<Option<u16>> = arm.backends.iter().map(|one| arm.slot(one)).collect();
    let wanted = (0..120).map(|n| (n < 100).then_some(n)).collect::<Vec<_>>();
    assert_eq!(slots, wanted);
    assert_eq!(arm.count.slot("7"), Some(7));
    assert_eq!(arm.slot(&backend(3)), None);
}
