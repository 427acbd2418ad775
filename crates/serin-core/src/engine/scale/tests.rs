//! Tables of cases, and a platform of which every order of events is possible.

use super::*;

fn percent(p: u32) -> Weight {
    Weight::percent(p).unwrap()
}

fn fleet(replicas: u32, surge: u32, unavailable: u32) -> Fleet {
    Fleet { replicas, surge, unavailable }
}

#[test]
fn amounts_become_instances() {
    use Amount::{Count, Percent};
    // (replicas, surge, unavailable) and what they come to.
    let cases = [
        (4, Percent(25), Count(0), (1, 0)),
        (10, Percent(25), Percent(25), (3, 2)),
        (1, Percent(25), Percent(25), (1, 0)),
        (1, Count(0), Percent(100), (0, 1)),
        (4, Count(0), Percent(100), (0, 4)),
        (2, Count(0), Percent(25), (0, 1)),
        (3, Count(0), Count(9), (0, 3)),
        (3, Count(0), Count(0), (1, 0)),
        (5, Percent(100), Count(0), (5, 0)),
    ];
    for (replicas, max_surge, max_unavailable, wanted) in cases {
        let found = Fleet::of(Capacity::Replace { max_surge, max_unavailable }, replicas).unwrap();
        assert_eq!((found.surge, found.unavailable), wanted, "{replicas} {max_surge:?}");
    }
    assert_eq!(Fleet::of(Capacity::Beside, 3), None);
}

#[test]
fn places_and_shares_of_every_weight() {
    // (replicas, surge), percent, (candidate, stable), share in parts.
    let cases = [
        ((9, 1), 10, (1, 9), 10_000),
        ((9, 1), 25, (3, 7), 25_000),
        ((9, 1), 50, (5, 5), 50_000),
        ((9, 1), 75, (7, 3), 75_000),
        ((9, 1), 100, (9, 0), 100_000),
        ((9, 0), 10, (1, 8), 10_000),
        ((10, 0), 15, (2, 8), 15_000),
        ((10, 1), 15, (2, 9), 15_000),
        ((10, 0), 95, (9, 1), 90_000),
        ((10, 1), 95, (10, 1), 95_000),
        ((2, 0), 50, (1, 1), 50_000),
        ((2, 0), 99, (1, 1), 50_000),
        ((2, 1), 60, (2, 1), 60_000),
        ((1, 0), 1, (1, 0), 100_000),
        ((1, 0), 100, (1, 0), 100_000),
        ((1, 1), 25, (1, 1), 25_000),
        ((4, 1), 0, (0, 4), 0),
    ];
    for ((replicas, surge), p, (candidate, stable), share) in cases {
        let fleet = fleet(replicas, surge, u32::from(surge == 0));
        let what = format!("{replicas} replicas, {p} %");
        assert_eq!(fleet.places(percent(p)), Sizes { candidate, stable }, "{what}");
        assert_eq!(fleet.share(percent(p)).parts(), share, "{what}");
    }
}

#[test]
fn places_fit_and_suffice() {
    for n in 1..=12 {
        for p in 0..=100 {
            for (surge, unavailable) in [(0, 1), (1, 0), (1, 1), (n, 0), (0, n)] {
                let fleet = fleet(n, surge, unavailable);
                let both = fleet.places(percent(p));
                let all = both.candidate + both.stable;
                assert!((n..=fleet.most()).contains(&all), "{fleet:?} {p} %: {both:?}");
                assert_eq!(both.candidate == 0, p == 0);
                assert!(p < 100 || both.stable == 0);
                assert!(both.stable > 0 || p == 100 || n + surge == 1);
            }
        }
    }
}

/// With a part of the traffic on the other side the rest would be for nobody, and such a plan is
/// never handed out.
#[test]
fn where_nobody_has_to_be_there_the_last_one_goes_before_the_first_share_or_after_the_last() {
    let one = |ready, share| Side { planned: 1, ready, alive: 1, leaving: 0, share };
    let fleet = fleet(1, 2, 1);
    let all = fleet.places(Weight::ALL);
    for (share, stays) in [(0, 0), (1, 1), (69, 1), (99, 1), (100, 0)] {
        for ready in [0, 1] {
            let (c, s) = (one(ready, percent(share)), one(1, percent(100 - share)));
            let next = fleet.sizes(all, Weight::ALL, &c, &s);
            assert_eq!(next.stable, stays, "{share} %, {ready} ready");
        }
    }
}

#[test]
fn the_last_instance_stays_while_its_side_has_a_share() {
    let half = Side { planned: 2, ready: 2, alive: 2, leaving: 0, share: percent(50) };
    let fleet = fleet(4, 0, 3);
    let all = fleet.places(Weight::ALL);
    assert_eq!(fleet.sizes(all, Weight::ALL, &half, &half).stable, 1);
    let none = fleet.places(Weight::NONE);
    assert_eq!(fleet.sizes(none, Weight::NONE, &half, &half).candidate, 1);
    let whole = Side { share: Weight::ALL, ..half };
    let without = Side { share: Weight::NONE, ..half };
    assert_eq!(fleet.sizes(all, Weight::ALL, &whole, &without).stable, 0);
}

/// Numbers that look random, the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33) as usize % sides
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Life {
    Starting { crashed: bool },
    Ready,
    Stopping,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Order {
    number: u32,
    sizes: Sizes,
    weight: Weight,
}

/// Both sides' instances and the orders under way.
struct Platform {
    fleet: Fleet,
    dice: Dice,
    candidate: Vec<Life>,
    stable: Vec<Life>,
    held: Order,
    last: Order,
    seen: Option<(u32, Side, Side)>,
    crashes: u32,
    /// Candidate instances that had all crashed when traffic was taken from them.
    lost: usize,
}

impl Platform {
    fn new(fleet: Fleet, seed: u64) -> Self {
        let sizes = Sizes { candidate: 0, stable: fleet.replicas };
        let order = Order { number: 0, sizes, weight: Weight::NONE };
        let stable = vec![Life::Ready; fleet.replicas as usize];
        let dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        Self {
            fleet,
            dice,
            candidate: vec![],
            stable,
            held: order,
            last: order,
            seen: None,
            crashes: 0,
            lost: 0,
        }
    }

    fn side(lives: &[Life], planned: u32, share: Weight) -> Side {
        let ready = lives.iter().filter(|life| **life == Life::Ready).count() as u32;
        let leaving = lives.iter().filter(|life| **life == Life::Stopping).count() as u32;
        Side { planned, ready, alive: lives.len() as u32 - leaving, leaving, share }
    }

    fn look(&mut self) {
        let c = Self::side(&self.candidate, 0, self.held.weight);
        let share =
            if self.held.sizes.stable == 0 { Weight::NONE } else { self.held.weight.rest() };
        let s = Self::side(&self.stable, 0, share);
        self.seen = Some((self.held.number, c, s));
    }

    fn take_order(&mut self) {
        self.held = self.last;
        staff(&mut self.candidate, self.held.sizes.candidate);
        staff(&mut self.stable, self.held.sizes.stable);
    }

    /// One thing happens to one instance, if it can.
    fn live(&mut self, may_crash: bool) {
        let of_candidate = self.dice.roll(2) == 0;
        let kind = self.dice.roll(if may_crash { 9 } else { 8 });
        let lives = if of_candidate { &mut self.candidate } else { &mut self.stable };
        let from = |is: fn(&Life) -> bool| lives.iter().position(is);
        match kind {
            0..4 => {
                let at = from(|life| matches!(life, Life::Starting { .. }));
                if let Some(at) = at {
                    lives[at] = Life::Ready;
                }
            }
            4..8 => {
                if let Some(at) = from(|life| *life == Life::Stopping) {
                    lives.swap_remove(at);
                }
            }
            _ if self.crashes > 0 => {
                if let Some(at) = from(|life| *life == Life::Ready) {
                    lives[at] = Life::Starting { crashed: true };
                    self.crashes -= 1;
                }
            }
            _ => {}
        }
    }

    /// What the engine makes of the last look.
    fn decide(&mut self, goal: Weight) {
        let Some((number, mut c, mut s)) = self.seen.take() else { return };
        let fleet = self.fleet;
        (c.planned, s.planned) = (self.last.sizes.candidate, self.last.sizes.stable);
        let target = fleet.places(goal);
        let mut next = self.last;
        if number == self.last.number {
            next.sizes = fleet.sizes(target, goal, &c, &s);
        }
        (c.planned, s.planned) = (next.sizes.candidate, next.sizes.stable);
        let share = fleet.share(goal);
        next.weight = if share >= next.weight {
            fleet.raised(share, next.weight, target.candidate, &c, &s)
        } else {
            if c.ready == 0 {
                self.lost = c.planned as usize;
            }
            fleet.lowered(share, next.weight, &c, &s)
        };
        if next != self.last {
            next.number += 1;
            self.last = next;
        }
        let Sizes { candidate, stable } = next.sizes;
        assert!(candidate > 0 || next.weight == Weight::NONE, "{next:?}");
        let stable_has = next.weight < Weight::ALL && (stable > 0 || !fleet.may_be_down());
        assert!(stable > 0 || !stable_has, "stable has a share and no instance: {next:?}");
    }

    fn check(&self) -> Result<(), String> {
        let (candidate, stable) = (self.candidate.len(), self.stable.len());
        if candidate + stable > self.fleet.most() as usize {
            return Err(format!("{candidate} and {stable} processes"));
        }
        let counts = |lives: &[Life], led: bool| {
            let good = |life: &&Life| match life {
                Life::Ready => led,
                Life::Starting { crashed } => *crashed,
                Life::Stopping => false,
            };
            lives.iter().filter(good).count()
        };
        let weight = self.held.weight;
        let there = counts(&self.candidate, weight > Weight::NONE)
            + counts(&self.stable, weight < Weight::ALL);
        if there + self.lost < self.fleet.least() as usize {
            return Err(format!("{there} in traffic, {} promised", self.fleet.least()));
        }
        Ok(())
    }

    fn is_done(&self, goal: Weight) -> bool {
        let order = self.last;
        order == self.held
            && order.sizes == self.fleet.places(goal)
            && order.weight == self.fleet.share(goal)
            && self.candidate.len() as u32 == order.sizes.candidate
            && self.stable.len() as u32 == order.sizes.stable
    }

    /// Everything in any order until `goal` is there.
    fn go(&mut self, goal: Weight, most: u32) -> Result<(), String> {
        for turn in 0..most {
            match self.dice.roll(10) {
                0 => self.take_order(),
                1 => self.look(),
                2 | 3 => self.decide(goal),
                _ => self.live(turn < most / 4),
            }
            self.check()?;
            if self.is_done(goal) {
                self.lost = 0;
                return Ok(());
            }
        }
        Err(format!("not there: {:?}, {:?} and {:?}", self.last, self.candidate, self.stable))
    }
}

/// As many as ordered; those that are not ready go first.
fn staff(lives: &mut Vec<Life>, wanted: u32) {
    let staying = |lives: &[Life]| lives.iter().filter(|life| **life != Life::Stopping).count();
    let kinds: [fn(&Life) -> bool; 3] = [
        |life| *life == Life::Starting { crashed: false },
        |life| matches!(life, Life::Starting { .. }),
        |life| *life == Life::Ready,
    ];
    for kind in kinds {
        while staying(lives) > wanted as usize
            && let Some(at) = lives.iter().position(kind)
        {
            lives[at] = Life::Stopping;
        }
    }
    while staying(lives) < wanted as usize {
        lives.push(Life::Starting { crashed: false });
    }
}

#[test]
fn promises_hold_in_every_order_of_events_and_it_always_ends() {
    for n in 1..=12_u32 {
        for p in 0..=100 {
            let amounts = [0, 1, n.div_ceil(4), n];
            let pairs = amounts.iter().flat_map(|s| amounts.iter().map(move |u| (*s, *u)));
            for (surge, unavailable) in pairs.filter(|pair| *pair != (0, 0)) {
                let seed = u64::from(n * 10_000 + p * 97 + surge * 13 + unavailable + 1);
                let mut platform = Platform::new(fleet(n, surge, unavailable), seed);
                platform.crashes = (seed % 4) as u32;
                let ends = if seed % 2 == 0 { Weight::ALL } else { Weight::NONE };
                let gone = platform.go(percent(p), 20_000).and_then(|()| {
                    platform.crashes += (seed % 3) as u32;
                    platform.go(ends, 20_000)
                });
                assert_eq!(gone, Ok(()), "{:?} at {p} %, seed {seed}", platform.fleet);
            }
        }
    }
}

#[test]
fn turning_back_midway_keeps_the_promises() {
    for seed in 1..4000_u64 {
        let mut dice = Dice(seed.wrapping_mul(77));
        dice.roll(2);
        let n = 1 + dice.roll(12) as u32;
        let (surge, unavailable) =
            (dice.roll(n as usize + 1) as u32, dice.roll(n as usize + 1) as u32);
        let surge = if surge + unavailable == 0 { 1 } else { surge };
        let mut platform = Platform::new(fleet(n, surge, unavailable), seed);
        for _ in 0..6 {
            platform.crashes = dice.roll(3) as u32;
            let (goal, turns) = (percent(dice.roll(101) as u32), dice.roll(120) as u32);
            if let Err(why) = platform.go(goal, turns) {
                assert!(why.starts_with("not there"), "{:?}, seed {seed}: {why}", platform.fleet);
            }
        }
        let ends = if seed % 2 == 0 { Weight::ALL } else { Weight::NONE };
        assert_eq!(platform.go(ends, 20_000), Ok(()), "{:?}, seed {seed}", platform.fleet);
    }
}
