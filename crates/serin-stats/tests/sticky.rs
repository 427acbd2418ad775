//! Sticky users: the unit is the user, and users differ. False alarms stay below alpha.
#![allow(clippy::unwrap_used)] // a test that cannot go on has failed

use serin_stats::{Judge, JudgeConfig, JudgeSettings, Metric, Outcome, Rung, Tick};

const PARTS: usize = 64;
const SHARE: f64 = 0.1;

/// A user of a sticky service.
struct User {
    canary: bool,
    part: usize,
    /// Chance to be active in a window, and to see an error in it.
    active: f64,
    fails: f64,
}

/// `heavy` users are always there and fail in `fails` of their windows; the others come and go.
fn users(rng: &mut fastrand::Rng, light: usize, heavy: (usize, f64), rate: f64) -> Vec<User> {
    let heavy_users = (0..heavy.0).map(|_| (1.0, heavy.1));
    let light_users = (0..light).map(|_| (0.2, rate));
    let all: Vec<_> = heavy_users.chain(light_users).collect();
    all.into_iter()
        .map(|(active, fails)| User {
            canary: rng.f64() < SHARE,
            part: rng.usize(..PARTS),
            active,
            fails,
        })
        .collect()
}

/// One window; `times` the chance of an error on the canary.
fn window(rng: &mut fastrand::Rng, users: &[User], times: f64) -> Tick {
    let parts = || vec![(0, 0); PARTS];
    let (split, canary_split) = (parts(), parts());
    let mut tick = Tick { seconds: 60, split, canary_split, ..Tick::default() };
    for user in users {
        if rng.f64() >= user.active {
            continue;
        }
        let chance = if user.canary { user.fails * times } else { user.fails };
        let failed = u64::from(rng.f64() < chance);
        let arm = if user.canary { &mut tick.canary } else { &mut tick.baseline };
        arm.n += 1;
        arm.errors += failed;
        let split = if user.canary { &mut tick.canary_split } else { &mut tick.split };
        split[user.part].0 += 1;
        split[user.part].1 += failed;
    }
    tick
}

/// How many of `runs` rollouts of `windows` windows end in `wanted`.
fn count(
    seed: u64,
    runs: usize,
    crowd: (usize, (usize, f64), f64),
    times: f64,
    wanted: Outcome,
) -> usize {
    let mut rng = fastrand::Rng::with_seed(seed);
    let settings = JudgeSettings {
        alpha: 0.05,
        metrics: vec![Metric::Errors.into()],
        ..JudgeSettings::default()
    };
    let config = JudgeConfig::new(settings).unwrap();
    (0..runs)
        .filter(|_| {
            let users = users(&mut rng, crowd.0, crowd.1, crowd.2);
            let mut judge = Judge::new(config.clone());
            (0..60).any(|_| {
                judge.observe(&window(&mut rng, &users, times));
                judge.assess(Rung::LAST).outcome == wanted
            })
        })
        .count()
}

#[test]
fn equal_users_are_no_false_alarm() {
    let found = count(1, 200, (2000, (0, 0.0), 0.01), 1.0, Outcome::Fail);
    assert!(found <= 14, "{found} of 200 at alpha 5 %");
}

#[test]
fn a_few_users_who_always_fail_are_no_false_alarm() {
    for (heavy, fails) in [(5, 1.0), (20, 1.0), (20, 0.3), (60, 0.5)] {
        let found = count(2, 200, (2000, (heavy, fails), 0.01), 1.0, Outcome::Fail);
        assert!(found <= 14, "{found} of 200 with {heavy} users who fail in {fails} of the time");
    }
}

#[test]
fn a_tripled_rate_is_found_among_sticky_users() {
    let found = count(3, 60, (2000, (0, 0.0), 0.01), 3.0, Outcome::Fail);
    assert!(found >= 57, "{found} of 60");
}

#[test]
fn a_version_without_harm_passes_among_sticky_users() {
    let found = count(4, 60, (20_000, (0, 0.0), 0.002), 1.0, Outcome::Pass);
    assert!(found >= 40, "{found} of 60");
}
