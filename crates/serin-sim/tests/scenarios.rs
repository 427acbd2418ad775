//! Every script in `scenarios/` against its golden transcript. `SERIN_BLESS=1` rewrites them.

use serin_sim::script;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios")
}

/// Names of the files with this extension.
fn named(extension: &str) -> BTreeSet<String> {
    let files =
        fs::read_dir(folder()).expect("a folder").map(|entry| entry.expect("a file").path());
    let files = files.filter(|path| path.extension().is_some_and(|e| e == extension));
    files.map(|path| path.file_stem().expect("a name").to_string_lossy().into_owned()).collect()
}

/// What is wrong with a scenario, if anything.
fn check(name: &str) -> Option<String> {
    let script = fs::read_to_string(folder().join(format!("{name}.txt"))).expect("a script");
    let transcript = match script::run(&script) {
        Ok(transcript) => transcript,
        Err(error) => return Some(format!("{name}.txt: {error}")),
    };
    let golden = folder().join(format!("{name}.out"));
    if std::env::var_os("SERIN_BLESS").is_some() {
        fs::write(golden, transcript).expect("room for the transcript");
        return None;
    }
    let expected = fs::read_to_string(golden).unwrap_or_default();
    first_difference(&expected, &transcript).map(|text| format!("{name}.out: {text}"))
}

fn first_difference(expected: &str, found: &str) -> Option<String> {
    if expected == found {
        return None;
    }
    let (mut old, mut new) = (expected.lines(), found.lines());
    for line in 1.. {
        let (old, new) = (old.next(), new.next());
        if old != new || old.is_none() {
            let shown = |line: Option<&str>| line.unwrap_or("the end").to_owned();
            let (old, new) = (shown(old), shown(new));
            return Some(format!("line {line}\n  expected: {old}\n  found:    {new}"));
        }
    }
    None
}

#[test]
fn every_transcript_is_as_written() {
    let names: Vec<String> = named("txt").into_iter().collect();
    let wrong: Vec<String> = std::thread::scope(|scope| {
        let started: Vec<_> = names
            .chunks(names.len().div_ceil(2))
            .map(|half| {
                scope.spawn(move || half.iter().filter_map(|name| check(name)).collect::<Vec<_>>())
            })
            .collect();
        started.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert!(wrong.is_empty(), "`SERIN_BLESS=1` takes over what is right\n{}", wrong.join("\n"));
}

#[test]
fn every_transcript_has_a_script() {
    assert_eq!(named("out").difference(&named("txt")).next(), None);
}
