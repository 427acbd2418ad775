//! What has changed in a set since when, so that clients that cache drop only that.

use crate::revision::Revision;
use serde_json::Value;
use std::collections::BTreeMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// So many changes are remembered; whoever missed more is told of every flag.
const REMEMBERED: usize = 64;

/// What happened to a flag, in flagd's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is new.
    Write,
    /// It is another now.
    Update,
    /// It is gone.
    Delete,
}

impl Change {
    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Write => "write",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

/// What happened to flags.
type Changes = Vec<(Arc<str>, Change)>;

/// The last changes.
#[derive(Debug, Default)]
pub struct News {
    /// A hash of what each flag is now.
    prints: BTreeMap<Arc<str>, u64>,
    changes: Vec<(Revision, Changes)>,
    /// Changes up to this one may be forgotten.
    complete_since: Revision,
}

impl News {
    /// The news of a document after what was `before`.
    pub fn of(document: &Value, since: Revision, before: Option<&Self>) -> Self {
        let prints = prints(document);
        let Some(before) = before else {
            return Self { prints, changes: Vec::new(), complete_since: since };
        };
        let mut changes = before.changes.clone();
        let mut complete_since = before.complete_since;
        changes.push((since, differences(&before.prints, &prints)));
        if changes.len() > REMEMBERED {
            complete_since = changes.remove(0).0;
        }
        Self { prints, changes, complete_since }
    }

    /// What has changed after a revision, each flag once, as it is now.
    pub fn after(&self, seen: Revision) -> BTreeMap<&str, Change> {
        if seen < self.complete_since {
            return self.prints.keys().map(|key| (key.as_ref(), Change::Update)).collect();
        }
        let newer = self.changes.iter().filter(|(revision, _)| *revision > seen);
        newer.flat_map(|(_, all)| all).map(|(key, change)| (key.as_ref(), *change)).collect()
    }
}

fn differences(before: &BTreeMap<Arc<str>, u64>, now: &BTreeMap<Arc<str>, u64>) -> Changes {
    let gone = before.keys().filter(|key| !now.contains_key(*key));
    let gone = gone.map(|key| (key.clone(), Change::Delete));
    let other = now.iter().filter_map(|(key, print)| match before.get(key) {
        None => Some((key.clone(), Change::Write)),
        Some(held) if held != print => Some((key.clone(), Change::Update)),
        Some(_) => None,
    });
    gone.chain(other).collect()
}

/// References are part of what a flag is, so a change of one changes every flag.
fn prints(document: &Value) -> BTreeMap<Arc<str>, u64> {
    let shared = [&document["$evaluators"], &document["metadata"]].map(Value::to_string);
    let print = |flag: &Value| {
        let mut hasher = DefaultHasher::new();
        (&shared, flag.to_string()).hash(&mut hasher);
        hasher.finish()
    };
    match &document["flags"] {
        Value::Object(map) => {
            map.iter().map(|(key, flag)| (key.as_str().into(), print(flag))).collect()
        }
        Value::Array(list) => {
            let keyed =
                list.iter().filter_map(|flag| Some((flag["key"].as_str()?.into(), print(flag))));
            keyed.collect()
        }
        _ => BTreeMap::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::Change::{Delete, Update, Write};
    use super::*;
    use serde_json::json;

    fn at(n: u64) -> Revision {
        Revision { epoch: 1, n }
    }

    #[test]
    fn clients_hear_what_they_missed_and_no_more() {
        let first = News::of(&json!({"flags": {"a": 1, "b": 1}}), at(1), None);
        let second = News::of(&json!({"flags": {"a": 2, "c": 1}}), at(2), Some(&first));
        let third = News::of(&json!({"flags": {"a": 2, "c": 2}}), at(5), Some(&second));
        let all = |news: &News, seen| -> Vec<(String, Change)> {
            news.after(at(seen)).into_iter().map(|(key, change)| (key.to_owned(), change)).collect()
        };
        assert_eq!(all(&first, 1), []);
        assert_eq!(
            all(&second, 1),
            [("a".into(), Update), ("b".into(), Delete), ("c".into(), Write)]
        );
        assert_eq!(all(&third, 2), [("c".into(), Update)]);
        assert_eq!(all(&third, 4), [("c".into(), Update)]);
        assert_eq!(all(&third, 5), []);
        // Whoever was here before the first of it hears of everything.
        assert_eq!(all(&third, 0), [("a".into(), Update), ("c".into(), Update)]);
    }

    #[test]
    fn old_changes_are_forgotten_but_not_unsaid() {
        let mut news = News::of(&json!({"flags": {"a": 0}}), at(0), None);
        for n in 1..=100 {
            news = News::of(&json!({"flags": {"a": n}}), at(n), Some(&news));
        }
        assert_eq!(news.changes.len(), REMEMBERED);
        assert_eq!(news.after(at(3)).len(), 1);
    }
}
