//! The user's file on the disk.

use crate::exit::Exit;
use crate::failure::Failure;
use serin_spec::{Loaded, Problems, Source};
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// Bytes that are read of a file; one above what may be in it, so that too much is noticed.
const MOST: u64 = (1 << 20) + 1;

/// A file that was read.
#[derive(Debug)]
pub struct File {
    /// Its path as the user wrote it.
    pub name: String,
    /// Its text.
    pub text: String,
    /// The absolute directory its relative paths count from.
    pub base_dir: PathBuf,
}

impl File {
    /// Reads a file, or standard input for `-`.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let stdin = path == Path::new("-");
        let name = if stdin { "<stdin>".into() } else { path.to_string_lossy().into_owned() };
        let bytes = if stdin { all(std::io::stdin().lock()) } else { read(path) };
        let bytes = bytes.map_err(|error| unreadable(&name, &error))?;
        let text = String::from_utf8(bytes).map_err(|error| not_text(&name, &error))?;
        let place = if stdin { Path::new("./stdin") } else { path };
        let absolute = std::path::absolute(place)
            .map_err(|error| Failure::internal(format!("cannot resolve `{name}`: {error}")))?;
        let base_dir = absolute.parent().unwrap_or(Path::new("/")).to_path_buf();
        Ok(Self { name, text, base_dir })
    }

    /// The same for the reader of the format.
    pub fn source(&self) -> Source<'_> {
        Source { name: &self.name, text: &self.text, base_dir: &self.base_dir }
    }

    /// Its services, or the failure that shows all that is wrong.
    pub fn load(&self, color: bool) -> Result<Loaded, Failure> {
        serin_spec::load(&self.source()).map_err(|problems| self.failure(&problems, color))
    }

    /// The failure that shows these problems.
    pub fn failure(&self, problems: &Problems, color: bool) -> Failure {
        let errors =
            problems.0.iter().filter(|p| p.severity == serin_spec::Severity::Error).count();
        let message = match errors {
            1 => format!("{} has 1 error; nothing was changed", self.name),
            n => format!("{} has {n} errors; nothing was changed", self.name),
        };
        let detail = problems.render(&self.source(), color);
        Failure { detail: Some(detail), ..Failure::new(Exit::Usage, "invalid-file", message) }
    }
}

fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    all(std::fs::File::open(path)?)
}

fn all(source: impl std::io::Read) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    source.take(MOST).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn unreadable(name: &str, error: &std::io::Error) -> Failure {
    Failure::usage("unreadable-file", format!("cannot read `{name}`: {error}"))
        .hint("name a file that is there and may be read")
}

fn not_text(name: &str, error: &std::string::FromUtf8Error) -> Failure {
    let at = error.utf8_error().valid_up_to();
    let message = format!("`{name}` is not UTF-8 text: byte {at} does not belong there");
    Failure::usage("not-text", message).hint("save it as UTF-8")
}
