use super::*;
use crate::artefact::tests::{run, script};
use serin_core::{EnvValue, Version};
use std::os::unix::fs::PermissionsExt as _;

fn elf(dir: &Path, content: &str) -> PathBuf {
    script(dir, "shop", &format!("\x7fELF{content}"))
}

fn revision(run: &RunSpec) -> RevisionId {
    let version: Version = "v1".parse().unwrap();
    let digest = artefact::digest(run, &version).unwrap().digest;
    RevisionId { version, digest }
}

/// A directory of the app and one of ours.
fn places() -> (tempfile::TempDir, tempfile::TempDir) {
    (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap())
}

#[test]
fn a_program_that_was_built_over_is_run_as_it_was_deployed() {
    let (app, data) = places();
    let program = elf(app.path(), "one");
    let run = run(app.path(), &["./shop", "--port", "$(PORT)"]);
    let v1 = revision(&run);
    keep(data.path(), &run, &v1).unwrap();
    let own = v1.digest.as_str().to_owned();
    let found = as_deployed(data.path(), &run, &v1).unwrap();
    assert_eq!(
        found,
        Found { program: None, files: BTreeMap::new(), digest: own.clone() },
        "in its own place"
    );
    for gone in [false, true] {
        // As compilers and `install` do: another file under the name.
        fs::remove_file(&program).unwrap();
        elf(app.path(), "two");
        if gone {
            fs::remove_file(&program).unwrap();
        }
        let found = as_deployed(data.path(), &run, &v1).unwrap();
        let kept = found.program.unwrap();
        assert_eq!(fs::read(&kept).unwrap(), b"\x7fELFone");
        assert_eq!(kept.file_name(), program.file_name());
        assert!(fs::metadata(&kept).unwrap().permissions().mode() & 0o100 != 0);
        assert_eq!(found.digest, own);
    }
}

#[test]
fn what_is_not_kept_is_run_as_it_is_and_is_said_to_differ() {
    type Change = fn(&mut RunSpec);
    let cases: [(&str, &[&str], Change); 4] = [
        ("a script", &["./script"], |_| {}),
        ("another user's", &["./shop"], |run| run.user = Some("shop".into())),
        ("of the machine", &["shop"], |run| {
            run.env.insert("PATH".into(), EnvValue::Literal(".".into()));
        }),
        ("an argument", &["./other", "./shop"], |_| {}),
    ];
    for (what, command, change) in cases {
        let (app, data) = places();
        let program = elf(app.path(), "one");
        script(app.path(), "script", "#!/bin/sh\n");
        script(app.path(), "other", "\x7fELF");
        let mut run = run(app.path(), command);
        change(&mut run);
        let v1 = revision(&run);
        keep(data.path(), &run, &v1).unwrap();
        fs::remove_file(program).unwrap();
        elf(app.path(), "two");
        script(app.path(), "script", "#!/bin/sh\ntrue\n");
        let found = as_deployed(data.path(), &run, &v1).unwrap();
        assert_eq!(found.program, None, "{what}");
        assert!(found.digest.starts_with(CHANGED), "{what}");
    }
}

#[test]
fn a_file_that_changes_meanwhile_is_not_deployed() {
    let (app, data) = places();
    elf(app.path(), "one");
    let run = run(app.path(), &["./shop"]);
    let v1 = revision(&run);
    elf(app.path(), "two");
    assert!(matches!(keep(data.path(), &run, &v1), Err(Error::Changing)));
}

#[test]
fn what_no_revision_needs_goes_when_it_is_old() {
    let (app, data) = places();
    let run = run(app.path(), &["./shop"]);
    let made = ["one", "two", "three"].map(|content| {
        let _ = fs::remove_file(app.path().join("shop"));
        elf(app.path(), content);
        let revision = revision(&run);
        keep(data.path(), &run, &revision).unwrap();
        revision.digest.as_str().to_owned()
    });
    let count = || fs::read_dir(directory(data.path())).unwrap().count();
    let known = BTreeSet::from([made[1].clone()]);
    sweep(data.path(), &known);
    assert_eq!(count(), 6, "young: a deploy may be on its way");
    let old = std::time::SystemTime::now() - 2 * SPARED;
    for entry in fs::read_dir(directory(data.path())).unwrap().flatten() {
        fs::File::open(entry.path()).unwrap().set_modified(old).unwrap();
    }
    sweep(data.path(), &known);
    assert_eq!(count(), 2);
    fs::remove_file(app.path().join("shop")).unwrap();
    elf(app.path(), "four");
    let v2 = RevisionId {
        version: "v1".parse().unwrap(),
        digest: format!("v1@{}", made[1]).parse::<RevisionId>().unwrap().digest,
    };
    let kept = as_deployed(data.path(), &run, &v2).unwrap().program.unwrap();
    assert_eq!(fs::read(kept).unwrap(), b"\x7fELFtwo");
}

#[test]
fn a_kept_program_that_was_written_into_is_not_run() {
    let (app, data) = places();
    elf(app.path(), "one");
    let run = run(app.path(), &["./shop"]);
    let v1 = revision(&run);
    keep(data.path(), &run, &v1).unwrap();
    // The second name is that of the same file.
    elf(app.path(), "two");
    let found = as_deployed(data.path(), &run, &v1).unwrap();
    assert_eq!(found.program, None);
    assert!(found.digest.starts_with(CHANGED));
}

#[test]
fn the_program_behind_a_symbolic_link_is_kept() {
    let (app, data) = places();
    let program = elf(app.path(), "one");
    std::os::unix::fs::symlink("shop", app.path().join("current")).unwrap();
    let run = run(app.path(), &["./current"]);
    let v1 = revision(&run);
    keep(data.path(), &run, &v1).unwrap();
    fs::remove_file(&program).unwrap();
    elf(app.path(), "two");
    let kept = as_deployed(data.path(), &run, &v1).unwrap().program.unwrap();
    assert_eq!(fs::read(&kept).unwrap(), b"\x7fELFone");
}

#[test]
fn configuration_is_run_as_it_was_deployed() {
    let (app, data) = places();
    elf(app.path(), "one");
    let config = app.path().join("shop.toml");
    fs::write(&config, "workers = 1\n").unwrap();
    fs::set_permissions(&config, fs::Permissions::from_mode(0o644)).unwrap();
    let run = run(app.path(), &["./shop", "--config", "shop.toml"]);
    let v1 = revision(&run);
    keep(data.path(), &run, &v1).unwrap();
    let own = v1.digest.as_str().to_owned();
    assert_eq!(as_deployed(data.path(), &run, &v1).unwrap().files, BTreeMap::new());
    // In place, as editors do: another name for the same file would change with it.
    fs::write(&config, "workers = 2\n").unwrap();
    let found = as_deployed(data.path(), &run, &v1).unwrap();
    assert_eq!((found.program, found.digest), (None, own));
    assert_eq!(fs::read(&found.files[&config]).unwrap(), b"workers = 1\n");
    sweep(data.path(), &BTreeSet::from([v1.digest.as_str().to_owned()]));
    assert!(found.files[&config].exists());
    fs::write(&found.files[&config], "workers = 3\n").unwrap();
    let found = as_deployed(data.path(), &run, &v1).unwrap();
    assert!(found.files.is_empty() && found.digest.starts_with(CHANGED), "a harmed copy is none");
}
