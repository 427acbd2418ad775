//! How a service is brought out.

use super::Writer;
use std::fmt::Write as _;

impl Writer {
    /// Settings of a service in the words of the language.
    pub(super) fn settings(&mut self) -> String {
        let replicas = self.rng.u32(1..=6);
        let mut out = format!("replicas={replicas}");
        let analysis = match self.rng.u32(..10) {
            0..5 => "both",
            5 => "errors",
            6 => "latency",
            7 => "none",
            _ => "off",
        };
        let _ = write!(out, " analysis={analysis}");
        let evidence = !matches!(analysis, "off" | "none") && !self.one_in(4);
        // Where instances trade places they are not sized apart from their share.
        let trades = self.one_in(5);
        let steps = self.steps(evidence, matches!(analysis, "both" | "errors"), trades);
        let _ = write!(out, " steps=\"{steps}\"");
        let (warm, deadline) = (self.rng.u32(..6), self.rng.u32(20..90));
        let keep = self.pick(&[0, 0, 3, 10, 25]);
        let _ = write!(out, " warmUp={warm}s progressDeadline={deadline}s keepWarm={keep}s");
        if self.one_in(5) {
            let _ = write!(out, " affinity={}s", self.rng.u32(1..20));
        }
        if analysis != "off" {
            self.judging(&mut out);
        }
        if self.one_in(2) {
            self.life(&mut out);
        }
        if trades {
            let room = self.pick(&["1/0", "0/1", "25%/0", "2/1", "100%/50%"]);
            let _ = write!(out, " capacity={room}");
        }
        out
    }

    fn judging(&mut self, out: &mut String) {
        let _ = write!(out, " onInconclusive={}", self.pick(&["pause", "rollback", "promote"]));
        if self.one_in(4) {
            out.push_str(" baseline=fresh");
        }
        if self.one_in(6) {
            let _ = write!(out, " maxErrors={}", self.rng.u32(20..500));
        }
        if self.one_in(6) {
            let _ = write!(out, " afterPromotion={}s", self.rng.u32(1..60));
        }
        if self.one_in(10) {
            out.push_str(" reportOnly=yes");
        }
        if self.one_in(4) {
            let check = self.check();
            let _ = write!(out, " check={check}");
        }
    }

    fn check(&mut self) -> String {
        let what = self.pick(&["errors<5%", "service.errors<5%", "p99<80ms"]);
        let (every, within) = (self.rng.u32(1..30), self.rng.u32(1..30));
        let how = self.pick(&["total=2", "row=2", "count=2", "least=50", "warmup=10s"]);
        format!("{what},every={every}s,in={within}s,{how}")
    }

    fn steps(&mut self, evidence: bool, exposes: bool, sized: bool) -> String {
        if evidence && exposes && self.one_in(5) {
            let (budget, up_to) = (self.rng.u32(5..200), self.rng.u32(5..60));
            let deadline = self.rng.u32(60..300);
            return format!("expose(budget={budget},upTo={up_to},deadline={deadline}s) 100");
        }
        let mut out = String::new();
        let mut weight = 0;
        while weight < 100 {
            weight = (weight + self.rng.u32(5..60)).min(100);
            let _ = write!(out, "{weight} ");
            if weight < 100 {
                self.between(evidence, &mut out);
            }
            if self.one_in(6) {
                self.beside(sized, &mut out);
            }
        }
        out.trim_end().to_owned()
    }

    /// Steps beside shares and waiting.
    fn beside(&mut self, sized: bool, out: &mut String) {
        let step = match self.rng.u32(..9) {
            6.. => {
                format!("flag({},{})", self.pick(&["a", "b"]), self.pick(&["on", "off", "5", "40"]))
            }
            0 => "run(smoke,tries=2)".into(),
            1 => format!("approve(timeout={}s)", self.rng.u32(5..60)),
            2 => "route(testers,x-tester=yes)".into(),
            3 => "route(testers)".into(),
            4 => format!("mirror({})", self.rng.u32(1..100)),
            _ if sized => "route(testers)".into(),
            _ => format!("scale({})", self.pick(&["match", "match", "2", "100%"])),
        };
        let _ = write!(out, "{step} ");
    }

    pub(super) fn between(&mut self, evidence: bool, out: &mut String) {
        match self.rng.u32(..8) {
            0 | 1 => {
                let _ = write!(out, "pause({}s) ", self.rng.u32(1..20));
            }
            2 if self.one_in(5) => out.push_str("pause "),
            _ if evidence || self.rng.bool() => {
                let least = self.rng.u32(..10);
                let requests = self.pick(&["", "", ",requests=50", ",requests=200"]);
                let deadline = self.rng.u32(60..300);
                let asks = if evidence { ",evidence" } else { "" };
                let _ = write!(out, "bake({least}s{requests}{asks},deadline={deadline}s) ");
            }
            _ => {}
        }
    }
}
