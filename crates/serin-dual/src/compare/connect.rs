//! Connections by address.

use super::error::Error;
use serin_connect::{Address, Failure, Shared, keeps_session};
use std::time::Duration;
use tokio_postgres::Client;

/// Longest wait for a connection, unless the address says another.
const PATIENCE: Duration = Duration::from_secs(10);

/// Connects to the database at `url`, as safely as its `sslmode` says; `side` names it in errors.
///
/// # Errors
/// [`Error::Address`], [`Error::Tls`], [`Error::Unreachable`], [`Error::Pooled`]; none of them shows
/// the address.
pub async fn connect(url: &str, side: &'static str) -> Result<Client, Error> {
    let address = Address::parse(url);
    let address = address.map_err(|flaw| Error::Address { side, said: flaw.to_string() })?;
    connect_at(&address, side).await
}

/// Connects to the database at `address`, as safely as its `sslmode` says; `side` names it in
/// errors. A pooler that shares sessions is refused: it would give this one's settings, such as that
/// it only reads, to whoever comes next.
///
/// # Errors
/// [`Error::Tls`], [`Error::Unreachable`], [`Error::Pooled`]; none of them shows the address.
pub async fn connect_at(address: &Address, side: &'static str) -> Result<Client, Error> {
    let set = |config: &mut tokio_postgres::Config| {
        let patience = config.get_connect_timeout().copied().unwrap_or(PATIENCE);
        config.connect_timeout(patience).application_name("serin compare");
    };
    let address = address.with(set);
    let failed = |failure: Failure| match failure {
        Failure::Tls(said) => Error::Tls { side, said },
        Failure::Database(_) => Error::Unreachable { side, reason: failure.to_string() },
    };
    let client = address.connect().await.map_err(failed)?;
    let beside = address.connect().await.map_err(failed)?;
    keeps_session(&client, &beside).await.map_err(|why| match why {
        Shared::Database(error) => Error::at(side, "looking at the connection")(error),
        pooled => Error::Pooled { side, said: pooled.to_string() },
    })?;
    Ok(client)
}
