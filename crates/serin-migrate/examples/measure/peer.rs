//! What pgroll sends to the server to widen a column, and pgroll itself where it is installed.
//! The statements follow its templates: a flag column, a trigger a direction, batches of 1,000 by
//! primary key with the cursor in memory.

use crate::{Result, known, lab::Lab};
use serde_json::json;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use tokio_postgres::Client;

/// Rows of a batch, pgroll's default.
const BATCH: u32 = 1_000;

const EXPAND: &str = "\
    ALTER TABLE t ADD COLUMN _pgroll_new_amount bigint; \
    ALTER TABLE t ADD CONSTRAINT _pgroll_check_not_null_amount \
      CHECK (_pgroll_new_amount IS NOT NULL) NOT VALID; \
    ALTER TABLE t ADD COLUMN _pgroll_needs_backfill boolean DEFAULT true";

/// The trigger of one direction: fires for clients whose path is, or is not, the new one.
fn trigger(name: &str, test: &str, target: &str, value: &str) -> String {
    format!(
        "CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ \
         DECLARE id public.t.id%TYPE := NEW.id; amount public.t.amount%TYPE := NEW.amount; \
           note public.t.note%TYPE := NEW.note; latest_schema text; search_path text; \
         BEGIN \
           SELECT 'public_wide' INTO latest_schema; \
           SELECT current_setting INTO search_path FROM current_setting('search_path'); \
           IF search_path {test} latest_schema THEN \
             NEW.{target} = {value}; NEW._pgroll_needs_backfill = false; \
           END IF; RETURN NEW; END $$; \
         CREATE TRIGGER {name} BEFORE INSERT OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION {name}()"
    )
}

/// Adds what pgroll adds before its backfill.
pub async fn expand(client: &Client) -> Result<()> {
    client.batch_execute(EXPAND).await?;
    let up = trigger("_pgroll_trigger_t_amount", "!=", "_pgroll_new_amount", "(amount)");
    let new = "(NEW._pgroll_new_amount)";
    let down = trigger("_pgroll_trigger_t__pgroll_new_amount", "=", "amount", new);
    client.batch_execute(&up).await?;
    client.batch_execute(&down).await?;
    client.batch_execute("CREATE SCHEMA public_wide").await?;
    let view = "CREATE VIEW public_wide.t WITH (security_invoker = true) AS \
        SELECT id, note, _pgroll_new_amount AS amount FROM t";
    Ok(client.batch_execute(view).await?)
}

/// Fills in all rows as pgroll does.
pub async fn fill(client: &Client) -> Result<()> {
    let mut last: Option<String> = None;
    loop {
        let after = last.map(|id| format!("AND (id) > ('{id}')")).unwrap_or_default();
        let sql = format!(
            "WITH batch AS (SELECT id FROM t WHERE _pgroll_needs_backfill = true {after} \
             ORDER BY id LIMIT {BATCH} FOR NO KEY UPDATE), \
             update AS (UPDATE t SET id = t.id FROM batch WHERE t.id = batch.id RETURNING t.id) \
             SELECT LAST_VALUE(id) OVER()::text FROM update LIMIT 1"
        );
        match client.query_opt(&sql, &[]).await? {
            Some(row) => last = Some(row.get(0)),
            None => return Ok(()),
        }
    }
}

/// pgroll itself, and a migration for it that waits to be started.
pub struct Pgroll {
    program: String,
    url: String,
    folder: tempfile::TempDir,
}

impl Pgroll {
    /// Knows the tables that are there as the beginning of its history, without which `start` does
    /// nothing and ends well; `None`, said loudly, where it is not installed.
    pub fn ready(lab: &Lab, database: &str) -> Result<Option<Self>> {
        let program = std::env::var("SERIN_PGROLL").unwrap_or_else(|_| "pgroll".into());
        let url = format!("{}?sslmode=disable", lab.cluster.url(database));
        let this = Self { program, url, folder: tempfile::tempdir()? };
        if let Err(error) = Command::new(&this.program).arg("--version").output() {
            known(&format!(
                "SKIPPED: `{}` does not start ({error}); name it in SERIN_PGROLL, or install it \
                 with `go install github.com/xataio/pgroll@v0.14.0`",
                this.program
            ));
            return Ok(None);
        }
        this.run(&["init"])?;
        let folder = this.folder.path().display().to_string();
        this.run(&["baseline", "--yes", "00_tables", &folder])?;
        let operation = json!({"alter_column": {"table": "t", "column": "amount",
            "type": "bigint", "up": "amount", "down": "amount"}});
        fs::write(this.file(), json!({"operations": [operation]}).to_string())?;
        Ok(Some(this))
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("01_wide.json")
    }

    /// Takes the table to where both shapes are in use.
    pub fn start(&self) -> Result<()> {
        self.run(&["start", &self.file().display().to_string()])
    }

    /// Success is not enough: it has to have filled in all rows.
    pub fn has_filled(lab: &Lab, database: &str) -> Result<()> {
        let left = "SELECT count(*) FROM public_01_wide.t WHERE amount IS NULL \
            OR pg_typeof(amount) <> 'bigint'::regtype";
        match lab.cluster.sql(database, left)?.as_str() {
            "0" => Ok(()),
            left => Err(format!("pgroll left {left} rows that are not filled in").into()),
        }
    }

    fn run(&self, words: &[&str]) -> Result<()> {
        let mut command = Command::new(&self.program);
        command.args(words).args(["--postgres-url", &self.url]).stdin(Stdio::null());
        let output = command.output()?;
        if output.status.success() {
            return Ok(());
        }
        let said = [output.stdout, output.stderr].concat();
        Err(format!("`pgroll {}` failed: {}", words[0], String::from_utf8_lossy(&said)).into())
    }
}
