//! What a service does beside its steps.

use super::Writer;
use std::fmt::Write as _;

impl Writer {
    /// Settings of a service's life in the words of the language.
    pub(super) fn life(&mut self, out: &mut String) {
        let policy = self.pick(&["restart", "restart", "queue", "reject"]);
        let failure = self.pick(&["rollback", "rollback", "rollback", "hold", "confirm:30s"]);
        let _ = write!(out, " onNewRevision={policy} onFailure={failure}");
        let hold = self.pick(&["yes", "no"]);
        let (old, failed) = (self.pick(&[0, 0, 10, 60, 300]), self.pick(&[0, 0, 10, 60]));
        let _ = write!(out, " holdAfter={hold} keepOld={old}s keepFailed={failed}s");
        if self.one_in(6) {
            let _ = write!(out, " train={}", self.pick(&["none", "60s", "90s", "5m"]));
        }
        if self.one_in(4) {
            let _ = write!(out, " historyLimit={}", self.rng.u32(1..5));
        }
    }
}
