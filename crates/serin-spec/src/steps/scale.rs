//! `setCanaryScale`: how many instances the candidate has, apart from its weight.

use super::{Ladder, weight};
use crate::field::Field;
use serin_core::{Scale, Step, Weight};

impl<'a> Ladder<'a, '_> {
    pub(super) fn set_scale(&mut self, field: &Field<'a>) -> Option<Step> {
        let mut reader = field.map()?;
        let share = reader.maybe("weight", |f| weight(&f)).map(Scale::Share);
        let count = reader.maybe("replicas", |f| f.integer(1..=100));
        let matches = reader.maybe("matchTrafficWeight", |f| f.truth());
        let asked = [reader.has("weight"), reader.has("replicas"), matches == Some(true)];
        if asked.iter().filter(|asked| **asked).count() != 1 {
            let message = "`setCanaryScale` has one of `replicas`, `weight` and \
                           `matchTrafficWeight: true`";
            let hint = "`replicas` are instances, `weight` is percent of the service's replicas, \
                        `matchTrafficWeight: true` lets the size follow the traffic again";
            reader.report(reader.key_problem("wrong-choice", message).hint(hint));
        }
        reader.finish();
        let count = count.map(|n| Scale::Instances(n as u32));
        let follow = matches.filter(|follow| *follow).map(|_| Scale::MatchWeight);
        let scale = share.or(count).or(follow)?;
        self.instances |= scale != Scale::MatchWeight;
        self.scale = scale;
        Some(Step::SetScale(scale))
    }

    /// A candidate that is too small for its traffic is not what stable was.
    pub(super) fn warn_small_scale(&self, weight: Weight, field: &Field<'a>) {
        let size = |share: Weight| {
            let parts = u64::from(self.around.replicas) * u64::from(share.parts());
            parts.div_ceil(100_000).max(1)
        };
        let has = match self.scale {
            Scale::MatchWeight => return,
            Scale::Instances(n) => u64::from(n),
            Scale::Share(share) => size(share),
        };
        let needed = size(weight);
        if has >= needed {
            return;
        }
        let message = format!(
            "the candidate has {has} of the {needed} instances that {weight} of the traffic needs"
        );
        let hint = "put `setCanaryScale: { matchTrafficWeight: true }` before it";
        field.report(field.problem("scale-below-weight", message).warning().hint(hint));
    }
}
