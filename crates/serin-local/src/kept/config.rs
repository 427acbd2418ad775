//! Which files named as arguments are configuration that may be kept: text that stands alone and
//! holds no secret.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// Larger files are data.
const MAX_BYTES: u64 = 1 << 20;

/// What files of configuration are called. Others may be code, which looks for its parts beside
/// itself.
const KINDS: [&str; 10] =
    ["json", "yaml", "yml", "toml", "ini", "conf", "cfg", "cnf", "properties", "xml"];

/// Words in the name of a file that holds a secret, or of a setting that is one.
const SECRET: [&str; 12] = [
    "secret",
    "passw",
    "passphrase",
    "credential",
    "token",
    "apikey",
    "api_key",
    "api-key",
    "access_key",
    "accesskey",
    "private_key",
    "privatekey",
];

/// Words by which a file asks for others, which would not be beside its copy.
const NEIGHBOURS: [&str; 7] = ["include", "import", "extends", "require", "$ref", "./", "..\\"];

/// Whether a copy of this file may lie with us, and would do instead of it. One that only its owner
/// may read is taken for a secret.
pub(super) fn is_worth_keeping(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let name = name.to_ascii_lowercase();
    let kind = path.extension().and_then(|kind| kind.to_str()).unwrap_or_default();
    let open = |meta: fs::Metadata| {
        meta.is_file() && meta.len() <= MAX_BYTES && meta.permissions().mode() & 0o044 != 0
    };
    KINDS.contains(&kind.to_ascii_lowercase().as_str())
        && !SECRET.iter().any(|word| name.contains(word))
        && path.metadata().is_ok_and(open)
        && fs::read(path).is_ok_and(|bytes| std::str::from_utf8(&bytes).is_ok_and(is_harmless))
}

fn is_harmless(text: &str) -> bool {
    let small = text.to_ascii_lowercase();
    let marked = small.contains("private key") || small.contains('\0');
    !marked && !NEIGHBOURS.iter().any(|word| small.contains(word)) && !small.lines().any(is_secret)
}

/// Whether a line gives something that is called a secret a value of its own; a reference to a
/// variable is none.
fn is_secret(line: &str) -> bool {
    let tells = |word: &&str| {
        let after = line.split_once(*word).map(|(_, after)| after)?;
        let (_, value) = after.split_once([':', '=', '>'])?;
        let value = value.trim_matches(|c: char| c.is_whitespace() || "\"',<>{}[]".contains(c));
        Some(!value.is_empty() && !value.starts_with('$') && value != "null")
    };
    SECRET.iter().any(|word| tells(word) == Some(true)) || has_address_with_password(line)
}

/// `scheme://user:password@host`.
fn has_address_with_password(line: &str) -> bool {
    line.split("://").skip(1).any(|rest| {
        let host = rest.split(['/', ' ', '"', '\'']).next().unwrap_or_default();
        let user = host.rsplit_once('@').map(|(user, _)| user);
        user.and_then(|user| user.split_once(':')).is_some_and(|(_, word)| !word.starts_with('$'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_holds_a_secret_or_asks_for_others_is_not_kept() {
        for (name, text, kept) in [
            ("shop.toml", "greeting = \"hello\"\nworkers = 4\n", true),
            ("shop.YAML", "db: { host: localhost, password: $DB_PASSWORD }\n", true),
            ("shop.json", "{\"token_ttl\": null}", true),
            ("shop.ini", "url = http://localhost:80/x@y", true),
            ("shop.py", "workers = 4\n", false),
            ("secrets.toml", "workers = 4\n", false),
            ("shop.toml", "password = \"x\"\n", false),
            ("shop.json", "{\"apiKey\": \"x\"}", false),
            ("shop.xml", "<password>x</password>", false),
            ("shop.conf", "-----BEGIN EC PRIVATE KEY-----", false),
            ("shop.conf", "url = postgres://shop:x@localhost/shop", false),
            ("shop.conf", "include mime.types;", false),
            ("shop.json", "{\"extends\": \"base\"}", false),
            ("shop.json", "\0", false),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
            assert_eq!(is_worth_keeping(&path), kept, "{name} {text}");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            assert!(!is_worth_keeping(&path), "only its owner may read {name}");
        }
    }

    #[test]
    fn a_large_file_is_data() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("shop.json");
        fs::write(&path, vec![b' '; 1 + (1 << 20)]).unwrap();
        assert!(!is_worth_keeping(&path));
    }
}
