//! Flags that are released.

use super::{Service, Writer};
use std::fmt::Write as _;

/// Key of the flag that is released; others are changed by steps.
const KEY: &str = "r";

impl Service {
    /// Whether it is a flag.
    pub(super) fn is_flag(&self) -> bool {
        self.name.starts_with("flag:")
    }
}

impl Writer {
    /// A flag with its first release.
    pub(super) fn found_flag(&mut self) {
        let name = format!("flag:{}:{KEY}", self.services[0].name);
        let settings = self.flag_settings();
        self.line(&format!("service {name} {settings}"));
        let rate = self.pick(&[20, 200, 1000, 5000]);
        self.line(&format!("traffic {name} {rate}"));
        let number = self.services.len();
        self.services.push(Service { name, versions: vec![] });
        let truth = self.flag_truth();
        self.deploy(number, &truth);
        self.line("advance 5s");
    }

    /// A person switches the flag that is released.
    pub(super) fn switch(&mut self, acts: &[&'static str]) {
        let (name, act) = (self.services[0].name.clone(), self.pick(acts));
        self.line(&format!("flag {name} {KEY} {act}"));
    }

    /// What users of a new variant meet.
    pub(super) fn flag_truth(&mut self) -> String {
        match self.rng.u32(..20) {
            0..10 => "good".into(),
            10..15 => format!("errors {}%", self.rng.u32(5..60)),
            15..18 => format!("slow {}ms", self.rng.u32(50..500)),
            _ => format!("errors 20% after {}s", self.rng.u32(5..120)),
        }
    }

    /// How a flag is released: what needs instances is refused before it comes to the engine.
    pub(super) fn flag_settings(&mut self) -> String {
        let analysis = self.pick(&["both", "both", "errors", "latency", "off"]);
        let evidence = analysis != "off" && !self.one_in(5);
        let exposes = matches!(analysis, "both" | "errors");
        let steps = self.flag_steps(evidence, exposes);
        let (keep, window) = (self.pick(&[0, 0, 3, 25]), self.rng.u32(1..20));
        let mut out = format!("analysis={analysis} steps=\"{steps}\" keepWarm={keep}s");
        let _ = write!(out, " affinity={window}s");
        if analysis != "off" {
            let _ = write!(out, " onInconclusive={}", self.pick(&["pause", "rollback", "promote"]));
            if self.one_in(4) {
                let _ = write!(out, " afterPromotion={}s", self.rng.u32(1..60));
            }
        }
        let policy = self.pick(&["restart", "restart", "queue", "reject"]);
        let failure = self.pick(&["rollback", "rollback", "rollback", "hold", "confirm:30s"]);
        let _ = write!(out, " onNewRevision={policy} onFailure={failure}");
        let _ = write!(out, " holdAfter={}", self.pick(&["yes", "no"]));
        out
    }

    fn flag_steps(&mut self, evidence: bool, exposes: bool) -> String {
        if evidence && exposes && self.one_in(5) {
            let (budget, up_to) = (self.rng.u32(5..200), self.rng.u32(5..60));
            return format!("expose(budget={budget},upTo={up_to},deadline=120s) 100");
        }
        let (mut out, mut weight) = (String::new(), 0);
        while weight < 100 {
            weight = (weight + self.rng.u32(5..60)).min(100);
            let _ = write!(out, "{weight} ");
            if weight < 100 {
                self.between(evidence, &mut out);
            }
            if self.one_in(8) {
                let _ = write!(out, "approve(timeout={}s) ", self.rng.u32(5..60));
            }
        }
        out.trim_end().to_owned()
    }
}
