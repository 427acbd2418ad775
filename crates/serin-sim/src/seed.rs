//! A seed as a script: chance writes down what happens, in the language that people use.

mod faults;
mod life;
mod release;
mod settings;

use fastrand::Rng;
use std::fmt::Write as _;

/// Of so many seeds one runs in fair weather: no faults, nobody presses anything, so that there is
/// only one thing every rollout may come to.
const FAIR_EVERY: u64 = 5;

/// Whether seeds draw migrations. One of 1,500 still breaks a rule when they do, so they wait.
const MIGRATIONS: bool = true;

/// Of so many seeds one has services whose revisions bring schemas.
const MIGRATES_EVERY: u64 = 3;

/// Of so many seeds one releases a flag beside its services.
const RELEASES_EVERY: u64 = 4;

/// The script of `seed`.
pub fn script(seed: u64) -> String {
    let rng = Rng::with_seed(seed ^ 0x5e1_1a0d);
    let mut writer = Writer {
        rng,
        out: format!("dice {seed}\n"),
        services: vec![],
        versions: 0,
        migrates: MIGRATIONS && seed % MIGRATES_EVERY == 1,
    };
    let services = if writer.one_in(6) { 2 } else { 1 };
    for number in 0..services {
        writer.found(number);
    }
    if seed % RELEASES_EVERY == 2 {
        writer.found_flag();
    }
    if seed.is_multiple_of(FAIR_EVERY) {
        writer.fair_weather();
    } else {
        writer.foul_weather();
    }
    writer.out
}

struct Writer {
    rng: Rng,
    out: String,
    services: Vec<Service>,
    versions: u32,
    migrates: bool,
}

/// What is known of a service while its script is written.
struct Service {
    name: String,
    versions: Vec<String>,
}

impl Writer {
    fn line(&mut self, text: &str) {
        let _ = writeln!(self.out, "{text}");
    }

    fn one_in(&mut self, n: u32) -> bool {
        self.rng.u32(..n) == 0
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.rng.usize(..of.len())]
    }

    /// A service with its first revision, which is good nearly always.
    fn found(&mut self, number: usize) {
        let name = format!("svc-{number}");
        let settings = self.settings();
        self.line(&format!("service {name} {settings}"));
        let rate = self.pick(&[2, 20, 200, 200, 1000, 1000, 5000]);
        self.line(&format!("traffic {name} {rate}"));
        self.services.push(Service { name, versions: vec![] });
        let bad = self.one_in(30);
        self.deploy(number, if bad { "wont-start" } else { "good" });
        let time = if bad { 60 } else { 15 };
        self.line(&format!("advance {time}s"));
    }

    fn deploy(&mut self, number: usize, truth: &str) {
        let is_flag = self.services[number].is_flag();
        if is_flag && self.one_in(2) {
            self.switch(&["on"]);
        }
        self.versions += 1;
        let version = format!("v{}", self.versions);
        if truth != "good" {
            self.line(&format!("truth {version} {truth}"));
        }
        let allow = match self.rng.u32(..20) {
            0 => " allow-bad",
            1 | 2 => " now",
            _ => "",
        };
        let name = self.services[number].name.clone();
        let migrate = if self.migrates && !is_flag && self.one_in(3) { " migrate" } else { "" };
        self.line(&format!("deploy {name} {version}{allow}{migrate}"));
        self.services[number].versions.push(version);
    }

    /// One rollout after the other, each played to its end.
    fn fair_weather(&mut self) {
        for _ in 0..self.rng.u32(4..9) {
            let number = self.rng.usize(..self.services.len());
            if self.one_in(3) {
                self.change_settings(number);
            }
            let truth = self.truth_for(number);
            self.deploy(number, &truth);
            self.line("settle");
        }
    }

    /// Deploys, faults and buttons, and peace in between.
    fn foul_weather(&mut self) {
        for _ in 0..self.rng.u32(2..5) {
            self.bad_network();
            for _ in 0..self.rng.u32(2..6) {
                self.trouble();
            }
            self.line("settle");
        }
    }

    /// A deploy and what happens in the time after it.
    fn trouble(&mut self) {
        let number = self.rng.usize(..self.services.len());
        self.begin(number);
        for _ in 0..self.rng.u32(1..7) {
            let time = self.pick(&[1, 2, 5, 8, 15, 30, 60]);
            self.line(&format!("advance {time}s"));
            if self.one_in(8) {
                self.change_flag(number);
            } else if self.one_in(2) {
                self.press(number);
            } else {
                self.break_something(number);
            }
        }
    }

    fn begin(&mut self, number: usize) {
        if self.one_in(4) {
            self.change_settings(number);
        }
        match self.rng.u32(..10) {
            0 => self.deploy_again(number),
            1 => self.press(number),
            _ => {
                let truth = self.truth_for(number);
                self.deploy(number, &truth);
            }
        }
    }

    fn deploy_again(&mut self, number: usize) {
        let version = self.some_version(number);
        let name = self.services[number].name.clone();
        let allow = if self.one_in(3) { " allow-bad" } else { "" };
        self.line(&format!("deploy {name} {version}{allow}"));
    }

    /// The newest ones are asked for most.
    fn some_version(&mut self, number: usize) -> String {
        let known = self.services[number].versions.len();
        let back = self.rng.usize(..known.min(4));
        self.services[number].versions[known - 1 - back].clone()
    }

    fn on(&mut self, number: usize) {
        if self.services.len() > 1 {
            let name = self.services[number].name.clone();
            self.line(&format!("on {name}"));
        }
    }

    fn truth_for(&mut self, number: usize) -> String {
        if self.services[number].is_flag() { self.flag_truth() } else { self.truth() }
    }

    /// Any button, at any time.
    fn press(&mut self, number: usize) {
        self.on(number);
        if self.migrates && self.one_in(5) {
            let contract = self.pick(&["contract", "contract override", "contract override"]);
            return self.line(contract);
        }
        let version = self.some_version(number);
        let button = match self.rng.u32(..20) {
            0..3 => "promote".into(),
            3..5 => "promote full".into(),
            5..7 => "pause".into(),
            7..10 => "resume".into(),
            10..12 => "abort".into(),
            12..14 => "rollback".into(),
            14 => format!("rollback to {version}"),
            15 => "approve".into(),
            16 => self.pick(&["retry", "retry allow-bad"]).into(),
            17 => "release".into(),
            18 => format!("mark {version} {}", self.pick(&["bad", "good"])),
            _ if self.one_in(6) => "remove".into(),
            _ => "resume".to_owned(),
        };
        self.line(&button);
    }

    /// People change flags too, also those that rollouts have changed.
    fn change_flag(&mut self, number: usize) {
        if self.services[number].is_flag() {
            return self.switch(&["kill", "kill", "off", "on"]);
        }
        let name = self.services[number].name.clone();
        let key = self.pick(&["a", "b"]);
        let act = self.pick(&["kill", "on", "on", "off", "30", "70"]);
        self.line(&format!("flag {name} {key} {act}"));
    }

    fn change_settings(&mut self, number: usize) {
        if self.services[number].is_flag() {
            let (name, settings) = (self.services[number].name.clone(), self.flag_settings());
            return self.line(&format!("service {name} preset=plain {settings}"));
        }
        let settings = self.settings();
        let name = self.services[number].name.clone();
        let text = if self.one_in(3) {
            format!("service {name} replicas={}", self.rng.u32(1..=6))
        } else {
            format!("service {name} preset=plain {settings}")
        };
        self.line(&text);
    }

    /// What a version is like; half of them are good.
    fn truth(&mut self) -> String {
        match self.rng.u32(..20) {
            0..10 => "good".into(),
            10..13 => format!("errors {}%", self.rng.u32(5..60)),
            13 | 14 => format!("slow {}ms", self.rng.u32(50..500)),
            15 => "wont-start".into(),
            16 => "never-ready".into(),
            17 => format!("crashes {}%", self.rng.u32(5..25)),
            18 => format!("errors 20% after {}s", self.rng.u32(5..120)),
            _ => format!("given-up {}%", self.rng.u32(10..90)),
        }
    }
}
