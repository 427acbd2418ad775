//! An answer as it came: shown to programs untouched, read for people.

use crate::failure::Failure;
use bytes::Bytes;
use serde::de::DeserializeOwned;

/// A document of the API.
#[derive(Debug, Clone)]
pub struct Document(pub(super) Bytes);

impl Document {
    /// Its content.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_slice(&self.0).map_err(|error| {
            Failure::internal(format!("the server's answer cannot be read: {error}"))
                .hint("command and server may be of different versions")
        })
    }

    /// Its text, on one line.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.0).replace(['\n', '\r'], " ")
    }
}
