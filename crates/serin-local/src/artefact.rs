//! What a revision really runs: the digest of its template and of the files it is made of.

use crate::error::Error;
use crate::vars::{fill, within};
use serde::{Deserialize, Serialize};
use serin_core::{Digest, EnvValue, RunSpec, Version};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fs::{File, Metadata};
use std::io::Read as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// Larger files are data, not code.
const MAX_BYTES: u64 = 256 << 20;
/// Hashes remembered; all are dropped when there are more.
const MAX_CACHED: usize = 4096;

/// What would run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Artefact {
    /// Digest of template, version and files.
    pub digest: Digest,
    /// The files, in the order of the command.
    pub files: Vec<ArtefactFile>,
}

/// One file of an artefact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArtefactFile {
    /// Where it is.
    pub path: PathBuf,
    /// SHA-256 of its content, hexadecimal.
    pub sha256: String,
    /// Its size.
    pub bytes: u64,
}

/// Names one content of one file as well as a file system can without reading it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Stamp {
    path: PathBuf,
    inode: (u64, u64),
    bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

static CACHE: Mutex<BTreeMap<Stamp, String>> = Mutex::new(BTreeMap::new());

/// The digest of what `run` would start as `version`, with the files as they are now. Reads files:
/// call it where blocking is allowed.
pub fn digest(run: &RunSpec, version: &Version) -> Result<Artefact, Error> {
    let files = files(run, version)?.into_iter().map(hash_file).collect::<Result<Vec<_>, _>>()?;
    let mut hash = Sha256::new();
    let template = serde_json::to_vec(&run.template())
        .map_err(|e| Error::Unexpected { who: "the run template", what: e.to_string() })?;
    add(&mut hash, &template);
    add(&mut hash, version.name().as_bytes());
    for file in &files {
        add(&mut hash, file.path.as_os_str().as_encoded_bytes());
        add(&mut hash, file.sha256.as_bytes());
    }
    Ok(Artefact { digest: Digest::from_hash(&hash.finalize()), files })
}

/// Adds one part with its length, so that parts cannot run into each other.
fn add(hash: &mut Sha256, part: &[u8]) {
    hash.update((part.len() as u64).to_le_bytes());
    hash.update(part);
}

/// The program, and every argument that names an existing regular file of moderate size.
fn files(run: &RunSpec, version: &Version) -> Result<Vec<PathBuf>, Error> {
    let known = |name: &str| (name == "REVISION").then(|| version.name().into());
    let filled: Vec<String> = run.command.iter().map(|part| fill(part, known)).collect();
    let (name, arguments) = filled.split_first().ok_or(Error::NoCommand)?;
    let path = search_path(run, version);
    let mut files = vec![program(run, name, path.as_deref())?];
    files.extend(arguments.iter().map(|argument| within(run, argument)).filter(|p| is_code(p)));
    Ok(files)
}

/// `PATH` as the app will have it.
fn search_path(run: &RunSpec, version: &Version) -> Option<String> {
    let known = |name: &str| (name == "REVISION").then(|| version.name().into());
    match run.env.get("PATH") {
        Some(EnvValue::Literal(text)) => Some(fill(text, known)),
        Some(EnvValue::FromEnv(name)) => std::env::var(name).ok(),
        Some(EnvValue::FromFile(_)) | None => std::env::var("PATH").ok(),
    }
}

/// The file that `name` starts: itself when it has a slash, else the first in `path`.
pub fn program(run: &RunSpec, name: &str, path: Option<&str>) -> Result<PathBuf, Error> {
    let candidates: Vec<PathBuf> = if name.contains('/') {
        vec![within(run, name)]
    } else {
        let dirs = path.unwrap_or("/usr/local/bin:/usr/bin:/bin").split(':');
        dirs.map(|dir| within(run, dir).join(name)).collect()
    };
    let found = candidates.into_iter().find(|candidate| is_executable(candidate));
    found.ok_or_else(|| Error::NoProgram { program: name.into() })
}

fn is_executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

fn is_code(path: &Path) -> bool {
    path.metadata().is_ok_and(|meta| meta.is_file() && meta.len() < MAX_BYTES)
}

/// SHA-256 of a file's content as it is now.
pub(crate) fn sha256(path: &Path) -> Result<String, Error> {
    Ok(hash_file(path.into())?.sha256)
}

fn hash_file(path: PathBuf) -> Result<ArtefactFile, Error> {
    let unreadable =
        |source| Error::Unreadable { what: "the artefact file".into(), path: path.clone(), source };
    let mut file = File::open(&path).map_err(unreadable)?;
    let meta = file.metadata().map_err(unreadable)?;
    let stamp = stamp(&path, &meta);
    let sha256 = match cached(&stamp) {
        Some(known) => known,
        None => remember(stamp, hash_content(&mut file).map_err(unreadable)?),
    };
    Ok(ArtefactFile { path, sha256, bytes: meta.len() })
}

fn hash_content(file: &mut File) -> std::io::Result<String> {
    let (mut hash, mut buffer) = (Sha256::new(), vec![0; 64 << 10]);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex(&hash.finalize())),
            n => hash.update(&buffer[..n]),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn stamp(path: &Path, meta: &Metadata) -> Stamp {
    Stamp {
        path: path.into(),
        inode: (meta.dev(), meta.ino()),
        bytes: meta.len(),
        modified: (meta.mtime(), meta.mtime_nsec()),
        changed: (meta.ctime(), meta.ctime_nsec()),
    }
}

fn cached(stamp: &Stamp) -> Option<String> {
    CACHE.lock().ok()?.get(stamp).cloned()
}

fn remember(stamp: Stamp, sha256: String) -> String {
    if let Ok(mut cache) = CACHE.lock() {
        if cache.len() >= MAX_CACHED {
            cache.clear();
        }
        cache.insert(stamp, sha256.clone());
    }
    sha256
}

#[cfg(test)]
pub(crate) mod tests;
