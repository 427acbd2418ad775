//! Where statements that were tried stand in the migration, as its author wrote them.

use crate::Finding;
use serin_migrate::{Migration, PhasedSet};

/// SQL that its author wrote, by its path in the document.
type Texts<'a> = Vec<(String, &'a str)>;

/// Gives the findings of a trace their place. Statements of operations are ours, so that of those
/// only the operation is told, where there is but one.
pub(crate) fn locate(findings: &mut [Finding], migration: &Migration, set: Option<&PhasedSet>) {
    let texts = set.map_or_else(Texts::new, of_parts);
    let only = (set.is_none() && migration.operations.len() == 1).then_some("operations[0]");
    for finding in findings.iter_mut().filter(|finding| finding.place.is_none()) {
        if !place(finding, &texts) && finding.path.is_empty() {
            only.unwrap_or_default().clone_into(&mut finding.path);
        }
    }
}

fn place(finding: &mut Finding, texts: &Texts<'_>) -> bool {
    let Some(sql) = finding.sql.as_deref().map(str::trim).filter(|sql| !sql.is_empty()) else {
        return false;
    };
    let mut inside = texts.iter().filter(|(path, _)| path.starts_with(&finding.path));
    let found = inside.find_map(|(path, text)| Some((path, *text, text.find(sql)?)));
    let Some((path, text, start)) = found else { return false };
    let span = start..start + sql.len();
    *finding = finding.clone().path(path).at(text, &span);
    true
}

fn of_parts(set: &PhasedSet) -> Texts<'_> {
    let mut all = Vec::new();
    for (at, part) in set.migrations.iter().enumerate() {
        let pieces = [
            ("up_sql", &part.up_sql),
            ("down_sql", &part.down_sql),
            ("pre_check_sql", &part.pre_check_sql),
            ("post_check_sql", &part.post_check_sql),
        ];
        let written = pieces.into_iter().filter_map(|(key, sql)| Some((key, sql.as_deref()?)));
        all.extend(written.map(|(key, sql)| (format!("migrations[{at}].{key}"), sql)));
    }
    all
}
