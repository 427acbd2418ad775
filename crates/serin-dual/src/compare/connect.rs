//! Connections by address.

use super::error::{Error, said};
use std::time::Duration;
use tokio_postgres::config::SslMode;
use tokio_postgres::{Client, Config, NoTls};

/// Longest wait for a connection.
const PATIENCE: Duration = Duration::from_secs(10);

/// Connects to the database at `url`; `side` names it in errors.
///
/// # Errors
/// [`Error::Address`], [`Error::Tls`], [`Error::Unreachable`]; none of them shows the address.
pub async fn connect(url: &str, side: &'static str) -> Result<Client, Error> {
    let mut config: Config = url.parse().map_err(|_| Error::Address { side })?;
    if config.get_ssl_mode() == SslMode::Require {
        return Err(Error::Tls { side });
    }
    config.connect_timeout(PATIENCE).application_name("serin compare");
    let unreachable = |error| Error::Unreachable { side, reason: said(&error) };
    let (client, connection) = config.connect(NoTls).await.map_err(unreachable)?;
    // Ends with the client; how it ended is what the client's next call says.
    tokio::spawn(connection);
    Ok(client)
}
