//! `data`: the formats a revision reads and the one it writes, by number, so that nothing is brought
//! out or back that could not read what the other wrote.

use crate::field::Field;
use serin_core::DataFormats;
use std::collections::BTreeSet;

pub(crate) fn read(field: &Field<'_>) -> Option<DataFormats> {
    let mut reader = field.map()?;
    let reads = reader.need("reads", "[1, 2]", |f| numbers(&f));
    let writes = reader.need("writes", "2", |f| f.integer(0..=1_000_000_000)).map(|n| n as u32);
    if let (Some(reads), Some(writes)) = (&reads, writes)
        && !reads.contains(&writes)
    {
        let message = format!("it writes format {writes} and could not read it back");
        let hint = format!("add {writes} to `reads`");
        reader.report(reader.key_problem("contradiction", message).hint(hint));
    }
    reader.finish();
    Some(DataFormats { reads: reads?, writes: writes? })
}

fn numbers(field: &Field<'_>) -> Option<BTreeSet<u32>> {
    let items = field.list()?;
    if items.is_empty() || items.len() > 100 {
        return field.outside(format!("a list of {}", items.len()), 1, 100);
    }
    let found: Vec<_> = items.iter().map(|f| f.integer(0..=1_000_000_000)).collect();
    found.into_iter().map(|n| n.map(|n| n as u32)).collect()
}
