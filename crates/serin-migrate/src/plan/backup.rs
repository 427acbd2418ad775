//! Contracts that data goes with: they do not run by themselves, as a person names the backup.

use super::Plan;
use crate::{Action, Flaw, Migration, Operation, Phase, PhasedSet, Settings, Step, words};

/// Said where a contract was to run by itself and cannot.
const WAITS: &str = "`automatic: true` has no effect here: the contract drops data, and before that a \
                     person names the backup";

impl Migration {
    /// What is to be said when its contract was to run by itself and cannot, as far as its text
    /// shows.
    pub fn waits_for_backup(&self) -> Option<Flaw> {
        let becomes_another = |operation: &Operation| match operation {
            Operation::AlterColumn(alter) => {
                let own = |sql: &String| sql.trim().trim_matches('"') != alter.column.as_str();
                alter.data_type.is_some() || alter.down.as_ref().is_some_and(own)
            }
            _ => false,
        };
        let loses = self.drops() || self.operations.iter().any(becomes_another);
        noted(&self.settings, loses)
    }

    /// Whether an operation by its kind takes something away.
    fn drops(&self) -> bool {
        self.operations.iter().any(|operation| match operation {
            Operation::DropColumn { .. } | Operation::DropTable { .. } => true,
            Operation::Sql(sql) => sql.on_complete,
            _ => false,
        })
    }
}

impl PhasedSet {
    /// The same of phased SQL.
    pub fn waits_for_backup(&self) -> Option<Flaw> {
        let contract = self.migrations.iter().filter(|part| part.phase == Phase::Contract);
        noted(&self.settings, contract.filter_map(|part| part.up_sql.as_deref()).any(takes_away))
    }
}

impl Plan {
    /// Whether its contract drops what cannot be worked out again.
    pub(crate) fn drops_data(&self) -> bool {
        let takes = |step: &Step| match &step.action {
            Action::Transaction { sql, .. } => sql.iter().any(|sql| takes_away(sql)),
            _ => false,
        };
        // A column that became another held more than the new one, for all that is known.
        self.migration.drops()
            || self.syncs.iter().any(|sync| !sync.down.is_empty())
            || self.is_phased() && self.contract.iter().any(takes)
    }

    /// With what is to be said when its contract was to run by itself and cannot.
    #[must_use]
    pub(crate) fn with_backup_noted(mut self) -> Self {
        self.warnings.extend(noted(&self.migration.settings, self.drops_data()));
        self
    }
}

fn noted(settings: &Settings, loses: bool) -> Option<Flaw> {
    let hint = "say `serin migrate contract --backup TEXT` once it is due";
    let flaw = || Flaw::new("serin.contract.automatic", WAITS).hint(hint);
    (loses && !settings.contract.by_hand).then(flaw)
}

/// Whether SQL takes something away, by its words.
fn takes_away(sql: &str) -> bool {
    words(sql).iter().any(|word| matches!(word.as_str(), "drop" | "truncate" | "delete"))
}
