//! Short functions: none above 70 lines, the median below 10.

use super::{
    Finding,
    source::{Source, block_end, body_start},
};

/// Lines a function may have, from `fn` to its closing brace.
const LINES_MAX: usize = 70;

/// The median of the whole workspace stays below this.
const MEDIAN_LIMIT: usize = 10;

/// A function with a body.
#[derive(Debug, PartialEq, Eq)]
pub struct Function<'a> {
    /// Its name.
    pub name: &'a str,
    /// The line of its `fn`.
    pub line: usize,
    /// From `fn` to the closing brace.
    pub lines: usize,
    /// In test code.
    pub is_test: bool,
}

/// Long functions; the lengths of those outside tests are added to `lengths`.
pub fn check(source: &Source, lengths: &mut Vec<usize>) -> Vec<Finding> {
    let functions = functions(source);
    lengths.extend(functions.iter().filter(|f| !f.is_test).map(|f| f.lines));
    let long = functions.into_iter().filter(|f| f.lines > LINES_MAX);
    long.map(|f| {
        let message =
            format!("`{}` has {} lines, {LINES_MAX} are allowed; split it", f.name, f.lines);
        Finding::new(&source.path, f.line, "long-function", message)
    })
    .collect()
}

/// All functions with a body, in order.
pub fn functions(source: &Source) -> Vec<Function<'_>> {
    source.words("fn").filter_map(|at| function(source, at)).collect()
}

fn function(source: &Source, at: usize) -> Option<Function<'_>> {
    let after = source.code[at + 2..].strip_prefix(' ')?;
    let name = after.split(|c: char| !c.is_alphanumeric() && c != '_').next()?;
    if name.is_empty() {
        return None; // A function pointer type such as `fn (u32)`.
    }
    let open = body_start(&source.code, at)?;
    let (first, last) = (source.line_of(at), source.line_of(block_end(&source.code, open) - 1));
    Some(Function { name, line: first, lines: last - first + 1, is_test: source.is_test(at) })
}

/// The median length; 0 without functions.
pub fn median(lengths: &mut [usize]) -> usize {
    lengths.sort_unstable();
    lengths.get(lengths.len() / 2).copied().unwrap_or(0)
}

/// A finding if the median is too long.
pub fn median_finding(median: usize) -> Option<Finding> {
    (median >= MEDIAN_LIMIT).then(|| {
        let message =
            format!("the median function has {median} lines, below {MEDIAN_LIMIT} is wanted");
        Finding::new("Cargo.toml", 1, "median-function", message)
    })
}
