//! From a set of phased SQL to a plan, the same as from operations.

use super::statements::{self, Kind};
use super::{Batch, Phase, PhasedMigration, PhasedSet};
use crate::{
    Action, Catalog, Fill, Flaw, Flaws, Ident, Key, Migration, Plan, Stage, Step, literal,
};
use std::collections::{BTreeMap, BTreeSet};
use tokio_postgres::Client;

/// A step takes at most so many times what its author guessed.
const PATIENCE: u64 = 3;

/// Columns of the tables of a schema, with their types.
type Tables = BTreeMap<String, BTreeMap<String, (Ident, String)>>;

/// A plan for a set, against the database as it is.
///
/// # Errors
/// Batches over tables or columns that are not there; or the database cannot be asked.
pub async fn phased_plan(client: &Client, set: &PhasedSet, schema: Ident) -> Result<Plan, Flaws> {
    let tables =
        read_tables(client, &schema).await.map_err(|error| Flaws(vec![unreadable(&error)]))?;
    make(set, schema, &tables)
}

fn unreadable(error: &tokio_postgres::Error) -> Flaw {
    let why =
        error.as_db_error().map_or_else(|| error.to_string(), |said| said.message().to_owned());
    Flaw::new("", format!("the tables of the database cannot be read: {why}"))
        .hint("check the address and the privileges of its user")
}

async fn read_tables(client: &Client, schema: &Ident) -> Result<Tables, tokio_postgres::Error> {
    let query = "SELECT c.relname::text, a.attname::text, format_type(a.atttypid, a.atttypmod) \
                 FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid \
                 WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1) \
                 AND c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped";
    let mut tables = Tables::new();
    for row in client.query(query, &[&schema.as_str()]).await? {
        let (table, column, data_type): (String, String, String) =
            (row.get(0), row.get(1), row.get(2));
        let columns = tables.entry(table).or_default();
        columns.extend(Ident::new(column.as_str()).ok().map(|name| (column, (name, data_type))));
    }
    Ok(tables)
}

fn make(set: &PhasedSet, schema: Ident, tables: &Tables) -> Result<Plan, Flaws> {
    let mut made = Made { schema: &schema, tables, flaws: Vec::new() };
    let (mut forward, mut contract, mut back) = (Vec::new(), Vec::new(), Vec::new());
    for (at, part) in set.migrations.iter().enumerate() {
        let steps = made.part(at, part);
        if part.phase == Phase::Contract { &mut contract } else { &mut forward }.extend(steps);
        back.extend(made.back(part));
    }
    back.reverse();
    // A part without a step would never end.
    for (part, stage) in [
        (&mut forward, Stage::Verify),
        (&mut contract, Stage::Validate),
        (&mut back, Stage::Revert),
    ] {
        if part.is_empty() {
            part.push(nothing(stage));
        }
    }
    let flaws = made.flaws;
    if !flaws.is_empty() {
        return Err(Flaws(flaws));
    }
    let migration = Migration {
        name: set.set.as_str().to_owned(),
        version_schema: set.set.clone(),
        operations: Vec::new(),
        settings: set.settings.clone(),
    };
    let tables = named(set, tables);
    Ok(Plan {
        migration,
        // Both versions use the tables themselves.
        new_view: schema.clone(),
        schema,
        old_view: None,
        tables,
        syncs: Vec::new(),
        forward,
        contract,
        back,
        warnings: vec![Flaw::new(
            "",
            "phased SQL has no views: both versions must work with both shapes",
        )],
    }
    .with_backup_noted())
}

impl Plan {
    /// Whether it was made from phased SQL: both versions use the tables themselves.
    pub fn is_phased(&self) -> bool {
        self.migration.operations.is_empty() && self.new_view == self.schema
    }

    /// The plan of phased SQL where old clients use the views of an earlier migration: those go
    /// before anything else does, since nothing that they show can be dropped.
    #[must_use]
    pub fn taking_views(mut self, old: &Ident, seen: &Catalog) -> Self {
        let views = seen.server.views.iter().filter(|view| view.schema == *old);
        let views: Vec<String> = views.map(|view| format!("{old}.{}", view.name)).collect();
        let mut sql = vec![];
        if !views.is_empty() {
            sql.push(format!("DROP VIEW IF EXISTS {}", views.join(", ")));
        }
        sql.push(format!("DROP SCHEMA IF EXISTS {old}"));
        let title = format!("drop the views of old clients, {old}");
        let action = Action::transaction(sql, vec![]);
        self.contract.insert(0, Step { stage: Stage::Swap, title, action });
        self.old_view = Some(old.clone());
        self
    }
}

/// A step of a part that has nothing to do.
fn nothing(stage: Stage) -> Step {
    let action = Action::Check { sql: "SELECT true".into() };
    Step { stage, title: "nothing is to be done".into(), action }
}

/// Whether a contract takes all its locks at the beginning.
fn takes_away(part: &PhasedMigration) -> bool {
    let words = part.up_sql.as_deref().map(statements::words).unwrap_or_default();
    words.iter().any(|word| matches!(word.as_str(), "drop" | "truncate" | "rename"))
        && !words.iter().any(|word| word == "concurrently")
}

/// A statement that others can follow in one message.
fn whole(sql: &str) -> String {
    // Its last line may be a comment.
    if sql.contains("--") { format!("{sql}\n") } else { sql.to_owned() }
}

/// Tables that are there and whose names stand in the SQL.
fn named(set: &PhasedSet, tables: &Tables) -> Vec<Ident> {
    let sql = set.migrations.iter().flat_map(|part| [&part.up_sql, &part.down_sql]).flatten();
    let words: BTreeSet<String> = sql.flat_map(|sql| statements::words(sql)).collect();
    let batched = set.migrations.iter().filter_map(|part| part.batch.as_ref());
    let batched: BTreeSet<&str> = batched.map(|batch| batch.table.as_str()).collect();
    let is_named = |name: &&String| words.contains(*name) || batched.contains(name.as_str());
    tables.keys().filter(is_named).filter_map(|name| Ident::new(name.as_str()).ok()).collect()
}

struct Made<'a> {
    schema: &'a Ident,
    tables: &'a Tables,
    flaws: Vec<Flaw>,
}

impl Made<'_> {
    /// The steps of a part, in order.
    fn part(&mut self, at: usize, part: &PhasedMigration) -> Vec<Step> {
        let stage = match part.phase {
            Phase::Expand => Stage::Expand,
            Phase::Migrate => Stage::Backfill,
            Phase::Contract if takes_away(part) => Stage::Swap,
            Phase::Contract => Stage::Validate,
        };
        let step = |title: String, action| Step { stage, title, action };
        let mut steps = Vec::new();
        let check = |word: &str, sql: &String| {
            step(format!("{word} of {}", part.title()), Action::Check { sql: sql.clone() })
        };
        let inside = part.phase == Phase::Contract && part.up_sql.is_some();
        steps.extend(
            part.pre_check_sql.iter().filter(|_| !inside).map(|sql| check("pre_check", sql)),
        );
        let actions = match (&part.batch, &part.up_sql) {
            (Some(batch), _) => self.fill(at, batch).into_iter().collect(),
            (None, Some(sql)) => self.run(part, sql, inside),
            (None, None) => Vec::new(),
        };
        let in_transaction = matches!(actions.as_slice(), [Action::Transaction { .. }]);
        steps.extend(actions.into_iter().map(|action| step(part.title(), action)));
        let after = part.post_check_sql.iter().filter(|_| !in_transaction);
        steps.extend(after.map(|sql| check("post_check", sql)));
        steps
    }

    fn run(&self, part: &PhasedMigration, sql: &str, inside: bool) -> Vec<Action> {
        let statements = statements::split(sql);
        if let [only] = statements.as_slice() {
            match statements::kind(only) {
                Kind::CreateIndex(Some(built)) => {
                    return vec![Action::IndexConcurrently {
                        create: (*only).to_owned(),
                        index: built.index,
                        table: built.table,
                        same: None,
                    }];
                }
                Kind::DropIndex(Some(index)) => {
                    let table = self.schema.clone();
                    return vec![Action::DropIndexConcurrently { index, table }];
                }
                _ => {}
            }
        }
        let pre = part.pre_check_sql.iter().filter(|_| inside);
        let pre =
            pre.map(|check| check_in_transaction(check, &format!("pre_check of {}", part.title())));
        let post = part.post_check_sql.iter();
        let post = post
            .map(|check| check_in_transaction(check, &format!("post_check of {}", part.title())));
        let limit = part.estimated_duration_ms.map(|ms| ms.saturating_mul(PATIENCE));
        let sql = self.settings(limit).into_iter().chain(pre);
        let sql = sql.chain(statements.iter().map(|sql| whole(sql))).chain(post).collect();
        vec![Action::transaction(sql, self.locked(&statements))]
    }

    /// Names mean those of the schema; what takes far longer than was guessed is stopped.
    fn settings(&self, limit_ms: Option<u64>) -> Vec<String> {
        let path = format!("SET LOCAL search_path TO {}, public", self.schema);
        let limit = limit_ms.map(|ms| format!("SET LOCAL statement_timeout = {ms}"));
        std::iter::once(path).chain(limit).collect()
    }

    /// Tables that are there and that the statements name.
    fn locked(&self, statements: &[&str]) -> Vec<Ident> {
        let words: BTreeSet<String> =
            statements.iter().flat_map(|sql| statements::words(sql)).collect();
        let tables = self.tables.keys().filter(|name| words.contains(*name));
        tables.filter_map(|name| Ident::new(name.as_str()).ok()).collect()
    }

    fn fill(&mut self, at: usize, batch: &Batch) -> Option<Action> {
        let path = |key: &str| format!("migrations[{at}].batch.{key}");
        let Some(columns) = self.tables.get(batch.table.as_str()) else {
            let message =
                format!("there is no table `{}` in {}", batch.table.as_str(), self.schema);
            let names = self.tables.keys().map(String::as_str);
            self.flaws.push(Flaw::new(path("table"), message).nearest(batch.table.as_str(), names));
            return None;
        };
        let mut key = Vec::new();
        for column in &batch.key {
            if let Some(found) = columns.get(column.as_str()) {
                key.push(found.clone());
            } else {
                let message =
                    format!("`{}` has no column `{}`", batch.table.as_str(), column.as_str());
                let names = columns.keys().map(String::as_str);
                self.flaws.push(Flaw::new(path("key"), message).nearest(column.as_str(), names));
            }
        }
        Some(Action::Fill(Fill {
            table: batch.table.clone(),
            key: Key::Columns { columns: key },
            set: batch.set.clone(),
            filter: batch.filter.clone(),
        }))
    }

    /// What takes a part back; a contract is not taken back.
    fn back(&self, part: &PhasedMigration) -> Option<Step> {
        let sql = part.down_sql.as_ref().filter(|_| part.phase != Phase::Contract)?;
        let statements = statements::split(sql);
        let title = format!("take back {}", part.title());
        if let [only] = statements.as_slice()
            && let Kind::DropIndex(Some(index)) = statements::kind(only)
        {
            let action = Action::DropIndexConcurrently { index, table: self.schema.clone() };
            return Some(Step { stage: Stage::Revert, title, action });
        }
        let tables = self.locked(&statements);
        let down = statements.iter().map(|sql| whole(sql));
        let sql = self.settings(None).into_iter().chain(down).collect();
        Some(Step { stage: Stage::Revert, title, action: Action::transaction(sql, tables) })
    }
}

/// What every check that stands in a transaction begins with.
const CHECK: &str = "DO 'DECLARE answer text; BEGIN EXECUTE ";

/// Whether a statement is a check that stands in a transaction.
pub fn is_check(sql: &str) -> bool {
    sql.starts_with(CHECK) || sql.starts_with(&CHECK.replacen('\'', "E'", 1))
}

/// A check as a statement that fails unless the first column of its row is true, so that it can
/// stand in one transaction with what it is about.
pub fn check_in_transaction(sql: &str, title: &str) -> String {
    let sql = sql.trim().trim_end_matches(';');
    format!(
        "DO {body}",
        body = literal(&format!(
            "DECLARE answer text; BEGIN EXECUTE {} INTO answer; \
             IF lower(answer) NOT IN ('t', 'true') OR answer IS NULL THEN \
             RAISE EXCEPTION USING MESSAGE = {}, ERRCODE = 'raise_exception'; END IF; END",
            literal(sql),
            literal(&format!("{title} says no: its first column is not true")),
        ))
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::phased;
    use serde_json::json;

    fn tables() -> Tables {
        let columns = ["id", "first", "full_name"]
            .map(|name| (name.to_owned(), (Ident::new(name).unwrap(), "bigint".to_owned())));
        [("users".to_owned(), columns.into_iter().collect())].into_iter().collect()
    }

    fn plan(document: &serde_json::Value) -> Result<Plan, Flaws> {
        let set = phased("set", document).unwrap();
        make(&set, Ident::new("public").unwrap(), &tables())
    }

    #[test]
    fn each_phase_finds_its_place() {
        let plan = plan(&json!({"migrations": [
            {"version": "1", "name": "add", "phase": "expand", "up_sql": "ALTER TABLE users ADD a int; SELECT 1;",
             "down_sql": "ALTER TABLE users DROP COLUMN IF EXISTS a", "post_check_sql": "SELECT true AND x"},
            {"version": "2", "name": "index", "phase": "expand",
             "up_sql": "CREATE INDEX CONCURRENTLY i ON users (a)", "post_check_sql": "SELECT y",
             "down_sql": "DROP INDEX CONCURRENTLY IF EXISTS i"},
            {"version": "3", "name": "fill", "phase": "migrate", "pre_check_sql": "SELECT z",
             "batch": {"table": "users", "key": "id", "set": "a = 1", "where": "a IS NULL"}},
            {"version": "4", "name": "drop", "phase": "contract", "pre_check_sql": "SELECT w",
             "estimated_duration": "2s", "up_sql": "ALTER TABLE users DROP COLUMN first"},
        ]}))
        .unwrap();
        let titles: Vec<&str> = plan.forward.iter().map(|step| step.title.as_str()).collect();
        assert_eq!(
            titles,
            ["1 add", "2 index", "post_check of 2 index", "pre_check of 3 fill", "3 fill"]
        );
        let Action::Transaction { sql, tables } = &plan.forward[0].action else {
            panic!("{plan:?}")
        };
        assert_eq!((sql.len(), tables.len()), (4, 1));
        assert!(sql[3].contains("post_check of 1 add says no") && is_check(&sql[3]), "{sql:?}");
        assert!(matches!(plan.forward[4].action, Action::Fill(_)));
        let Action::Transaction { sql, .. } = &plan.contract[0].action else { panic!("{plan:?}") };
        assert_eq!(sql[1], "SET LOCAL statement_timeout = 6000");
        assert!(sql[2].contains("pre_check of 4 drop says no"));
        let back: Vec<&str> = plan.back.iter().map(|step| step.title.as_str()).collect();
        assert_eq!(back, ["take back 2 index", "take back 1 add"]);
    }

    #[test]
    fn what_is_not_there_is_told_with_what_is() {
        let batch = |table: &str, key: &str| {
            let batch = json!({"table": table, "key": key, "set": "a = 1"});
            let part = json!({"version": "1", "name": "n", "phase": "migrate", "batch": batch});
            plan(&json!({ "migrations": [part] })).unwrap_err().to_string()
        };
        assert!(batch("user", "id").contains("did you mean `users`?"));
        assert!(batch("users", "ids").contains("`users` has no column `ids`; did you mean `id`?"));
    }
}
