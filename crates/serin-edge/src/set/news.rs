//! What has changed in a set since when, so that clients that cache drop only that.

use crate::revision::Revision;
use serin_flags::{Flag, FlagSet};
use std::cmp::Ordering;
use std::collections::BTreeMap;
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
type Changes = Arc<[(Box<str>, Change)]>;

/// The last changes.
#[derive(Clone, Debug, Default)]
pub struct News {
    changes: Vec<(Revision, Changes)>,
    /// Changes up to this one may be forgotten.
    complete_since: Revision,
}

impl News {
    /// Of a set that was not there before.
    pub fn from(since: Revision) -> Self {
        Self { changes: Vec::new(), complete_since: since }
    }

    /// The news after a change.
    pub fn then(&self, since: Revision, before: &FlagSet, now: &FlagSet) -> Self {
        let Self { mut changes, mut complete_since } = self.clone();
        changes.push((since, differences(before.flags(), now.flags())));
        if changes.len() > REMEMBERED {
            complete_since = changes.remove(0).0;
        }
        Self { changes, complete_since }
    }

    /// What has changed after a revision, each flag once, as it is `now`.
    pub fn after<'n>(&'n self, seen: Revision, now: &'n FlagSet) -> BTreeMap<&'n str, Change> {
        if seen < self.complete_since {
            return now.flags().iter().map(|flag| (flag.key(), Change::Update)).collect();
        }
        let newer = self.changes.iter().filter(|(revision, _)| *revision > seen);
        newer.flat_map(|(_, all)| all.iter()).map(|(key, change)| (&**key, *change)).collect()
    }
}

/// Both are ordered by key.
fn differences(before: &[Arc<Flag>], now: &[Arc<Flag>]) -> Changes {
    let (mut old, mut new) = (before.iter().peekable(), now.iter().peekable());
    let mut changes = Vec::new();
    loop {
        let order = match (old.peek(), new.peek()) {
            (None, None) => return changes.into(),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(old), Some(new)) if Arc::ptr_eq(old, new) => Ordering::Equal,
            (Some(old), Some(new)) => old.key().cmp(new.key()),
        };
        let gone = old.next_if(|_| order.is_le());
        let change = match (gone, new.next_if(|_| order.is_ge())) {
            (Some(old), Some(new)) if old.print() == new.print() => continue,
            (Some(_), Some(new)) => (new.key().into(), Change::Update),
            (None, Some(new)) => (new.key().into(), Change::Write),
            (Some(old), None) => (old.key().into(), Change::Delete),
            (None, None) => continue,
        };
        changes.push(change);
    }
}

#[cfg(test)]
mod tests {
    use super::Change::{Delete, Update, Write};
    use super::*;
    use serin_flags::Bucketing;

    fn at(n: u64) -> Revision {
        Revision { epoch: 1, n }
    }

    /// Flags of these keys, each with a value.
    fn flags(all: &[(&str, u32)]) -> FlagSet {
        let flags: Vec<String> = all
            .iter()
            .map(|(key, value)| {
                format!("\"{key}\":{{\"state\":\"ENABLED\",\"variants\":{{\"a\":{value}}}}}")
            })
            .collect();
        let text = format!("{{\"flags\":{{{}}}}}", flags.join(","));
        FlagSet::parse(text.as_bytes(), Bucketing::V3).unwrap()
    }

    #[test]
    fn clients_hear_what_they_missed_and_no_more() {
        let sets = [
            flags(&[("a", 1), ("b", 1)]),
            flags(&[("a", 2), ("c", 1)]),
            flags(&[("a", 2), ("c", 2)]),
        ];
        let first = News::from(at(1));
        let second = first.then(at(2), &sets[0], &sets[1]);
        let third = second.then(at(5), &sets[1], &sets[2]);
        let all = |news: &News, now: usize, seen| -> Vec<(String, Change)> {
            let found = news.after(at(seen), &sets[now]).into_iter();
            found.map(|(key, change)| (key.to_owned(), change)).collect()
        };
        assert_eq!(all(&first, 0, 1), []);
        assert_eq!(
            all(&second, 1, 1),
            [("a".into(), Update), ("b".into(), Delete), ("c".into(), Write)]
        );
        assert_eq!(all(&third, 2, 2), [("c".into(), Update)]);
        assert_eq!(all(&third, 2, 4), [("c".into(), Update)]);
        assert_eq!(all(&third, 2, 5), []);
        // Whoever was here before the first of it hears of everything.
        assert_eq!(all(&third, 2, 0), [("a".into(), Update), ("c".into(), Update)]);
    }

    #[test]
    fn old_changes_are_forgotten_but_not_unsaid() {
        let mut held = flags(&[("a", 0)]);
        let mut news = News::from(at(0));
        for n in 1..=100 {
            let next = flags(&[("a", n)]);
            news = news.then(at(n.into()), &held, &next);
            held = next;
        }
        assert_eq!(news.changes.len(), REMEMBERED);
        assert_eq!(news.after(at(3), &held).len(), 1);
    }
}
