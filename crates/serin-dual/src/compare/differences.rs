//! Rows that differ, by their hashes.

use super::error::Error;
use super::sql::Key;
use std::collections::BTreeMap;

/// A row that is not the same on both sides: its hash on each, where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub key: Key,
    pub from: Option<String>,
    pub to: Option<String>,
}

/// Hashes by key.
///
/// # Errors
/// [`Error::NotUnique`] where a key stands for several rows.
pub(super) fn by_key(
    rows: Vec<(Key, String)>,
    side: &'static str,
) -> Result<BTreeMap<Key, String>, Error> {
    let mut map = BTreeMap::new();
    for (key, hash) in rows {
        if map.contains_key(&key) {
            return Err(Error::NotUnique { side, key });
        }
        map.insert(key, hash);
    }
    Ok(map)
}

/// The rows that differ, in the order of their keys' texts.
pub(super) fn between(
    from: BTreeMap<Key, String>,
    mut to: BTreeMap<Key, String>,
) -> impl Iterator<Item = Found> {
    let mut found = Vec::new();
    for (key, hash) in from {
        let other = to.remove(&key);
        if other.as_ref() != Some(&hash) {
            found.push(Found { key, from: Some(hash), to: other });
        }
    }
    found.extend(to.into_iter().map(|(key, hash)| Found { key, from: None, to: Some(hash) }));
    found.sort_by(|a, b| a.key.cmp(&b.key));
    found.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(pairs: &[(&str, &str)]) -> Vec<(Key, String)> {
        pairs.iter().map(|(key, hash)| (vec![(*key).to_owned()], (*hash).to_owned())).collect()
    }

    #[test]
    fn missing_extra_and_different() {
        let from = by_key(rows(&[("a", "1"), ("b", "2"), ("c", "3")]), "from").unwrap();
        let to = by_key(rows(&[("b", "2"), ("c", "9"), ("d", "4")]), "to").unwrap();
        let found: Vec<_> = between(from, to).map(|f| (f.key[0].clone(), f.from, f.to)).collect();
        let some = |text: &str| Some(text.to_owned());
        let expected = [
            ("a".to_owned(), some("1"), None),
            ("c".to_owned(), some("3"), some("9")),
            ("d".to_owned(), None, some("4")),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_key_that_is_there_twice_is_an_error() {
        let error = by_key(rows(&[("a", "1"), ("a", "1")]), "to").unwrap_err().to_string();
        assert!(error.contains("`to` has several rows with the key (a)"), "{error}");
    }
}
