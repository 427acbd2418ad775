//! What the data plane counted, on its way to the owner.

use super::{Core, IDLE_LOOKS, LOOK};
use serin_core::{Counts, Event, ServiceName};
use serin_local::counts_of;
use serin_local::wire::Counters;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// What was counted, made ready for the owner by somebody else.
pub(super) enum Counted {
    /// Evidence, by service.
    Evidence(Vec<(ServiceName, Vec<Counts>)>),
    /// Everything, for those who look.
    Everything(Counters),
}

impl Core {
    pub(super) fn counted(&mut self, report: Counted) {
        let evidence = match report {
            Counted::Evidence(evidence) => evidence,
            Counted::Everything(counters) => {
                self.watch_services(&counters);
                self.watch_migrations(&counters);
                self.counts = Some(counters);
                return;
            }
        };
        let mut facts = Vec::new();
        for (name, counts) in evidence {
            let Some(service) = self.executor.service(&name) else { continue };
            let news =
                service.rollout.as_ref().map(|rollout| rollout.news(counts)).unwrap_or_default();
            if !news.is_empty() {
                facts.push((name, Event::Counted(news)));
            }
        }
        self.note(&facts);
    }

    /// Has evidence brought about the services that are judged, and now and then everything. What
    /// comes is taken apart on the way: all of a thousand services takes longer than a decision.
    pub(super) fn ask_counters(&self, counted: &mpsc::Sender<Counted>) {
        let judged = self.executor.services().filter(|service| service.wants_counts());
        let judged: Vec<_> = judged.map(|service| service.name.clone()).collect();
        if !judged.is_empty() {
            let (counters, counted) = (self.platform.evidence(judged), counted.clone());
            tokio::spawn(async move {
                if let Ok(Some(report)) = timeout(LOOK, counters).await {
                    let _ = counted.try_send(Counted::Evidence(counts_of(&report)));
                }
            });
        }
        let watched = self.flags.watches() || self.migrations.is_busy();
        if watched || self.looks.is_multiple_of(IDLE_LOOKS) {
            let (counters, counted) = (self.platform.counters(), counted.clone());
            tokio::spawn(async move {
                if let Ok(Some(report)) = timeout(LOOK, counters).await {
                    let _ = counted.try_send(Counted::Everything(report));
                }
            });
        }
    }
}
