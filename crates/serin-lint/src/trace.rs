//! The statements of a plan, run one by one, with what each locked, rewrote and read.

use crate::session::said;
use crate::shot::{Change, Shot};
use crate::{Lock, LockMode};
use serde::Serialize;
use serin_migrate::{Action, Extra, Ident, Operation, Plan, Step, is_check, split};
use std::collections::{BTreeMap, BTreeSet};
use tokio_postgres::Client;

/// Where a trace runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Where {
    /// On a copy: each step is committed, so that the next one finds it.
    Copy,
    /// On the real database: everything in one transaction that is rolled back.
    Live {
        /// Longest wait for a lock, ms; a statement has twice that.
        limit_ms: u32,
    },
}

/// One statement that was run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Traced {
    /// The step it belongs to.
    pub step: String,
    /// The statement.
    pub sql: String,
    /// Locks it took on tables that were there before.
    pub locks: Vec<Lock>,
    /// Tables and the strongest lock that was held on each while it ran, by statements before it
    /// in the same transaction as well.
    pub held: BTreeMap<String, LockMode>,
    /// Tables it wrote anew.
    pub rewrites: Vec<String>,
    /// Tables it read from end to end.
    pub scans: Vec<String>,
    /// Tables it built an index on.
    pub indexes: Vec<String>,
    /// It was not run, because it cannot be in a transaction; what is told of it is what Postgres
    /// documents.
    pub assumed: bool,
}

/// Everything that was run, up to the first failure.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Trace {
    /// The statements, in order.
    pub statements: Vec<Traced>,
    /// The step that failed, the statement, and what the server said.
    pub failure: Option<(String, String, String)>,
}

/// Runs the steps of a plan and looks at each statement.
///
/// # Errors
/// When the server does not answer; a statement that fails is part of the trace.
pub async fn trace(
    client: &Client,
    steps: &[Step],
    place: Where,
) -> Result<Trace, tokio_postgres::Error> {
    let old = Shot::take(client).await?.tables();
    let mut runner = Runner { client, place, old, held: BTreeMap::new(), trace: Trace::default() };
    if let Where::Live { limit_ms } = place {
        let careful = format!(
            "BEGIN; SET LOCAL lock_timeout = {limit_ms}; SET LOCAL statement_timeout = {}",
            limit_ms * 2
        );
        client.batch_execute(&careful).await?;
        // Steps use them; here they are gone with everything else.
        let _ = serin_migrate::prepare(client).await;
    }
    let ran = runner.steps(steps).await;
    if place != Where::Copy {
        client.batch_execute("ROLLBACK").await?;
    }
    ran.map(|()| runner.trace)
}

/// A plan forward, back, back once more and forward again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rehearsal {
    /// The first way forward.
    pub forward: Trace,
    /// What the way back left behind or took too much of, a line each.
    pub left: Vec<String>,
    /// What failed after the first way forward: the step, the statement, what the server said.
    pub failure: Option<(String, String, String)>,
}

/// Rehearses a plan on a copy, which is then as after `forward`. SQL of an operation that has no way
/// back is only run forward; one that has is not taken back twice.
///
/// # Errors
/// When the server does not answer.
pub async fn rehearse(client: &Client, plan: &Plan) -> Result<Rehearsal, tokio_postgres::Error> {
    let before = fingerprint(client).await?;
    let forward = trace(client, &plan.forward, Where::Copy).await?;
    let mut rehearsal = Rehearsal { forward, ..Rehearsal::default() };
    if rehearsal.forward.failure.is_some() {
        return Ok(rehearsal);
    }
    if !plan.without_way_back().is_empty() {
        return Ok(rehearsal);
    }
    for steps in [&plan.back, &plan.back_again()] {
        rehearsal.failure = trace(client, steps, Where::Copy).await?.failure;
        if rehearsal.failure.is_some() {
            return Ok(rehearsal);
        }
    }
    let after = fingerprint(client).await?;
    let left = after.difference(&before).map(|line| format!("left behind: {line}"));
    let missing = before.difference(&after).map(|line| format!("missing: {line}"));
    let stays = values_that_stay(plan);
    rehearsal.left = left.chain(missing).filter(|line| !stays.contains(line)).collect();
    rehearsal.failure = trace(client, &plan.forward, Where::Copy).await?.failure;
    Ok(rehearsal)
}

/// Values of enumerations cannot be taken away, and disturb nobody.
fn values_that_stay(plan: &Plan) -> BTreeSet<String> {
    let added = plan.migration.operations.iter().filter_map(|operation| match operation {
        Operation::Extra(extra) => match &**extra {
            Extra::AddEnumValue { name, value, .. } => Some((name, value)),
            _ => None,
        },
        _ => None,
    });
    let line = |(name, value): (&Ident, &String)| {
        let (schema, name) = (plan.schema.as_str(), name.as_str());
        format!("left behind: value {value} of type {schema}.{name}")
    };
    added.map(line).collect()
}

/// Everything that a schema consists of, a line each. The server writes a name with its schema where
/// the search path does not lead to it, so the path is always the same.
async fn fingerprint(client: &Client) -> Result<BTreeSet<String>, tokio_postgres::Error> {
    client.batch_execute("BEGIN; SET LOCAL search_path = ''").await?;
    let lines = lines_of_all(client).await;
    client.batch_execute("ROLLBACK").await?;
    lines
}

async fn lines_of_all(client: &Client) -> Result<BTreeSet<String>, tokio_postgres::Error> {
    let query = "\
        WITH own AS (SELECT oid, nspname FROM pg_namespace WHERE nspname NOT LIKE 'pg\\_%' \
                     AND nspname NOT IN ('information_schema', 'serin')) \
        SELECT 'column ' || o.nspname || '.' || c.relname || '.' || a.attname || ' ' || \
               format_type(a.atttypid, a.atttypmod) || CASE WHEN a.attnotnull THEN ' not null' \
               ELSE '' END || coalesce(' default ' || pg_get_expr(d.adbin, d.adrelid), '') \
        FROM pg_class c JOIN own o ON o.oid = c.relnamespace \
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
        LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum \
        WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S') \
        UNION ALL SELECT 'schema ' || nspname FROM own \
        UNION ALL SELECT 'index ' || pg_get_indexdef(i.indexrelid) FROM pg_index i \
        JOIN pg_class c ON c.oid = i.indrelid JOIN own o ON o.oid = c.relnamespace \
        UNION ALL SELECT 'constraint ' || k.conname || ' of ' || k.conrelid::regclass || ' ' || \
               pg_get_constraintdef(k.oid) FROM pg_constraint k \
        JOIN own o ON o.oid = k.connamespace WHERE k.conrelid <> 0 \
        UNION ALL SELECT 'trigger ' || pg_get_triggerdef(t.oid) FROM pg_trigger t \
        JOIN pg_class c ON c.oid = t.tgrelid JOIN own o ON o.oid = c.relnamespace \
        WHERE NOT t.tgisinternal \
        UNION ALL SELECT 'function ' || p.oid::regprocedure || ' ' || md5(p.prosrc) \
        FROM pg_proc p JOIN own o ON o.oid = p.pronamespace \
        UNION ALL SELECT 'value ' || e.enumlabel || ' of type ' || o.nspname || '.' || t.typname \
        FROM pg_enum e JOIN pg_type t ON t.oid = e.enumtypid JOIN own o ON o.oid = t.typnamespace \
        UNION ALL SELECT 'type ' || o.nspname || '.' || t.typname \
        FROM pg_type t JOIN own o ON o.oid = t.typnamespace WHERE t.typtype IN ('e', 'd')";
    let rows = client.query(query, &[]).await?;
    Ok(rows.iter().filter_map(|row| row.get::<_, Option<String>>(0)).collect())
}

struct Runner<'a> {
    client: &'a Client,
    place: Where,
    /// Tables that were there before.
    old: BTreeSet<String>,
    /// Locks that the step under way has taken: all steps of a trace of the real database are one
    /// transaction, which will not be so.
    held: BTreeMap<String, LockMode>,
    trace: Trace,
}

type Ran = Result<(), tokio_postgres::Error>;

impl Runner<'_> {
    async fn steps(&mut self, steps: &[Step]) -> Ran {
        for step in steps {
            self.step(step).await?;
            if self.trace.failure.is_some() {
                break;
            }
        }
        Ok(())
    }

    async fn step(&mut self, step: &Step) -> Ran {
        match &step.action {
            Action::Transaction { sql, .. } => self.transaction(step, sql).await,
            Action::IndexConcurrently { create, table, .. } => {
                self.assume(step, create, table.as_str());
                self.outside(step, create).await
            }
            Action::DropIndexConcurrently { index, .. } => {
                let sql = format!("DROP INDEX CONCURRENTLY IF EXISTS {index}");
                self.outside(step, &sql).await
            }
            Action::Fill(fill) => {
                let filter = fill.filter.as_ref().map_or(String::new(), |f| format!(" WHERE {f}"));
                let sql = format!("UPDATE {} SET {}{filter}", fill.table, fill.set);
                self.tried(step, &sql).await
            }
            Action::Check { sql } => self.tried(step, sql.trim().trim_end_matches(';')).await,
            _ => Ok(()),
        }
    }

    async fn transaction(&mut self, step: &Step, sql: &[String]) -> Ran {
        self.held.clear();
        if self.place == Where::Copy {
            self.client.batch_execute("BEGIN").await?;
        }
        for statement in sql.iter().flat_map(|sql| split(sql)) {
            if is_check(statement) {
                self.tried(step, statement).await?;
            } else {
                self.statement(step, statement).await?;
            }
            if self.trace.failure.is_some() {
                break;
            }
        }
        if self.place == Where::Copy {
            let end = if self.trace.failure.is_some() { "ROLLBACK" } else { "COMMIT" };
            if let Err(error) = self.client.batch_execute(end).await {
                self.fail(step, end, error)?;
            }
        }
        Ok(())
    }

    async fn statement(&mut self, step: &Step, sql: &str) -> Ran {
        let before = Shot::take(self.client).await?;
        if let Err(error) = self.client.batch_execute(sql).await {
            return self.fail(step, sql, error);
        }
        let after = Shot::take(self.client).await?;
        let change = before.change(&after, &self.old);
        self.hold(&change);
        let traced = Traced {
            step: step.title.clone(),
            sql: sql.to_owned(),
            locks: strongest(change.taken),
            held: self.held.clone(),
            rewrites: change.rewritten,
            scans: change.read,
            indexes: change.indexed,
            assumed: false,
        };
        // Settings and the like say nothing.
        if !sql.get(..4).is_some_and(|word| word.eq_ignore_ascii_case("SET ")) {
            self.trace.statements.push(traced);
        }
        Ok(())
    }

    /// Adds what a statement locked. A lock that a step before took already is no news to the
    /// server, but work on rows tells which it needed at least.
    fn hold(&mut self, change: &Change) {
        let taken = change.taken.iter().map(|lock| (&lock.table, lock.mode));
        let rewritten = change.rewritten.iter().map(|table| (table, LockMode::AccessExclusive));
        let indexed = change.indexed.iter().map(|table| (table, LockMode::Share));
        for (table, mode) in taken.chain(rewritten).chain(indexed) {
            let held = self.held.entry(table.clone()).or_insert(mode);
            *held = mode.max(*held);
        }
    }

    /// Whether SQL can be run at all; what it answers without rows says nothing.
    async fn tried(&mut self, step: &Step, sql: &str) -> Ran {
        let explained = is_check(sql) || !is_query(sql);
        let probe = if explained { sql.to_owned() } else { format!("EXPLAIN {sql}") };
        let alone = self.place == Where::Copy && !is_check(sql);
        let (open, close) = if alone { ("BEGIN", "ROLLBACK") } else { SAVEPOINT };
        self.client.batch_execute(open).await?;
        let ran = self.client.batch_execute(&probe).await;
        self.client.batch_execute(close).await?;
        match ran {
            Err(error) if !is_no(&error) => self.fail(step, sql, error),
            _ => Ok(()),
        }
    }

    /// What cannot be in a transaction is run on a copy only.
    async fn outside(&mut self, step: &Step, sql: &str) -> Ran {
        if self.place != Where::Copy {
            return Ok(());
        }
        match self.client.batch_execute(sql).await {
            Err(error) => self.fail(step, sql, error),
            Ok(()) => Ok(()),
        }
    }

    fn assume(&mut self, step: &Step, sql: &str, table: &str) {
        let is_it = |name: &&String| name.split_once('.').is_some_and(|(_, bare)| bare == table);
        let Some(table) = self.old.iter().find(is_it).cloned() else { return };
        let mode = LockMode::ShareUpdateExclusive;
        self.trace.statements.push(Traced {
            step: step.title.clone(),
            sql: sql.to_owned(),
            locks: vec![Lock { table: table.clone(), mode }],
            held: [(table.clone(), mode)].into_iter().collect(),
            rewrites: Vec::new(),
            scans: Vec::new(),
            indexes: vec![table],
            assumed: true,
        });
    }

    /// Keeps what the server said of a statement; a broken connection is no such thing.
    fn fail(&mut self, step: &Step, sql: &str, error: tokio_postgres::Error) -> Ran {
        if error.is_closed() {
            return Err(error);
        }
        self.trace.failure = Some((step.title.clone(), sql.to_owned(), said(&error)));
        Ok(())
    }
}

const SAVEPOINT: (&str, &str) =
    ("SAVEPOINT serin_tried", "ROLLBACK TO SAVEPOINT serin_tried; RELEASE SAVEPOINT serin_tried");

fn is_query(sql: &str) -> bool {
    let first = serin_migrate::words(sql).into_iter().next();
    matches!(first.as_deref(), Some("select" | "with" | "update" | "values" | "delete"))
}

/// Whether a check of ours was answered with no, which without rows says nothing.
fn is_no(error: &tokio_postgres::Error) -> bool {
    error.code() == Some(&tokio_postgres::error::SqlState::RAISE_EXCEPTION)
}

/// Of several locks on a table the strongest.
fn strongest(locks: Vec<Lock>) -> Vec<Lock> {
    let by_table: BTreeMap<String, LockMode> =
        locks.into_iter().map(|lock| (lock.table, lock.mode)).collect();
    by_table.into_iter().map(|(table, mode)| Lock { table, mode }).collect()
}
