use super::*;
use rcgen::{CertificateParams, KeyPair};
use std::fs;
use tempfile::TempDir;

/// A home with `~/.postgresql/root.crt`.
fn home() -> TempDir {
    let home = TempDir::new().unwrap();
    fs::create_dir(home.path().join(".postgresql")).unwrap();
    let key = KeyPair::generate().unwrap();
    let root =
        CertificateParams::new(vec!["ca.test".to_owned()]).unwrap().self_signed(&key).unwrap();
    fs::write(home.path().join(".postgresql/root.crt"), root.pem()).unwrap();
    fs::write(home.path().join("key.pem"), key.serialize_pem()).unwrap();
    home
}

fn parse(address: &str, home: Option<&Path>) -> Result<Address, String> {
    Settings::read(address)
        .and_then(|read| Address::of(read, home))
        .map_err(|flaw| flaw.to_string())
}

#[test]
fn libpq_s_defaults_hold() {
    let home = home();
    let here = Some(home.path());
    let cases = [
        ("postgres://h/d", here, Mode::Prefer, true, false),
        ("postgres://h/d?sslmode=disable", here, Mode::Disable, false, false),
        ("postgres://h/d?sslmode=require", None, Mode::Require, true, false),
        ("postgres://h/d?sslmode=require", here, Mode::Require, true, true),
        ("postgres://h/d?sslmode=verify-full", here, Mode::VerifyFull, true, true),
        ("host=/tmp sslmode=verify-full", None, Mode::VerifyFull, false, false),
    ];
    for (address, home, mode, tls, root) in cases {
        let read = parse(address, home).unwrap();
        let found = (read.mode, read.tls.is_some(), read.files.root.is_some());
        assert_eq!(found, (mode, tls, root), "{address}");
    }
}

#[test]
fn what_cannot_be_safe_is_said_at_once() {
    let home = home();
    let empty = home.path().join("empty.pem");
    fs::write(&empty, "nothing").unwrap();
    let root = home.path().join(".postgresql/root.crt").display().to_string();
    let cases = [
        ("sslmode=verify-full".to_owned(), "sslrootcert=FILE"),
        ("sslmode=verify-ca".to_owned(), "sslrootcert=FILE"),
        ("sslmode=require&sslrootcert=system".to_owned(), "verify-full, not require"),
        ("sslmode=verify-ca&sslrootcert=/none/at/all".to_owned(), "/none/at/all"),
        (format!("sslmode=verify-ca&sslrootcert={}", empty.display()), "no certificate"),
        (format!("sslcert={root}"), "go together"),
        (format!("sslcert={root}&sslkey={root}"), "not encrypted"),
        (
            format!("sslcert={root}&sslkey={}/key.pem&sslmode=dissable", home.path().display()),
            "disable",
        ),
        ("sslnegotiation=direct".to_owned(), "sslmode=require"),
        ("sslcrl=x".to_owned(), "unknown option `sslcrl`"),
    ];
    for (query, expected) in cases {
        let said = parse(&format!("postgres://u:s3cret@h/d?{query}"), None).unwrap_err();
        assert!(said.contains(expected) && !said.contains("s3cret"), "{query}: {said}");
    }
}

#[test]
fn a_host_given_by_its_number_has_that_name() {
    let read = parse("hostaddr=127.0.0.1 dbname=d", None).unwrap();
    assert_eq!(read.config().get_hosts(), [Host::Tcp("127.0.0.1".to_owned())]);
    let read = parse("host=db.test hostaddr=127.0.0.1", None).unwrap();
    assert_eq!(read.config().get_hosts(), [Host::Tcp("db.test".to_owned())]);
}

#[test]
fn no_debug_output_shows_the_password() {
    let read = parse("postgres://u:s3cret@h/shop?sslmode=require", None).unwrap();
    let shown = format!("{read:?}");
    assert!(
        shown.contains("shop") && shown.contains("Require") && !shown.contains("s3cret"),
        "{shown}"
    );
}
