//! The platform of flags: a variant needs no start, and users are drawn twice, once for who takes
//! part and once for who of them gets the new variant.

use super::Machine;
use super::instance::{Crew, Instance, Life};
use super::traffic::hash;
use serin_core::{Exposure, Plan, RevisionId, Role, Timestamp, Weight};

/// Salts of the two draws.
const EXPOSED: u64 = 0x11;
const TREATED: u64 = 0x22;

impl Machine {
    /// What is planned is there.
    pub(super) fn attend(&mut self, now: Timestamp) {
        let plan = self.plan.clone();
        let planned = plan.iter().flat_map(|plan| &plan.revisions);
        let ready = Life::Ready { since: Timestamp(0), fails_in: u64::MAX };
        let there = planned.flat_map(|(id, planned)| {
            let one = Instance { crew: Crew::own(id), life: ready.clone() };
            std::iter::repeat_n(one, planned.replicas as usize)
        });
        self.instances = there.collect();
        if let Some((id, _)) = plan.as_ref().and_then(|plan| plan.in_role(Role::Candidate)) {
            self.first_ready.entry(id.clone()).or_insert(now);
        }
    }
}

/// Who is compared: the new variant with its share, if any, and the one that is trusted.
fn sides(plan: &Plan) -> Option<(Option<(&RevisionId, Weight)>, &RevisionId)> {
    let (stable, _) = plan.in_role(Role::Stable)?;
    let tried = plan.in_role(Role::Candidate).map(|(id, planned)| (id, planned.weight));
    Some((tried.filter(|(_, weight)| *weight > Weight::NONE), stable))
}

/// How users are drawn; with nobody treated all of them take part, as control.
fn drawn(tried: Option<(&RevisionId, Weight)>) -> Exposure {
    let nobody = Exposure { exposed: Weight::ALL, treated: Weight::NONE };
    tried.map_or(nobody, |(_, weight)| Exposure::of(weight))
}

/// The shares of all users that are in the arms.
pub(super) fn arms(plan: &Plan) -> Vec<(&RevisionId, bool, Weight)> {
    let Some((tried, stable)) = sides(plan) else { return vec![] };
    let Exposure { exposed, treated } = drawn(tried);
    let parts = u64::from(exposed.parts()) * u64::from(treated.parts()) / 100_000;
    let on = Weight::try_from(parts).unwrap_or(Weight::ALL);
    let rest = Weight::try_from(u64::from(exposed.parts()) - parts).unwrap_or(Weight::NONE);
    let tried = tried.map(|(id, _)| (id, false, on));
    tried.into_iter().chain([(stable, false, rest)]).collect()
}

/// The arm of a user, who stays in it however the share of the new variant grows below one half.
pub(super) fn arm_of(plan: &Plan, user: u64) -> Option<Crew> {
    let (tried, stable) = sides(plan)?;
    let Exposure { exposed, treated } = drawn(tried);
    let is_below = |salt, share: Weight| hash(user, salt) % 100_000 < u64::from(share.parts());
    if !is_below(EXPOSED, exposed) {
        return None;
    }
    let on = tried.filter(|_| is_below(TREATED, treated));
    Some(Crew::own(on.map_or(stable, |(id, _)| id)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_the_new_variant_keeps_it_as_the_share_grows() {
        let has = |share: u32, user: u64| {
            let drawn = Exposure::of(Weight::percent(share).unwrap());
            let is_below =
                |salt, share: Weight| hash(user, salt) % 100_000 < u64::from(share.parts());
            is_below(EXPOSED, drawn.exposed) && is_below(TREATED, drawn.treated)
        };
        for user in 0..2_000 {
            let shares = [1, 5, 20, 49, 50, 51, 80, 100];
            assert!(shares.map(|share| has(share, user)).is_sorted(), "user {user}");
        }
        let half = (0..2_000).filter(|user| has(50, *user)).count();
        assert!((850..=1_150).contains(&half), "{half} of 2000 at 50 %");
    }
}
