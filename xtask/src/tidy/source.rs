//! Rust text as the rules see it: code with comments and literals blanked out, comments apart,
//! and which lines are tests. A scanner, not a parser: it only has to be right about what ends
//! where.

use std::{
    collections::BTreeMap,
    ops::Range,
    path::{Path, PathBuf},
};

/// One Rust file.
pub struct Source {
    /// Relative to the repository.
    pub path: PathBuf,
    /// As it is on disk.
    pub text: String,
    /// The same bytes with comments and the insides of literals turned to spaces.
    pub code: String,
    /// Comments by the line they start on, from 1.
    pub comments: BTreeMap<usize, String>,
    /// The whole file is test code.
    pub all_test: bool,
    test_regions: Vec<Range<usize>>,
    line_starts: Vec<usize>,
}

impl Source {
    /// Scans `text`.
    pub fn new(path: PathBuf, text: String) -> Self {
        let line_starts: Vec<usize> =
            std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        let (code, pieces) = Scanner::new(&text).scan();
        let mut comments = BTreeMap::<usize, String>::new();
        for piece in pieces {
            let line = line_starts.partition_point(|&start| start <= piece.start);
            comments.entry(line).or_default().push_str(&text[piece]);
        }
        let test_regions = test_regions(&code);
        let all_test = is_test_path(&path);
        Self { path, text, code, comments, all_test, test_regions, line_starts }
    }

    /// The line, from 1, of a byte offset.
    pub fn line_of(&self, offset: usize) -> usize {
        self.line_starts.partition_point(|&start| start <= offset)
    }

    /// How many lines there are.
    pub fn line_count(&self) -> usize {
        self.text.lines().count()
    }

    /// Whether a byte offset is in test code.
    pub fn is_test(&self, offset: usize) -> bool {
        self.all_test || self.test_regions.iter().any(|region| region.contains(&offset))
    }

    /// Offsets of `word` in the code, where it is not part of a longer identifier.
    pub fn words<'a>(&'a self, word: &'a str) -> impl Iterator<Item = usize> + 'a {
        words(&self.code, word)
    }
}

/// Offsets of `word` in `code`, where it is not part of a longer identifier.
pub fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let starts_name = word.starts_with(is_name);
    let ends_name = word.ends_with(is_name);
    code.match_indices(word).map(|(at, _)| at).filter(move |&at| {
        let before = code[..at].chars().next_back();
        let after = code[at + word.len()..].chars().next();
        !(starts_name && before.is_some_and(is_name) || ends_name && after.is_some_and(is_name))
    })
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Where the item that starts at `from` ends: after its closing brace or its semicolon.
pub fn item_end(code: &str, from: usize) -> usize {
    match body_start(code, from) {
        Some(open) => block_end(code, open),
        None => code[from..].find(';').map_or(code.len(), |at| from + at + 1),
    }
}

/// The brace that opens the body of the item at `from`; none if a semicolon ends it first.
pub fn body_start(code: &str, from: usize) -> Option<usize> {
    let mut depth = 0_i32;
    for (at, c) in code[from..].char_indices() {
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' => depth -= 1,
            '{' if depth == 0 => return Some(from + at),
            ';' if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

/// The offset after the brace that closes the one at `open`.
pub fn block_end(code: &str, open: usize) -> usize {
    let mut depth = 0_i32;
    for (at, c) in code[open..].char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return open + at + 1;
        }
    }
    code.len()
}

const TEST_ATTRIBUTES: [&str; 4] = ["#[cfg(test)]", "#[cfg(all(test", "#[test]", "#[tokio::test"];

fn test_regions(code: &str) -> Vec<Range<usize>> {
    let starts = TEST_ATTRIBUTES.iter().flat_map(|attribute| code.match_indices(attribute));
    starts.map(|(at, _)| at..item_end(code, at)).collect()
}

fn is_test_path(path: &Path) -> bool {
    let folder = path.components().any(|part| matches!(part.as_os_str().to_str(), Some("tests")));
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    folder || stem == "tests" || stem.ends_with("_tests")
}

/// Marks the files of modules that are declared `#[cfg(test)] mod name;` elsewhere.
pub fn mark_test_modules(sources: &mut [Source]) {
    let homes: Vec<PathBuf> = sources.iter().flat_map(test_module_homes).collect();
    for source in sources {
        let whole = source.path.with_extension("");
        source.all_test |= homes.iter().any(|home| whole.starts_with(home));
    }
}

fn test_module_homes(source: &Source) -> Vec<PathBuf> {
    let stem = source.path.file_stem().unwrap_or_default();
    let folder = source.path.parent().unwrap_or(Path::new(""));
    let is_root = ["lib", "main", "mod"].iter().any(|root| stem == *root);
    let home = if is_root { folder.to_path_buf() } else { folder.join(stem) };
    let declared = source.test_regions.iter().filter_map(|region| {
        let item = source.code[region.clone()].trim_end().strip_suffix(';')?;
        let (_, name) = item.rsplit_once("mod ")?;
        Some(home.join(name.trim()))
    });
    declared.collect()
}

/// Walks over the text once and blanks what is not code.
struct Scanner<'a> {
    text: &'a str,
    code: Vec<u8>,
    comments: Vec<Range<usize>>,
    at: usize,
}

impl<'a> Scanner<'a> {
    fn new(text: &'a str) -> Self {
        Self { text, code: text.as_bytes().to_vec(), comments: Vec::new(), at: 0 }
    }

    fn scan(mut self) -> (String, Vec<Range<usize>>) {
        while self.at < self.text.len() {
            self.piece();
        }
        // Only whole characters were blanked, so this is still UTF-8.
        (String::from_utf8_lossy(&self.code).into_owned(), self.comments)
    }

    fn piece(&mut self) {
        let rest = &self.text.as_bytes()[self.at..];
        match rest {
            [b'/', b'/', ..] => self.line_comment(),
            [b'/', b'*', ..] => self.block_comment(),
            [b'"', ..] => self.quoted(b'"'),
            [b'\'', ..] if is_char_literal(&self.text[self.at..]) => self.quoted(b'\''),
            [b'r' | b'b' | b'c', ..] if self.starts_name() => self.maybe_raw(),
            _ => self.at += 1,
        }
    }

    /// Whether an identifier could begin here, so that `r"` is a raw string and `for"` is not.
    fn starts_name(&self) -> bool {
        !self.text[..self.at].chars().next_back().is_some_and(is_name)
    }

    fn line_comment(&mut self) {
        let end = self.text[self.at..].find('\n').map_or(self.text.len(), |at| self.at + at);
        self.comment(end);
    }

    fn block_comment(&mut self) {
        let bytes = self.text.as_bytes();
        let (mut depth, mut end) = (0_u32, self.at);
        while end < bytes.len() {
            let step = match &bytes[end..] {
                [b'/', b'*', ..] => (depth + 1, 2),
                [b'*', b'/', ..] => (depth.saturating_sub(1), 2),
                _ => (depth, 1),
            };
            depth = step.0;
            end += step.1;
            if depth == 0 {
                break;
            }
        }
        self.comment(end);
    }

    fn comment(&mut self, end: usize) {
        self.comments.push(self.at..end);
        self.blank(self.at, end);
        self.at = end;
    }

    fn quoted(&mut self, quote: u8) {
        let bytes = self.text.as_bytes();
        let start = self.at + 1;
        let mut end = start;
        while end < bytes.len() && bytes[end] != quote {
            end += if bytes[end] == b'\\' { 2 } else { 1 };
        }
        let end = end.min(bytes.len());
        self.blank(start, end);
        self.at = (end + 1).min(bytes.len());
    }

    /// `r"…"`, `br#"…"#` and so on; anything else is left as code.
    fn maybe_raw(&mut self) {
        let rest = &self.text[self.at..];
        let prefix = rest.len() - rest.trim_start_matches(['b', 'c', 'r']).len();
        let hashes = rest[prefix..].len() - rest[prefix..].trim_start_matches('#').len();
        let is_raw = rest[..prefix].ends_with('r') && rest[prefix + hashes..].starts_with('"');
        if !is_raw {
            self.at += 1;
            return;
        }
        let start = self.at + prefix + hashes + 1;
        let close = format!("\"{}", "#".repeat(hashes));
        let end = self.text[start..].find(&close).map_or(self.text.len(), |at| start + at);
        self.blank(start, end);
        self.at = (end + close.len()).min(self.text.len());
    }

    fn blank(&mut self, from: usize, to: usize) {
        for byte in &mut self.code[from..to] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
    }
}

/// `'x'` and `'\n'` are literals, `'a` is a lifetime.
fn is_char_literal(rest: &str) -> bool {
    let mut chars = rest.chars().skip(1);
    match (chars.next(), chars.next()) {
        (Some('\\'), _) => true,
        (Some(_), Some(after)) => after == '\'',
        _ => false,
    }
}
