//! `serin flag scan`: where a checkout mentions flags.

mod files;
mod owners;
mod text;

use crate::failure::Failure;
use files::Kind;
use owners::{Owners, PLACES};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Places listed in one report, at most; counts go on.
const LISTED: usize = 100_000;

/// A mention of a flag.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Mention {
    /// Its key.
    pub flag: String,
    /// The file, relative to what was scanned.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
    /// Byte of the line, from 1.
    pub column: u32,
    /// Who answers for the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// What kind of file it is.
    pub kind: Kind,
    /// Of an unknown key: the call that asks for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call: Option<String>,
}

/// What a checkout says about flags.
#[derive(Debug, Default, Serialize)]
pub struct Scan {
    /// Files read.
    pub files: usize,
    /// Tracked files that were not: no text, too large, or not there.
    pub skipped: usize,
    /// Mentions of known flags, by flag and place.
    pub references: Vec<Mention>,
    /// Flags that code asks for and nobody has defined.
    pub unknown: Vec<Mention>,
    /// Known flags that no code mentions.
    pub unreferenced: Vec<String>,
    /// Mentions in code, of every known flag.
    pub counts: BTreeMap<String, u64>,
    /// Whether there are more mentions than are listed.
    pub cut: bool,
}

impl Scan {
    /// Looks for `keys` in the files that git tracks below `root`.
    pub fn of(root: &Path, keys: &BTreeSet<String>) -> Result<Self, Failure> {
        let paths = files::tracked(root)?;
        let owned = PLACES.iter().find_map(|place| files::text(&root.join(place)));
        let owners = owned.map_or_else(Owners::default, |text| Owners::read(&text));
        let counts = keys.iter().map(|key| (key.clone(), 0)).collect();
        let mut scan = Self { counts, ..Self::default() };
        for path in &paths {
            match files::text(&root.join(path)) {
                None => scan.skipped += 1,
                Some(text) => scan.file(path, &text, keys, &owners),
            }
        }
        scan.references.sort();
        let gone = scan.counts.iter().filter(|(_, count)| **count == 0);
        scan.unreferenced = gone.map(|(key, _)| key.clone()).collect();
        Ok(scan)
    }

    fn file(&mut self, path: &str, text: &str, keys: &BTreeSet<String>, owners: &Owners) {
        self.files += 1;
        let kind = files::kind(path, text);
        let found = text::look(text, keys);
        let mention = |place: text::Place, flag: String, call| Mention {
            flag,
            file: path.to_owned(),
            line: place.line,
            column: place.column,
            owner: owners.of(path).map(Into::into),
            kind,
            call,
        };
        for (place, key) in found.known {
            if kind == Kind::Code
                && let Some(count) = self.counts.get_mut(&key)
            {
                *count += 1;
            }
            keep(&mut self.references, &mut self.cut, mention(place, key, None));
        }
        if kind == Kind::Code {
            for (place, key, call) in found.unknown {
                keep(&mut self.unknown, &mut self.cut, mention(place, key, Some(call)));
            }
        }
    }
}

fn keep(list: &mut Vec<Mention>, cut: &mut bool, mention: Mention) {
    if list.len() < LISTED {
        list.push(mention);
    } else {
        *cut = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    fn git(dir: &Path, words: &[&str]) {
        let done = Command::new("git").arg("-C").arg(dir).args(words).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }

    #[test]
    fn tracked_files_are_read_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        git(dir.path(), &["init", "-q"]);
        write(
            "app.py",
            "x = 1\nif client.get_boolean_value('new', False):\n  client.get_string_value('lost', '')\n",
        );
        write("README.md", "new and old\n");
        write("flags.json", r#"{"flags":{"old":{"variants":{"on":true}}}}"#);
        write("CODEOWNERS", "*.py @shop\n");
        write("data.bin", "new\0");
        write("secret.py", "old\n");
        git(dir.path(), &["add", "app.py", "README.md", "flags.json", "CODEOWNERS", "data.bin"]);
        let keys = BTreeSet::from(["new".to_owned(), "old".to_owned()]);
        let scan = Scan::of(dir.path(), &keys).unwrap();
        assert_eq!((scan.files, scan.skipped, scan.cut), (4, 1, false));
        assert_eq!(scan.unreferenced, ["old"]);
        assert_eq!(scan.counts, BTreeMap::from([("new".into(), 1), ("old".into(), 0)]));
        let code = scan.references.iter().find(|one| one.kind == Kind::Code).unwrap();
        assert_eq!(
            (code.file.as_str(), code.line, code.owner.as_deref()),
            ("app.py", 2, Some("@shop"))
        );
        let lost = &scan.unknown[0];
        assert_eq!((lost.flag.as_str(), lost.line, scan.unknown.len()), ("lost", 3, 1));
        assert_eq!(lost.call.as_deref(), Some("client.get_string_value"));
    }

    #[test]
    fn what_is_no_checkout_is_a_usage_error() {
        let dir = tempfile::tempdir().unwrap();
        let failure = Scan::of(dir.path(), &BTreeSet::new()).unwrap_err();
        assert_eq!(failure.code, "no-checkout");
    }
}
