//! Steps that a deploy leaves out, by a person's word.

use crate::{Schedule, Stage, Step, Weight};
use serde::{Deserialize, Serialize};

/// What of its steps a deploy leaves out. Health and evidence are watched all the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Skips {
    /// Nothing.
    #[default]
    Nothing,
    /// Its tests.
    Tests,
    /// Everything that waits, for a repair in a hurry: instances are replaced as fast as they get
    /// ready. Approvals and the schema stay.
    Waits,
}

impl Skips {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
    pub(crate) fn is_nothing(&self) -> bool {
        *self == Self::Nothing
    }

    fn leaves_out(self, step: &Step) -> bool {
        match self {
            Self::Nothing => false,
            Self::Tests => matches!(step, Step::Run(_)),
            Self::Waits => !matches!(step, Step::Approve(_) | Step::Migrate(_)),
        }
    }
}

impl Schedule {
    /// The schedule without the steps that `skips` leaves out, and those, by their number from 1.
    pub(crate) fn without(&self, skips: Skips) -> (Self, Vec<(usize, Step)>) {
        let numbered = (1..).zip(self.steps().map(|(_, step)| step));
        let out = numbered.filter(|(_, step)| skips.leaves_out(step));
        // To give everything to the candidate is where each schedule leads; it is not left out.
        let out = out.filter(|(_, step)| !matches!(step, Step::SetWeight(Weight::ALL)));
        let out: Vec<_> = out.map(|(at, step)| (at, step.clone())).collect();
        if skips.is_nothing() {
            return (self.clone(), out);
        }
        let before = self.steps().take(self.analysis_from);
        let from = before.filter(|(_, step)| !skips.leaves_out(step)).count();
        let stays = |stage: &Stage| {
            let steps = stage.steps.iter().filter(|step| !skips.leaves_out(step)).cloned();
            Stage { name: stage.name.clone(), steps: steps.collect() }
        };
        let mut stages: Vec<_> =
            self.stages.iter().map(stays).filter(|stage| !stage.steps.is_empty()).collect();
        if skips == Skips::Tests {
            return (Self { stages, analysis_from: from, ..self.clone() }, out);
        }
        stages.push(Stage { name: "hotfix".into(), steps: vec![Step::SetWeight(Weight::ALL)] });
        // A repair is for everybody, also where a release was for some.
        let strategy = "hotfix".into();
        (Self { stages, analysis_from: 0, only: vec![], strategy, ..self.clone() }, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Approval, HeaderMatch, Millis, TextMatch, outlook};

    fn schedule() -> Schedule {
        let share = |parts| Step::SetWeight(Weight::try_from(parts).unwrap_or(Weight::NONE));
        let approval = Approval { from: vec![], count: 1, timeout: None };
        let steps = vec![
            Step::Run(vec![]),
            share(10_000),
            Step::Pause(Some(Millis::secs(60))),
            Step::Approve(approval),
            Step::Run(vec![]),
            Step::SetWeight(Weight::ALL),
        ];
        let only =
            vec![HeaderMatch { header: "x-beta".into(), value: TextMatch::Exact("1".into()) }];
        Schedule { analysis_from: 2, only, ..Schedule::of("canary", steps) }
    }

    #[test]
    fn what_is_left_out_is_told_by_its_number_and_the_rest_stays_in_order() {
        let table: [(Skips, &[usize], &[usize], usize); 3] = [
            (Skips::Nothing, &[], &[0, 1, 2, 3, 4, 5], 2),
            (Skips::Tests, &[1, 5], &[1, 2, 3, 5], 1),
            (Skips::Waits, &[1, 2, 3, 5], &[3, 5], 0),
        ];
        let whole = schedule();
        for (skips, left_out, stays, from) in table {
            let (rest, out) = whole.without(skips);
            let out: Vec<_> = out.iter().map(|(at, _)| *at).collect();
            assert_eq!(out, left_out, "{skips:?}");
            let rest_steps: Vec<_> =
                rest.steps().map(|(_, step)| outlook::describe(step)).collect();
            let wanted = stays.iter().filter_map(|at| whole.step(*at)).map(outlook::describe);
            assert_eq!(rest_steps, wanted.collect::<Vec<_>>(), "{skips:?}");
            assert_eq!(rest.analysis_from, from, "{skips:?}");
            assert_eq!(rest.only.is_empty(), skips == Skips::Waits, "{skips:?}");
        }
    }
}
