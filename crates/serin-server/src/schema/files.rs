//! The migrations that a file names: read when it is deployed, and kept with the revision, so that
//! what was planned is what runs.

use serin_core::{MigrationFile, ServiceSpec, Step};
use serin_migrate::{Flaw, Flaws, Migration, PhasedSet, annotated, phased};
use serin_spec::{Located, Problem, Severity, document_tree};
use sha2::{Digest, Sha256};
use std::io::Read;
use std::path::{Path, PathBuf};

/// Bytes of all migrations that one service brings.
const MAX_BYTES: u64 = 256 << 10;

/// Files in one folder.
const MAX_FILES: usize = 1000;

/// Endings of migrations.
const ENDINGS: [&str; 4] = ["yaml", "yml", "json", "sql"];

/// Reads the migrations of all `services` into them; everything that is wrong, at the step that
/// names it.
pub fn read_migrations(services: &mut [Located<ServiceSpec>]) -> Vec<Problem> {
    services.iter_mut().flat_map(read_into).collect()
}

fn read_into(service: &mut Located<ServiceSpec>) -> Vec<Problem> {
    let Some(path) = step_path(&service.value) else { return vec![] };
    let at = service.path_of("migrate").unwrap_or("spec.strategy").to_owned();
    let files = match read(Path::new(&path)) {
        Ok(files) => files,
        Err(wrong) => {
            let problem = |text| service.problem(Severity::Error, "migration", &at, text);
            return wrong.into_iter().map(problem).collect();
        }
    };
    let hash = hash(&files);
    let steps = service.value.schedule.stages.iter_mut().flat_map(|stage| &mut stage.steps);
    for step in steps {
        if let Step::Migrate(step) = step {
            step.files = files.clone().into();
        }
    }
    if let Some(database) = service.value.run.database.as_mut() {
        database.migration = Some(hash);
    }
    vec![]
}

fn step_path(spec: &ServiceSpec) -> Option<String> {
    spec.schedule.steps().find_map(|(_, step)| match step {
        Step::Migrate(step) => Some(step.path.clone()),
        _ => None,
    })
}

/// All of them with their texts, or everything that is wrong with them.
fn read(path: &Path) -> Result<Vec<MigrationFile>, Vec<String>> {
    let paths = listed(path).map_err(|why| vec![why])?;
    let (mut files, mut wrong, mut left) = (Vec::new(), Vec::new(), MAX_BYTES);
    for path in &paths {
        match read_one(path, &mut left) {
            Ok(file) => files.push(file),
            Err(why) => wrong.push(why),
        }
    }
    let newest = files.len().saturating_sub(1);
    for (at, file) in files.iter_mut().enumerate() {
        let name = file.name.clone();
        match parsed(file) {
            Ok(read) => {
                read.name().clone_into(&mut file.name);
                // What was applied before is as it is.
                let found = if at == newest { blocking(&read) } else { vec![] };
                wrong.extend(found.into_iter().map(|text| format!("migration {name}: {text}")));
            }
            Err(flaws) => {
                wrong.extend(flaws.0.iter().map(|flaw| format!("migration {name}: {flaw}")));
            }
        }
    }
    if wrong.is_empty() { Ok(files) } else { Err(wrong) }
}

/// The file, or those of the folder in the order of their names.
fn listed(path: &Path) -> Result<Vec<PathBuf>, String> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let unread = |error: std::io::Error| format!("`{}` cannot be read: {error}", path.display());
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(unread)? {
        let file = entry.map_err(unread)?.path();
        let ending = file.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        if ENDINGS.contains(&ending) && file.is_file() {
            files.push(file);
        }
    }
    files.sort();
    match files.len() {
        0 => Err(format!(
            "there is no migration in `{}`: files end in .yaml or .sql",
            path.display()
        )),
        n if n > MAX_FILES => Err(format!("`{}` has {n} files; allowed are 1000", path.display())),
        _ => Ok(files),
    }
}

fn read_one(path: &Path, left: &mut u64) -> Result<MigrationFile, String> {
    let shown = path.display();
    let unread = |error: std::io::Error| format!("`{shown}` cannot be read: {error}");
    let file = std::fs::File::open(path).map_err(unread)?;
    let mut text = String::new();
    let bytes = file.take(*left + 1).read_to_string(&mut text).map_err(unread)? as u64;
    if bytes > *left {
        return Err(format!("`{shown}`: the migrations have more than {MAX_BYTES} bytes in all"));
    }
    *left -= bytes;
    let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let sql = path.extension().is_some_and(|ending| ending == "sql");
    Ok(MigrationFile { name: name.unwrap_or_default(), text, sql })
}

/// What a file holds.
#[derive(Debug, Clone)]
pub(crate) enum Written {
    /// Operations, in pgroll's format.
    Operations(Box<Migration>),
    /// Phased SQL.
    Phased(Box<PhasedSet>),
}

impl Written {
    /// Its name in the history.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Operations(migration) => &migration.name,
            Self::Phased(set) => set.set.as_str(),
        }
    }
}

/// What the rules find in SQL by hand that must not be run.
fn blocking(written: &Written) -> Vec<String> {
    let Written::Phased(set) = written else { return vec![] };
    let found = serin_lint::lint_phased(set, None);
    let blocks = found.iter().filter(|finding| finding.blocks());
    let told = |finding: &serin_lint::Finding| {
        format!(
            "{} ({}, at {}); correct it, or allow it in the SQL with `-- serin:allow {} REASON`",
            finding.message, finding.rule, finding.path, finding.rule
        )
    };
    blocks.map(told).collect()
}

/// What a file says.
///
/// # Errors
/// Everything that is wrong with its form.
pub(crate) fn parsed(file: &MigrationFile) -> Result<Written, Flaws> {
    let by_hand = |set: PhasedSet| Written::Phased(Box::new(set));
    if file.sql {
        return phased(&file.name, &annotated(&file.text)?.document).map(by_hand);
    }
    let flaw = |text: String| Flaws(vec![Flaw::new("", text)]);
    let documents = document_tree(&file.text).map_err(|problems| {
        let first = problems.0.first();
        let said = first.map(|p| format!("line {}: {}", p.line, p.message));
        flaw(said.unwrap_or_else(|| "it cannot be read".into()))
    })?;
    let [document] = documents.as_slice() else {
        return Err(flaw(format!("it has {} documents; a migration is one", documents.len())));
    };
    if document.value["kind"] == "PhasedSql" {
        return phased(&file.name, &document.value).map(by_hand);
    }
    let migration = serin_migrate::migration(&file.name, &document.value)?;
    Ok(Written::Operations(Box::new(migration)))
}

/// Tells other migrations, or the same with another text, from these.
fn hash(files: &[MigrationFile]) -> String {
    let mut hash = Sha256::new();
    for part in files.iter().flat_map(|file| [&file.name, &file.text]) {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    let add = |text: String, byte: &u8| text + &format!("{byte:02x}");
    hash.finalize().iter().take(16).fold(String::new(), add)
}
