//! The flags that this process serves, and their file.

use crate::disk;
use crate::flags::Compiled;
use crate::journal::Journal;
use crate::met::Meeting;
use crate::table::Shared;
use crate::wire::FlagsReply;
use serin_edge::{Edge, Refused, RefusedSet, Revision, Settings, Table, Upsert};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// The file of flags, beside the table of routes.
pub const FILE: &str = "flags.json";
/// What signs the addresses of event streams.
const KEY_FILE: &str = "flags.key";

/// Changes of single flags that the file does not have yet.
const JOURNAL: &str = "flags.journal";

/// Flags and their file.
pub struct Hosted {
    pub edge: Arc<Edge>,
    /// Workers evaluate flags for the requests that carry them.
    shared: Arc<Shared>,
    /// Held while workers are told, so that the newest sets are the last they hear of.
    telling: Mutex<()>,
    path: PathBuf,
    /// Locked while it is written.
    disk: Mutex<Disk>,
    /// Whether somebody is taking the journal into the file.
    folding: AtomicBool,
}

/// What is on disk.
struct Disk {
    /// What the file and the journal behind it hold.
    held: Option<Revision>,
    /// What the file alone holds.
    file: Option<Revision>,
    journal: Journal,
}

impl Hosted {
    /// The flags as the file in this folder has them, and the journal behind it; without one, none.
    /// A file that cannot be used is put aside: the controller sends its flags again.
    ///
    /// # Errors
    /// Files that cannot be read or written.
    pub fn load(folder: &Path, shared: &Arc<Shared>) -> io::Result<Self> {
        let edge = Edge::new(&Settings::new(key(&folder.join(KEY_FILE))?));
        let path = folder.join(FILE);
        match fs::read(&path) {
            Ok(bytes) => take(&edge, &path, &bytes)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let known = |edge: &Edge| Some(edge.revision()).filter(|held| *held > Revision::default());
        let file = known(&edge);
        let (mut journal, lines) = Journal::open(&folder.join(JOURNAL))?;
        let good = again(&edge, &lines);
        if good < lines.len() {
            let path = folder.join(JOURNAL);
            eprintln!("{}: {} changes cannot be used", path.display(), lines.len() - good);
            journal.keep(&lines[..good]);
        }
        let held = known(&edge);
        let (telling, folding) = (Mutex::default(), AtomicBool::new(false));
        let disk = Mutex::new(Disk { held, file, journal });
        let hosted = Self { edge, shared: shared.clone(), telling, path, disk, folding };
        hosted.tell_workers();
        hosted.edge.tell_met(Arc::new(Meeting(shared.clone())));
        Ok(hosted)
    }

    fn tell_workers(&self) {
        let _telling = self.telling.lock().unwrap_or_else(PoisonError::into_inner);
        let sets = self.edge.sets().into_iter();
        let sets = sets.map(|(name, (definition, flags))| (name, Compiled { definition, flags }));
        self.shared.set_flags(sets.collect());
    }

    /// Makes a table hold, then puts it on disk.
    pub fn replace(&self, table: Table) -> FlagsReply {
        let taken = self.edge.replace(table);
        self.done(taken, |disk| self.save(disk))
    }

    /// Changes one flag of the table that the change was made for, then puts that on disk.
    pub fn upsert(&self, change: &Upsert) -> FlagsReply {
        let taken = self.edge.upsert(change);
        self.done(taken, |disk| self.note(disk, change))
    }

    fn done(
        &self,
        changed: Result<Vec<RefusedSet>, Refused>,
        put: impl FnOnce(&mut Disk) -> io::Result<Revision>,
    ) -> FlagsReply {
        let refused = match changed {
            Ok(refused) => refused,
            Err(Refused::Stale(have)) => return FlagsReply::Stale { have },
            Err(refused) => return FlagsReply::Refused(refused.to_string()),
        };
        self.tell_workers();
        let refused = refused.first().map(ToString::to_string);
        let mut disk = self.disk.lock().unwrap_or_else(PoisonError::into_inner);
        match put(&mut disk) {
            Ok(revision) => FlagsReply::Held { revision, durable: true, error: refused },
            Err(error) => FlagsReply::Held {
                revision: self.edge.revision(),
                durable: false,
                error: Some(format!("the flags are not on disk: {error}")),
            },
        }
    }

    /// Puts one change on disk, unless somebody else has put more there. What is there then.
    fn note(&self, disk: &mut Disk, change: &Upsert) -> io::Result<Revision> {
        if let Some(held) = disk.held.filter(|held| *held >= change.revision) {
            return Ok(held);
        }
        // The lines of the journal are a chain.
        if disk.held == Some(change.base) {
            let mut line = serde_json::to_vec(change)?;
            line.push(b'\n');
            if disk.journal.append(&line).is_ok() {
                disk.held = Some(change.revision);
                return Ok(change.revision);
            }
        }
        self.save(disk)
    }

    /// Puts the flags as they are now on disk, unless somebody else just has. What is there then.
    fn save(&self, disk: &mut Disk) -> io::Result<Revision> {
        let wanted = self.edge.revision();
        if let Some(held) = disk.held.filter(|held| *held > wanted) {
            return Ok(held);
        }
        let table = self.edge.table();
        disk::write(&self.path, &serde_json::to_vec(&table)?)?;
        (disk.held, disk.file) = (Some(table.revision), Some(table.revision));
        disk.journal.clear();
        Ok(table.revision)
    }

    /// Whether the journal should be taken into the file.
    pub fn is_untidy(&self) -> bool {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner).journal.is_long()
    }

    /// Takes the journal into the file. Changes made meanwhile do not wait for it.
    pub fn fold(&self) {
        if !self.folding.swap(true, Ordering::AcqRel) {
            // What could not be written stays in the journal.
            let _ = self.folded();
            self.folding.store(false, Ordering::Release);
        }
    }

    fn folded(&self) -> io::Result<()> {
        let table = self.edge.table();
        let apart = self.path.with_extension("fold");
        disk::create(&apart, &serde_json::to_vec(&table)?)?;
        let mut disk = self.disk.lock().unwrap_or_else(PoisonError::into_inner);
        if disk.file >= Some(table.revision) {
            return fs::remove_file(&apart);
        }
        disk::replace(&apart, &self.path)?;
        disk.file = Some(table.revision);
        disk.held = disk.held.max(disk.file);
        // Behind the file there may be changes that it does not have.
        if disk.held == disk.file {
            disk.journal.clear();
        }
        Ok(())
    }
}

fn take(edge: &Edge, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let table = serde_json::from_slice::<Table>(bytes).map_err(|error| error.to_string());
    let taken = table.and_then(|table| edge.replace(table).map_err(|refused| refused.to_string()));
    if let Err(error) = taken {
        let aside = path.with_extension("bad");
        eprintln!("{} holds no flags ({error}); moved to {}", path.display(), aside.display());
        fs::rename(path, aside)?;
    }
    Ok(())
}

/// Makes the changes of a journal again, as far as they follow what is held; how many.
fn again(edge: &Edge, lines: &[Vec<u8>]) -> usize {
    let is_made = |line: &&Vec<u8>| match serde_json::from_slice::<Upsert>(line) {
        Ok(change) if change.revision <= edge.revision() => true,
        Ok(change) => edge.upsert(&change).is_ok(),
        Err(_) => false,
    };
    lines.iter().take_while(is_made).count()
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
    use serin_flags::{Definition, Kind, SetDefinition};
    use std::collections::BTreeMap;

    fn at(n: u64) -> Revision {
        Revision { epoch: 1, n }
    }

    fn hosted(folder: &Path) -> Hosted {
        Hosted::load(folder, &Shared::new(BTreeMap::new())).unwrap()
    }

    fn table(n: u64) -> Table {
        let sets = vec![Arc::new(SetDefinition::new("production"))];
        Table { revision: at(n), sets, ..Table::default() }
    }

    /// A change that puts the flag `f{n}` in.
    fn change(n: u64) -> Upsert {
        let definition = Some(Arc::new(Definition::boolean(Kind::Ops, "shop")));
        let (set, key) = ("production".to_owned(), format!("f{n}").parse().unwrap());
        Upsert { base: at(n - 1), revision: at(n), set, key, definition }
    }

    fn keys(hosted: &Hosted) -> Vec<String> {
        let sets = hosted.edge.sets();
        sets["production"].0.flags.keys().map(ToString::to_string).collect()
    }

    #[test]
    fn workers_hear_of_what_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let shared = Shared::new(BTreeMap::new());
        let hosted = Hosted::load(folder.path(), &shared).unwrap();
        hosted.replace(table(1));
        assert!(shared.flags().contains_key("production"));
    }

    #[test]
    fn a_change_is_on_disk_behind_the_table() {
        let folder = tempfile::tempdir().unwrap();
        let first = hosted(folder.path());
        first.replace(table(1));
        for n in [2, 3] {
            let held = FlagsReply::Held { revision: at(n), durable: true, error: None };
            assert_eq!(first.upsert(&change(n)), held);
        }
        let file: Table =
            serde_json::from_slice(&fs::read(folder.path().join(FILE)).unwrap()).unwrap();
        assert_eq!(file.revision, at(1));
        let second = hosted(folder.path());
        assert_eq!(
            (second.edge.revision(), keys(&second)),
            (at(3), vec!["f2".into(), "f3".into()])
        );
        // It goes on behind what it found, and another time too.
        second.upsert(&change(4));
        assert_eq!(hosted(folder.path()).edge.revision(), at(4));
    }

    #[test]
    fn a_journal_is_taken_into_the_table_and_what_came_meanwhile_stays() {
        let folder = tempfile::tempdir().unwrap();
        let first = hosted(folder.path());
        first.replace(table(1));
        (2..=4).for_each(|n| drop(first.upsert(&change(n))));
        let before = fs::read(folder.path().join(JOURNAL)).unwrap();
        first.fold();
        assert_eq!(fs::metadata(folder.path().join(JOURNAL)).unwrap().len(), 0);
        assert_eq!(hosted(folder.path()).edge.revision(), at(4));
        // A crash before the journal was cut leaves what the table has.
        fs::write(folder.path().join(JOURNAL), &before).unwrap();
        let second = hosted(folder.path());
        second.upsert(&change(5));
        let third = hosted(folder.path());
        assert_eq!((third.edge.revision(), keys(&third).len()), (at(5), 4));
    }

    #[test]
    fn a_broken_chain_ends_where_it_breaks() {
        let folder = tempfile::tempdir().unwrap();
        let first = hosted(folder.path());
        first.replace(table(1));
        first.upsert(&change(2));
        let mut lines = fs::read(folder.path().join(JOURNAL)).unwrap();
        for n in [4, 5] {
            lines.extend(serde_json::to_vec(&change(n)).unwrap());
            lines.push(b'\n');
        }
        fs::write(folder.path().join(JOURNAL), lines).unwrap();
        let second = hosted(folder.path());
        assert_eq!(second.edge.revision(), at(2));
        // The next change is on disk whole.
        let held = FlagsReply::Held { revision: at(3), durable: true, error: None };
        assert_eq!(second.upsert(&change(3)), held);
        assert_eq!(hosted(folder.path()).edge.revision(), at(3));
    }
}
