//! Who answers for a file, as a `CODEOWNERS` file says.

/// Where the file may lie, in the order in which hosts look.
pub const PLACES: [&str; 4] =
    [".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS", ".gitlab/CODEOWNERS"];

/// The rules of a `CODEOWNERS` file.
#[derive(Debug, Default)]
pub struct Owners(Vec<Rule>);

#[derive(Debug)]
struct Rule {
    pattern: Vec<String>,
    owners: String,
}

impl Owners {
    /// Reads the rules; comments, section headings and blank lines say nothing.
    pub fn read(text: &str) -> Self {
        Self(text.lines().filter_map(rule).collect())
    }

    /// The owners of a path relative to the root; the last rule that fits holds. A rule without
    /// owners takes them away.
    pub fn of(&self, path: &str) -> Option<&str> {
        let parts: Vec<&str> = path.split('/').collect();
        let rule = self.0.iter().rev().find(|rule| fits(&rule.pattern, &parts))?;
        (!rule.owners.is_empty()).then_some(rule.owners.as_str())
    }
}

fn rule(line: &str) -> Option<Rule> {
    let line = line.split(" #").next().unwrap_or(line).trim();
    if line.is_empty() || line.starts_with(['#', '[', '^', '!']) {
        return None;
    }
    let (pattern, owners) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let owners = owners.split_whitespace().collect::<Vec<_>>().join(" ");
    Some(Rule { pattern: parts_of(pattern), owners })
}

/// A pattern as parts of a path: without a slash before its end it fits at any depth, and what
/// names a directory fits everything in it.
fn parts_of(pattern: &str) -> Vec<String> {
    let bare = pattern.trim_end_matches('/');
    let anchored = bare.contains('/');
    let bare = bare.trim_start_matches('/');
    let mut parts: Vec<String> = bare.split('/').map(str::to_owned).collect();
    if !anchored {
        parts.insert(0, "**".into());
    }
    let last = parts.last().map_or("", |part| part.as_str());
    // `docs/*` is the files of a directory, `docs` and `docs/` all below it.
    if last != "*" || pattern.ends_with('/') {
        parts.push("**".into());
    }
    parts
}

fn fits(pattern: &[String], path: &[&str]) -> bool {
    match (pattern.split_first(), path.split_first()) {
        (None, None) => true,
        (Some((first, rest)), _) if first == "**" => {
            fits(rest, path) || path.split_first().is_some_and(|(_, below)| fits(pattern, below))
        }
        (Some((first, rest)), Some((part, below))) => {
            glob(first.as_bytes(), part.as_bytes()) && fits(rest, below)
        }
        _ => false,
    }
}

/// `*` stands for any bytes, `?` for one.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(c) if *c == b'?' || *c == text[t] => (p, t) = (p + 1, t + 1),
            _ => {
                let Some((at, taken)) = star else { return false };
                star = Some((at, taken + 1));
                (p, t) = (at + 1, taken + 1);
            }
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_rule_that_fits_holds() {
        let text = "* @all\n# comment\n/src/ @core @more\n*.js @web # the web\ndocs/* @docs\n\
                    apps/**/test @qa\n/src/legacy\n[Section]\nbuild/logs/ @ops\n";
        let owners = Owners::read(text);
        let cases = [
            ("README.md", Some("@all")),
            ("src/a.rs", Some("@core @more")),
            ("src/deep/b.rs", Some("@core @more")),
            ("lib/src/a.rs", Some("@all")),
            ("src/a.js", Some("@web")),
            ("docs/a.md", Some("@docs")),
            ("docs/deep/a.md", Some("@all")),
            ("apps/x/y/test/a.py", Some("@qa")),
            ("apps/test/a.py", Some("@qa")),
            ("src/legacy/a.rs", None),
            ("build/logs/x", Some("@ops")),
        ];
        for (path, owner) in cases {
            assert_eq!(owners.of(path), owner, "{path}");
        }
        assert_eq!(Owners::default().of("a"), None);
    }

    #[test]
    fn stars_stand_for_anything_in_one_part() {
        assert!(glob(b"*.r?", b"main.rs") && glob(b"*", b"") && glob(b"a*b*c", b"axxbyybzc"));
        assert!(!glob(b"a*b", b"abc") && !glob(b"?", b""));
        // Linear enough: no pattern makes it run away.
        assert!(!glob(&b"*a".repeat(50), &b"b".repeat(5_000)));
    }
}
