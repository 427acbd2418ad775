//! Many flags at once: one check, one transaction, one word to the data plane. All of them or none.

use super::change::stamp_of;
use super::push::Tell;
use super::{Act, Changed, FlagError, Mark, Refused, Stamp, Who, stored};
use crate::control::Core;
use serin_flags::{Definition, FlagKey, SetDefinition, problems_of_change};
use serin_store::FlagWrite;

/// A flag that comes, with all that is kept of it.
struct Coming {
    key: FlagKey,
    mark: Mark,
    writes: Vec<FlagWrite>,
}

impl Core {
    /// Makes flags that are not there yet, and what they need of their set: `head` is the set as it
    /// shall be, without flags.
    ///
    /// # Errors
    /// When the set would not be valid with all of them, or they cannot be stored; then nothing was
    /// changed.
    pub(crate) fn import_flags(
        &mut self,
        head: SetDefinition,
        flags: Vec<(FlagKey, Definition)>,
        who: Who<'_>,
    ) -> Result<(), FlagError> {
        let name = head.name.clone();
        let held = &self.flags.set(&name)?.definition;
        if held.approval.is_some() {
            let why = format!("changes of {name} need approval, and an import is many at once");
            return Err(Refused::new(why, "import into a new set, and look at it there").into());
        }
        let mut next = SetDefinition { flags: held.flags.clone(), ..head };
        next.flags.extend(flags.iter().cloned());
        let problems = problems_of_change(held, &next);
        if !problems.is_empty() {
            return Err(FlagError::Invalid(problems));
        }
        let mut n = self.flags.n;
        let mut writes = Vec::new();
        let reframed = (next.segments != held.segments).then(|| {
            n += 1;
            Stamp { verb: "import".to_owned(), ..stamp_of(who, n) }
        });
        if let Some(stamp) = &reframed {
            writes.extend(stored::set_writes(&next, stamp)?);
        }
        let mut coming = Vec::with_capacity(flags.len());
        for (key, flag) in flags {
            n += 1;
            coming.push(come(&name, key, flag, (who, n))?);
        }
        let Some(first) = coming.first().map(|one| one.key.clone()) else {
            return if reframed.is_some() { self.reframe(next, who) } else { Ok(()) };
        };
        writes.extend(coming.iter_mut().flat_map(|one| std::mem::take(&mut one.writes)));
        self.write_flags(Act { set: &name, key: &first, who, verb: "import" }, writes)?;
        self.flags.n = n;
        if let Some(set) = self.flags.sets.get_mut(&name) {
            set.definition = next;
            set.changed = reframed.or(set.changed.take());
            set.marks.extend(coming.into_iter().map(|one| (one.key, one.mark)));
        }
        self.flags.tell(Tell::All);
        Ok(())
    }

    fn reframe(&mut self, next: SetDefinition, who: Who<'_>) -> Result<(), FlagError> {
        self.change_set(next, who, "import").map(drop)
    }
}

fn come(
    set: &str,
    key: FlagKey,
    flag: Definition,
    (who, n): (Who<'_>, u64),
) -> Result<Coming, FlagError> {
    let stamp = Stamp { verb: "import".to_owned(), ..stamp_of(who, n) };
    let mark = Mark::after(&flag, stamp.clone(), None);
    let act = Act { set, key: &key, who, verb: "import" };
    let changed = Changed { n, before: None, after: Some(flag) };
    let writes = stored::writes(act, &stamp, &changed, Some(&mark))?;
    Ok(Coming { key, mark, writes })
}
