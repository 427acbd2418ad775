//! Connections to the server.

use serin_connect::{Address, Failure};
use tokio_postgres::{Client, Error};

/// A session of one of the server's databases.
pub(crate) async fn connect(address: &Address, database: &str) -> Result<Client, Failure> {
    let named = |config: &mut tokio_postgres::Config| {
        config.dbname(database).application_name("serin/lint");
    };
    address.with(named).connect().await
}

/// What the server said, without the noise around it.
pub(crate) fn said(error: &Error) -> String {
    error.as_db_error().map_or_else(
        || {
            let cause = std::error::Error::source(error);
            cause.map_or_else(|| error.to_string(), ToString::to_string)
        },
        |said| said.message().to_owned(),
    )
}
