//! Other people's clients, as `cargo xtask clients` installs them. Without them a test is a loud
//! skip at home and a failure where `CI` is set.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A script of `flag_clients/node`, ready to be started.
pub fn node(script: &str) -> Option<Command> {
    let packages = folder("node")?.join("node_modules");
    let mut command = Command::new("node");
    command.env("NODE_PATH", packages).arg(scripts().join("node").join(script));
    Some(command)
}

/// A script of `flag_clients/python`, ready to be started.
pub fn python(script: &str) -> Option<Command> {
    let mut command = Command::new(folder("python")?.join("bin/python"));
    // Nothing may be written beside the sources.
    command.arg("-B").arg(scripts().join("python").join(script));
    Some(command)
}

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("serin/tests/flag_clients")
}

fn folder(language: &str) -> Option<PathBuf> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let folder = target.join("clients").join(language);
    let there = folder.join(".installed").is_file();
    let strict =
        std::env::var("CI").is_ok_and(|value| !matches!(value.as_str(), "" | "0" | "false"));
    let what = format!("the {language} clients are not installed; `cargo xtask clients` does it");
    assert!(there || !strict, "{what}");
    if !there {
        eprintln!("SKIPPED: {what}");
    }
    there.then_some(folder)
}
