//! What the machine must have for a file to work. The machine is asked through closures.

use crate::{
    Located,
    problem::{Problem, Severity},
};
use serin_core::{EnvValue, NotifyKind, ServiceSpec};
use std::path::{Path, PathBuf};

/// What a path must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// A file that may be executed.
    Executable,
    /// A directory.
    Directory,
    /// A file that can be read.
    Readable,
}

/// Errors for commands, directories and files that are not there; warnings for variables of
/// `fromEnv` that `variable` does not know (the keeper may know them).
///
/// `have` tells whether a path is what is needed; `variable` reads the caller's environment, of
/// which `PATH` finds commands without `/` when the service sets none.
pub fn environment_problems(
    services: &[Located<ServiceSpec>],
    have: impl Fn(Need, &Path) -> bool,
    variable: impl Fn(&str) -> Option<String>,
) -> Vec<Problem> {
    let machine = Machine { have: &have, variable: &variable };
    services.iter().flat_map(|service| machine.problems(service)).collect()
}

struct Machine<'a> {
    have: &'a dyn Fn(Need, &Path) -> bool,
    variable: &'a dyn Fn(&str) -> Option<String>,
}

type Service = Located<ServiceSpec>;

impl Machine<'_> {
    fn problems(&self, service: &Service) -> Vec<Problem> {
        let mut problems = Vec::new();
        match self.directory_problem(service) {
            // Without its directory nothing can be said about a relative command.
            Some(problem) => problems.push(problem),
            None => problems.extend(self.command_problem(service)),
        }
        for (index, file) in service.value.run.env_files.iter().enumerate() {
            problems.extend(self.file_problem(
                service,
                &format!("spec.run.envFiles[{index}]"),
                file,
            ));
        }
        for (name, value) in &service.value.run.env {
            problems.extend(self.env_problem(service, &format!("spec.run.env.{name}"), value));
        }
        for (at, value) in told_values(service) {
            problems.extend(self.env_problem(service, &at, value));
        }
        problems
    }

    fn directory_problem(&self, service: &Service) -> Option<Problem> {
        let directory = &service.value.run.working_directory;
        if (self.have)(Need::Directory, Path::new(directory)) {
            return None;
        }
        let message = format!("the working directory `{directory}` does not exist");
        let path = "spec.run.workingDirectory";
        let problem = service.problem(Severity::Error, "no-directory", path, message);
        Some(problem.hint("create it, or correct the path"))
    }

    fn command_problem(&self, service: &Service) -> Option<Problem> {
        let program = service.value.run.command.first()?;
        // `./releases/$(REVISION)/shop` is known only when a revision is deployed.
        if program.contains("$(")
            || self
                .candidates(service, program)
                .iter()
                .any(|path| (self.have)(Need::Executable, path))
        {
            return None;
        }
        let (message, hint) = if program.contains('/') {
            let at = Path::new(&service.value.run.working_directory).join(program);
            let message = format!("the command `{program}` is not there, or is not executable");
            (message, format!("looked at `{}`", at.display()))
        } else {
            let message = format!("the command `{program}` is not in PATH");
            (message, "write its path, relative to the working directory or absolute".into())
        };
        let path = "spec.run.command[0]";
        Some(service.problem(Severity::Error, "no-command", path, message).hint(hint))
    }

    /// Where the program may be, as the system would look for it.
    fn candidates(&self, service: &Service, program: &str) -> Vec<PathBuf> {
        let directory = Path::new(&service.value.run.working_directory);
        if program.contains('/') {
            return vec![directory.join(program)];
        }
        let path = match service.value.run.env.get("PATH") {
            Some(EnvValue::Literal(path)) => Some(path.clone()),
            Some(EnvValue::FromEnv(name)) => (self.variable)(name),
            _ => (self.variable)("PATH"),
        };
        let path = path.unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into());
        path.split(':').map(|entry| directory.join(entry).join(program)).collect()
    }

    fn env_problem(&self, service: &Service, path: &str, value: &EnvValue) -> Option<Problem> {
        match value {
            EnvValue::Literal(_) => None,
            EnvValue::FromFile(file) => {
                self.file_problem(service, &format!("{path}.fromFile"), file)
            }
            EnvValue::FromEnv(from) if (self.variable)(from).is_some() => None,
            EnvValue::FromEnv(from) => {
                let message = format!("the variable `{from}` is not set here");
                let path = format!("{path}.fromEnv");
                let problem = service.problem(Severity::Warning, "no-variable", &path, message);
                Some(problem.hint("it must be set where `serin serve` runs"))
            }
        }
    }

    fn file_problem(&self, service: &Service, path: &str, file: &str) -> Option<Problem> {
        if (self.have)(Need::Readable, Path::new(file)) {
            return None;
        }
        let message = format!("the file `{file}` cannot be read");
        let problem = service.problem(Severity::Error, "no-file", path, message);
        Some(problem.hint("create it, or correct the path and its permissions"))
    }
}

/// Values of `notify` and where they stand.
fn told_values(service: &Service) -> impl Iterator<Item = (String, &EnvValue)> {
    let targets = service.value.notify.iter().enumerate();
    targets.flat_map(|(n, target)| {
        let at = format!("spec.notify[{n}]");
        let (url, part, named) = match &target.kind {
            NotifyKind::Command { env, .. } => (None, "env", env),
            NotifyKind::Http { url, headers } => (Some(url), "http.headers", headers),
        };
        let url = url.map(|url| (format!("{at}.http.url"), url));
        let named = named.iter().map(move |(name, value)| (format!("{at}.{part}.{name}"), value));
        url.into_iter().chain(named)
    })
}
