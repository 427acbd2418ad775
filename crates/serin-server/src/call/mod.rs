//! Runs a program or makes an HTTP call once, within limits: for tests of a step, and to tell
//! people something.

pub(crate) mod command;
pub(crate) mod http;
pub(crate) mod text;

use serin_core::EnvValue;
use std::path::Path;

/// What one try came to.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) passed: bool,
    pub(crate) text: String,
}

impl Outcome {
    pub(crate) fn failed(text: impl Into<String>) -> Self {
        Self { passed: false, text: text.into() }
    }
}

/// A value that is read for every try and never stored; `directory` is where its file is looked
/// for.
pub(crate) fn resolve(name: &str, value: &EnvValue, directory: &Path) -> Result<String, String> {
    match value {
        EnvValue::Literal(text) => Ok(text.clone()),
        EnvValue::FromEnv(from) => {
            std::env::var(from).map_err(|_| format!("{name}: the server has no variable `{from}`"))
        }
        EnvValue::FromFile(path) => {
            let path = directory.join(path);
            let read = std::fs::read_to_string(&path);
            let text = read.map_err(|why| format!("{name}: `{}`: {why}", path.display()))?;
            Ok(text.strip_suffix('\n').unwrap_or(&text).to_owned())
        }
    }
}
