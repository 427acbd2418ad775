//! What this machine has: looked up before a deploy, so that what cannot work is refused and not
//! rolled back.

use serin_core::{EnvValue, ServiceSpec};
use serin_spec::{Located, Need, Problem, Severity, environment_problems};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Free bytes below which new decisions are announced to be at risk.
const LOW_SPACE: u64 = 4 << 20;

/// Everything the machine lacks for `services`.
pub(crate) fn problems(services: &[Located<ServiceSpec>]) -> Vec<Problem> {
    let found = environment_problems(services, has, variable);
    let mut problems: Vec<_> =
        found.into_iter().filter(|p| p.severity == Severity::Error).collect();
    for service in services {
        problems.extend(unknown_user(service));
        problems.extend(unset_variables(service));
    }
    problems
}

/// Whether `path` is what is needed, for whoever asks.
pub fn has(need: Need, path: &Path) -> bool {
    let Ok(meta) = std::fs::metadata(path) else { return false };
    match need {
        Need::Executable => meta.is_file() && meta.permissions().mode() & 0o111 != 0,
        Need::Directory => meta.is_dir(),
        Need::Readable => std::fs::File::open(path).is_ok(),
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn unknown_user(service: &Located<ServiceSpec>) -> Option<Problem> {
    let user = service.value.run.user.as_deref()?;
    let known = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let is_known = known.lines().any(|line| line.split(':').next() == Some(user));
    let text = format!("this machine has no user `{user}`");
    (!is_known).then(|| service.problem(Severity::Error, "no-user", "spec.run.user", text))
}

/// The control plane has the environment of `serin serve`, from which instances get theirs.
fn unset_variables(service: &Located<ServiceSpec>) -> Vec<Problem> {
    let from = service.value.run.env.iter().filter_map(|(name, value)| match value {
        EnvValue::FromEnv(from) if variable(from).is_none() => Some((name, from)),
        _ => None,
    });
    from.map(|(name, from)| {
        let text = format!("`serin serve` was started without the variable `{from}`");
        service.problem(Severity::Error, "no-variable", &format!("spec.run.env.{name}"), text)
    })
    .collect()
}

/// Whether the disk of `data` is as good as full.
pub(crate) fn is_disk_full(data: &Path) -> bool {
    rustix::fs::statvfs(data).is_ok_and(|fs| fs.f_bavail * fs.f_frsize < LOW_SPACE)
}
