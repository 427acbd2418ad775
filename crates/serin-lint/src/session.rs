//! Connections to the server.

use tokio_postgres::{Client, Config, Error, NoTls};

/// A session of one of the server's databases.
pub(crate) async fn connect(config: &Config, database: &str) -> Result<Client, Error> {
    let mut config = config.clone();
    config.dbname(database).application_name("serin/lint");
    let (client, connection) = config.connect(NoTls).await?;
    // Ends with the client; what went wrong is told by its next query.
    tokio::spawn(async move { drop(connection.await) });
    Ok(client)
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
