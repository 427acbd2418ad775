use super::*;
use crate::wire::Role;

fn backend(port: u16) -> Rc<Backend> {
    let addr = ([127, 0, 0, 1], port).into();
    let wire = crate::wire::Backend { instance: port.to_string(), addr, ready_since_ms: 0 };
    Rc::new(Backend::new("shop", &wire))
}

fn route(weights: &[(u32, usize)]) -> Route {
    let mut upto = 0;
    let arms = weights.iter().map(|&(weight, backends)| {
        upto += weight;
        Arm {
            upto,
            weight,
            count: Rc::new(ArmCount::new("v", Role::Stable, weight, Rc::default())),
            backends: (0..backends).map(|port| backend(port as u16)).collect(),
        }
    });
    let arms = arms.collect();
    Route { order: Order::default(), timeout: None, warmup_ms: 0, arms, service: Rc::default() }
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
        (0..2_000_000).for_each(|_| hits[route.choose(&mut rng).unwrap()] += 1);
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
        assert_eq!((first.choose(&mut rng), last.choose(&mut rng)), (Some(1), Some(0)));
    }
    assert_eq!(route(&[]).choose(&mut rng), None);
}

#[test]
fn a_substitute_has_instances_and_weight() {
    let mut rng = Rng::with_seed(7);
    let route = route(&[(40_000, 0), (0, 2), (45_000, 1), (15_000, 1)]);
    let mut hits = [0_u64; 4];
    (0..60_000).for_each(|_| hits[route.substitute(&mut rng).unwrap()] += 1);
    assert_eq!((hits[0], hits[1]), (0, 0));
    assert!(chi_square(&hits[2..], &[75_000, 25_000]) < 23.9, "{hits:?}");
    assert_eq!(self::route(&[(100_000, 0), (0, 2)]).substitute(&mut rng), None);
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
