//! The password file of libpq: lines of `host:port:database:user:password`.

use crate::Flaw;
use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// Bytes of a file that are read.
const MAX: u64 = 1 << 20;

/// What a line must say to be the one.
pub(crate) struct Wanted<'a> {
    pub(crate) host: &'a str,
    pub(crate) port: &'a str,
    pub(crate) database: &'a str,
    pub(crate) user: &'a str,
}

/// The password for each of the hosts, which is one. A file that is not there has none, nor has one
/// that is no plain file. One that others may read is refused where a line of it would count.
pub(crate) fn in_file(path: &Path, wanted: &[Wanted<'_>]) -> Result<Option<String>, Flaw> {
    let Ok(about) = fs::metadata(path) else { return Ok(None) };
    if !about.is_file() {
        return Ok(None);
    }
    let text = read(path)?;
    let mut found = wanted.iter().map(|wanted| find(&text, wanted));
    let Some(first) = found.next() else { return Ok(None) };
    if !found.all(|other| other == first) {
        return Err(Flaw::new(format!(
            "`{}` has different passwords for its hosts, and only one can be used: name one host",
            path.display()
        )));
    }
    if first.is_some() && about.permissions().mode() & 0o077 != 0 {
        return Err(Flaw::new(format!(
            "the password file `{0}` can be read by others, so it is not used: `chmod 0600 {0}`",
            path.display()
        )));
    }
    Ok(first)
}

fn read(path: &Path) -> Result<String, Flaw> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX).read_to_end(&mut bytes));
    read.map_err(|error| {
        Flaw::new(format!("the password file `{}` cannot be read: {error}", path.display()))
    })?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The password of the first line that fits.
fn find(text: &str, wanted: &Wanted<'_>) -> Option<String> {
    let wanted = [wanted.host, wanted.port, wanted.database, wanted.user];
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(fields).find_map(|fields| {
        let (password, head) = fields.get(..5)?.split_last()?;
        let fits = |(field, wanted): (&String, &str)| field == "*" || plain(field) == wanted;
        head.iter().zip(wanted).all(fits).then(|| plain(password))
    })
}

/// A line, cut at each `:` that no `\` stands before.
fn fields(line: &str) -> Vec<String> {
    let mut all = vec![String::new()];
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        if c == ':' {
            all.push(String::new());
        } else if let Some(last) = all.last_mut() {
            last.push(c);
            last.extend((c == '\\').then(|| chars.next()).flatten());
        }
    }
    all
}

/// Without what makes a character one of its own.
fn plain(field: &str) -> String {
    let mut plain = String::new();
    let mut chars = field.chars();
    while let Some(c) = chars.next() {
        plain.push(if c == '\\' { chars.next().unwrap_or(c) } else { c });
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(line: &str) -> Option<String> {
        let wanted = Wanted { host: "db:1", port: "5432", database: "shop", user: "ann" };
        find(line, &wanted)
    }

    #[test]
    fn the_first_line_that_fits_counts() {
        let cases = [
            ("*:*:*:*:p", Some("p")),
            ("db\\:1:5432:shop:ann:p", Some("p")),
            ("db:1:5432:shop:ann:p", None),
            ("other:*:*:*:a\n*:5432:*:ann:b\n*:*:*:*:c", Some("b")),
            ("#*:*:*:*:a\n*:*:*:*:b", Some("b")),
            ("\\*:*:*:*:p", None),
            ("*:*:*:bob:p", None),
            ("*:*:*:*:a\\:b\\\\c", Some("a:b\\c")),
            ("*:*:*:*:a:b", Some("a")),
            ("*:*:*:*:ends in \\", Some("ends in \\")),
            ("*:*:*:*", None),
            ("*:*:*:*:p\r\n", Some("p")),
            ("", None),
        ];
        for (text, wanted) in cases {
            assert_eq!(password(text).as_deref(), wanted, "{text:?}");
        }
    }
}
