//! The forms in which clients evaluate a set themselves. They are put together of pieces, one for
//! each flag: after a change only the pieces of what changed are written anew.

use super::entry::{Entry, Piece};
use super::{Set, Source};
use bytes::Bytes;
use serin_flags::{Flag, FlagSet, Portable, SetDefinition, unleash};
use std::sync::{Arc, OnceLock};

/// What clients evaluate themselves, each made when somebody first asks for it.
#[derive(Default)]
pub struct Forms {
    portable: OnceLock<Option<Bytes>>,
    sync: OnceLock<Bytes>,
    features: OnceLock<Option<Bytes>>,
    client_features: OnceLock<Bytes>,
    last: Last,
}

/// What clients evaluate themselves, as they had it last.
#[derive(Default)]
struct Last {
    portable: Option<Bytes>,
    features: Option<Bytes>,
}

impl Forms {
    /// Of the set after this one.
    pub fn next(&self) -> Self {
        let portable = self.portable.get().unwrap_or(&self.last.portable);
        let features = self.features.get().unwrap_or(&self.last.features);
        let last = Last { portable: portable.clone(), features: features.clone() };
        Self { last, ..Self::default() }
    }
}

impl Set {
    /// The document that clients evaluate themselves: plain flagd, nothing of Serin's own. What
    /// flagd cannot say is not in it. If it cannot be made, it is what it was before; nothing if
    /// there was none: a set that looks empty would take every flag from its clients.
    pub fn portable(&self) -> Option<Bytes> {
        let make = || match &self.source {
            Source::Written(definition) => document(definition, &self.flags, &self.entries),
            Source::Document { document, .. } => {
                Some(crate::merged::merged(document, &self.flags).to_string().into())
            }
        };
        let forms = &self.forms;
        forms.portable.get_or_init(|| make().or_else(|| forms.last.portable.clone())).clone()
    }

    /// The same as one message of the sync service, made once by `frame`: it goes to every stream.
    pub fn sync(&self, frame: impl FnOnce(&Bytes) -> Bytes) -> Option<Bytes> {
        let portable = self.portable()?;
        Some(self.forms.sync.get_or_init(|| frame(&portable)).clone())
    }

    /// The features that Unleash clients evaluate themselves, a list as JSON; as
    /// [`Self::portable`]. Segments are inlined.
    pub fn features(&self) -> Option<Bytes> {
        let make = || match &self.source {
            Source::Written(_) => Some(self.listed()),
            Source::Document { .. } => Some(Bytes::from_static(b"[]")),
        };
        let forms = &self.forms;
        forms.features.get_or_init(|| make().or_else(|| forms.last.features.clone())).clone()
    }

    /// The same as a whole answer, made once by `write`.
    pub fn client_features(&self, write: impl FnOnce(&Bytes) -> Bytes) -> Option<Bytes> {
        let features = self.features()?;
        Some(self.forms.client_features.get_or_init(|| write(&features)).clone())
    }

    /// One feature for Unleash clients, as JSON; none if they do not get it.
    pub fn feature(&self, key: &str) -> Option<&str> {
        let (Source::Written(definition), place) = (&self.source, self.flags.place(key)?) else {
            return None;
        };
        match feature(definition, &self.flags.flags()[place], &self.entries[place]) {
            Piece::Text(text) => Some(text),
            Piece::Nothing | Piece::Failed => None,
        }
    }

    fn listed(&self) -> Bytes {
        let mut text = vec![b'['];
        for feature in self.flags.flags().iter().filter_map(|flag| self.feature(flag.key())) {
            if text.len() > 1 {
                text.push(b',');
            }
            text.extend_from_slice(feature.as_bytes());
        }
        text.push(b']');
        text.into()
    }
}

fn feature<'e>(definition: &SetDefinition, flag: &Flag, entry: &'e Entry) -> &'e Piece {
    entry.feature.get_or_init(|| match unleash::feature_of(definition, flag.key()) {
        Some(feature) => Piece::Text(feature.to_string().into()),
        None => Piece::Nothing,
    })
}

/// The flagd document of a set; none when a flag of it cannot be written.
fn document(definition: &SetDefinition, flags: &FlagSet, entries: &[Arc<Entry>]) -> Option<Bytes> {
    let mut portable = Portable::of(definition);
    let mut pieces = Vec::with_capacity(entries.len());
    for (flag, entry) in flags.flags().iter().zip(entries) {
        let piece = entry.portable.get_or_init(|| match portable.flag(flag.key()) {
            Ok(Some(flag)) => Piece::Text(flag.to_string().into()),
            Ok(None) => Piece::Nothing,
            Err(_) => Piece::Failed,
        });
        match piece {
            Piece::Text(text) => pieces.push((flag.key(), &**text)),
            Piece::Nothing => {}
            Piece::Failed => return None,
        }
    }
    Some(portable.document(pieces.into_iter()).into())
}
