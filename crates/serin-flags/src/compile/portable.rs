//! The portable document in pieces, so that a change of one flag writes that flag only.

use super::{Compiler, Form, document};
use crate::{Problem, SetDefinition};
use serde_json::{Map, Value};

/// Writes flags of a set as any client of flagd evaluates them. The set is taken to be in order.
pub struct Portable<'a> {
    compiler: Compiler<'a>,
}

impl<'a> Portable<'a> {
    /// A writer of this set's flags.
    pub fn of(set: &'a SetDefinition) -> Self {
        Self { compiler: Compiler::new(set, Form::Portable) }
    }

    /// One flag. `None`: it is archived, unknown, or only Serin can evaluate it.
    ///
    /// # Errors
    /// It is too large once its references are inlined.
    pub fn flag(&mut self, key: &str) -> Result<Option<Value>, Problem> {
        let found = self.compiler.set.flags.get_key_value(key);
        let served = found.filter(|(_, definition)| definition.archived_at.is_none());
        let Some((key, definition)) = served else { return Ok(None) };
        let flag = self.compiler.entry(key, definition);
        self.compiler.left_out.clear();
        self.compiler.problems.pop().map_or(Ok(flag), Err)
    }

    /// The whole document of flags that were written as JSON, ordered by key.
    pub fn document<'t>(&self, flags: impl Iterator<Item = (&'t str, &'t str)>) -> String {
        let frame = document::whole(self.compiler.set, Map::new());
        let mut text = String::from("{\"$schema\":");
        text.push_str(&frame["$schema"].to_string());
        text.push_str(",\"flags\":{");
        for (at, (key, flag)) in flags.enumerate() {
            // A key needs no escapes.
            let comma = if at > 0 { ",\"" } else { "\"" };
            text.extend([comma, key, "\":", flag]);
        }
        text.push_str("},\"metadata\":");
        text.push_str(&frame["metadata"].to_string());
        text.push('}');
        text
    }
}
