//! Documents as they lie in the file: JSON, and beyond a few hundred bytes deflated JSON.

use crate::Error;
use miniz_oxide::deflate::compress_to_vec;
use miniz_oxide::inflate::decompress_to_vec_with_limit;
use rusqlite::Row;
use rusqlite::types::ValueRef;
use serde::{Serialize, de::DeserializeOwned};

/// Documents shorter than this many bytes stay as they are.
const PLAIN: usize = 512;

/// How hard documents are squeezed that are written while a decision waits; 1 is quickest.
const QUICK: u8 = 1;

/// How hard what is packed in the background is squeezed.
const TIGHT: u8 = 6;

/// Longest document that is read back, in bytes: a damaged length must not take all memory.
const LONGEST: usize = 1 << 28;

/// Says how the rest is packed, should there ever be another way.
const DEFLATED: u8 = 1;

/// A document for two columns: its text, or one word in its place and the packed text.
#[derive(Debug)]
pub(crate) struct Document {
    /// JSON, or the word.
    pub(crate) text: String,
    /// The packed JSON, when it pays.
    pub(crate) packed: Option<Vec<u8>>,
}

impl Document {
    /// Packs `value`; `word` stands in the column of the text when it is packed.
    pub(crate) fn of(value: &impl Serialize, word: &str) -> Result<Self, Error> {
        let text = serde_json::to_string(value)?;
        if text.len() < PLAIN {
            return Ok(Self { text, packed: None });
        }
        let packed = Some(deflate(text.as_bytes(), QUICK));
        Ok(Self { text: word.to_owned(), packed })
    }

    /// Packs a text that is JSON already.
    pub(crate) fn of_text(text: &str) -> Self {
        if text.len() < PLAIN {
            return Self { text: text.to_owned(), packed: None };
        }
        Self { text: String::new(), packed: Some(deflate(text.as_bytes(), QUICK)) }
    }

    /// Bytes it takes in the file.
    pub(crate) fn len(&self) -> usize {
        self.text.len() + self.packed.as_ref().map_or(0, Vec::len)
    }
}

/// Reads back what [`Document::of`] made of a value.
pub(crate) fn read<T: DeserializeOwned>(text: &str, packed: Option<&[u8]>) -> Result<T, Error> {
    match packed {
        None => Ok(serde_json::from_str(text)?),
        Some(packed) => Ok(serde_json::from_slice(&inflate(packed)?)?),
    }
}

/// Reads the document in column `at` of a row and, packed, in the next.
pub(crate) fn read_at<T: DeserializeOwned>(row: &Row, at: usize) -> Result<T, Error> {
    match row.get_ref(at + 1)? {
        ValueRef::Blob(packed) => Ok(serde_json::from_slice(&inflate(packed)?)?),
        _ => read(&row.get::<_, String>(at)?, None),
    }
}

/// The JSON of the document in column `at` of a row and, packed, in the next.
pub(crate) fn text_at(row: &Row, at: usize) -> Result<String, Error> {
    match row.get_ref(at + 1)? {
        ValueRef::Blob(packed) => String::from_utf8(inflate(packed)?).map_err(|_| Error::Damaged),
        _ => Ok(row.get(at)?),
    }
}

/// Lines packed as one.
pub(crate) fn squeeze(text: &str) -> Vec<u8> {
    deflate(text.as_bytes(), TIGHT)
}

/// What [`squeeze`] was given.
pub(crate) fn inflate(packed: &[u8]) -> Result<Vec<u8>, Error> {
    match packed.split_first() {
        Some((&DEFLATED, body)) => {
            decompress_to_vec_with_limit(body, LONGEST).map_err(|_| Error::Damaged)
        }
        _ => Err(Error::Damaged),
    }
}

fn deflate(text: &[u8], level: u8) -> Vec<u8> {
    let mut packed = compress_to_vec(text, level);
    packed.insert(0, DEFLATED);
    packed
}
