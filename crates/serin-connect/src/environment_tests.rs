use super::*;
use crate::Address;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use tempfile::TempDir;
use tokio_postgres::config::Host;

/// From `NAME=value` pairs.
fn environment(pairs: &[(&str, &str)]) -> Environment {
    let value = |name: &str| pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| value);
    Environment::of(|name| value(name).map(OsString::from))
}

fn filled(address: &str, pairs: &[(&str, &str)]) -> Result<String, String> {
    let mut settings = Settings::read(address).unwrap();
    let done = environment(pairs).fill(&mut settings).and_then(|()| settings.into_pairs());
    done.map_err(|flaw| flaw.to_string())
}

/// A home with a password file that only its owner reads.
fn home(text: &str) -> (TempDir, String) {
    let home = TempDir::new().unwrap();
    let file = home.path().join(".pgpass");
    fs::write(&file, text).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let path = home.path().to_str().unwrap().to_owned();
    (home, path)
}

#[test]
fn only_what_is_left_out_is_filled_in() {
    let all = [
        ("PGHOST", "eh"),
        ("PGHOSTADDR", "127.0.0.9"),
        ("PGPORT", "9"),
        ("PGUSER", "eu"),
        ("PGPASSWORD", "ep"),
        ("PGDATABASE", "ed"),
        ("PGCONNECT_TIMEOUT", ""),
    ];
    let cases = [
        ("", "dbname='ed' host='eh' hostaddr='127.0.0.9' password='ep' port='9' user='eu'"),
        (
            "postgres:///d",
            "dbname='d' host='eh' hostaddr='127.0.0.9' password='ep' port='9' user='eu'",
        ),
        // A named host stays where its name says.
        ("postgres://h", "dbname='ed' host='h' password='ep' port='9' user='eu'"),
        ("postgres://h:1", "dbname='ed' host='h' password='ep' port='1' user='eu'"),
        ("postgres://u:p@h:1/d", "dbname='d' host='h' password='p' port='1' user='u'"),
        (
            "hostaddr=::1 user=u",
            "dbname='ed' host='eh' hostaddr='::1' password='ep' port='9' user='u'",
        ),
    ];
    for (address, wanted) in cases {
        assert_eq!(filled(address, &all).as_deref(), Ok(wanted), "{address}");
    }
}

#[test]
fn what_tls_needs_comes_from_there_too() {
    let pairs = [
        ("PGHOST", "h"),
        ("PGSSLMODE", "verify-full"),
        ("PGSSLROOTCERT", "/none/at/all"),
        ("PGCHANNELBINDING", "require"),
        ("PGCONNECT_TIMEOUT", "7"),
    ];
    let parse = |address: &str| Address::parse_in(address, &environment(&pairs));
    let said = parse("dbname=d").unwrap_err().to_string();
    for part in ["/none/at/all", "from PGHOST, PGSSLMODE, PGSSLROOTCERT"] {
        assert!(said.contains(part), "{said}");
    }
    let read = parse("postgres://h/d?sslmode=disable").unwrap();
    assert_eq!(read.config().get_connect_timeout().map(std::time::Duration::as_secs), Some(7));
    assert!(Address::parse("dbname=d").unwrap().config().get_hosts().is_empty());
}

#[test]
fn a_service_is_not_passed_over() {
    let pairs = [("PGSERVICE", "s"), ("PGHOST", "h"), ("PGDATABASE", "d")];
    for address in ["", "host=h", "dbname=d"] {
        let said = filled(address, &pairs).unwrap_err();
        assert!(said.contains("PGSERVICE is set"), "{said}");
    }
    assert!(filled("host=h dbname=d", &pairs).is_ok());
    assert!(environment(&pairs[..1]).names_a_database());
    assert!(!environment(&pairs[1..2]).names_a_database());
}

#[test]
fn without_a_host_there_must_be_a_socket() {
    let said = filled("port=1", &[]).unwrap_err();
    assert!(said.contains(".s.PGSQL.1") && said.contains("PGHOST"), "{said}");
}

#[test]
fn a_password_file_fills_in_the_password() {
    let (_folder, home) =
        home("h:9:d:u:s3cret\nh,i:*:*:*:no\n*:1:d:u:two\n/tmp:*:*:*:no\nlocalhost:*:*:*:three\n");
    let cases = [
        ("host=h port=9 dbname=d user=u", Some("s3cret")),
        ("host=h port=1 dbname=d user=u", Some("two")),
        ("host=h,i port=1 dbname=d user=u", Some("two")),
        ("hostaddr=127.0.0.1 port=1 dbname=d user=u", Some("two")),
        ("host=/tmp dbname=e user=u", Some("three")),
        ("host=h port=9 dbname=d user=u password=own", Some("own")),
        ("host=h dbname=d user=v", None),
    ];
    for (address, wanted) in cases {
        let read = Address::parse_in(address, &environment(&[("HOME", &home)])).unwrap();
        let found = read.config().get_password().map(String::from_utf8_lossy);
        assert_eq!(found.as_deref(), wanted, "{address}");
    }
    let two = filled("host=h,i port=9,1 dbname=d user=u", &[("HOME", &home)]).unwrap_err();
    assert!(two.contains("different passwords") && !two.contains("s3cret"), "{two}");
}

#[test]
fn a_password_file_that_others_read_is_refused() {
    let (folder, _) = home("h:*:*:*:s3cret\n");
    let file = folder.path().join(".pgpass");
    let named = [("PGPASSFILE", file.to_str().unwrap())];
    for mode in [0o640, 0o604, 0o610] {
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        let said = filled("host=h dbname=d user=u", &named).unwrap_err();
        assert!(said.contains("chmod 0600") && !said.contains("s3cret"), "{said}");
        // Where none of its lines counts it does not matter.
        assert!(filled("host=i dbname=d user=u", &named).is_ok());
        assert!(filled("host=h user=u password=p", &named).is_ok());
    }
    assert!(filled("host=h", &[("PGPASSFILE", "/dev/null")]).is_ok());
    assert!(filled("host=h", &[("PGPASSFILE", "/none/at/all")]).is_ok());
}

#[test]
fn no_debug_output_shows_a_value() {
    let shown = format!("{:?}", environment(&[("PGPASSWORD", "s3cret")]));
    assert!(shown.contains("PGPASSWORD") && !shown.contains("s3cret"), "{shown}");
}

#[test]
fn a_number_for_a_host_is_its_name() {
    let read = Address::parse_in("", &environment(&[("PGHOSTADDR", "127.0.0.1")])).unwrap();
    assert_eq!(read.config().get_hosts(), [Host::Tcp("127.0.0.1".to_owned())]);
}
