//! What goes wrong.

use super::Writer;

impl Writer {
    /// How messages are treated until the next peace.
    pub(super) fn bad_network(&mut self) {
        if self.one_in(3) {
            return;
        }
        let mut share = |most: u32| if self.rng.bool() { self.rng.u32(..most) } else { 0 };
        let (drop, duplicate, delay) = (share(40), share(20), share(40));
        let by = self.rng.u32(1..20);
        self.line(&format!("faults drop={drop}% duplicate={duplicate}% delay={delay}% by={by}s"));
    }

    pub(super) fn break_something(&mut self, number: usize) {
        self.on(number);
        if self.migrates && self.one_in(4) {
            let how = self.pick(&["well", "away", "slow", "refuses", "apart"]);
            return self.line(&format!("database {how}"));
        }
        let version = self.some_version(number);
        let time = self.pick(&[1, 3, 10, 30]);
        let fault = match self.rng.u32(..24) {
            0..3 => "crash controller".into(),
            3 | 4 => "crash controller after next decision".into(),
            5 | 6 => format!("second controller {time}s"),
            7 => "restart data plane".into(),
            8 => self.pick(&["power cut", "kill all"]).into(),
            9 => format!("kill {version}"),
            10 | 11 => format!("hang {version}"),
            12 | 13 => format!("heal {version}"),
            14 => "disk full".into(),
            15 => "disk ok".into(),
            16 => self.clock(),
            17 => format!("drift {}{}ms", self.pick(&["+", "-"]), self.rng.u32(1..300)),
            18 => format!("counts lost {}s", time * 3),
            19 => format!("orders {}", self.pick(&["refused", "half", "taken", "taken"])),
            20 => format!("skew {}%", self.pick(&[0, 0, 10, 30])),
            21 => format!("fresh {}", self.pick(&["never-ready", "ok"])),
            22 => format!("{} next apply", self.pick(&["drop", "duplicate"])),
            _ => format!("delay next {} {time}s", self.pick(&["apply", "observation", "counts"])),
        };
        self.line(&fault);
    }

    fn clock(&mut self) -> String {
        // Whatever waits for a time waits so much longer when the clock is set back.
        if self.one_in(2) {
            return format!("clock -{}s", self.pick(&[1, 5, 20, 120]));
        }
        format!("clock +{}s", self.pick(&[1, 5, 20, 120, 3600]))
    }
}
