//! A second look at what differs: what was on its way has arrived.

use super::Limits;
use super::differences::{Found, by_key};
use super::error::Error;
use super::sql::Key;
use super::walk::{Side, Sides};
use std::collections::BTreeMap;
use tokio_postgres::types::ToSql;

/// Keys asked for at once.
pub(super) const KEYS: usize = 500;

/// A row that still differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lasting {
    pub found: Found,
    /// It was another one at the look before: it is being written, and nothing can be said.
    pub moves: bool,
}

/// What is left of what was found.
#[derive(Debug, Default)]
pub(super) struct Settled {
    pub lasting: Vec<Lasting>,
    pub caught_up: u64,
}

/// Looks again at what was found, with growing pauses.
pub(super) async fn settle(
    sides: &Sides<'_>,
    found: Vec<Found>,
    limits: &Limits,
) -> Result<Settled, Error> {
    let lasting = found.into_iter().map(|found| Lasting { found, moves: false }).collect();
    let mut settled = Settled { lasting, caught_up: 0 };
    for look in 0..limits.looks {
        if settled.lasting.is_empty() {
            break;
        }
        tokio::time::sleep(limits.again * 2_u32.pow(look.min(8))).await;
        settled = look_again(sides, settled).await?;
    }
    Ok(settled)
}

async fn look_again(sides: &Sides<'_>, before: Settled) -> Result<Settled, Error> {
    let mut after = Settled { caught_up: before.caught_up, ..Settled::default() };
    for some in before.lasting.chunks(KEYS) {
        let keys: Vec<&Key> = some.iter().map(|lasting| &lasting.found.key).collect();
        let (from, to) = tokio::try_join!(hashes(&sides.from, &keys), hashes(&sides.to, &keys))?;
        let looked = some.iter().map(|lasting| now(&lasting.found, &from, &to));
        for lasting in looked {
            if lasting.found.from == lasting.found.to {
                after.caught_up += 1;
            } else {
                after.lasting.push(lasting);
            }
        }
    }
    Ok(after)
}

fn now(before: &Found, from: &BTreeMap<Key, String>, to: &BTreeMap<Key, String>) -> Lasting {
    let of = |side: &BTreeMap<Key, String>| side.get(&before.key).cloned();
    let found = Found { key: before.key.clone(), from: of(from), to: of(to) };
    let moves = found != *before;
    Lasting { found, moves }
}

async fn hashes(side: &Side<'_>, keys: &[&Key]) -> Result<BTreeMap<Key, String>, Error> {
    let lists = lists(keys);
    let sql = side.sql.rows_of_keys();
    let rows = side.ask(&sql, &parameters(&lists), "looking again at what differs").await?;
    by_key(rows.iter().map(|row| (row.get(0), row.get(1))).collect(), side.name)
}

/// Keys as one list a column.
pub(super) fn lists<'a>(keys: &[&'a Key]) -> Vec<Vec<&'a str>> {
    let columns = keys.first().map_or(0, |key| key.len());
    (0..columns).map(|column| keys.iter().map(|key| key[column].as_str()).collect()).collect()
}

/// The same as parameters of a statement.
pub(super) fn parameters<'a>(lists: &'a [Vec<&'a str>]) -> Vec<&'a (dyn ToSql + Sync)> {
    lists.iter().map(|list| list as &(dyn ToSql + Sync)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_between_two_looks_moves() {
        let key = vec!["7".to_owned()];
        let map = |hash: &str| BTreeMap::from([(key.clone(), hash.to_owned())]);
        let before = Found { key: key.clone(), from: Some("1".into()), to: Some("2".into()) };
        assert!(!now(&before, &map("1"), &map("2")).moves);
        assert!(now(&before, &map("3"), &map("2")).moves);
        assert!(now(&before, &map("1"), &BTreeMap::new()).moves);
    }

    #[test]
    fn keys_become_a_list_a_column() {
        let keys = [vec!["1".to_owned(), "a".to_owned()], vec!["2".to_owned(), "b".to_owned()]];
        let keys: Vec<&Key> = keys.iter().collect();
        assert_eq!(lists(&keys), [["1", "2"], ["a", "b"]]);
    }
}
