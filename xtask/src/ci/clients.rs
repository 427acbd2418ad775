//! Other people's clients, which the tests of feature flags run against Serin: npm and pip
//! packages of exact versions, installed under `target/clients`.
//!
//! What is there already is left alone: a stamp remembers the lock file and the interpreter it
//! was installed for.

use super::{
    Ended, Options,
    tools::{apt_install, missing},
};
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

/// Where the lists of packages are, from the root of the repository.
const LISTS: &str = "crates/serin/tests/flag_clients";
const STAMP: &str = ".installed";

/// The packages of one language.
struct Language {
    name: &'static str,
    /// Files that say what to install; the last one has every version.
    lists: &'static [&'static str],
    /// Debian's packages, when the installer is not there.
    debian: &'static [&'static str],
    interpreter: &'static [&'static str],
    /// Whether the machine can install such packages.
    can_install: fn() -> bool,
    /// Installs into a fresh folder.
    install: fn(&Path, &Path) -> Result<()>,
}

const LANGUAGES: &[Language] = &[
    Language {
        name: "node",
        lists: &["package.json", "package-lock.json"],
        debian: &["nodejs", "npm"],
        interpreter: &["node", "nodejs"],
        can_install: || command::find("npm").is_some(),
        install: install_node,
    },
    Language {
        name: "python",
        lists: &["requirements.txt"],
        debian: &["python3-venv"],
        interpreter: &["python3"],
        can_install: has_venv,
        install: install_python,
    },
];

/// `cargo xtask clients`: installs the clients, or says why not.
pub fn task() -> Result<()> {
    match prepare(&Options { install: true, strict: true })? {
        Ended::Done => println!("clients are in {}", home().display()),
        Ended::Skipped(why) => return Err(Failure::new(why)),
    }
    Ok(())
}

/// Sees to it that the clients are there.
pub fn prepare(options: &Options) -> Result<Ended> {
    let failed: Vec<String> = LANGUAGES
        .iter()
        .filter_map(|language| language.prepare(options).err())
        .map(|failure| failure.to_string())
        .collect();
    if failed.is_empty() {
        return Ok(Ended::Done);
    }
    missing(&format!("clients of feature flags: {}", failed.join("; ")), options)
}

fn home() -> PathBuf {
    root::target().join("clients")
}

impl Language {
    fn prepare(&self, options: &Options) -> Result<()> {
        let lists = root::path().join(LISTS).join(self.name);
        let folder = home().join(self.name);
        if self.is_there(&lists, &folder) {
            return Ok(());
        }
        if !options.install {
            let name = self.name;
            return Err(Failure::new(format!(
                "{name} packages are missing; --no-install was given"
            )));
        }
        if !(self.can_install)() {
            apt_install(self.debian)?;
        }
        empty(&folder)?;
        println!("installing {} packages into {}", self.name, folder.display());
        (self.install)(&lists, &folder)?;
        let stamp = self.stamp(&lists)?;
        fs::write(folder.join(STAMP), stamp).doing(|| format!("writing {}", folder.display()))
    }

    fn is_there(&self, lists: &Path, folder: &Path) -> bool {
        let stamp = fs::read_to_string(folder.join(STAMP));
        stamp.is_ok_and(|stamp| self.stamp(lists).is_ok_and(|wanted| stamp == wanted))
    }

    /// What an installed folder depends on: every version, and the interpreter.
    fn stamp(&self, lists: &Path) -> Result<String> {
        let interpreter = self.interpreter.iter().find_map(|name| command::find(name));
        let interpreter = interpreter.ok_or_else(|| {
            Failure::new(format!("{} is not installed", self.interpreter.join(" or ")))
        })?;
        let version = command::capture(Command::new(&interpreter).arg("--version"))?;
        let list = lists.join(self.lists.last().copied().unwrap_or_default());
        let versions = fs::read_to_string(&list).doing(|| format!("reading {}", list.display()))?;
        Ok(format!("{}\n{version}\n{versions}", interpreter.display()))
    }
}

fn empty(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).doing(|| format!("removing {}", folder.display()))?;
    }
    fs::create_dir_all(folder).doing(|| format!("creating {}", folder.display()))
}

fn install_node(lists: &Path, folder: &Path) -> Result<()> {
    for name in ["package.json", "package-lock.json"] {
        fs::copy(lists.join(name), folder.join(name)).doing(|| format!("copying {name}"))?;
    }
    // No package runs code of its own while it is installed.
    let words = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
    command::run(Command::new("npm").args(words).current_dir(folder))
}

/// Debian's python3 comes without what makes virtual environments.
fn has_venv() -> bool {
    command::succeeds(Command::new("python3").args(["-c", "import ensurepip, venv"]))
}

fn install_python(lists: &Path, folder: &Path) -> Result<()> {
    command::run(Command::new("python3").args(["-m", "venv"]).arg(folder))?;
    // Everything is pinned, so pip has nothing to resolve; wheels run no code when installed.
    let words = ["install", "--quiet", "--disable-pip-version-check", "--no-deps"];
    let words = words.iter().chain(["--only-binary=:all:", "--requirement"].iter());
    let list = lists.join("requirements.txt");
    command::run(Command::new(folder.join("bin/pip")).args(words).arg(list))
}
