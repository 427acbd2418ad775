//! A step that brings the schema of the database before the code that needs it.

use super::Ladder;
use crate::{field::Field, migrate};
use serin_core::Step;

impl Ladder<'_, '_> {
    pub(super) fn migrate(&mut self, field: &Field<'_>) -> Option<Step> {
        let step = migrate::read(field, self.around)?;
        if self.instances {
            let message = "this `migrate` comes after instances of the candidate were started";
            let hint = "make it the first step: the schema comes before the code";
            field.report(field.key_problem("too-late", message).hint(hint));
        }
        if self.migrated {
            let message =
                "a rollout has one `migrate`: both shapes of one change are in use at a time";
            let hint = "bring the next one with the next revision, after the contract of this one";
            field.report(field.key_problem("wrong-choice", message).hint(hint));
        }
        self.migrated = true;
        Some(Step::Migrate(step))
    }
}
