//! Flags as they lie in the store.

use super::held::{Kept, Mark, Stamp};
use super::used::Uses;
use super::{Act, Changed, FIRST, Flags, Request, Retirement, Set, approve, retiring};
use serde::{Deserialize, Serialize};
use serin_core::Timestamp;
use serin_flags::{Definition, FlagKey, SetDefinition, Shared};
use serin_store::{Error, FlagChange, FlagWrite, Store, StoredFlag, StoredNote};
use std::collections::BTreeMap;

/// What a set is beside its flags.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct SetHead {
    /// The set without flags.
    pub(crate) definition: SetDefinition,
    /// Its own last change.
    pub(crate) changed: Stamp,
}

/// A line of the history.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Past {
    /// The change.
    #[serde(flatten)]
    pub(crate) stamp: Stamp,
    /// The flag until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) before: Option<Definition>,
    /// The flag from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) after: Option<Definition>,
}

/// Reads all of it. A flag whose set is not there, or whose text does not read back, is an error:
/// flags that silently vanish would be worse than a control plane that does not start.
pub(super) fn load(store: &Store) -> Result<Flags, Error> {
    let found = store.flags()?;
    let mut sets = BTreeMap::from([(FIRST.to_owned(), Set::new(FIRST))]);
    for (name, text) in found.sets {
        let SetHead { definition, changed } = serde_json::from_str(&text)?;
        let set = Set { definition, marks: BTreeMap::new(), changed: Some(changed) };
        sets.insert(name, set);
    }
    for StoredFlag { set, key, text } in found.flags {
        let key: FlagKey = serde_json::from_value(key.into())?;
        let Kept { definition, mark } = serde_json::from_str(&text)?;
        let set = sets.entry(set.clone()).or_insert_with(|| Set::new(&set));
        set.marks.insert(key.clone(), mark);
        set.definition.flags.insert(key, definition);
    }
    let mut uses = BTreeMap::new();
    for StoredFlag { set, key, text } in found.uses {
        uses.insert((set, key), serde_json::from_str(&text)?);
    }
    let due = found.due.into_iter();
    let due = due.map(|(id, text)| Ok((id, serde_json::from_str(&text)?)));
    let due = due.collect::<Result<_, Error>>()?;
    let (requests, retiring) = notes(found.notes)?;
    let tokens = found.tokens.into_iter();
    let tokens = tokens.map(|(hash, text)| Ok((hash, serde_json::from_str(&text)?)));
    let tokens = tokens.collect::<Result<_, Error>>()?;
    let (n, uses) = (found.last, Uses::of(uses));
    Ok(Flags { sets, n, tokens, due, requests, retiring, uses, ..Flags::default() })
}

type Retiring = BTreeMap<(String, String), Retirement>;

fn notes(found: Vec<StoredNote>) -> Result<(BTreeMap<u64, Request>, Retiring), Error> {
    let (mut requests, mut retiring) = (BTreeMap::new(), BTreeMap::new());
    for StoredNote { kind, id, text } in found {
        match (kind.as_str(), id.split_once('/')) {
            (approve::NOTE, _) => {
                let request: Request = serde_json::from_str(&text)?;
                requests.insert(request.id, request);
            }
            (retiring::NOTE, Some((set, key))) => {
                let one = serde_json::from_str(&text)?;
                retiring.insert((set.to_owned(), key.to_owned()), one);
            }
            // Of a kind that this Serin does not know: left where it is.
            _ => {}
        }
    }
    Ok((requests, retiring))
}

/// What a change writes.
pub(super) fn writes(
    act: Act<'_>,
    stamp: &Stamp,
    changed: &Changed,
    mark: Option<&Mark>,
) -> Result<Vec<FlagWrite>, Error> {
    let (set, key) = (act.set.to_owned(), act.key.to_string());
    let past =
        Past { stamp: stamp.clone(), before: changed.before.clone(), after: changed.after.clone() };
    let line = line(&set, &key, stamp, &past)?;
    let flag = match changed.after.clone().zip(mark.cloned()) {
        Some((definition, mark)) => {
            let text = serde_json::to_string(&Kept { definition, mark })?;
            FlagWrite::Flag { set, key, text }
        }
        None => FlagWrite::DropFlag { set, key },
    };
    Ok(vec![flag, line])
}

/// What a change of a set itself writes.
pub(super) fn set_writes(set: &SetDefinition, stamp: &Stamp) -> Result<Vec<FlagWrite>, Error> {
    let definition = SetDefinition { flags: Shared::default(), ..set.clone() };
    let past = Past { stamp: stamp.clone(), before: None, after: None };
    let line = line(&set.name, "", stamp, &past)?;
    let text = serde_json::to_string(&SetHead { definition, changed: stamp.clone() })?;
    Ok(vec![FlagWrite::Set { set: set.name.clone(), text }, line])
}

fn line(set: &str, key: &str, stamp: &Stamp, past: &Past) -> Result<FlagWrite, Error> {
    Ok(FlagWrite::Change(FlagChange {
        n: stamp.n,
        set: set.to_owned(),
        key: key.to_owned(),
        at: Timestamp(stamp.at.0 * 1000),
        text: serde_json::to_string(past)?,
    }))
}
