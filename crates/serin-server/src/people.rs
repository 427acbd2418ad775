//! People who use the API over the network, each with a token of their own. What they do is done in
//! their name, whatever their client says. A token is shown once, when it is made; its hash alone is
//! kept.

use crate::token;
use serde::{Deserialize, Serialize};
use serin_edge::{Token, TokenKind};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// People, at most.
const MOST: usize = 1_000;
/// Longest name, in characters.
const NAME_MAX: usize = 64;
/// Names under which Serin itself acts, or nobody.
const TAKEN: [&str; 2] = ["serin", "unknown"];

/// Somebody who may use the API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Person {
    /// What they are called.
    pub(crate) name: String,
    /// Hash of their token.
    sha256: String,
    /// When it was made, seconds of Unix time.
    pub(crate) at: i64,
}

/// All of them, and their file.
pub(crate) struct People {
    path: PathBuf,
    known: Mutex<Vec<Person>>,
}

/// Why somebody cannot be made, or is not there.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The name is none.
    #[error(
        "a name has 1 to {NAME_MAX} of a-z, A-Z, 0-9, `.`, `_`, `-` and `@`, and is not `serin`"
    )]
    Name,
    /// There is one.
    #[error("{0} has a token already; take it away first: `serin token --revoke {0}`")]
    Twice(String),
    /// There are too many.
    #[error("{MOST} people have tokens, which is the most; take one away first")]
    Full,
    /// There is none.
    #[error("nobody called {0} has a token; `serin token` lists them")]
    Nobody(String),
    /// The file cannot be written.
    #[error("the tokens cannot be kept, so nothing was changed: {0}")]
    Io(#[from] io::Error),
}

impl People {
    /// As the file says; nobody without one.
    ///
    /// # Errors
    /// A file that cannot be read or is not of people.
    pub(crate) fn load(path: &Path) -> io::Result<Self> {
        let known = match fs::read(path) {
            Ok(bytes) => serde_json::from_slice(&bytes)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => vec![],
            Err(error) => return Err(error),
        };
        Ok(Self { path: path.to_owned(), known: Mutex::new(known) })
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Person>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everybody.
    pub(crate) fn all(&self) -> Vec<Person> {
        self.lock().clone()
    }

    /// Whose token this is.
    pub(crate) fn whose(&self, secret: &str) -> Option<String> {
        let hash = hash(secret);
        let known = self.lock();
        known.iter().find(|person| person.sha256 == hash).map(|person| person.name.clone())
    }

    /// A token for somebody new.
    ///
    /// # Errors
    /// [`Error`]; nothing was changed.
    pub(crate) fn admit(&self, name: &str, at: i64) -> Result<String, Error> {
        let fits = |c: char| c.is_ascii_alphanumeric() || "._-@".contains(c);
        if !(1..=NAME_MAX).contains(&name.len()) || !name.chars().all(fits) || TAKEN.contains(&name)
        {
            return Err(Error::Name);
        }
        let mut known = self.lock();
        if known.iter().any(|person| person.name == name) {
            return Err(Error::Twice(name.to_owned()));
        }
        if known.len() >= MOST {
            return Err(Error::Full);
        }
        let secret = token::random()?;
        let person = Person { name: name.to_owned(), sha256: hash(&secret), at };
        let next = [known.as_slice(), &[person]].concat();
        self.save(&next)?;
        *known = next;
        Ok(secret)
    }

    /// Their token is worth nothing from now on.
    ///
    /// # Errors
    /// [`Error`]; nothing was changed.
    pub(crate) fn dismiss(&self, name: &str) -> Result<(), Error> {
        let mut known = self.lock();
        let next: Vec<_> = known.iter().filter(|person| person.name != name).cloned().collect();
        if next.len() == known.len() {
            return Err(Error::Nobody(name.to_owned()));
        }
        self.save(&next)?;
        *known = next;
        Ok(())
    }

    /// Puts them on disk, in place of those before.
    fn save(&self, people: &[Person]) -> io::Result<()> {
        let fresh = self.path.with_extension("new");
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
        file.write_all(&serde_json::to_vec(people)?)?;
        file.sync_all()?;
        fs::rename(&fresh, &self.path)?;
        self.path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
    }
}

fn hash(secret: &str) -> String {
    Token::of("", secret, TokenKind::Backend).sha256
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_its_owners_until_it_is_taken_away() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("people.json");
        let people = People::load(&path).unwrap();
        let (ada, bob) = (people.admit("ada", 7).unwrap(), people.admit("bob", 8).unwrap());
        assert!(matches!(people.admit("ada", 9), Err(Error::Twice(_))));
        for bad in ["", "serin", "a b", "a\nb", "ä", &"a".repeat(65)] {
            assert!(matches!(people.admit(bad, 9), Err(Error::Name)), "{bad:?}");
        }
        assert_eq!(people.whose(&ada).as_deref(), Some("ada"));
        assert_eq!(people.whose("nonsense"), None);
        let text = fs::read_to_string(&path).unwrap();
        assert!(!text.contains(&ada) && !text.contains(&bob), "only hashes are kept");
        let again = People::load(&path).unwrap();
        assert_eq!(again.all(), people.all());
        again.dismiss("ada").unwrap();
        assert_eq!((again.whose(&ada), again.whose(&bob).as_deref()), (None, Some("bob")));
        assert!(matches!(again.dismiss("ada"), Err(Error::Nobody(_))));
        fs::write(&path, "{").unwrap();
        assert!(People::load(&path).is_err());
    }
}
