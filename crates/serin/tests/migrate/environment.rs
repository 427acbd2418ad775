//! The database from libpq's environment and its password file.

use crate::support::{Said, said, serin};
use crate::{TOTAL, USERS, contains};
use serin_postgres::{Cluster, Settings, newest, shared};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

const RULES: &str = "\
    host all postgres 127.0.0.1/32 trust
    host all owner 127.0.0.1/32 scram-sha-256
    ";

const PASSWORD: &str = "s3:cr\\et";

fn started() -> Option<Cluster> {
    shared()?;
    let files = vec![("pg_hba.conf".to_owned(), RULES.to_owned())];
    let cluster =
        Cluster::start(&newest().unwrap(), &Settings { files, ..Settings::default() }).unwrap();
    let role = format!("CREATE ROLE owner LOGIN SUPERUSER PASSWORD '{PASSWORD}'");
    for statement in [&role, "CREATE DATABASE shop OWNER owner"] {
        cluster.sql("postgres", statement).unwrap();
    }
    cluster.sql("shop", &format!("SET ROLE owner; {USERS}")).unwrap();
    Some(cluster)
}

/// `serin migrate WORDS` in this environment; nothing that it says shows the password.
fn run(words: &[&str], variables: &[(&str, &str)]) -> Said {
    let mut command = serin(&[&["migrate"], words].concat());
    command.envs(variables.iter().copied());
    let said = said(command);
    assert!(!format!("{}{}", said.out, said.err).contains(PASSWORD), "{said:?}");
    said
}

#[track_caller]
fn ends(said: &Said, code: i32, part: &str) {
    assert_eq!(said.code, Some(code), "{said:?}");
    contains(&format!("{}{}", said.out, said.err), &[part]);
}

fn password_file(folder: &Path, port: &str) -> String {
    let file = folder.join(".pgpass");
    let password = PASSWORD.replace('\\', "\\\\").replace(':', "\\:");
    fs::write(&file, format!("*:1:*:*:wrong\n127.0.0.1:{port}:shop:owner:{password}\n")).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    file.to_str().unwrap().to_owned()
}

#[test]
fn what_psql_takes_from_its_environment_counts_here() {
    let Some(cluster) = started() else { return };
    let port = cluster.port().to_string();
    let folder = tempfile::tempdir().unwrap();
    let (file, home) = (folder.path().join("01_total.yaml"), folder.path().to_str().unwrap());
    fs::write(&file, TOTAL).unwrap();
    let file = file.to_str().unwrap();
    let passwords = password_file(folder.path(), &port);
    let whole = [
        ("PGHOST", "127.0.0.1"),
        ("PGPORT", port.as_str()),
        ("PGUSER", "owner"),
        ("PGDATABASE", "shop"),
        ("PGPASSWORD", PASSWORD),
        ("PGSSLMODE", "disable"),
        ("PGCONNECT_TIMEOUT", "5"),
    ];
    // The copy is made with `pg_dump`, which gets the same.
    ends(&run(&["lint", file], &whole), 0, "1 tried on a server");
    ends(&run(&["lint", file, "--offline"], &whole), 0, "1 file, nothing blocks");
    ends(&run(&["start", file], &whole), 0, "dual");
    // Without the password, which a file has.
    let at_home = [&whole[..4], &[("HOME", home)]].concat();
    ends(&run(&["status"], &at_home), 0, "01_total");
    let named = [&whole[1..3], &[("PGPASSFILE", passwords.as_str())]].concat();
    let address = ["status", "--database", "postgres://127.0.0.1/shop"];
    ends(&run(&address, &named), 0, "01_total");
    let both = [
        ("SERIN_COMPARE_FROM", "host=127.0.0.1 dbname=shop"),
        ("SERIN_COMPARE_TO", "postgres:///shop"),
    ];
    ends(&run(&["compare", "--table", "users"], &[&whole[..], &both].concat()), 0, "equal");
    // What an address says goes before.
    let other = format!("postgres://postgres@127.0.0.1:{port}/shop");
    ends(&run(&["status", "--database", &other], &[("PGPORT", "1"), ("PGUSER", "no")]), 0, "dual");
    ends(&run(&["contract", "--backup", "a test"], &whole), 0, "done");
}

#[test]
fn what_is_missing_or_not_safe_is_said() {
    let Some(cluster) = started() else { return };
    let port = cluster.port().to_string();
    let folder = tempfile::tempdir().unwrap();
    let passwords = password_file(folder.path(), &port);
    fs::set_permissions(&passwords, fs::Permissions::from_mode(0o644)).unwrap();
    let base = [("PGHOST", "127.0.0.1"), ("PGUSER", "owner"), ("PGPORT", port.as_str())];
    let with = |more: &[(&'static str, &str)]| -> Said {
        let all: Vec<(&str, &str)> = base.iter().copied().chain(more.iter().copied()).collect();
        run(&["status"], &all)
    };
    let shop = ("PGDATABASE", "shop");
    ends(&with(&[shop, ("PGPASSFILE", &passwords)]), 2, "chmod 0600");
    ends(&with(&[]), 2, "set PGDATABASE");
    ends(&with(&[shop, ("PGSERVICE", "shop")]), 2, "PGSERVICE is set");
    ends(&with(&[shop]), 7, "password");
    ends(&with(&[shop, ("PGPASSWORD", "wrong")]), 7, "password authentication failed");
    ends(&with(&[shop, ("PGSSLMODE", "verify-full")]), 2, "from PGHOST, PGPORT, PGUSER");
    ends(&run(&["status"], &[("PGSERVICE", "shop")]), 2, "PGSERVICE is set");
    // Nothing but the files is looked at.
    let file = folder.path().join("01_total.yaml");
    fs::write(&file, TOTAL).unwrap();
    ends(&run(&["lint", file.to_str().unwrap()], &base), 0, "1 file, nothing blocks");
}
