//! Where a way back leads unless somebody says.

use crate::{DataFormats, KeptFor, Revision, RevisionId, RevisionStanding, Service, Weight};

impl Service {
    /// The revision that has most of the traffic: the candidate once it has all of it, else stable.
    pub fn running(&self) -> Option<&RevisionId> {
        let taken = self.rollout.as_ref().filter(|r| r.is_on_trial() && r.weight == Weight::ALL);
        taken.map(|r| &r.candidate).or(self.stable.as_ref())
    }

    /// The newest good revision other than the present stable one that can read what runs now
    /// writes. Good: it finished, survived, and nobody marked it bad.
    pub fn last_good(&self) -> Option<&RevisionId> {
        self.last_good_that(|id| self.misfit(id).is_none())
    }

    /// The same, if the contract under way were stopped for it.
    pub(crate) fn last_good_without_contract(&self) -> Option<&RevisionId> {
        self.last_good_that(|id| self.fits_without_contract(id))
    }

    fn last_good_that(&self, fits: impl Fn(&RevisionId) -> bool) -> Option<&RevisionId> {
        let candidates = self.revisions.iter().filter(|(id, r)| {
            Some(*id) != self.stable.as_ref()
                && r.standing == RevisionStanding::Good
                && self.can_go_back_to(r)
                && fits(id)
        });
        candidates.max_by_key(|(id, r)| (r.promoted_in, r.promoted_at, *id)).map(|(id, _)| id)
    }

    /// Where `rollback` leads unless somebody says: the revision that is kept for it, else the last
    /// good one.
    pub fn rollback_target(&self) -> Option<&RevisionId> {
        let kept = self.kept.as_ref().filter(|kept| kept.why == KeptFor::WayBack);
        let trusted = |id: &&RevisionId| {
            self.revisions.get(*id).is_some_and(|r| {
                let promoted =
                    matches!(r.standing, RevisionStanding::Good | RevisionStanding::Promoted);
                promoted && self.can_go_back_to(r) && self.misfit(id).is_none()
            })
        };
        let kept = kept.map(|kept| &kept.revision).filter(trusted);
        kept.or_else(|| self.last_good())
    }

    /// Whether `target` can read what runs now writes, as far as both said.
    fn can_go_back_to(&self, target: &Revision) -> bool {
        let running = self.running().and_then(|id| self.revisions.get(id)?.data.as_ref());
        let reads = |(old, new): (&DataFormats, &DataFormats)| old.reads_from(new);
        target.data.as_ref().zip(running).is_none_or(reads)
    }
}
