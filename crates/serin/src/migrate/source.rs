//! Files of migrations: YAML, JSON, and SQL with comments.

use crate::failure::Failure;
use crate::file::File;
use serde_json::Value;
use serin_migrate::{Flaw, Flaws, Migration, PhasedSet, annotated, migration, phased};
use serin_spec::{Located, Mark, Problem, Problems, Severity, document_tree};
use std::path::{Path, PathBuf};

/// Files in one directory.
const MOST: usize = 10_000;

/// What the names of migrations end with.
const ENDINGS: [&str; 4] = ["yaml", "yml", "json", "sql"];

/// A file that holds a migration.
pub struct Written {
    /// The file.
    pub file: File,
    /// The migration.
    pub what: What,
    places: Places,
}

/// What a file holds.
pub enum What {
    /// Operations, in pgroll's format.
    Operations(Box<Migration>),
    /// Phased SQL.
    Phased(Box<PhasedSet>),
}

/// Where the parts of a migration stand.
enum Places {
    Tree(Box<Located<Value>>),
    /// Lines at which pieces begin.
    Lines(std::collections::BTreeMap<String, usize>),
}

impl Written {
    /// Its name in the history.
    pub fn name(&self) -> &str {
        match &self.what {
            What::Operations(migration) => &migration.name,
            What::Phased(set) => set.set.as_str(),
        }
    }

    /// `file:line:column` of something at `path`; `line` counts from 1 inside a piece of SQL.
    pub fn place(&self, path: &str, line: Option<usize>) -> String {
        let name = &self.file.name;
        match &self.places {
            Places::Tree(tree) => {
                let Mark { line: start, column, .. } = tree.mark_of(path);
                // A block of SQL begins in the line after its key.
                let inside = line.filter(|_| self.is_block(*start));
                match inside {
                    Some(line) => format!("{name}:{}", start + line),
                    None => format!("{name}:{start}:{column}"),
                }
            }
            Places::Lines(lines) => {
                let start = lines.get(path).or_else(|| lines.get(part_of(path))).copied();
                format!("{name}:{}", start.unwrap_or(1) + line.map_or(0, |line| line - 1))
            }
        }
    }

    fn is_block(&self, line: usize) -> bool {
        let text = self.file.text.lines().nth(line - 1).unwrap_or_default().trim_end();
        text.ends_with(['|', '>', '-', '+']) && (text.contains(": |") || text.contains(": >"))
    }
}

/// `migrations[1]` of `migrations[1].up_sql`.
fn part_of(path: &str) -> &str {
    path.split('.').next().unwrap_or(path)
}

/// The migrations at a path: one file, or all of a directory in the order of their names.
pub fn all(path: &Path, color: bool) -> Result<Vec<Written>, Failure> {
    let files = if path.is_dir() { listed(path)? } else { vec![path.to_owned()] };
    files.iter().map(|file| one(file, color)).collect()
}

fn listed(directory: &Path) -> Result<Vec<PathBuf>, Failure> {
    let unreadable = |error: std::io::Error| {
        Failure::usage("unreadable", format!("cannot read `{}`: {error}", directory.display()))
            .hint("name a file or directory of migrations, as in `serin migrate lint migrations/`")
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if ENDINGS.contains(&ending) && !hidden && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    if files.len() > MOST {
        let message = format!("`{}` holds more than {MOST} migrations", directory.display());
        return Err(Failure::usage("too-many", message).hint("move old ones elsewhere"));
    }
    if files.is_empty() {
        let message = format!("`{}` holds no migration", directory.display());
        return Err(Failure::usage("no-migrations", message)
            .hint("write one: a file that ends with .yaml, .json or .sql"));
    }
    Ok(files)
}

fn one(path: &Path, color: bool) -> Result<Written, Failure> {
    let file = File::read(path)?;
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    if path.extension().is_some_and(|ending| ending == "sql") {
        return of_sql(file, &stem, color);
    }
    let mut documents =
        document_tree(&file.text).map_err(|problems| file.failure(&problems, color))?;
    let count = documents.len();
    let Some(tree) = documents.pop().filter(|_| count == 1) else {
        let message = format!("{} holds {count} documents, not one migration", file.name);
        return Err(Failure::usage("invalid-file", message).hint("write one migration a file"));
    };
    match read(&stem, &tree.value) {
        Ok(what) => Ok(Written { file, what, places: Places::Tree(Box::new(tree)) }),
        Err(flaws) => {
            let problems = flaws.0.iter().map(|flaw| problem(&tree, flaw)).collect();
            Err(file.failure(&Problems(problems), color))
        }
    }
}

fn read(stem: &str, document: &Value) -> Result<What, Flaws> {
    if document.get("kind").and_then(Value::as_str) == Some("PhasedSql") {
        return phased(stem, document).map(|set| What::Phased(Box::new(set)));
    }
    if document.get("migrations").is_some() && document.get("operations").is_none() {
        let flaw = Flaw::new("migrations", "is phased SQL, but nothing says so");
        return Err(Flaws(vec![flaw.hint("add `kind: PhasedSql`")]));
    }
    migration(stem, document).map(|migration| What::Operations(Box::new(migration)))
}

fn problem(tree: &Located<Value>, flaw: &Flaw) -> Problem {
    let path = if flaw.path.is_empty() { "the migration" } else { flaw.path.as_str() };
    let message = format!("{path}: {}", flaw.message);
    let problem = tree.problem(Severity::Error, "invalid-migration", &flaw.path, message);
    match &flaw.hint {
        Some(hint) => problem.hint(hint.as_str()),
        None => problem,
    }
}

fn of_sql(file: File, stem: &str, _color: bool) -> Result<Written, Failure> {
    let told = |flaws: &Flaws, place: &dyn Fn(&Flaw) -> String| {
        let line = |flaw: &Flaw| format!("{}: {flaw}", place(flaw));
        let detail: Vec<String> = flaws.0.iter().map(line).collect();
        let message = format!("{} has {} errors; nothing was changed", file.name, flaws.0.len());
        let message = message.replace(" 1 errors", " 1 error");
        Failure { detail: Some(detail.join("\n")), ..Failure::usage("invalid-file", message) }
    };
    let name = file.name.clone();
    let read = annotated(&file.text).map_err(|flaws| told(&flaws, &|_| name.clone()))?;
    let line = |flaw: &Flaw| {
        let at = read.lines.get(&flaw.path).or_else(|| read.lines.get(part_of(&flaw.path)));
        format!("{name}:{}", at.unwrap_or(&1))
    };
    let set = phased(stem, &read.document).map_err(|flaws| told(&flaws, &line))?;
    Ok(Written { file, what: What::Phased(Box::new(set)), places: Places::Lines(read.lines) })
}
