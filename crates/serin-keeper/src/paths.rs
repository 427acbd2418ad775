//! The data directory: its files, its permissions, its lock.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use crate::error::Error;
use crate::protocol::{PROXY_SOCKET, SOCKET};

/// Bytes of a path in `sockaddr_un`, without its closing zero.
pub(crate) const MAX_SOCKET_PATH: usize = 107;

/// Where everything is.
pub(crate) struct Paths {
    pub(crate) data: PathBuf,
    pub(crate) socket: PathBuf,
    pub(crate) proxy_socket: PathBuf,
    pub(crate) fifo: PathBuf,
    pub(crate) logs: PathBuf,
    pub(crate) state: PathBuf,
    pub(crate) journal: PathBuf,
    /// Names the boot of the machine in which a keeper last began here.
    pub(crate) boot: PathBuf,
}

impl Paths {
    /// Makes the directories (0700) and checks what is there already.
    pub(crate) fn prepare(data: &Path) -> Result<Self, Error> {
        let data = std::path::absolute(data).map_err(Error::io("resolve", data))?;
        let paths = Self {
            socket: socket_path(&data, SOCKET)?,
            proxy_socket: socket_path(&data, PROXY_SOCKET)?,
            fifo: data.join("fifo"),
            logs: data.join("logs"),
            state: data.join("keeper.json"),
            journal: data.join("keeper.journal"),
            boot: data.join("keeper.boot"),
            data,
        };
        private_dir(&paths.data)?;
        private_dir(&paths.fifo)?;
        private_dir(&paths.logs)?;
        Ok(paths)
    }

    /// Takes the directory for this process; the lock lives as long as the file is open.
    pub(crate) fn lock(&self) -> Result<File, Error> {
        let path = self.data.join("lock");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(Error::io("open", &path))?;
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            return Err(Error::Locked { data: self.data.clone(), pid: holder(&mut file) });
        }
        // Only for the message above; on a full disk the lock holds all the same.
        let _ = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
        Ok(file)
    }
}

fn holder(file: &mut File) -> u32 {
    let mut text = String::new();
    let _ = file.read_to_string(&mut text);
    text.trim().parse().unwrap_or(0)
}

fn socket_path(data: &Path, name: &str) -> Result<PathBuf, Error> {
    let path = data.join(name);
    let len = path.as_os_str().len();
    if len > MAX_SOCKET_PATH { Err(Error::PathTooLong { path, len }) } else { Ok(path) }
}

/// An existing directory that is open to others is closed only when it is empty: `--data /tmp`
/// must not change `/tmp`.
fn private_dir(path: &Path) -> Result<(), Error> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(Error::io("create directory", path))?;
    let meta = fs::metadata(path).map_err(Error::io("read", path))?;
    let mode = meta.permissions().mode() & 0o7777;
    let others = mode & 0o077;
    if others == 0 {
        return Ok(());
    }
    if fs::read_dir(path).map_err(Error::io("read", path))?.next().is_some() {
        return Err(Error::Exposed { data: path.to_owned(), mode });
    }
    fs::set_permissions(path, Permissions::from_mode(0o700)).map_err(Error::io("chmod", path))
}
