//! `serin migrate export --pgroll`: the same files without what pgroll does not know.

use super::args::ExportArgs;
use super::source::{self, What, Written};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::printer::{Channel, Line, Printer};
use serde_json::Value;
use serin_migrate::Operation;
use std::path::Path;

/// `serin migrate export`.
pub fn export(printer: &Printer, args: &ExportArgs) -> Result<Exit, Failure> {
    let files = source::all(&args.files.path, printer.has_color(Channel::Err))?;
    let mut written = Vec::new();
    for file in &files {
        written.push((file, stripped(file)?));
    }
    match (&args.to, written.as_slice()) {
        (Some(directory), all) => save(printer, directory, all)?,
        (None, [(_, text)]) => printer.data_text(text),
        (None, all) => {
            let message = format!("{} files do not go to stdout", all.len());
            return Err(Failure::usage("no-directory", message).hint("say where: `--to DIR`"));
        }
    }
    Ok(Exit::Reached)
}

fn save(printer: &Printer, directory: &Path, all: &[(&Written, String)]) -> Result<(), Failure> {
    let failed = |error: std::io::Error| {
        let message = format!("cannot write to `{}`: {error}", directory.display());
        Failure::usage("unwritable", message).hint("name a directory that can be written")
    };
    std::fs::create_dir_all(directory).map_err(failed)?;
    for (file, text) in all {
        let name = Path::new(&file.file.name).file_name().unwrap_or_default();
        std::fs::write(directory.join(name), text).map_err(failed)?;
    }
    printer.note(&Line::plain(format!("{} files are in {}", all.len(), directory.display())));
    Ok(())
}

/// The file without the block `serin`, everything else as it was written.
fn stripped(written: &Written) -> Result<String, Failure> {
    let name = &written.file.name;
    let no =
        |message: String, hint: &str| Err(Failure::usage("not-for-pgroll", message).hint(hint));
    let What::Operations(migration) = &written.what else {
        return no(format!("{name} is phased SQL, which pgroll does not know"), "leave it out");
    };
    if let Some(own) = migration.operations.iter().find_map(own_operation) {
        return no(format!("{name} uses `{own}`, which pgroll does not know"), "write it as `sql`");
    }
    let text = &written.file.text;
    if let Ok(Value::Object(mut document)) = serde_json::from_str::<Value>(text) {
        document.remove("serin");
        let text = serde_json::to_string_pretty(&document);
        return text.map(|text| text + "\n").map_err(|error| Failure::internal(error.to_string()));
    }
    let stripped = without_block(text);
    let same = serin_spec::document_tree(&stripped).ok().and_then(|mut all| all.pop());
    let wanted = serin_spec::document_tree(text).ok().and_then(|mut all| all.pop());
    let wanted = wanted.map(|tree| without_key(tree.value));
    if same.map(|tree| tree.value) != wanted {
        return no(
            format!("the block `serin` of {name} cannot be taken out"),
            "write it in lines of its own, below a line `serin:`",
        );
    }
    Ok(stripped)
}

fn without_key(mut document: Value) -> Value {
    if let Value::Object(map) = &mut document {
        map.remove("serin");
    }
    document
}

/// The lines of YAML without the top-level key `serin` and what is indented below it.
fn without_block(text: &str) -> String {
    let mut kept = String::new();
    let mut inside = false;
    for line in text.split_inclusive('\n') {
        let begins = line.starts_with(|c: char| !c.is_whitespace() && c != '#');
        if begins {
            inside = line.starts_with("serin:");
        }
        if !inside {
            kept.push_str(line);
        }
    }
    kept
}

/// The word of an operation that is ours.
fn own_operation(operation: &Operation) -> Option<String> {
    let value = serde_json::to_value(operation).ok()?;
    let word = value.as_object()?.keys().next()?.clone();
    word.starts_with("x_").then_some(word)
}

#[cfg(test)]
mod tests {
    use super::without_block;

    #[test]
    fn only_the_block_goes() {
        let text = "# A\noperations:\n  - sql: {up: x}\nserin:\n  # ours\n  contract:\n    after: 1h\nname: a\n";
        assert_eq!(without_block(text), "# A\noperations:\n  - sql: {up: x}\nname: a\n");
        assert_eq!(without_block("serin: {}\nname: a\n"), "name: a\n");
        assert_eq!(without_block("name: a\n"), "name: a\n");
    }
}
