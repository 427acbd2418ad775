//! The flags that this process serves, and their file.

use crate::disk;
use crate::flags::Compiled;
use crate::table::Shared;
use crate::wire::FlagsReply;
use serin_edge::{Edge, Refused, RefusedSet, Revision, Settings, Table, Upsert};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// The file of flags, beside the table of routes.
pub const FILE: &str = "flags.json";
/// What signs the addresses of event streams.
const KEY_FILE: &str = "flags.key";

/// Flags and their file.
pub struct Hosted {
    pub edge: Arc<Edge>,
    /// Workers evaluate flags for the requests that carry them.
    shared: Arc<Shared>,
    /// Held while workers are told, so that the newest sets are the last they hear of.
    telling: Mutex<()>,
    path: PathBuf,
    /// What the file holds. Locked while it is written.
    on_disk: Mutex<Option<Revision>>,
}

impl Hosted {
    /// The flags as the file in this folder has them; without one, none. A file that cannot be
    /// used is put aside: the controller sends its flags again.
    ///
    /// # Errors
    /// Files that cannot be read or written.
    pub fn load(folder: &Path, shared: &Arc<Shared>) -> io::Result<Self> {
        let edge = Edge::new(&Settings::new(key(&folder.join(KEY_FILE))?));
        let (telling, on_disk) = (Mutex::default(), Mutex::default());
        let path = folder.join(FILE);
        let hosted = Self { edge, shared: shared.clone(), telling, path, on_disk };
        match fs::read(&hosted.path) {
            Ok(bytes) => hosted.take(&bytes)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        hosted.tell_workers();
        Ok(hosted)
    }

    fn tell_workers(&self) {
        let _telling = self.telling.lock().unwrap_or_else(PoisonError::into_inner);
        let sets = self.edge.sets().into_iter();
        let sets = sets.map(|(name, (definition, flags))| (name, Compiled { definition, flags }));
        self.shared.set_flags(sets.collect());
    }

    fn take(&self, bytes: &[u8]) -> io::Result<()> {
        let table = serde_json::from_slice::<Table>(bytes).map_err(|error| error.to_string());
        let taken =
            table.and_then(|table| self.edge.replace(table).map_err(|refused| refused.to_string()));
        if let Err(error) = taken {
            let aside = self.path.with_extension("bad");
            let path = self.path.display();
            eprintln!("{path} holds no flags ({error}); moved to {}", aside.display());
            fs::rename(&self.path, aside)?;
        }
        Ok(())
    }

    /// Makes a table hold, then puts it on disk.
    pub fn replace(&self, table: Table) -> FlagsReply {
        self.done(self.edge.replace(table))
    }

    /// Changes one flag of the table that the change was made for, then puts it on disk.
    pub fn upsert(&self, change: &Upsert) -> FlagsReply {
        self.done(self.edge.upsert(change).map(|()| Vec::new()))
    }

    fn done(&self, changed: Result<Vec<RefusedSet>, Refused>) -> FlagsReply {
        let refused = match changed {
            Ok(refused) => refused,
            Err(Refused::Stale(have)) => return FlagsReply::Stale { have },
            Err(refused) => return FlagsReply::Refused(refused.to_string()),
        };
        self.tell_workers();
        let refused = refused.first().map(ToString::to_string);
        match self.save() {
            Ok(revision) => FlagsReply::Held { revision, durable: true, error: refused },
            Err(error) => FlagsReply::Held {
                revision: self.edge.revision(),
                durable: false,
                error: Some(format!("the flags are not on disk: {error}")),
            },
        }
    }

    /// Puts the flags as they are now on disk, unless somebody else just has. What is there then.
    fn save(&self) -> io::Result<Revision> {
        let wanted = self.edge.revision();
        let mut on_disk = self.on_disk.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = on_disk.filter(|held| *held > wanted) {
            return Ok(held);
        }
        let table = self.edge.table();
        disk::write(&self.path, &serde_json::to_vec(&table)?)?;
        *on_disk = Some(table.revision);
        Ok(table.revision)
    }
}

/// The key in a file; made when there is none, so that addresses outlive a restart.
fn key(path: &Path) -> io::Result<[u8; 32]> {
    if let Ok(Ok(key)) = fs::read(path).map(<[u8; 32]>::try_from) {
        return Ok(key);
    }
    let mut key = [0; 32];
    File::open("/dev/urandom")?.read_exact(&mut key)?;
    disk::write(path, &key)?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serin_flags::SetDefinition;
    use std::collections::BTreeMap;

    #[test]
    fn workers_hear_of_what_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let shared = Shared::new(BTreeMap::new());
        let hosted = Hosted::load(folder.path(), &shared).unwrap();
        let sets = vec![Arc::new(SetDefinition::new("production"))];
        let revision = Revision { epoch: 1, n: 1 };
        hosted.replace(Table { revision, sets, ..Table::default() });
        assert!(shared.flags().contains_key("production"));
    }
}
