//! The token that opens the API on TCP. It lives in one file, for its owner only.

use std::fs::OpenOptions;
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Reads the token at `path`, or makes one from 32 random bytes.
pub(crate) fn load_or_create(path: &Path) -> io::Result<String> {
    match std::fs::read_to_string(path) {
        Ok(token) if token.trim().len() >= 32 => Ok(token.trim().to_owned()),
        _ => create(path),
    }
}

/// 32 random bytes in hexadecimal.
pub(crate) fn random() -> io::Result<String> {
    use std::fmt::Write as _;
    let mut bytes = [0; 32];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    }))
}

fn create(path: &Path) -> io::Result<String> {
    let token = random()?;
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(token.as_bytes())?;
    Ok(token)
}

/// Compares without telling by its time how much was right.
pub(crate) fn matches(given: &str, token: &str) -> bool {
    let same_length = given.len() == token.len();
    let differences = given.bytes().zip(token.bytes()).fold(0, |acc, (a, b)| acc | (a ^ b));
    same_length && differences == 0
}
