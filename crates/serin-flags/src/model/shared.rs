//! A map whose values are shared with its copies.

use serde::{Deserialize, Serialize};
use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;

/// An ordered map whose copies share their values: a copy with one value changed costs a pointer
/// for each of the others, whatever they hold. JSON: an object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
#[serde(bound(
    serialize = "K: Ord + Serialize, V: Serialize",
    deserialize = "K: Ord + Deserialize<'de>, V: Deserialize<'de>"
))]
pub struct Shared<K, V>(BTreeMap<K, Arc<V>>);

impl<K: Ord, V> Shared<K, V> {
    /// Puts a value in; the one that was there.
    pub fn insert(&mut self, key: K, value: impl Into<Arc<V>>) -> Option<Arc<V>> {
        self.0.insert(key, value.into())
    }

    /// Takes a value out.
    pub fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<Arc<V>>
    where
        K: Borrow<Q>,
    {
        self.0.remove(key)
    }

    /// Keeps what `keep` says yes to.
    pub fn retain(&mut self, mut keep: impl FnMut(&K, &V) -> bool) {
        self.0.retain(|key, value| keep(key, value));
    }
}

impl<K: Ord, V: Clone> Shared<K, V> {
    /// All values, to be changed; copies of the map keep theirs.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.0.values_mut().map(Arc::make_mut)
    }

    /// One value, to be changed; copies of the map keep theirs.
    pub fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        self.0.get_mut(key).map(Arc::make_mut)
    }
}

impl<K, V> Default for Shared<K, V> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K, V> Deref for Shared<K, V> {
    type Target = BTreeMap<K, Arc<V>>;
    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<K: Ord, V, A: Into<Arc<V>>> FromIterator<(K, A)> for Shared<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, A)>>(entries: I) -> Self {
        Self(entries.into_iter().map(|(key, value)| (key, value.into())).collect())
    }
}

impl<K: Ord, V, A: Into<Arc<V>>> Extend<(K, A)> for Shared<K, V> {
    fn extend<I: IntoIterator<Item = (K, A)>>(&mut self, entries: I) {
        self.0.extend(entries.into_iter().map(|(key, value)| (key, value.into())));
    }
}

impl<K, V> IntoIterator for Shared<K, V> {
    type Item = (K, Arc<V>);
    type IntoIter = std::collections::btree_map::IntoIter<K, Arc<V>>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a, K, V> IntoIterator for &'a Shared<K, V> {
    type Item = (&'a K, &'a Arc<V>);
    type IntoIter = std::collections::btree_map::Iter<'a, K, Arc<V>>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}
