//! `cargo xtask soak mutants`: breaks the engine by hand, bug by bug, in a copy of the workspace;
//! seeds of the simulator must notice each. Where one survives, a rule is missing.

use crate::{
    command,
    failure::{Doing, Failure, Result},
    root,
};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

/// Within so many seeds each must be caught.
const SEEDS: &str = "2000";

/// A bug: where, what, and what instead.
struct Mutant {
    name: String,
    file: String,
    text: String,
    instead: String,
    breaks: String,
}

/// Tries all of them, or those whose names hold a word.
pub fn run(words: &[&str]) -> Result<()> {
    let copy = copy()?;
    let mut survivors = Vec::new();
    println!("| mutant | breaks | caught by | seconds |\n|---|---|---|---|");
    let all = list()?;
    let wanted = |m: &&Mutant| words.is_empty() || words.iter().any(|word| m.name.contains(word));
    for mutant in all.iter().filter(wanted) {
        let started = Instant::now();
        let caught = with(mutant, &copy, || simulate(&copy))?;
        let took = started.elapsed().as_secs();
        let by = caught.as_deref().unwrap_or("NOTHING");
        println!("| {} | {} | {by} | {took} |", mutant.name, mutant.breaks);
        survivors.extend(caught.is_none().then_some(mutant.name.as_str()));
    }
    if survivors.is_empty() {
        return Ok(());
    }
    let names = survivors.join(", ");
    Err(Failure::new(format!("seeds do not notice: {names}; write down the rule they break")))
}

fn list() -> Result<Vec<Mutant>> {
    let path = root::path().join("crates/serin-sim/tests/mutants/engine.json");
    let text = fs::read_to_string(&path).doing(|| format!("reading {}", path.display()))?;
    let list: Vec<Value> =
        serde_json::from_str(&text).doing(|| format!("reading {}", path.display()))?;
    Ok(list.iter().map(mutant).collect())
}

fn mutant(value: &Value) -> Mutant {
    let text = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
    let (name, file, breaks) = (text("name"), text("file"), text("breaks"));
    Mutant { name, file, text: text("text"), instead: text("instead"), breaks }
}

/// A copy of what git knows, with its own target directory that is kept between runs.
fn copy() -> Result<PathBuf> {
    let copy = root::target().join("mutants/tree");
    let known = command::capture(Command::new("git").args(["ls-files"]).current_dir(root::path()))?;
    for file in known.lines() {
        let (from, to) = (root::path().join(file), copy.join(file));
        let doing = || format!("copying {file}");
        if let Some(folder) = to.parent() {
            fs::create_dir_all(folder).doing(doing)?;
        }
        // A file that is the same keeps its time, so that it is not built again.
        let Ok(text) = fs::read(&from) else { continue };
        if fs::read(&to).ok().as_ref() != Some(&text) {
            fs::write(&to, text).doing(doing)?;
        }
    }
    Ok(copy)
}

/// Does `work` while the mutant is in the copy.
fn with<T>(mutant: &Mutant, copy: &Path, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let path = copy.join(&mutant.file);
    let doing = || format!("changing {}", path.display());
    let sound = fs::read_to_string(&path).doing(doing)?;
    if sound.matches(&mutant.text).count() != 1 {
        return Err(Failure::new(format!("{} does not fit {} any more", mutant.name, mutant.file)));
    }
    fs::write(&path, sound.replace(&mutant.text, &mutant.instead)).doing(doing)?;
    let done = work();
    fs::write(&path, sound).doing(doing)?;
    done
}

/// The first rule that seeds see broken.
fn simulate(copy: &Path) -> Result<Option<String>> {
    let mut build = light(&["build", "--quiet", "--release", "-p", "serin-sim"], copy);
    let built = build.stderr(Stdio::null()).status().doing(|| "building a mutant".to_owned())?;
    if !built.success() {
        return Err(Failure::new("a mutant does not compile; write it differently"));
    }
    let program = copy.join("target/release/serin-sim");
    let mut seeds = Command::new(program);
    let output = seeds
        .args(["seeds", "--until-broken", "--seeds", SEEDS])
        .output()
        .doing(|| "playing seeds".to_owned())?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let first = text.lines().find(|line| line.starts_with("seed ")).map(shortened);
    Ok(first.or_else(|| (!output.status.success()).then(|| "a crash".to_owned())))
}

fn shortened(line: &str) -> String {
    line.chars().take(120).collect::<String>().replace('|', "/")
}

/// Cargo in the copy, for quick builds.
fn light(arguments: &[&str], copy: &Path) -> Command {
    let mut cargo = command::cargo(arguments);
    cargo.current_dir(copy).env("CARGO_TARGET_DIR", copy.join("target"));
    let settings = [
        ("LTO", "off"),
        ("OPT_LEVEL", "1"),
        ("CODEGEN_UNITS", "64"),
        ("INCREMENTAL", "true"),
        ("DEBUG", "0"),
    ];
    for (key, value) in settings {
        cargo.env(format!("CARGO_PROFILE_RELEASE_{key}"), value);
    }
    cargo
}
