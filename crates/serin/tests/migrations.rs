//! A real app on a real Postgres: its schema moves with the rollout, under load, forth and back,
//! while the control plane is killed. Without Postgres or psycopg a loud skip at home and a failure
//! where `CI` is set.
#![allow(clippy::unwrap_used)] // clippy allows it in the test functions only

#[path = "flag_clients/installed.rs"]
#[allow(dead_code)]
mod installed;
mod support;

use rustix::process::Signal;
use std::net::SocketAddr;
use std::path::Path;
use support::load::{Connections, Load};
use support::{Server, free_address, kill};

/// Rows that are there before.
const ROWS: u32 = 60_000;

/// The shop's file; `migrate` is its first step where it brings a schema.
fn file(server: &Server, listen: SocketAddr, python: &str, version: &str, steps: &str) -> String {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/python-migration");
    let (home, url) = (examples.display(), server.dir().join("url"));
    let text = format!(
        "\
apiVersion: serin.dev/v1alpha1
kind: Service
metadata: {{ name: orders }}
spec:
  replicas: 2
  revision: {version}
  run:
    command: [\"{python}\", \"-B\", \"{home}/app.py\", \"{home}/releases/$(REVISION).json\"]
    env: {{ PORT: \"$(PORT)\", VERSION: \"$(REVISION)\" }}
    readiness: {{ httpGet: {{ path: /ready }}, periodSeconds: 1 }}
    terminationGracePeriodSeconds: 3
  database:
    url: {{ fromFile: {} }}
    inject: {{ url: DATABASE_URL }}
  traffic: {{ listen: \"{listen}\" }}
  strategy:
    canary:
      steps: [{}]
      analysis: {{ metrics: [errors] }}
      warmUp: 0s
      keepWarm: 0s
",
        url.display(),
        steps.replace("MIGRATE", &format!("{{ migrate: \"{home}/migrations\" }}")),
    );
    server.file(&format!("{version}.yaml"), &text)
}

const V2: &str = "MIGRATE, { setWeight: 50 }, { pause: {} }, { setWeight: 100 }";

/// Number of the journal's last line.
fn last_line(server: &Server) -> u64 {
    let story = server.get("/api/v1/services/orders/explain");
    let entries = story["entries"].as_array().unwrap().clone();
    entries.iter().map(|entry| entry["seq"].as_u64().unwrap()).max().unwrap_or(0)
}

#[test]
fn a_column_is_renamed_under_load_forth_and_back() {
    let Some(cluster) = serin_postgres::shared() else { return };
    let Some(command) = installed::python("lines.py") else { return };
    let python = command.get_program().to_str().unwrap().to_owned();
    let database = cluster.database().unwrap();
    let sql = |text: &str| cluster.sql(&database, text).unwrap();
    sql(&format!(
        "CREATE TABLE orders (id bigserial PRIMARY KEY, buyer text, total int); INSERT INTO orders \
         (buyer, total) SELECT 'b' || n, n FROM generate_series(1, {ROWS}) n"
    ));
    let server = Server::start();
    server.file("url", &cluster.url(&database));
    let listen = free_address();
    server.ok(&["apply", "-f", &file(&server, listen, &python, "v1", "{ setWeight: 100 }")]);
    let load = Load::start(listen, 4, Connections::Kept);
    load.wait_for(50);

    // Forth, with a control plane that dies while rows are filled in.
    let v2 = file(&server, listen, &python, "v2", V2);
    server.ok(&["apply", "-f", &v2, "--detach"]);
    server.journal_until(0, "migration 01_customer begins");
    while sql("SELECT count(*) FROM pg_attribute WHERE attname = '_serin_done'").trim() == "0" {}
    kill(server.control_pid(), Signal::KILL);
    server.ok(&["wait", "--for", "step=3"]);
    load.wait_for(200);
    assert_eq!(
        sql("SELECT count(*) FROM public_01_customer.orders WHERE total <> 7").trim(),
        "59999"
    );
    let names = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'orders/v2/%'";
    assert_ne!(sql(names).trim(), "0");

    // Back: the code first, then the schema.
    let before = last_line(&server);
    server.run(&["abort", "orders"]);
    server.journal_until(before, "migration 01_customer is taken back");
    assert_eq!(
        sql("SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'public\\_%'").trim(),
        "0"
    );
    load.wait_for(50);

    // Forth again, and to the end.
    server.ok(&["apply", "-f", &v2, "--detach"]);
    server.ok(&["wait", "--for", "step=3"]);
    load.wait_for(100);
    server.ok(&["promote", "orders"]);
    server.ok(&["wait"]);
    load.wait_for(100);
    let report = load.report();
    assert_eq!(report.failures, [""; 0]);
    let of = |version: &str| report.by_version.get(version).copied().unwrap_or(0);
    assert!(of("v1") > 0 && of("v2") > 0, "{report:?}");
    assert_eq!(of("serin"), 0, "{report:?}");
    let written = format!("{}", u64::from(ROWS) + report.answers);
    assert_eq!(sql("SELECT count(*) FROM orders").trim(), written, "each answer is one order");
    let open = server.json(&["status", "orders"]);
    assert_eq!(open["migration"]["name"], "01_customer", "{open}");
}
