//! What the tests need beside cargo: installed where that is allowed, else said loudly.

use super::{Ended, Options};
use crate::{
    command,
    failure::{Failure, Result},
};
use std::process::Command;

/// A program a test needs.
struct Tool {
    /// Any of these names will do.
    programs: &'static [&'static str],
    /// Debian's package.
    package: &'static str,
    /// What is not tested without it.
    needed_for: &'static str,
}

const TOOLS: &[Tool] = &[
    Tool {
        programs: &["python3"],
        package: "python3",
        needed_for: "the Python example and the tests that ship it",
    },
    Tool {
        programs: &["node", "nodejs"],
        package: "nodejs",
        needed_for: "the Node example and the test that ships it",
    },
    Tool {
        // The server's own programs are not on the path of Debian.
        programs: &["pg_ctlcluster", "initdb"],
        package: "postgresql",
        needed_for: "the tests on a real Postgres",
    },
    Tool {
        programs: &["pgbouncer"],
        package: "pgbouncer",
        needed_for: "the tests of migrations behind a real pooler",
    },
];

impl Tool {
    fn is_there(&self) -> bool {
        self.programs.iter().any(|program| command::find(program).is_some())
    }
}

/// Sees to it that the tools are there.
pub fn prepare(options: &Options) -> Result<Ended> {
    let absent: Vec<&Tool> = TOOLS.iter().filter(|tool| !tool.is_there()).collect();
    if absent.is_empty() {
        return Ok(Ended::Done);
    }
    let packages: Vec<&str> = absent.iter().map(|tool| tool.package).collect();
    let hint = match install(&packages, options) {
        Ok(()) => "apt-get installed it, but it is not on PATH".to_owned(),
        Err(failure) => failure.to_string(),
    };
    report(absent.into_iter().filter(|tool| !tool.is_there()), &hint, options)
}

fn report<'a>(
    absent: impl Iterator<Item = &'a Tool>,
    hint: &str,
    options: &Options,
) -> Result<Ended> {
    let lines: Vec<String> = absent
        .map(|tool| format!("{} is missing, needed for {}", tool.package, tool.needed_for))
        .collect();
    if lines.is_empty() {
        return Ok(Ended::Done);
    }
    missing(&format!("{} ({hint})", lines.join("; ")), options)
}

/// A missing tool: a skip at home, a failure in CI.
pub fn missing(what: &str, options: &Options) -> Result<Ended> {
    if options.strict {
        return Err(Failure::new(format!("{what}: not there, and CI is set")));
    }
    Ok(Ended::Skipped(what.to_owned()))
}

fn install(packages: &[&str], options: &Options) -> Result<()> {
    if !options.install {
        return Err(Failure::new("--no-install was given"));
    }
    apt_install(packages)
}

/// Installs Debian packages, as root or through a sudo that asks nothing.
pub fn apt_install(packages: &[&str]) -> Result<()> {
    let Some(mut first) = apt(&["install", "--yes", "--no-install-recommends"]) else {
        return Err(Failure::new("no apt-get, or neither root nor a sudo that asks nothing"));
    };
    if command::run(first.args(packages)).is_ok() {
        return Ok(());
    }
    // A fresh machine has no package lists yet.
    for arguments in [&["update"] as &[&str], &["install", "--yes", "--no-install-recommends"]] {
        let Some(mut again) = apt(arguments) else { break };
        let names: &[&str] = if arguments[0] == "install" { packages } else { &[] };
        command::run(again.args(names))?;
    }
    Ok(())
}

fn apt(arguments: &[&str]) -> Option<Command> {
    command::find("apt-get")?;
    let mut apt = if is_root() {
        Command::new("apt-get")
    } else {
        command::succeeds(Command::new("sudo").args(["-n", "true"])).then(|| {
            let mut sudo = Command::new("sudo");
            sudo.args(["-n", "apt-get"]);
            sudo
        })?
    };
    apt.env("DEBIAN_FRONTEND", "noninteractive").args(arguments);
    Some(apt)
}

/// Whether this runs as root.
pub fn is_root() -> bool {
    command::capture(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0")
}
