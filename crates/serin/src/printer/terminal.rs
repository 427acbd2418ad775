//! What is at the other end of stdout and stderr.

use std::env;
use std::io::{IsTerminal as _, stderr, stdin, stdout};

/// When colours are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum ColorChoice {
    /// On a terminal, unless `NO_COLOR` is set; `CLICOLOR_FORCE` turns them on.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// One of the two outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// stdout: what was asked for.
    Out,
    /// stderr: everything else.
    Err,
}

impl Channel {
    /// Whether a person reads it as it comes.
    pub fn is_terminal(self) -> bool {
        match self {
            Self::Out => stdout().is_terminal(),
            Self::Err => stderr().is_terminal(),
        }
    }

    /// Columns and rows, if it is a terminal. `COLUMNS` and `LINES` win.
    pub fn size(self) -> Option<(usize, usize)> {
        if !self.is_terminal() {
            return None;
        }
        let size = match self {
            Self::Out => rustix::termios::tcgetwinsize(stdout()),
            Self::Err => rustix::termios::tcgetwinsize(stderr()),
        };
        let (columns, rows) = size.map_or((0, 0), |s| (s.ws_col.into(), s.ws_row.into()));
        let or = |name: &str, seen: usize, usual: usize| {
            let said = env::var(name).ok().and_then(|text| text.parse().ok());
            said.unwrap_or(if seen == 0 { usual } else { seen })
        };
        Some((or("COLUMNS", columns, 80), or("LINES", rows, 24)))
    }

    /// Whether colours are used.
    pub fn is_colored(self, choice: ColorChoice) -> bool {
        let set = |name: &str| env::var_os(name).is_some_and(|value| !value.is_empty());
        let forced = set("CLICOLOR_FORCE") && env::var("CLICOLOR_FORCE").as_deref() != Ok("0");
        match choice {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto if set("NO_COLOR") => false,
            ColorChoice::Auto if forced => true,
            ColorChoice::Auto => self.is_terminal() && env::var("TERM").as_deref() != Ok("dumb"),
        }
    }
}

/// Whether questions can be asked.
pub fn can_ask() -> bool {
    stdin().is_terminal() && stderr().is_terminal()
}

/// Whether lines may be redrawn in place: not for a log, a dumb terminal or a pipeline.
pub fn can_redraw(channel: Channel) -> bool {
    let in_pipeline =
        env::var("CI").is_ok_and(|value| !matches!(value.as_str(), "" | "0" | "false"));
    let dumb = env::var("TERM").is_ok_and(|term| term == "dumb");
    channel.is_terminal() && !in_pipeline && !dumb
}

/// Whether the locale can show more than ASCII.
pub fn is_utf8() -> bool {
    let set = |name: &&str| env::var(name).is_ok_and(|value| !value.is_empty());
    let name = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find(set);
    let value = name.and_then(|name| env::var(name).ok()).unwrap_or_default().to_ascii_lowercase();
    value.contains("utf-8") || value.contains("utf8")
}
