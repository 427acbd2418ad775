//! Through a real PgBouncer.

use crate::support::{Said, said, serin};
use crate::{Lab, TOTAL, USERS, contains};
use serin_postgres::{Authority, Pooler, Subject};

fn run(words: &[&str], address: &str) -> Said {
    let mut command = serin(&[&["migrate"], words].concat());
    command.env("SERIN_DATABASE_URL", address);
    command.env("SERIN_COMPARE_FROM", address).env("SERIN_COMPARE_TO", address);
    said(command)
}

/// What apps would feel of a session that only reads, or gives up early.
const SETTINGS: &str = "SELECT string_agg(name || '=' || setting, ' ' ORDER BY name) \
    FROM pg_settings WHERE name IN ('search_path', 'row_security', 'lock_timeout', 'datestyle', \
    'statement_timeout', 'default_transaction_read_only', 'extra_float_digits')";

#[test]
fn nothing_is_linted_or_compared_in_sessions_of_others() {
    let Some(lab) = Lab::new(USERS) else { return };
    lab.write("01_total.yaml", TOTAL);
    let (file, settings) = (lab.path().join("01_total.yaml"), lab.sql(SETTINGS));
    let file = file.to_str().unwrap();
    let own = [("pool_mode", "transaction"), ("default_pool_size", "3")];
    let Some(pooler) = Pooler::start(lab.cluster, &own).unwrap() else { return };
    let url = pooler.url(&lab.database);
    for words in [
        &["lint", file][..],
        &["lint", "--trace-live", file],
        &["lint", "--no-trace", file],
        &["plan", file],
        &["compare", "--table", "users"],
    ] {
        let said = run(words, &url);
        assert_eq!(said.code, Some(6), "{words:?}: {said:?}");
        contains(&said.err, &["PgBouncer in transaction mode", "address of Postgres itself"]);
        for _ in 0..5 {
            assert_eq!(lab.cluster.sql_at(&url, SETTINGS).unwrap(), settings, "{words:?}");
        }
    }
    assert_eq!(lab.sql("SELECT to_regnamespace('serin') IS NULL"), "t");
}

#[test]
fn a_pool_in_session_mode_is_reached_over_tls() {
    let Some(lab) = Lab::new(USERS) else { return };
    lab.write("01_total.yaml", TOTAL);
    let file = lab.path().join("01_total.yaml");
    let file = file.to_str().unwrap();
    let (authority, other) = (Authority::new("of a pool"), Authority::new("another"));
    let (authority, other) = (authority.unwrap(), other.unwrap());
    let its = Subject { name: "pool", hosts: &["pool.test"], expired: false };
    let signed = authority.sign(&its).unwrap();
    let own = [
        ("pool_mode", "session"),
        ("default_pool_size", "6"),
        ("client_tls_sslmode", "require"),
        ("client_tls_cert_file", "FOLDER/its.crt"),
        ("client_tls_key_file", "FOLDER/its.key"),
    ];
    let files = [("its.crt", signed.certificate.as_str()), ("its.key", signed.key.as_str())];
    let Some(pooler) = Pooler::start_with(lab.cluster, &own, &files).unwrap() else { return };
    let at = |host: &str, query: &str| {
        let (port, name) = (pooler.port(), &lab.database);
        format!("postgres://postgres@{host}:{port}/{name}?hostaddr=127.0.0.1&{query}")
    };
    let full = |authority: &Authority| {
        format!("sslmode=verify-full&sslrootcert={}", authority.file().display())
    };
    for (address, part) in [
        (at("pool.test", "sslmode=disable"), "with TLS only, say sslmode=require"),
        (at("other.test", &full(&authority)), "is for pool.test"),
        (at("pool.test", &full(&other)), "nobody trusted"),
    ] {
        for words in [&["status"][..], &["compare", "--table", "users"]] {
            let said = run(words, &address);
            assert_eq!(said.code, Some(7), "{words:?} {address}: {said:?}");
            contains(&said.err, &[part]);
        }
    }
    let safe = at("pool.test", &full(&authority));
    for (words, address, part) in [
        (&["lint", "--trace-live", file][..], &safe, "nothing blocks"),
        (&["lint", file], &safe, "nothing blocks"),
        (&["compare", "--table", "users"], &safe, "equal"),
        (&["start", file], &safe, "dual"),
        (&["status"], &at("pool.test", "sslmode=require"), "dual"),
        (&["status"], &at("pool.test", "sslmode=allow"), "dual"),
        (&["contract", "--backup", "a test"], &safe, "done"),
    ] {
        let said = run(words, address);
        assert_eq!(said.code, Some(0), "{words:?}: {said:?}");
        contains(&said.out, &[part]);
    }
}
