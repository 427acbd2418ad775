//! Many documents, one a line, written together.

use super::Printer;
use crate::failure::Failure;
use serde::Serialize;
use std::io::{BufWriter, ErrorKind, StdoutLock, Write as _, stdout};
use std::sync::atomic::Ordering;

/// Collects lines for stdout; all are written when it is dropped.
pub struct Lines<'a> {
    printer: &'a Printer,
    out: BufWriter<StdoutLock<'static>>,
    /// The reader went away, or nothing can be written.
    closed: bool,
}

impl<'a> Lines<'a> {
    pub(super) fn new(printer: &'a Printer) -> Self {
        let out = BufWriter::with_capacity(1 << 16, stdout().lock());
        Self { printer, out, closed: false }
    }

    /// One document.
    pub fn document<T: Serialize>(&mut self, document: &T) {
        if self.closed {
            return;
        }
        match serde_json::to_vec(document) {
            Ok(mut line) => {
                line.push(b'\n');
                let written = self.out.write_all(&line);
                self.note(written);
            }
            Err(error) => {
                self.printer.failure(&Failure::internal(format!("cannot write JSON: {error}")));
            }
        }
    }

    /// Writes what was collected.
    pub fn flush(&mut self) {
        if !self.closed {
            let flushed = self.out.flush();
            self.note(flushed);
        }
    }

    /// Bytes of lines, as they are.
    pub fn text(&mut self, text: &[u8]) {
        if !self.closed {
            let written = self.out.write_all(text);
            self.note(written);
        }
    }

    /// A reader that went away has all it wants; anything else is remembered.
    fn note(&mut self, written: std::io::Result<()>) {
        let Err(error) = written else { return };
        self.closed = true;
        if error.kind() != ErrorKind::BrokenPipe {
            self.printer.broken.store(true, Ordering::Relaxed);
        }
    }
}

impl Drop for Lines<'_> {
    fn drop(&mut self) {
        self.flush();
    }
}
