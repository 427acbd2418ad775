//! SQL to statements, without a grammar: quotes, dollar quotes and comments are skipped whole.

use crate::Ident;
use std::ops::Range;

/// How a statement can be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// In a transaction.
    Plain,
    /// It begins or ends one.
    EndsTransaction,
    /// `CREATE INDEX CONCURRENTLY`.
    CreateIndex(Option<Concurrent>),
    /// `DROP INDEX CONCURRENTLY` of this one.
    DropIndex(Option<Ident>),
    /// Only outside, and not by us.
    OutsideOnly,
}

/// An index that is built while the table is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Concurrent {
    pub(super) index: Ident,
    pub(super) table: Ident,
    pub(super) unique: bool,
}

/// The statements of SQL, each without the semicolon and what surrounds it.
pub fn split(sql: &str) -> Vec<&str> {
    let (mut statements, mut start) = (Vec::new(), 0);
    let (mut depth, mut atomic) = (0_usize, false);
    for (token, range) in tokens(sql) {
        match token {
            Token::Open => depth += 1,
            Token::Close => depth = depth.saturating_sub(1),
            // The body of a function may be statements between these two words.
            Token::Word if is(sql, &range, "atomic") => atomic = true,
            Token::Word if atomic && is(sql, &range, "end") => atomic = false,
            Token::Semicolon if depth == 0 && !atomic => {
                statements.push(&sql[start..range.start]);
                start = range.end;
            }
            _ => {}
        }
    }
    statements.push(&sql[start..]);
    let filled = |text: &&str| tokens(text).next().is_some();
    statements.into_iter().map(str::trim).filter(filled).collect()
}

/// The words of SQL that are no part of a text or a comment, as the server reads them: names in
/// quotes as they are, others in lower case; dots stand by themselves.
pub fn words(sql: &str) -> Vec<String> {
    let words = tokens(sql).filter_map(|(token, range)| match (token, &sql[range]) {
        (Token::Word, word) => Some(word.to_lowercase()),
        (Token::Quoted, name) => Some(name.trim_matches('"').replace("\"\"", "\"")),
        (Token::Other, ".") => Some(".".to_owned()),
        _ => None,
    });
    words.collect()
}

/// The first words of a statement, for telling which is meant.
pub(super) fn head(statement: &str) -> String {
    let words: Vec<&str> = statement.split_whitespace().take(6).collect();
    words.join(" ")
}

/// How a statement can be run.
pub(super) fn kind(statement: &str) -> Kind {
    let words = words(statement);
    let word = |at: usize| words.get(at).map_or("", String::as_str);
    let concurrently = words.iter().take(8).any(|word| word == "concurrently");
    match (word(0), word(1)) {
        ("begin" | "commit" | "rollback" | "end" | "abort" | "savepoint" | "release", _)
        | ("start" | "prepare", "transaction") => Kind::EndsTransaction,
        ("create", "index" | "unique") if concurrently => Kind::CreateIndex(concurrent(&words)),
        ("drop", "index") if concurrently => Kind::DropIndex(dropped(&words)),
        ("vacuum", _) | ("create" | "drop", "database" | "tablespace") | ("alter", "system") => {
            Kind::OutsideOnly
        }
        ("reindex" | "alter" | "refresh", _) if concurrently && word(0) != "refresh" => {
            Kind::OutsideOnly
        }
        _ => Kind::Plain,
    }
}

fn concurrent(words: &[String]) -> Option<Concurrent> {
    let at = words.iter().position(|word| word == "concurrently")? + 1;
    let skip = if words.get(at).is_some_and(|word| word == "if") { 3 } else { 0 };
    let name = words.get(at + skip).filter(|word| *word != "on")?;
    let on = words.iter().skip(at + skip).position(|word| word == "on")? + at + skip + 1;
    let only = usize::from(words.get(on).is_some_and(|word| word == "only"));
    Some(Concurrent {
        index: Ident::new(name.as_str()).ok()?,
        table: last_part(words, on + only)?,
        unique: words.get(1).is_some_and(|word| word == "unique"),
    })
}

fn dropped(words: &[String]) -> Option<Ident> {
    let at = words.iter().position(|word| word == "concurrently")? + 1;
    let skip = if words.get(at).is_some_and(|word| word == "if") { 2 } else { 0 };
    last_part(words, at + skip)
}

/// The name that begins here, without its schema.
fn last_part(words: &[String], at: usize) -> Option<Ident> {
    let has_schema = words.get(at + 1).is_some_and(|word| word == ".");
    let name = words.get(if has_schema { at + 2 } else { at })?;
    Ident::new(name.as_str()).ok()
}

fn is(sql: &str, range: &Range<usize>, word: &str) -> bool {
    sql[range.clone()].eq_ignore_ascii_case(word)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    Word,
    /// A name in double quotes.
    Quoted,
    /// A text or a body.
    Literal,
    Open,
    Close,
    Semicolon,
    Other,
}

/// All tokens but white space and comments.
fn tokens(sql: &str) -> impl Iterator<Item = (Token, Range<usize>)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            let rest = &sql[at..];
            let first = rest.chars().next()?;
            let skipped = blank(rest, first);
            if skipped > 0 {
                at += skipped;
                continue;
            }
            let (token, length) = token(rest, first);
            let range = at..at + length;
            at = range.end;
            return Some((token, range));
        }
    })
}

/// Bytes of white space or a comment at the start.
fn blank(rest: &str, first: char) -> usize {
    if first.is_whitespace() {
        return first.len_utf8();
    }
    if rest.starts_with("--") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") { comment(rest) } else { 0 }
}

/// Bytes of a comment; comments may stand inside each other.
fn comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < rest.len() {
        let here = &rest.as_bytes()[at..];
        if here.starts_with(b"/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if here.starts_with(b"*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    rest.len()
}

fn token(rest: &str, first: char) -> (Token, usize) {
    let escaped = rest.len() > 1 && matches!(first, 'e' | 'E') && rest.as_bytes()[1] == b'\'';
    match first {
        _ if escaped => (Token::Literal, 1 + quoted(&rest[1..], true)),
        '\'' => (Token::Literal, quoted(rest, false)),
        '"' => (Token::Quoted, quoted(rest, false)),
        '$' => dollar(rest),
        '(' => (Token::Open, 1),
        ')' => (Token::Close, 1),
        ';' => (Token::Semicolon, 1),
        _ if first.is_alphanumeric() || first == '_' => {
            let inside = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
            (Token::Word, rest.find(|c| !inside(c)).unwrap_or(rest.len()))
        }
        _ => (Token::Other, first.len_utf8()),
    }
}

/// Bytes up to and with the closing quote; a doubled one stands for itself.
fn quoted(rest: &str, backslash: bool) -> usize {
    let quote = rest.as_bytes()[0];
    let mut at = 1;
    let bytes = rest.as_bytes();
    while at < bytes.len() {
        if backslash && bytes[at] == b'\\' {
            at += 2;
        } else if bytes[at] != quote {
            at += 1;
        } else if bytes.get(at + 1) == Some(&quote) {
            at += 2;
        } else {
            return at + 1;
        }
    }
    rest.len()
}

/// `$$ ... $$` or `$tag$ ... $tag$`; a lone dollar otherwise.
fn dollar(rest: &str) -> (Token, usize) {
    let Some(end) = rest[1..].find('$').map(|at| at + 2) else { return (Token::Other, 1) };
    let tag = &rest[..end];
    let inner = &tag[1..end - 1];
    let named = inner.chars().all(|c| c.is_alphanumeric() || c == '_');
    if !named || inner.starts_with(|c: char| c.is_ascii_digit()) {
        return (Token::Other, 1);
    }
    let close = rest[end..].find(tag).map_or(rest.len(), |at| end + at + end);
    (Token::Literal, close)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_split_where_the_server_would() {
        let cases: [(&str, &[&str]); 9] = [
            ("SELECT 1; SELECT 2;", &["SELECT 1", "SELECT 2"]),
            ("SELECT ';' ; -- ; no\nSELECT 2", &["SELECT ';'", "-- ; no\nSELECT 2"]),
            ("SELECT E'\\';' ; x", &["SELECT E'\\';'", "x"]),
            ("SELECT 'it''s;';", &["SELECT 'it''s;'"]),
            ("DO $$ BEGIN x; END $$; y", &["DO $$ BEGIN x; END $$", "y"]),
            ("DO $a$ $$;$$ $a$; y", &["DO $a$ $$;$$ $a$", "y"]),
            ("SELECT \"a;b\" /* ; /* ; */ ; */; y", &["SELECT \"a;b\" /* ; /* ; */ ; */", "y"]),
            (
                "CREATE RULE r AS ON INSERT TO t DO (a; b); c",
                &["CREATE RULE r AS ON INSERT TO t DO (a; b)", "c"],
            ),
            (" ; -- nothing\n ;", &[]),
        ];
        for (sql, wanted) in cases {
            assert_eq!(split(sql), wanted, "{sql}");
        }
    }

    #[test]
    fn how_a_statement_is_run() {
        let index = |index: &str, table: &str, unique| {
            let name = |name: &str| Ident::new(name).unwrap();
            Kind::CreateIndex(Some(Concurrent { index: name(index), table: name(table), unique }))
        };
        let cases = [
            ("ALTER TABLE t ADD c int", Kind::Plain),
            ("commit", Kind::EndsTransaction),
            ("START TRANSACTION", Kind::EndsTransaction),
            ("CREATE INDEX CONCURRENTLY i ON t (c)", index("i", "t", false)),
            (
                "create unique index concurrently if not exists \"I\" on only \"T\" using btree (c)",
                index("I", "T", true),
            ),
            ("CREATE INDEX CONCURRENTLY i ON s.t (c)", index("i", "t", false)),
            ("CREATE INDEX CONCURRENTLY ON t (c)", Kind::CreateIndex(None)),
            ("DROP INDEX CONCURRENTLY IF EXISTS i", Kind::DropIndex(Ident::new("i").ok())),
            ("VACUUM t", Kind::OutsideOnly),
            ("REINDEX INDEX CONCURRENTLY i", Kind::OutsideOnly),
            ("ALTER TABLE t DETACH PARTITION p CONCURRENTLY", Kind::OutsideOnly),
            ("SELECT 'commit'", Kind::Plain),
        ];
        for (sql, wanted) in cases {
            assert_eq!(kind(sql), wanted, "{sql}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_is_lost(sql in "[a-z;'\"$ü/*() \n\\\\E-]{0,60}") {
            let kept: usize = split(&sql).iter().map(|part| part.len()).sum();
            proptest::prop_assert!(kept <= sql.len());
            for word in words(&sql) {
                proptest::prop_assert!(word.len() <= sql.len() * 2);
            }
        }
    }
}
