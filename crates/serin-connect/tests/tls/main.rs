//! TLS with a real Postgres and authorities made for the test: each mode, good and bad.

#![allow(clippy::unwrap_used)] // a test that cannot go on has failed

mod between;

use serin_connect::{Address, Failure};
use serin_postgres::{Authority, Cluster, Signed, Subject, newest, self_signed, shared};
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

/// The name on the server's certificate.
const HOST: &str = "db.test";

/// Of every role here.
const PASSWORD: &str = "s3cret";

/// `either` comes in both ways, `safe` by TLS only, `plain` without it only, and `known` by its
/// certificate.
const RULES: &str = "\
    host all postgres 127.0.0.1/32 trust
    host all either 127.0.0.1/32 scram-sha-256
    hostssl all safe 127.0.0.1/32 scram-sha-256
    hostnossl all plain 127.0.0.1/32 scram-sha-256
    hostssl all known 127.0.0.1/32 cert
    ";

struct Server {
    cluster: Cluster,
    authority: Authority,
}

/// What a good certificate says.
const GOOD: Subject<'_> = Subject { name: "postgres", hosts: &[HOST], expired: false };

/// What one says whose time is over.
const OVER: Subject<'_> = Subject { expired: true, ..GOOD };

fn authority_of(name: &str) -> Authority {
    Authority::new(name).unwrap()
}

/// The one most tests use. `None` where there is no Postgres, which `shared` says.
fn server() -> Option<&'static Server> {
    static SERVER: OnceLock<Server> = OnceLock::new();
    shared()?;
    Some(SERVER.get_or_init(|| {
        let authority = authority_of("the authority");
        Server { cluster: started(&authority.sign(&GOOD).unwrap(), &authority), authority }
    }))
}

fn started(signed: &Signed, clients: &Authority) -> Cluster {
    let settings = clients.settings(signed, RULES).unwrap();
    let cluster = Cluster::start(&newest().unwrap(), &settings).unwrap();
    for role in ["either", "safe", "plain", "known"] {
        let role = format!("CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}'");
        cluster.sql("postgres", &role).unwrap();
    }
    cluster
}

fn url(cluster: &Cluster, role: &str, host: &str, query: &str) -> String {
    let port = cluster.port();
    format!("postgres://{role}:{PASSWORD}@{host}:{port}/postgres?hostaddr=127.0.0.1&{query}")
}

/// Whether the connection is safe, as the server sees it.
async fn is_safe(address: &str) -> Result<bool, String> {
    let address = Address::parse(address).map_err(|flaw| flaw.to_string())?;
    let client = address.connect().await.map_err(told)?;
    let asked = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    Ok(client.query_one(asked, &[]).await.map_err(|error| error.to_string())?.get(0))
}

/// With the kind of failure.
#[allow(clippy::needless_pass_by_value)] // so that it can be given to `map_err`
fn told(failure: Failure) -> String {
    let kind = if matches!(failure, Failure::Tls(_)) { "tls" } else { "database" };
    format!("{kind}: {failure}")
}

async fn refused(address: &str, expected: &[&str]) {
    let said = is_safe(address).await.unwrap_err();
    for word in expected {
        assert!(said.contains(word), "{address}\n{said}\n has no `{word}`");
    }
    assert!(!said.contains(PASSWORD), "{said}");
}

#[tokio::test]
async fn each_mode_connects_as_libpq_does() {
    let Some(Server { cluster, authority }) = server() else { return };
    let ca = format!("sslrootcert={}", authority.file().display());
    let cases = [
        ("either", HOST, String::new(), true),
        ("either", HOST, "sslmode=disable".into(), false),
        ("either", HOST, "sslmode=allow".into(), false),
        ("either", HOST, "sslmode=prefer".into(), true),
        ("either", HOST, "sslmode=require".into(), true),
        ("either", HOST, "sslmode=require&sslnegotiation=postgres".into(), true),
        // No certificate can be for such a name, and nobody asks.
        ("either", "my db!", "sslmode=require".into(), true),
        ("either", "127.0.0.1", format!("sslmode=require&{ca}"), true),
        ("either", "127.0.0.1", format!("sslmode=verify-ca&{ca}"), true),
        ("either", HOST, format!("sslmode=verify-full&{ca}"), true),
        ("safe", HOST, "sslmode=allow".into(), true),
        ("safe", HOST, "sslmode=prefer".into(), true),
        ("plain", HOST, "sslmode=prefer".into(), false),
        ("plain", HOST, "sslmode=allow".into(), false),
    ];
    for (role, host, query, safe) in cases {
        let address = url(cluster, role, &host.replace(' ', "%20"), &query);
        assert_eq!(is_safe(&address).await, Ok(safe), "{address}");
    }
    let pairs = format!(
        "host={HOST} hostaddr=127.0.0.1 port={} user=safe password='{PASSWORD}' dbname=postgres \
         sslmode=verify-full sslrootcert='{}'",
        cluster.port(),
        authority.file().display(),
    );
    assert_eq!(is_safe(&pairs).await, Ok(true));
}

#[tokio::test]
async fn who_is_not_trusted_is_not_connected_to() {
    let Some(Server { cluster, authority }) = server() else { return };
    let other = authority_of("another");
    let others = format!("sslrootcert={}", other.file().display());
    for mode in ["require", "verify-ca", "verify-full"] {
        let address = url(cluster, "either", HOST, &format!("sslmode={mode}&{others}"));
        refused(&address, &["tls:", "nobody trusted", "sslrootcert=FILE"]).await;
    }
    let full = format!("sslmode=verify-full&sslrootcert={}", authority.file().display());
    let name = ["tls:", "for db.test, not for", "verify-ca"];
    refused(&url(cluster, "either", "other.test", &full), &name).await;
    refused(&url(cluster, "either", "127.0.0.1", &full), &name).await;
    refused(&url(cluster, "either", "my%20db", &full), &["no certificate can be for", "verify-ca"])
        .await;
}

#[tokio::test]
async fn what_the_server_wants_is_said() {
    let Some(Server { cluster, authority }) = server() else { return };
    refused(&url(cluster, "safe", HOST, "sslmode=disable"), &["tls:", "sslmode=require"]).await;
    refused(&url(cluster, "plain", HOST, "sslmode=require"), &["database:", "plain"]).await;
    let wrong = url(cluster, "either", HOST, "").replace(PASSWORD, "wrong");
    refused(&wrong, &["database:", "password authentication failed", "28P01"]).await;
    refused(&url(cluster, "known", HOST, "sslmode=require"), &["tls:", "sslcert=FILE"]).await;
    let own = |(certificate, key): (std::path::PathBuf, std::path::PathBuf)| {
        format!("sslmode=require&sslcert={}&sslkey={}", certificate.display(), key.display())
    };
    let known = url(cluster, "known", HOST, &own(authority.client("known").unwrap()));
    assert_eq!(is_safe(&known).await, Ok(true));
    let strangers = authority_of("of strangers");
    let stranger = own(strangers.client("known").unwrap());
    refused(&url(cluster, "known", HOST, &stranger), &["tls:", "sslcert=FILE"]).await;
}

#[tokio::test]
async fn a_server_without_tls_is_only_for_who_does_not_ask_for_it() {
    let Some(cluster) = shared() else { return };
    let at = |query: &str| url(cluster, "postgres", "localhost", query);
    assert_eq!(is_safe(&at("sslmode=prefer")).await, Ok(false));
    assert_eq!(is_safe(&at("")).await, Ok(false));
    refused(&at("sslmode=require"), &["tls:", "ssl = on", "sslmode=disable"]).await;
    let socket = cluster.data().parent().unwrap().display().to_string();
    let socket = format!("host={socket} port={} user=postgres sslmode=require", cluster.port());
    assert_eq!(is_safe(&socket).await, Ok(false), "sockets are safe as they are");
}

#[tokio::test]
async fn a_certificate_that_is_over_is_refused() {
    let Some(_) = shared() else { return };
    let authority = authority_of("the authority");
    let over = authority.sign(&OVER).unwrap();
    let cluster = started(&over, &authority);
    let ca = format!("sslrootcert={}", authority.file().display());
    for mode in ["verify-ca", "verify-full"] {
        let address = url(&cluster, "either", HOST, &format!("sslmode={mode}&{ca}"));
        refused(&address, &["tls:", "has expired", "clock"]).await;
    }
    assert_eq!(is_safe(&url(&cluster, "either", HOST, "sslmode=require")).await, Ok(true));
}

/// What `openssl req -x509` makes is its own authority: it is trusted when it is named, as libpq
/// does, but not when it is over or another.
#[tokio::test]
async fn a_server_s_own_certificate_can_be_trusted() {
    let Some(_) = shared() else { return };
    let folder = tempfile::TempDir::new().unwrap();
    let clients = authority_of("of clients");
    let at = |cluster: &Cluster, host: &str, mode: &str, root: &Path| {
        let query = format!("sslmode={mode}&sslrootcert={}", root.display());
        url(cluster, "either", host, &query)
    };
    let own = self_signed(&GOOD).unwrap();
    let (file, other) = (folder.path().join("own.pem"), folder.path().join("other.pem"));
    std::fs::write(&file, &own.certificate).unwrap();
    std::fs::write(&other, self_signed(&GOOD).unwrap().certificate).unwrap();
    let cluster = started(&own, &clients);
    assert_eq!(is_safe(&at(&cluster, HOST, "verify-full", &file)).await, Ok(true));
    assert_eq!(is_safe(&at(&cluster, "other.test", "verify-ca", &file)).await, Ok(true));
    refused(&at(&cluster, "other.test", "verify-full", &file), &["tls:", "for db.test"]).await;
    refused(&at(&cluster, HOST, "verify-ca", &other), &["tls:"]).await;
    drop(cluster);
    let over = self_signed(&OVER).unwrap();
    std::fs::write(&file, &over.certificate).unwrap();
    let cluster = started(&over, &clients);
    refused(&at(&cluster, HOST, "verify-ca", &file), &["tls:", "has expired"]).await;
}

#[tokio::test]
async fn programs_of_postgres_get_the_same_safety() {
    let Some(Server { cluster, authority }) = server() else { return };
    let query = format!("sslmode=verify-full&sslrootcert={}", authority.file().display());
    let ask = |address: &str| {
        let mut psql = Command::new(cluster.client("psql"));
        psql.args(["-X", "-A", "-t", "-c"]);
        Address::parse(address).unwrap().set_for(&mut psql);
        psql.arg("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()");
        let done = psql.output().unwrap();
        (done.status.success(), String::from_utf8_lossy(&done.stdout).trim().to_owned())
    };
    assert_eq!(ask(&url(cluster, "safe", HOST, &query)), (true, "t".to_owned()));
    assert!(!ask(&url(cluster, "safe", "other.test", &query)).0);
}

/// Somebody in between who shows a certificate of their own gets through where nobody looks at it,
/// but not past a login that is bound to it.
#[tokio::test]
async fn a_login_is_bound_to_the_certificate() {
    let Some(Server { cluster, authority: own }) = server() else { return };
    let bound = |query: &str| url(cluster, "safe", HOST, &format!("sslmode=require&{query}"));
    assert_eq!(is_safe(&bound("channel_binding=require")).await, Ok(true));
    let plain = url(cluster, "either", HOST, "sslmode=disable&channel_binding=require");
    refused(&plain, &["database:", "channel binding"]).await;
    let strangers = authority_of("of strangers").sign(&GOOD).unwrap();
    let port = between::relay(cluster.port(), &strangers, &own.file()).await;
    let through =
        |query: &str| bound(query).replace(&format!(":{}", cluster.port()), &format!(":{port}"));
    assert_eq!(is_safe(&through("channel_binding=disable")).await, Ok(true));
    refused(&through("channel_binding=prefer"), &["database:", "channel binding"]).await;
    let ca = format!("sslrootcert={}", own.file().display());
    refused(&through(&ca), &["tls:", "nobody trusted"]).await;
}
