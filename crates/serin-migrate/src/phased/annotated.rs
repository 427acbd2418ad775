//! A file of SQL whose comments say what each piece is.
//!
//! ```sql
//! -- serin:set rename-full-name
//! -- serin:migration version=2024_01_15_001 name=add_full_name phase=expand
//! -- serin:up
//! ALTER TABLE users ADD COLUMN full_name text;
//! -- serin:down
//! ALTER TABLE users DROP COLUMN IF EXISTS full_name;
//! ```
//!
//! It becomes the same document as the YAML form, and is read by the same reader.

use crate::{Flaw, Flaws};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// What a comment of ours begins with.
const MARK: &str = "serin:";

/// Words behind it that begin a piece of SQL, and the keys they become.
const PIECES: [(&str, &str); 4] = [
    ("up", "up_sql"),
    ("down", "down_sql"),
    ("pre_check", "pre_check_sql"),
    ("post_check", "post_check_sql"),
];

/// All words behind it.
const WORDS: [&str; 7] = ["set", "migration", "up", "down", "pre_check", "post_check", "batch"];

/// A file of SQL as a document.
#[derive(Debug, Clone, PartialEq)]
pub struct Annotated {
    /// The document, of the kind `PhasedSql`.
    pub document: Value,
    /// Lines of the file, from 1, at which its parts begin, by their paths: `migrations[0].up_sql`.
    pub lines: BTreeMap<String, usize>,
}

/// Reads the comments of a file of SQL.
///
/// # Errors
/// Comments that say nothing that is known, and SQL that no comment explains; the path of each is
/// its line.
pub fn annotated(text: &str) -> Result<Annotated, Flaws> {
    let mut reader = Reader::default();
    for (at, line) in text.lines().enumerate() {
        reader.line(at + 1, line);
    }
    reader.end_piece();
    if reader.parts.is_empty() && reader.flaws.is_empty() {
        let flaw = Flaw::new("", "no comment says what this SQL is");
        reader.flaws.push(flaw.hint(
            "begin with `-- serin:migration version=1 name=NAME phase=expand`, then `-- serin:up`",
        ));
    }
    if reader.flaws.is_empty() { Ok(reader.document()) } else { Err(Flaws(reader.flaws)) }
}

#[derive(Default)]
struct Reader {
    set: Option<String>,
    parts: Vec<Map<String, Value>>,
    /// The piece of SQL that is being read: its key and text.
    piece: Option<(&'static str, String)>,
    lines: BTreeMap<String, usize>,
    flaws: Vec<Flaw>,
}

impl Reader {
    fn line(&mut self, number: usize, line: &str) {
        let comment = line.trim().strip_prefix("--").map(str::trim_start);
        let mark = comment.and_then(|text| text.strip_prefix(MARK));
        // What is allowed belongs to the SQL it stands in.
        match mark.filter(|mark| !mark.starts_with("allow")) {
            Some(mark) => self.mark(number, mark.trim()),
            None => self.sql(number, line),
        }
    }

    fn sql(&mut self, number: usize, line: &str) {
        if let Some((_, text)) = &mut self.piece {
            text.push_str(line);
            text.push('\n');
        } else if !line.trim().is_empty() && !line.trim_start().starts_with("--") {
            self.flaw(
                number,
                "no comment says what this SQL is".into(),
                "write `-- serin:up` before it",
            );
        }
    }

    fn mark(&mut self, number: usize, mark: &str) {
        self.end_piece();
        let (word, rest) = mark.split_once(char::is_whitespace).unwrap_or((mark, ""));
        if let Some((_, key)) = PIECES.iter().find(|(known, _)| *known == word) {
            self.begin_piece(number, key, rest);
            return;
        }
        match word {
            "set" => self.set = Some(rest.trim().to_owned()),
            "migration" => self.part(number, rest),
            "batch" => self.batch(number, rest),
            _ => {
                let message =
                    format!("`{MARK}{word}` is not known; known are {}", WORDS.join(", "));
                self.flaws.push(Flaw::new(format!("line {number}"), message).nearest(word, WORDS));
            }
        }
    }

    fn begin_piece(&mut self, number: usize, key: &'static str, rest: &str) {
        if self.parts.is_empty() {
            let hint = "write `-- serin:migration version=.. name=.. phase=..` before it";
            self.flaw(number, "this belongs to no migration".into(), hint);
        } else if self.parts.last().is_some_and(|part| part.contains_key(key)) {
            self.flaw(number, format!("`{key}` is there already"), "keep one of the two");
        } else {
            let path = format!("migrations[{}].{key}", self.parts.len() - 1);
            self.lines.insert(path, number + 1);
        }
        self.piece = Some((key, rest.to_owned()));
    }

    fn end_piece(&mut self) {
        let (Some((key, text)), Some(part)) = (self.piece.take(), self.parts.last_mut()) else {
            return;
        };
        part.entry(key).or_insert(Value::String(text));
    }

    fn part(&mut self, number: usize, rest: &str) {
        let mut part = Map::new();
        for (key, value) in self.pairs(number, rest) {
            let flag = matches!(key.as_str(), "requires_lock" | "affects_writes");
            let value = match value.as_str() {
                "true" | "yes" if flag => Value::Bool(true),
                "false" | "no" if flag => Value::Bool(false),
                _ => Value::String(value),
            };
            part.insert(key, value);
        }
        self.lines.insert(format!("migrations[{}]", self.parts.len()), number);
        self.parts.push(part);
    }

    fn batch(&mut self, number: usize, rest: &str) {
        let pairs = self.pairs(number, rest);
        let value = |(key, value): (String, String)| {
            let list = key == "key" && value.contains(',');
            let columns = || value.split(',').map(|name| json!(name.trim())).collect();
            let value = if list { Value::Array(columns()) } else { Value::String(value.clone()) };
            (key, value)
        };
        let batch: Map<String, Value> = pairs.into_iter().map(value).collect();
        if let Some(part) = self.parts.last_mut() {
            part.insert("batch".into(), Value::Object(batch));
        } else {
            let hint = "write `-- serin:migration version=.. name=.. phase=migrate` before it";
            self.flaw(number, "this belongs to no migration".into(), hint);
        }
    }

    /// `key=value key="some words"`.
    fn pairs(&mut self, number: usize, text: &str) -> Vec<(String, String)> {
        let (mut pairs, mut rest) = (Vec::new(), text.trim_start());
        while !rest.is_empty() {
            let Some((key, after)) = rest.split_once('=') else {
                self.flaw(
                    number,
                    format!("`{rest}` is no `key=value`"),
                    "quote values with spaces",
                );
                break;
            };
            let Some((value, left)) = value_of(after) else {
                self.flaw(number, format!("the quote of `{key}` is not closed"), "close it");
                break;
            };
            pairs.push((key.trim().to_owned(), value));
            rest = left.trim_start();
        }
        pairs
    }

    fn flaw(&mut self, number: usize, message: String, hint: &str) {
        // One line of SQL without a comment is enough to tell.
        if self.flaws.last().is_none_or(|last| last.message != message) {
            self.flaws.push(Flaw::new(format!("line {number}"), message).hint(hint));
        }
    }

    fn document(self) -> Annotated {
        let mut document = Map::new();
        document.insert("kind".into(), json!("PhasedSql"));
        document.extend(self.set.map(|set| ("set".to_owned(), Value::String(set))));
        document.insert("migrations".into(), self.parts.into_iter().map(Value::Object).collect());
        Annotated { document: Value::Object(document), lines: self.lines }
    }
}

/// A value, and what stands behind it. Inside quotes a doubled one stands for itself.
fn value_of(text: &str) -> Option<(String, &str)> {
    let Some(quote) = text.chars().next().filter(|c| matches!(c, '"' | '\'')) else {
        let end = text.find(char::is_whitespace).unwrap_or(text.len());
        return Some((text[..end].to_owned(), &text[end..]));
    };
    let (mut value, mut chars) = (String::new(), text.char_indices().skip(1).peekable());
    while let Some((at, c)) = chars.next() {
        if c != quote {
            value.push(c);
        } else if chars.next_if(|(_, next)| *next == quote).is_some() {
            value.push(quote);
        } else {
            return Some((value, &text[at + 1..]));
        }
    }
    None
}
