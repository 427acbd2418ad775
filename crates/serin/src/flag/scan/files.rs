//! The files that git tracks, and what kind each is.

use crate::failure::Failure;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::process::Command;

/// Files larger than this are not read: generated, or data.
const LARGEST: u64 = 2 << 20;
/// Bytes looked at to tell text from the rest.
const START: usize = 8_000;
/// Tracked files, at most.
const MOST: usize = 500_000;

/// What a mention in a file is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A program, or its configuration.
    Code,
    /// A text for people.
    Prose,
    /// A file of flag definitions.
    Definitions,
}

impl Kind {
    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Code => "code",
            Self::Prose => "prose",
            Self::Definitions => "definitions",
        }
    }
}

/// Paths of the files tracked below `root`, relative to it.
pub fn tracked(root: &Path) -> Result<Vec<String>, Failure> {
    let git = Command::new("git").arg("-C").arg(root).args(["ls-files", "-z", "--cached"]).output();
    let output = git.map_err(|error| {
        Failure::usage("no-git", format!("git cannot be run: {error}")).hint("install git")
    })?;
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        let message = format!("`{}` is no git checkout: {why}", root.display());
        return Err(Failure::usage("no-checkout", message).hint("name a directory of a checkout"));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let paths: Vec<String> = text.split('\0').filter(|p| !p.is_empty()).map(Into::into).collect();
    if paths.len() > MOST {
        let message = format!("{} files are tracked, at most {MOST} are scanned", paths.len());
        return Err(Failure::usage("too-many-files", message).hint("scan a directory of it"));
    }
    Ok(paths)
}

/// The text of a file; `None` when it is no text, too large, or not there (a link, a submodule).
pub fn text(path: &Path) -> Option<String> {
    let meta = std::fs::symlink_metadata(path).ok()?;
    if !meta.is_file() || meta.len() > LARGEST {
        return None;
    }
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(LARGEST).read_to_end(&mut bytes).ok()?;
    let binary = bytes.iter().take(START).any(|byte| *byte == 0);
    (!binary).then(|| String::from_utf8_lossy(&bytes).into_owned())
}

/// What kind of file it is.
pub fn kind(path: &str, text: &str) -> Kind {
    let name = path.rsplit('/').next().unwrap_or(path);
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending).to_lowercase();
    match ending.as_str() {
        "md" | "markdown" | "rst" | "adoc" | "txt" => Kind::Prose,
        "json" if defines(text) => Kind::Definitions,
        _ if ["CHANGELOG", "LICENSE", "CODEOWNERS"].contains(&name) => Kind::Prose,
        _ => Kind::Code,
    }
}

/// Whether it is a document of flags: ours, flagd's, Unleash's or a list of them.
fn defines(text: &str) -> bool {
    let Ok(document) = serde_json::from_str::<serde_json::Value>(text) else { return false };
    let one = |value: &serde_json::Value| {
        value.get("flags").or_else(|| value.get("features")).is_some_and(|all| {
            let has = |flag: &serde_json::Value| {
                ["variants", "strategies", "variations", "defaultValue", "rules"]
                    .iter()
                    .any(|field| flag.get(field).is_some())
            };
            match all {
                serde_json::Value::Object(map) => map.values().any(has),
                serde_json::Value::Array(list) => list.iter().any(has),
                _ => false,
            }
        })
    };
    one(&document) || document.as_array().is_some_and(|list| list.iter().any(one))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_of_files() {
        let cases = [
            ("src/a.py", "", Kind::Code),
            ("README.md", "", Kind::Prose),
            ("docs/CODEOWNERS", "", Kind::Prose),
            ("flags.json", r#"{"flags":{"a":{"variants":{}}}}"#, Kind::Definitions),
            (
                "u.json",
                r#"{"version":1,"features":[{"name":"a","strategies":[]}]}"#,
                Kind::Definitions,
            ),
            ("package.json", r#"{"flags":["--x"]}"#, Kind::Code),
            ("broken.json", "{", Kind::Code),
        ];
        for (path, text, wanted) in cases {
            assert_eq!(kind(path, text), wanted, "{path}");
        }
    }
}
