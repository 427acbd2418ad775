//! The only module that writes to stdout and stderr.
//!
//! What was asked for goes to stdout, everything else to stderr. Colours and cursor movements
//! only where a terminal takes them.

mod hang;
mod lines;
mod live;
mod style;
mod terminal;

pub use lines::Lines;
pub use live::Live;
pub use style::{Glyphs, Line, Tone, wrap};
pub use terminal::{Channel, ColorChoice, can_ask};

use crate::client::Document;
use crate::failure::Failure;
use serde::Serialize;
use std::io::{self, BufRead as _, ErrorKind};
use std::sync::atomic::{AtomicBool, Ordering};

/// How much is said, and how.
#[derive(Debug, Clone, Copy, Default)]
#[allow(clippy::struct_excessive_bools)] // each is a flag of its own
pub struct Settings {
    /// Documents instead of text.
    pub json: bool,
    /// Only what was asked for, and errors.
    pub quiet: bool,
    /// Also what goes on behind it.
    pub verbose: bool,
    /// When colours are used.
    pub color: ColorChoice,
    /// No redrawing, also on a terminal.
    pub no_progress: bool,
}

/// Writes everything a command says.
#[derive(Debug)]
pub struct Printer {
    settings: Settings,
    out_color: bool,
    err_color: bool,
    glyphs: Glyphs,
    broken: AtomicBool,
}

impl Printer {
    /// For the terminal, file or pipe this process has.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            out_color: Channel::Out.is_colored(settings.color),
            err_color: Channel::Err.is_colored(settings.color),
            glyphs: if terminal::is_utf8() { Glyphs::UNICODE } else { Glyphs::ASCII },
            broken: AtomicBool::new(false),
        }
    }

    /// Whether documents are wanted.
    pub fn is_json(&self) -> bool {
        self.settings.json
    }

    /// Whether what is shown on `channel` may be redrawn in place.
    pub fn can_redraw(&self, channel: Channel) -> bool {
        let quiet = self.settings.json || self.settings.no_progress || self.settings.quiet;
        !quiet && terminal::can_redraw(channel)
    }

    /// The signs to use.
    pub fn glyphs(&self) -> Glyphs {
        self.glyphs
    }

    /// Whether `channel` has colours.
    pub fn has_color(&self, channel: Channel) -> bool {
        match channel {
            Channel::Out => self.out_color,
            Channel::Err => self.err_color,
        }
    }

    /// Whether something could not be written that was asked for.
    pub fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Relaxed)
    }

    /// A line of what was asked for.
    pub fn data(&self, line: &Line) {
        self.line(Channel::Out, line);
    }

    /// Text of what was asked for, as it is, line by line.
    pub fn data_text(&self, text: &str) {
        self.raw(Channel::Out, &with_end(text));
    }

    /// A document of what was asked for, on one line.
    pub fn document<T: Serialize>(&self, document: &T) {
        match serde_json::to_string(document) {
            Ok(text) => self.raw(Channel::Out, &with_end(&text)),
            Err(error) => self.failure(&Failure::internal(format!("cannot write JSON: {error}"))),
        }
    }

    /// Many documents on stdout, one a line.
    pub fn lines(&self) -> Lines<'_> {
        Lines::new(self)
    }

    /// A document of the server, as it came.
    pub fn pass(&self, document: &Document) {
        self.raw(Channel::Out, &with_end(&document.text()));
    }

    /// A line beside what was asked for; not with `--quiet`.
    pub fn note(&self, line: &Line) {
        if !self.settings.quiet {
            self.line(Channel::Err, line);
        }
    }

    /// A line of what goes on behind it; only with `--verbose`.
    pub fn trace(&self, text: &str) {
        if self.settings.verbose {
            self.line(Channel::Err, &Line::toned(Tone::Dim, text));
        }
    }

    /// A line that must be seen, also with `--quiet`.
    pub fn alarm(&self, line: &Line) {
        self.line(Channel::Err, line);
    }

    /// Text drawn elsewhere that must be seen, such as the errors of a file.
    pub fn alarm_text(&self, text: &str) {
        self.raw(Channel::Err, &with_end(text));
    }

    /// Why the command failed.
    pub fn failure(&self, failure: &Failure) {
        if let Some(detail) = &failure.detail {
            self.alarm_text(detail);
        }
        self.alarm(&Line::toned(Tone::Bad, "error").text(": ").text(&failure.message));
        if let Some(hint) = &failure.hint {
            self.hint(hint);
        }
    }

    /// One thing to do after an error.
    pub fn hint(&self, hint: &str) {
        self.alarm(&Line::new());
        self.alarm(&Line::toned(Tone::Accent, "hint").text(": ").text(hint));
    }

    /// A block on `channel` that is kept up to date in place.
    pub fn live(&self, channel: Channel) -> Live<'_> {
        Live::new(self, channel)
    }

    /// A line on `channel`.
    pub fn line(&self, channel: Channel, line: &Line) {
        self.raw(channel, &with_end(&self.paint(channel, line)));
    }

    /// Asks, and gives the answer. Only where [`can_ask`] is true.
    pub fn ask(&self, question: &Line) -> io::Result<String> {
        self.raw(Channel::Err, &format!("{} ", self.paint(Channel::Err, question)));
        let mut answer = String::new();
        io::stdin().lock().read_line(&mut answer)?;
        Ok(answer.trim().to_owned())
    }

    fn paint(&self, channel: Channel, line: &Line) -> String {
        line.paint(self.has_color(channel))
    }

    /// A reader that went away has all it wants; anything else is remembered.
    fn raw(&self, channel: Channel, text: &str) {
        let written = match channel {
            Channel::Out => write_all(&mut io::stdout().lock(), text),
            Channel::Err => write_all(&mut io::stderr().lock(), text),
        };
        let failed = written.is_err_and(|error| error.kind() != ErrorKind::BrokenPipe);
        if failed && channel == Channel::Out {
            self.broken.store(true, Ordering::Relaxed);
        }
    }
}

fn write_all(target: &mut impl io::Write, text: &str) -> io::Result<()> {
    target.write_all(text.as_bytes())?;
    target.flush()
}

fn with_end(text: &str) -> String {
    if text.ends_with('\n') { text.to_owned() } else { format!("{text}\n") }
}
