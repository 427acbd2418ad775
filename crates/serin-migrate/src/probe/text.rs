//! Conditions and indexes under other names: written on a scratch table with the names they were
//! written for, read back after its columns were renamed. So no SQL is rewritten here.

use super::session::{ProbeError, Session, UNKNOWN};
use crate::Ident;
use crate::shape::Visible;

/// What is read back.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// A condition.
    Check,
    /// An index, behind the table's name.
    Index,
    /// A unique index.
    UniqueIndex,
}

const CHECK: &str = "SELECT pg_get_expr(conbin, conrelid) FROM pg_constraint \
                     WHERE conname = '_serin_text' AND conrelid = $1::text::regclass";

/// Before Postgres 15 the schema of scratch tables is told with its own name, such as `pg_temp_3`.
const INDEX: &str = "SELECT substr(whole, length(CASE WHEN starts_with(whole, named) \
       THEN named ELSE numbered END) + 1) \
     FROM (SELECT pg_get_indexdef(i.indexrelid) AS whole, \
         format(words, ic.relname, 'pg_temp', c.relname) AS named, \
         format(words, ic.relname, n.nspname, c.relname) AS numbered \
       FROM pg_index i JOIN pg_class ic ON ic.oid = i.indexrelid \
       JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
       CROSS JOIN LATERAL (SELECT CASE WHEN i.indisunique THEN 'CREATE UNIQUE INDEX %I ON %I.%I' \
         ELSE 'CREATE INDEX %I ON %I.%I' END AS words) AS w \
       WHERE ic.relname = '_serin_text' AND i.indrelid = $1::text::regclass) AS told";

impl Session<'_> {
    /// SQL that was written for a table called `table` with these columns, as it reads with the
    /// names that hold their values.
    pub async fn text(
        &self,
        kind: Kind,
        (table, sql): (&Ident, &str),
        columns: &[Visible],
    ) -> Result<String, ProbeError> {
        self.ask().await?;
        let answer = self.renamed(kind, (table, sql), columns).await;
        self.asked(answer).await
    }

    async fn renamed(
        &self,
        kind: Kind,
        (table, sql): (&Ident, &str),
        columns: &[Visible],
    ) -> Result<String, ProbeError> {
        self.scratch(table, columns).await?;
        let on = format!("pg_temp.{table}");
        self.run(&match kind {
            Kind::Check => format!("ALTER TABLE {on} ADD CONSTRAINT _serin_text CHECK ({sql}\n)"),
            Kind::Index => format!("CREATE INDEX _serin_text ON {on}{sql}"),
            Kind::UniqueIndex => format!("CREATE UNIQUE INDEX _serin_text ON {on}{sql}"),
        })
        .await?;
        self.rename(&on, columns).await?;
        self.in_full().await?;
        let question = if matches!(kind, Kind::Check) { CHECK } else { INDEX };
        let row = self.client.query_one(question, &[&on]).await?;
        Ok(row.get(0))
    }

    /// Over a name for each that no column has, as two may change places.
    async fn rename(&self, on: &str, columns: &[Visible]) -> Result<(), ProbeError> {
        let known = columns.iter().enumerate().filter(|(_, of)| of.data_type != UNKNOWN);
        let moved = known.filter(|(_, of)| of.name != of.physical);
        for (at, of) in moved.clone() {
            let sql = format!("ALTER TABLE {on} RENAME COLUMN {} TO _serin_between_{at}", of.name);
            self.run(&sql).await?;
        }
        for (at, of) in moved {
            let to = &of.physical;
            self.run(&format!("ALTER TABLE {on} RENAME COLUMN _serin_between_{at} TO {to}"))
                .await?;
        }
        Ok(())
    }

    /// A default as the server reads it, for a column of this type.
    pub async fn default(&self, data_type: &str, sql: &str) -> Result<String, ProbeError> {
        self.ask().await?;
        let answer = self.default_of(data_type, sql).await;
        self.asked(answer).await
    }

    async fn default_of(&self, data_type: &str, sql: &str) -> Result<String, ProbeError> {
        let table = format!("CREATE TEMP TABLE _serin_scratch (c {data_type} DEFAULT (\n{sql}\n))");
        self.run(&table).await?;
        self.in_full().await?;
        let sql = "SELECT coalesce((SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef \
                   WHERE adrelid = 'pg_temp._serin_scratch'::regclass), 'NULL')";
        Ok(self.client.query_one(sql, &[]).await?.get(0))
    }
}
