//! Where the repository is, and which files belong to it.

use crate::failure::{Doing, Failure, Result};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The root of the repository: the folder above this package.
pub fn path() -> PathBuf {
    let package = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    package.parent().map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

/// Where cargo puts what it builds.
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| path().join("target"), PathBuf::from)
}

/// Files of the repository, relative to `root`, sorted: what git knows or would add, and without
/// git everything outside hidden folders and `target`.
pub fn files(root: &Path) -> Result<Vec<PathBuf>> {
    let mut files = match git_files(root) {
        Some(files) => files,
        None => walk(root)?,
    };
    files.retain(|file| root.join(file).is_file());
    files.sort();
    files.dedup();
    Ok(files)
}

fn git_files(root: &Path) -> Option<Vec<PathBuf>> {
    let output = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .ok()?;
    let names = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| names.split_terminator('\0').map(PathBuf::from).collect())
}

fn walk(root: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder).doing(|| format!("reading {}", folder.display()))?;
        for entry in entries {
            let path = entry.doing(|| format!("reading {}", folder.display()))?.path();
            if !path.is_dir() {
                found.push(relative(&path, root)?);
            } else if !is_skipped(&path) {
                folders.push(path);
            }
        }
    }
    Ok(found)
}

fn is_skipped(folder: &Path) -> bool {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    name == "target" || name == "node_modules" || (name.starts_with('.') && name != ".ci")
}

fn relative(path: &Path, root: &Path) -> Result<PathBuf> {
    path.strip_prefix(root)
        .map(Path::to_path_buf)
        .map_err(|_| Failure::new(format!("{} is outside the repository", path.display())))
}
