//! Programs are kept: whoever builds over the file of the version that runs can still go back to it,
//! and an instance that is replaced runs what was deployed.
//!
//! `<data>/artefacts/<digest>.json` says what a revision was made of, `<data>/artefacts/<sha256>/`
//! holds a copy of its program, or of a file of its configuration. Only compiled programs are copied:
//! a script looks for its parts beside itself.

mod config;

use crate::artefact::{self, ArtefactFile};
use crate::error::Error;
use serde::{Deserialize, Serialize};
use serin_core::{RevisionId, RunSpec};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What no revision needs stays so long: a deploy may be on its way.
const SPARED: Duration = Duration::from_secs(3600);

/// Begins the digest of files that are not those that were deployed.
pub(crate) const CHANGED: &str = "changed";

/// What a revision was made of when it was deployed.
#[derive(Debug, Serialize, Deserialize)]
struct Manifest {
    files: Vec<ArtefactFile>,
    /// A copy of the first file is kept.
    program_kept: bool,
    /// Further files of which a copy is kept, by their places.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    kept: BTreeSet<usize>,
}

impl Manifest {
    fn keeps(&self, at: usize) -> bool {
        if at == 0 { self.program_kept } else { self.kept.contains(&at) }
    }
}

/// What an instance runs.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// The kept program, when the one of the command is not what was deployed any more.
    pub(crate) program: Option<PathBuf>,
    /// Kept files of configuration, by the paths at which there is something else now.
    pub(crate) files: BTreeMap<PathBuf, PathBuf>,
    /// Digest of what will run: the revision's own, unless files have changed.
    pub(crate) digest: String,
}

fn directory(data: &Path) -> PathBuf {
    data.join("artefacts")
}

fn manifest_path(data: &Path, digest: &str) -> PathBuf {
    directory(data).join(format!("{digest}.json"))
}

fn copy_path(data: &Path, program: &ArtefactFile) -> Option<PathBuf> {
    Some(directory(data).join(&program.sha256).join(program.path.file_name()?))
}

/// Keeps what `revision` is made of, before it is deployed. Copies files: call it where blocking
/// is allowed.
pub fn keep(data: &Path, run: &RunSpec, revision: &RevisionId) -> Result<(), Error> {
    let manifest = manifest_path(data, revision.digest.as_str());
    if manifest.exists() {
        return Ok(());
    }
    let made = artefact::digest(run, &revision.version)?;
    if made.digest != revision.digest {
        return Err(Error::Changing);
    }
    let program = made.files.first().filter(|program| is_worth_keeping(run, &program.path));
    if let Some(program) = program {
        copy(data, program, true)?;
    }
    let mut kept = BTreeSet::new();
    for (at, file) in made.files.iter().enumerate().skip(1) {
        if run.user.is_none() && config::is_worth_keeping(&file.path) {
            copy(data, file, false)?;
            kept.insert(at);
        }
    }
    let manifest_of = Manifest { program_kept: program.is_some(), kept, files: made.files };
    let text = serde_json::to_vec(&manifest_of)
        .map_err(|e| Error::Unexpected { who: "the list of files", what: e.to_string() })?;
    let write = || {
        fs::create_dir_all(directory(data))?;
        let part = manifest.with_extension("part");
        fs::write(&part, &text)?;
        fs::rename(&part, &manifest)
    };
    write().map_err(|source| Error::NotKept { path: manifest.clone(), source })
}

/// A compiled program of the service's own. One that is found in `PATH` belongs to the machine, and
/// another user cannot read what lies in our directory.
fn is_worth_keeping(run: &RunSpec, program: &Path) -> bool {
    let own = run.command.first().is_some_and(|name| name.contains('/'));
    own && run.user.is_none() && is_compiled(program)
}

fn is_compiled(program: &Path) -> bool {
    let mut magic = [0; 4];
    let read = fs::File::open(program).and_then(|mut file| file.read_exact(&mut magic));
    read.is_ok() && magic == *b"\x7fELF"
}

/// Whole or not at all: the name is given when the content is known to be right. A program is, where
/// it can be, the same file under a second name: who builds anew makes another file, and one that
/// runs cannot be written to. Configuration is edited in place.
fn copy(data: &Path, program: &ArtefactFile, link: bool) -> Result<(), Error> {
    let Some(path) = copy_path(data, program).filter(|path| !path.exists()) else { return Ok(()) };
    let part = path.with_extension("part");
    let write = || {
        fs::create_dir_all(path.parent().unwrap_or(data))?;
        let _ = fs::remove_file(&part);
        // A second name for a symbolic link would lead somewhere else from there.
        let file = fs::canonicalize(&program.path)?;
        if link && fs::hard_link(&file, &part).is_ok() {
            return Ok(());
        }
        fs::copy(&file, &part)?;
        fs::File::open(&part)?.sync_all()
    };
    write().map_err(|source| Error::NotKept { path: program.path.clone(), source })?;
    if artefact::sha256(&part)? != program.sha256 {
        let _ = fs::remove_file(&part);
        return Err(Error::Changing);
    }
    fs::rename(&part, &path).map_err(|source| Error::NotKept { path, source })
}

/// What an instance of `revision` runs now.
pub(crate) fn as_deployed(
    data: &Path,
    run: &RunSpec,
    revision: &RevisionId,
) -> Result<Found, Error> {
    let digest = || Ok(artefact::digest(run, &revision.version)?.digest.as_str().to_owned());
    let Some(manifest) = read(data, revision.digest.as_str()) else {
        return Ok(Found { program: None, files: BTreeMap::new(), digest: digest()? });
    };
    let changed = manifest.files.iter().enumerate().filter(|(_, file)| !is_as_it_was(file));
    let kept: Vec<_> = changed.map(|(at, file)| (at, file, found(data, &manifest, at))).collect();
    let same = kept.iter().all(|(_, _, kept)| kept.is_some());
    let mut files: BTreeMap<_, _> = kept
        .into_iter()
        .filter_map(|(at, file, kept)| Some(((at, file.path.clone()), kept?)))
        .collect();
    let program = files
        .first_entry()
        .filter(|first| first.key().0 == 0)
        .map(std::collections::btree_map::OccupiedEntry::remove);
    let files = files.into_iter().map(|((_, path), kept)| (path, kept)).collect();
    let digest = match digest() {
        _ if same => revision.digest.as_str().to_owned(),
        // The kept program stands in for one that is gone.
        Err(_) if program.is_some() => CHANGED.to_owned(),
        digest => format!("{CHANGED} {}", digest?),
    };
    Ok(Found { program, files, digest })
}

fn is_as_it_was(file: &ArtefactFile) -> bool {
    artefact::sha256(&file.path).is_ok_and(|now| now == file.sha256)
}

/// The unharmed copy of a file.
fn found(data: &Path, manifest: &Manifest, at: usize) -> Option<PathBuf> {
    let file = manifest.files.get(at).filter(|_| manifest.keeps(at))?;
    let unharmed = |path: &PathBuf| artefact::sha256(path).is_ok_and(|now| now == file.sha256);
    copy_path(data, file).filter(unharmed)
}

fn read(data: &Path, digest: &str) -> Option<Manifest> {
    serde_json::from_slice(&fs::read(manifest_path(data, digest)).ok()?).ok()
}

/// Drops what none of the `known` digests needs any more.
pub fn sweep(data: &Path, known: &BTreeSet<String>) {
    let entries = || fs::read_dir(directory(data)).into_iter().flatten().flatten();
    let mut needed = BTreeSet::new();
    for entry in entries() {
        let path = entry.path();
        let Some(digest) = path.file_stem().and_then(|stem| stem.to_str()) else { continue };
        if path.extension().is_none() {
            continue;
        }
        if !known.contains(digest) && is_old(&path) {
            let _ = fs::remove_file(&path);
        } else if let Some(manifest) = read(data, digest) {
            let all = manifest.files.iter().enumerate();
            let copied = all.filter(|(at, _)| *at == 0 || manifest.keeps(*at));
            needed.extend(copied.map(|(_, file)| file.sha256.clone()));
        }
    }
    for entry in entries().filter(|entry| entry.path().is_dir()) {
        let name = entry.file_name();
        let unneeded = name.to_str().is_some_and(|sha256| !needed.contains(sha256));
        if unneeded && is_old(&entry.path()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn is_old(path: &Path) -> bool {
    let modified = path.metadata().and_then(|meta| meta.modified());
    modified.is_ok_and(|at| at.elapsed().is_ok_and(|age| age > SPARED))
}

#[cfg(test)]
mod tests;
