//! All answers at once: what is the same for everybody is written out beforehand and counted
//! together.

use super::Set;
use super::entry::Entry;
use super::spoken::{self, Spoken};
use crate::access::TokenKind;
use crate::tally::{Named, Protocol};
use serin_flags::{Context, EvalError};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// One step of writing all answers.
enum Step {
    /// Flags whose answers nothing can change: this piece of the text.
    Fixed(Range<usize>),
    /// A flag that is evaluated.
    Asked(Asked),
}

/// A flag that is evaluated.
struct Asked {
    place: usize,
    named: Arc<Named>,
    /// Where its ranges begin.
    first: usize,
}

/// The answers of all flags in one piece of memory.
pub struct Bulk {
    text: Box<[u8]>,
    steps: Box<[Step]>,
    ranges: Box<[Range<usize>]>,
    fixed: Box<[(Arc<Named>, usize)]>,
    /// How often the fixed answers were given and not yet counted for each flag.
    given: AtomicU64,
    /// About how long all answers are, in bytes.
    pub usual_len: usize,
}

impl Bulk {
    /// Of all flags of a set, for an audience.
    pub fn of(set: &Set, audience: TokenKind) -> Self {
        let mut writer = Writer::default();
        for (place, (flag, entry)) in set.flags.flags().iter().zip(&set.entries).enumerate() {
            let told = entry.told(&set.source, flag, audience);
            match spoken::fixed(flag) {
                Some(outcome) => writer.fixed(entry, told, outcome),
                None => writer.asked(place, entry, told),
            }
        }
        Self {
            text: writer.text.into(),
            steps: writer.steps.into(),
            ranges: writer.ranges.into(),
            fixed: writer.fixed.into(),
            given: AtomicU64::new(0),
            usual_len: writer.usual_len,
        }
    }

    /// Counts for each flag what was given of it.
    pub fn settle(&self) {
        let given = self.given.swap(0, Ordering::Relaxed);
        if given > 0 {
            for (named, outcome) in &self.fixed {
                named.cells.add(*outcome, Protocol::OfrepBulk, given);
            }
        }
    }
}

impl Drop for Bulk {
    fn drop(&mut self) {
        self.settle();
    }
}

#[derive(Default)]
struct Writer {
    text: Vec<u8>,
    steps: Vec<Step>,
    ranges: Vec<Range<usize>>,
    fixed: Vec<(Arc<Named>, usize)>,
    usual_len: usize,
}

impl Writer {
    fn asked(&mut self, place: usize, entry: &Entry, told: &Spoken) {
        let (text, ranges) = told.parts();
        let (start, first) = (self.text.len(), self.ranges.len());
        self.text.extend_from_slice(text);
        let placed = |at: &Range<u32>| start + at.start as usize..start + at.end as usize;
        self.ranges.extend(ranges.iter().map(placed));
        self.usual_len += told.longest() + 1;
        self.steps.push(Step::Asked(Asked { place, named: entry.named.clone(), first }));
    }

    fn fixed(&mut self, entry: &Entry, told: &Spoken, outcome: usize) {
        let piece = told.answer(outcome);
        self.usual_len += piece.len() + 1;
        self.fixed.push((entry.named.clone(), outcome));
        let start = self.text.len();
        if let Some(Step::Fixed(range)) = self.steps.last_mut() {
            self.text.push(b',');
            self.text.extend_from_slice(&piece);
            range.end = self.text.len();
        } else {
            self.text.extend_from_slice(&piece);
            self.steps.push(Step::Fixed(start..self.text.len()));
        }
    }
}

impl Set {
    /// All answers of OFREP for an audience, ready to be given.
    pub fn bulk(&self, audience: TokenKind) -> &Bulk {
        let held = match audience {
            TokenKind::Backend => &self.bulk[0],
            TokenKind::Frontend => &self.bulk[1],
        };
        held.get_or_init(|| Bulk::of(self, audience))
    }

    /// Writes all of them, with commas between, and counts them. `failed` says what is written for a
    /// flag that cannot be evaluated.
    pub fn write_all(
        &self,
        bulk: &Bulk,
        context: &Context<'_>,
        now_s: u64,
        out: &mut Vec<u8>,
        failed: impl Fn(&str, &EvalError) -> String,
    ) {
        for (at, step) in bulk.steps.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            match step {
                Step::Fixed(range) => out.extend_from_slice(&bulk.text[range.clone()]),
                Step::Asked(asked) => match self.asked(bulk, asked, context, now_s) {
                    Ok(line) => out.extend_from_slice(line),
                    Err(error) => {
                        let key = self.flags.flags()[asked.place].key();
                        out.extend_from_slice(failed(key, &error).as_bytes());
                    }
                },
            }
        }
        bulk.given.fetch_add(1, Ordering::Relaxed);
    }

    fn asked<'b>(
        &self,
        bulk: &'b Bulk,
        asked: &Asked,
        context: &Context<'_>,
        now_s: u64,
    ) -> Result<&'b [u8], EvalError> {
        let flag = &self.flags.flags()[asked.place];
        let result = self.flags.evaluate_flag(flag, context, now_s.cast_signed());
        let outcome = match &result {
            Ok(resolution) => spoken::outcome(flag, resolution),
            Err(error) => spoken::failure(error.code),
        };
        asked.named.cells.add(outcome, Protocol::OfrepBulk, 1);
        result?;
        Ok(&bulk.text[bulk.ranges[asked.first + outcome].clone()])
    }
}
