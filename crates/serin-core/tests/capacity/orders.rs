//! Every order of events that chance comes upon.

use crate::platform::{Machine, Truth, replace, rolling};
use crate::support::revision;
use serin_core::*;

/// Numbers that look random, the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33) as u32 % sides
    }
}

fn machine(dice: &mut Dice) -> Machine {
    let n = 1 + dice.roll(12);
    let (surge, fewer) = (dice.roll(n + 1), dice.roll(n + 1));
    let surge = if surge + fewer == 0 { 1 } else { surge };
    let mut batches: Vec<u32> = (0..dice.roll(4)).map(|_| dice.roll(100)).collect();
    batches.sort_unstable();
    batches.push(100);
    let mut service = rolling(n, replace(Amount::Count(surge), Amount::Count(fewer)), &batches);
    service.schedule.on_instance_failure = match dice.roll(3) {
        0 => OnInstanceFailure::Back,
        1 => OnInstanceFailure::Stop,
        _ => OnInstanceFailure::Forward,
    };
    service.rollback.hold_after = false;
    Machine::on_v1(service)
}

/// One thing happens.
fn happen(machine: &mut Machine, dice: &mut Dice, crashes: &mut u32) {
    let versions = machine.versions();
    let version = versions[dice.roll(versions.len() as u32) as usize].clone();
    match dice.roll(16) {
        0 | 1 => machine.take(),
        2..=4 => machine.look(),
        5 => machine.world.advance(u64::from(dice.roll(4))),
        6..=10 => drop(machine.ready_one(&version)),
        11..=14 => drop(machine.gone_one(&version)),
        _ if *crashes > 0 && version == "v1" => {
            *crashes -= u32::from(machine.crash_one(&version));
        }
        _ => {}
    }
    machine.check();
    lint_holds(machine);
}

/// Nothing that the lint refuses is ever wanted.
fn lint_holds(machine: &Machine) {
    let refused = machine.world.told.iter().find(|told| told.starts_with("plan not applied"));
    assert_eq!(refused, None);
    let plan = machine.world.plan();
    for (id, r) in &plan.revisions {
        assert!(r.replicas > 0 || r.weight == Weight::NONE, "{id} has a share and no instance");
    }
}

fn press(machine: &mut Machine, dice: &mut Dice) {
    let ask = match dice.roll(9) {
        0 => Ask::Abort,
        1 => Ask::Pause,
        2 | 3 => Ask::Resume,
        4 => Ask::Promote { full: false },
        5 => Ask::Promote { full: true },
        6 => Ask::Rollback { to: None },
        _ => return,
    };
    let _ = machine.world.ask(ask);
}

fn play(seed: u64) -> Result<(), String> {
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut machine = machine(&mut dice);
    let mut crashes = dice.roll(4);
    machine.world.deploy("v2").unwrap();
    for turn in 0..600 {
        happen(&mut machine, &mut dice, &mut crashes);
        if dice.roll(60) == 0 {
            press(&mut machine, &mut dice);
        }
        let broken = turn > 100 && turn < 300 && seed.is_multiple_of(3);
        let truth = if broken { Truth::Hangs } else { Truth::Good };
        machine.truth.insert(revision("v2"), truth);
        if dice.roll(200) == 0 {
            let _ = machine.world.deploy("v3");
        }
    }
    machine.truth.clear();
    for _ in 0..3 {
        let _ = machine.world.ask(Ask::Resume);
        machine.run(400);
    }
    let (service, waiting) = (&machine.world.service, &machine.world.waiting);
    if service.rollout.is_some() {
        return Err(format!("still waits for {waiting}: {:#?}", machine.world.told));
    }
    let stable = service.stable.clone().ok_or("no stable")?;
    let ready = machine.ready(stable.version.as_str()) as u32;
    let all = machine.world.plan().weight(&stable);
    (ready == service.spec.replicas && all == Weight::ALL)
        .then_some(())
        .ok_or_else(|| format!("{ready} ready, {all}"))
}

#[test]
fn limits_hold_and_it_always_ends() {
    for seed in 1..150 {
        assert_eq!(play(seed), Ok(()), "seed {seed}");
    }
}
