//! What is made of one flag beside what evaluates it. Sets that have the very same flag share it.

use super::Source;
use super::spoken::{self, Spoken};
use super::strategy;
use crate::access::TokenKind;
use crate::tally::{Named, Tally};
use serin_flags::{Flag, FlagSet};
use std::sync::{Arc, OnceLock};

/// A flag in a form that clients evaluate themselves.
pub enum Piece {
    /// As JSON.
    Text(Box<str>),
    /// They do not get it.
    Nothing,
    /// It cannot be written.
    Failed,
}

/// What is made of one flag.
pub struct Entry {
    /// What its answers are called, and how often each was given.
    pub named: Arc<Named>,
    /// Its answers for whoever may see everything.
    pub spoken: Spoken,
    /// Its answers for web pages, where those are others.
    for_pages: OnceLock<Option<Spoken>>,
    /// For clients of flagd.
    pub portable: OnceLock<Piece>,
    /// For clients of Unleash.
    pub feature: OnceLock<Piece>,
}

impl Entry {
    fn of(source: &Source, flag: &Flag, tally: &Tally) -> Self {
        let written = source.written(flag.key());
        let strategy = strategy::of(flag, written);
        Self {
            named: tally.named(spoken::named(source.name(), flag, strategy)),
            spoken: Spoken::of(flag, written, TokenKind::Backend),
            for_pages: OnceLock::new(),
            portable: OnceLock::new(),
            feature: OnceLock::new(),
        }
    }

    /// Its answers for an audience.
    pub fn told(&self, source: &Source, flag: &Flag, audience: TokenKind) -> &Spoken {
        let make = || {
            let shown = spoken::shown(flag.metadata(), audience);
            let differs = *shown != *flag.metadata();
            differs.then(|| Spoken::of(flag, source.written(flag.key()), audience))
        };
        match audience {
            TokenKind::Backend => &self.spoken,
            TokenKind::Frontend => {
                self.for_pages.get_or_init(make).as_ref().unwrap_or(&self.spoken)
            }
        }
    }
}

/// An entry for each flag, in their order: those of `before` where the flag is the very same.
pub fn entries(
    source: &Source,
    flags: &FlagSet,
    before: Option<(&FlagSet, &[Arc<Entry>])>,
    tally: &Tally,
) -> Box<[Arc<Entry>]> {
    let held = before.into_iter().flat_map(|(flags, entries)| flags.flags().iter().zip(entries));
    let mut held = held.peekable();
    let mut one = |flag: &Arc<Flag>| {
        if let Some((_, entry)) = held.next_if(|(held, _)| Arc::ptr_eq(held, flag)) {
            return entry.clone();
        }
        while held.next_if(|(held, _)| held.key() < flag.key()).is_some() {}
        match held.next_if(|(held, _)| Arc::ptr_eq(held, flag)) {
            Some((_, entry)) => entry.clone(),
            None => Arc::new(Entry::of(source, flag, tally)),
        }
    };
    flags.flags().iter().map(&mut one).collect()
}
