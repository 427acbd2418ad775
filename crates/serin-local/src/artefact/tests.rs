use super::*;
use serin_core::{Limits, LogLimits, Millis, Probe, ProbeKind};

pub(crate) fn run(dir: &Path, command: &[&str]) -> RunSpec {
    RunSpec {
        command: command.iter().map(|part| (*part).to_string()).collect(),
        env: BTreeMap::new(),
        env_files: Vec::new(),
        working_directory: dir.display().to_string(),
        user: None,
        limits: Limits::default(),
        readiness: Probe {
            kind: ProbeKind::Tcp,
            period: Millis(1000),
            timeout: Millis(1000),
            failure_threshold: 3,
            success_threshold: 1,
            initial_delay: Millis(0),
        },
        liveness: None,
        grace: Millis(1000),
        log: LogLimits::default(),
        metrics: None,
        database: None,
    }
}

pub(crate) fn script(dir: &Path, name: &str, text: &str) -> PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

fn version(text: &str) -> Version {
    text.parse().unwrap()
}

#[test]
fn program_and_files_among_the_arguments_are_the_artefact() {
    let dir = tempfile::tempdir().unwrap();
    let app = script(dir.path(), "app-v2", "#!/bin/sh\n");
    let config = script(dir.path(), "app.toml", "x = 1\n");
    let run = run(dir.path(), &["./app-$(REVISION)", "app.toml", "--port", "$(PORT)", "."]);
    let artefact = digest(&run, &version("v2")).unwrap();
    let paths: Vec<_> = artefact.files.iter().map(|f| f.path.canonicalize().unwrap()).collect();
    assert_eq!(paths, [app.canonicalize().unwrap(), config.canonicalize().unwrap()]);
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    std::fs::write(&config, "").unwrap();
    assert_eq!(digest(&run, &version("v2")).unwrap().files[1].sha256, empty);
}

#[test]
fn the_digest_follows_template_version_and_content() {
    let dir = tempfile::tempdir().unwrap();
    script(dir.path(), "app", "one");
    let first = digest(&run(dir.path(), &["./app"]), &version("v1")).unwrap();
    let same = digest(&run(dir.path(), &["./app"]), &version("v1")).unwrap();
    assert_eq!(first, same);
    let other_version = digest(&run(dir.path(), &["./app"]), &version("v2")).unwrap();
    assert_ne!(first.digest, other_version.digest);
    let other_template = digest(&run(dir.path(), &["./app", "x"]), &version("v1")).unwrap();
    assert_ne!(first.digest, other_template.digest);
    // The same size at the same path: only the times differ, and they are part of the key.
    script(dir.path(), "app", "two");
    let other_content = digest(&run(dir.path(), &["./app"]), &version("v1")).unwrap();
    assert_ne!(first.digest, other_content.digest);
}

#[test]
fn a_program_is_searched_in_the_path_of_the_app() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("bin")).unwrap();
    script(&dir.path().join("bin"), "tool", "");
    let mut run = run(dir.path(), &["tool"]);
    let missing = digest(&run, &version("v1")).unwrap_err().to_string();
    assert!(missing.contains("`tool` is not found"), "{missing}");
    run.env.insert("PATH".into(), EnvValue::Literal("/nowhere:bin".into()));
    let artefact = digest(&run, &version("v1")).unwrap();
    assert_eq!(artefact.files[0].path, dir.path().join("bin/tool"));
    std::fs::set_permissions(dir.path().join("bin/tool"), std::fs::Permissions::from_mode(0o644))
        .unwrap();
    assert!(digest(&run, &version("v1")).is_err(), "not executable");
}

#[test]
fn an_empty_command_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(digest(&run(dir.path(), &[]), &version("v1")), Err(Error::NoCommand)));
}
