//! Settings that decide how a value looks as text, and how careful the session is.

use super::error::Error;
use std::time::Duration;
use tokio_postgres::Client;

/// Anything that changes the text of a value must be the same on both sides. With `row_security`
/// off, rows that a policy hides are an error instead of missing.
const FIXED: &str = "\
SET search_path = pg_catalog;
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
SET intervalstyle = 'postgres';
SET extra_float_digits = 3;
SET bytea_output = 'hex';
SET lc_monetary = 'C';
SET xmlbinary = 'base64';
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SET row_security = off;
SET plan_cache_mode = 'force_custom_plan';
SET default_transaction_read_only = on;
SET idle_in_transaction_session_timeout = '60s';
SET lock_timeout = '10s';";

/// Fixes the settings of a session.
pub(super) async fn fix(
    client: &Client,
    side: &'static str,
    statement: Duration,
) -> Result<(), Error> {
    let limit = statement.as_millis().clamp(1, 86_400_000);
    let sql = format!("{FIXED}\nSET statement_timeout = {limit};");
    client.batch_execute(&sql).await.map_err(Error::at(side, "fixing the session's settings"))
}
