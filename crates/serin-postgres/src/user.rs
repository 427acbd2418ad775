//! Who the server runs as.

use crate::Error;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// A user and its group; `None` for whoever runs this.
#[derive(Debug, Clone, Copy)]
pub struct User(Option<(u32, u32)>);

impl User {
    /// This user, or where this is root, one that Postgres accepts.
    pub fn find() -> Result<Self, Error> {
        let me = std::fs::metadata("/proc/self").map_err(Error::io("asking who this is"))?;
        if me.uid() != 0 {
            return Ok(Self(None));
        }
        let users = std::fs::read_to_string("/etc/passwd").map_err(Error::io("/etc/passwd"))?;
        let named = ["postgres", "nobody"].iter().find_map(|name| ids(&users, name));
        named.map(|ids| Self(Some(ids))).ok_or(Error::NoUser)
    }

    /// A command run as this user.
    pub fn command(self, program: &Path) -> Command {
        let mut command = Command::new(program);
        if let Some((user, group)) = self.0 {
            command.uid(user).gid(group);
        }
        command
    }

    /// Gives a file or folder to this user.
    pub fn own(self, path: &Path) -> Result<(), Error> {
        let Some((user, group)) = self.0 else { return Ok(()) };
        let what = format!("giving {} to the user of Postgres", path.display());
        chown(path, Some(user), Some(group)).map_err(Error::io(what))
    }
}

fn ids(users: &str, name: &str) -> Option<(u32, u32)> {
    let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
    let mut parts = line.split(':').skip(2);
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}
