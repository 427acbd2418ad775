//! Sets themselves: made, changed, taken away.

use super::push::Tell;
use super::{FIRST, FlagError, Refused};
use crate::control::Core;
use serin_store::FlagWrite;

impl Core {
    /// Takes a set away that serves nothing; its history stays.
    ///
    /// # Errors
    /// When there is none, it serves a flag, it is the first one, or that cannot be stored.
    pub(crate) fn drop_set(&mut self, name: &str) -> Result<(), FlagError> {
        let flags = &self.flags.set(name)?.definition.flags;
        let served = flags.values().filter(|flag| flag.archived_at.is_none()).count();
        if served > 0 || name == FIRST {
            let why = format!("`{name}` serves {served} flags, or is the set everybody has");
            return Err(Refused::new(why, "archive its flags first").into());
        }
        let drop = FlagWrite::DropSet { set: name.to_owned() };
        self.executor.store_mut().commit_flags(&[drop])?;
        self.flags.sets.remove(name);
        // A table of its own number: the data plane takes only what is newer.
        self.flags.n += 1;
        self.flags.tell(Tell::All);
        Ok(())
    }
}
