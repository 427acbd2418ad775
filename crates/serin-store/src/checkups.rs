//! What was seen of instances after ways back. What it says is no business of the store: it keeps
//! JSON texts, for ever, as it keeps the records they belong to.

use crate::pack::{self, Document};
use crate::{Error, Store};
use rusqlite::params;
use serin_core::ServiceName;

impl Store {
    /// Keeps the text of one rollout, in place of the one before.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn keep_checkup(
        &mut self,
        service: &ServiceName,
        rollout: u64,
        text: &str,
    ) -> Result<(), Error> {
        let body = Document::of_text(text);
        let sql = "INSERT OR REPLACE INTO checkup (service, rollout, body, packed)
                   VALUES (?1, ?2, ?3, ?4)";
        let row = params![service.as_str(), rollout as i64, body.text, body.packed];
        self.connection.prepare_cached(sql)?.execute(row)?;
        Ok(())
    }

    /// The newest `most` texts of a service, by number of the rollout.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn checkups(&self, service: &ServiceName, most: u32) -> Result<Vec<(u64, String)>, Error> {
        let sql = "SELECT rollout, body, packed FROM checkup WHERE service = ?1
                   ORDER BY rollout DESC LIMIT ?2";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query(params![service.as_str(), most])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push((row.get::<_, i64>(0)? as u64, pack::text_at(row, 1)?));
        }
        Ok(found)
    }
}
