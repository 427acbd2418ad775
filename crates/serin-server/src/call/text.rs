//! What a program or a receiver said, as it may be kept: bounded, printable, without secrets.

/// Most bytes that are handed in.
const MOST: usize = 2000;

/// Shorter values are words like `on` that would be found everywhere.
const SECRET_LEAST: usize = 4;

/// The end of `bytes` as text. Secrets are taken out before it is cut, so that no part of one is
/// left at the edge.
pub(crate) fn clean(bytes: &[u8], secrets: &[String]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut text: String = text.chars().filter(|c| *c == '\n' || !c.is_control()).collect();
    let hidden = secrets.iter().flat_map(|secret| secret.lines());
    for secret in hidden.filter(|secret| secret.len() >= SECRET_LEAST) {
        text = text.replace(secret, "***");
    }
    tail(text.trim_end())
}

/// Its end, as much as may be handed in.
pub(crate) fn tail(text: &str) -> String {
    let mut from = text.len().saturating_sub(MOST);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    text[from..].to_owned()
}

/// The last line that says something.
pub(crate) fn last_line(text: &str) -> Option<&str> {
    text.lines().rev().map(str::trim).find(|line| !line.is_empty())
}
