//! Migrations on a server that lets nobody in without TLS, as managed ones do.

use crate::support::{Said, said, serin};
use crate::{TOTAL, USERS, contains};
use serin_postgres::{Authority, Cluster, Subject, newest, shared};

const RULES: &str = "\
    host all postgres 127.0.0.1/32 trust
    hostssl all owner 127.0.0.1/32 scram-sha-256
    ";

fn run(words: &[&str], address: &str) -> Said {
    let mut command = serin(&[&["migrate"], words].concat());
    command.env("SERIN_DATABASE_URL", address);
    command.env("SERIN_COMPARE_FROM", address).env("SERIN_COMPARE_TO", address);
    said(command)
}

#[test]
fn a_migration_and_all_around_it_go_over_tls() {
    if shared().is_none() {
        return;
    }
    let authority = Authority::new("of a provider").unwrap();
    let its = Subject { name: "postgres", hosts: &["db.test"], expired: false };
    let settings = authority.settings(&authority.sign(&its).unwrap(), RULES).unwrap();
    let cluster = Cluster::start(&newest().unwrap(), &settings).unwrap();
    let owner =
        "CREATE ROLE owner LOGIN SUPERUSER PASSWORD 's3cret'; CREATE DATABASE shop OWNER owner";
    for statement in owner.split("; ") {
        cluster.sql("postgres", statement).unwrap();
    }
    cluster.sql("shop", &format!("SET ROLE owner; {USERS}")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("01_total.yaml");
    std::fs::write(&file, TOTAL).unwrap();
    let file = file.to_str().unwrap();
    let at = |host: &str, query: &str| {
        let port = cluster.port();
        format!("postgres://owner:s3cret@{host}:{port}/shop?hostaddr=127.0.0.1&{query}")
    };
    let safe =
        at("db.test", &format!("sslmode=verify-full&sslrootcert={}", authority.file().display()));

    let bad = [
        (at("db.test", "sslmode=disable"), 7, "sslmode=require"),
        (at("db.test", "sslmode=verify-full"), 2, "sslrootcert=FILE"),
        (at("db.test", "sslmode=verified"), 2, "verify-full"),
        (safe.replace("db.test", "other.test"), 7, "is for db.test"),
    ];
    for (address, code, part) in bad {
        for words in [&["status"][..], &["start", file], &["compare", "--table", "users"]] {
            let said = run(words, &address);
            assert_eq!(said.code, Some(code), "{words:?} {address}: {said:?}");
            contains(&said.err, &[part]);
            assert!(!(said.err + &said.out).contains("s3cret"), "{address}");
        }
    }
    // The copy is made with `pg_dump`, which gets the same address.
    let good = [
        (&["lint", file][..], "nothing blocks"),
        (&["start", file], ""),
        (&["contract", "--backup", "a test"], ""),
        (&["compare", "--table", "users"], "equal"),
    ];
    for (words, part) in good {
        let said = run(words, &safe);
        assert_eq!(said.code, Some(0), "{words:?}: {said:?}");
        contains(&said.out, &[part]);
    }
    let kind = "SELECT format_type(atttypid, atttypmod) FROM pg_attribute \
        WHERE attrelid = 'users'::regclass AND attname = 'total'";
    assert_eq!(cluster.sql("shop", kind).unwrap(), "bigint");
}
