//! A look at each instance of one revision by itself: does it answer, and what does it write?

use crate::error_lines::is_error;
use crate::local::Local;
use crate::observe::InstanceView;
use crate::{log, measure, probe};
use serin_core::{RevisionId, RunSpec, ServiceName, Shared};

/// Lines of each log that are looked at.
const LINES: usize = 1000;

/// One instance.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckedInstance {
    /// What is known of it.
    pub view: InstanceView,
    /// What its readiness probe said just now.
    pub probe: Result<String, String>,
    /// Lines of its log that were looked at: the last 1,000.
    pub lines: usize,
    /// Those of them that look like errors.
    pub error_lines: usize,
}

impl Local {
    /// Looks at every living instance of `revision`, which runs as `run` says.
    pub async fn check_up(
        &self,
        service: &ServiceName,
        revision: &RevisionId,
        run: Shared<RunSpec>,
    ) -> Vec<CheckedInstance> {
        let own = |view: &InstanceView| view.revision == *revision && !view.baseline;
        let living = self.instances(service).into_iter();
        let living = living.filter(|view| view.exit.is_none() && own(view));
        let looks = living.map(|view| tokio::spawn(self.clone().check_one(view, run.clone())));
        let mut checked = Vec::new();
        // All of them are under way.
        for look in looks.collect::<Vec<_>>() {
            checked.extend(look.await.ok());
        }
        checked
    }

    async fn check_one(self, view: InstanceView, run: Shared<RunSpec>) -> CheckedInstance {
        let probe = probe::attempt(&run.readiness, view.port).await;
        let path = log::path(self.data(), &view.id);
        let words = measure::words(&run.log);
        let read = tokio::task::spawn_blocking(move || {
            let lines = log::tail(&path, LINES);
            let errors = lines.iter().filter(|line| is_error(line.as_bytes(), &words)).count();
            (lines.len(), errors)
        });
        let (lines, error_lines) = read.await.unwrap_or_default();
        CheckedInstance { view, probe, lines, error_lines }
    }
}
