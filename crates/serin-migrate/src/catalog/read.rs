//! Reading it: two questions, each answered with one JSON document.

use super::{Catalog, Server};
use crate::Ident;
use serde::de::DeserializeOwned;
use tokio_postgres::Client;

/// Why a catalogue could not be read.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// The server refused.
    #[error("the catalogue of the database cannot be read: {0}")]
    Database(#[from] tokio_postgres::Error),
    /// It answered with something that was not expected.
    #[error("the catalogue of the database says what Serin does not understand: {0}")]
    Answer(#[from] serde_json::Error),
}

/// Reads what the catalogue says of `schema`. Expressions come with every name in full, whatever
/// the connection's search path is.
///
/// # Errors
/// [`CatalogError`].
pub async fn read(client: &Client, schema: &Ident) -> Result<Catalog, CatalogError> {
    let before: String = client.query_one("SHOW search_path", &[]).await?.get(0);
    set_path(client, "pg_catalog").await?;
    let read = documents(client, schema).await;
    set_path(client, &before).await?;
    read
}

async fn set_path(client: &Client, path: &str) -> Result<(), CatalogError> {
    client.execute("SELECT pg_catalog.set_config('search_path', $1, false)", &[&path]).await?;
    Ok(())
}

async fn documents(client: &Client, schema: &Ident) -> Result<Catalog, CatalogError> {
    let server: Server = document(client, include_str!("server.sql"), schema).await?;
    let tables = document(client, include_str!("tables.sql"), schema).await?;
    Ok(Catalog { schema: schema.clone(), server, tables })
}

async fn document<T: DeserializeOwned>(
    client: &Client,
    sql: &str,
    schema: &Ident,
) -> Result<T, CatalogError> {
    let row = client.query_one(sql, &[&schema.as_str()]).await?;
    Ok(serde_json::from_str(row.get::<_, &str>(0))?)
}
