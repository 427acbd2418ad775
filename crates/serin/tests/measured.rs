//! What is measured at the instances themselves leads back: error lines of their logs, and the
//! processor.
#![allow(clippy::unwrap_used)] // clippy allows it in the test functions only

mod support;

use support::load::{Connections, Load};
use support::{SERIN, Server, file_of, free_address};

/// A shop of which v2 answers everybody well and writes that it does not.
fn lying(listen: std::net::SocketAddr) -> String {
    let script = format!(
        "[ $VERSION = v2 ] && (while sleep 0.1; do echo ERROR: no database; done) & \
         exec {SERIN} __demo-app"
    );
    let steps = "{ setWeight: 50 }, { pause: { duration: 10m } }, { setWeight: 100 }";
    let file = file_of(listen, &format!("[sh, -c, \"{script}\"]"), "", steps);
    let checks = "analysis: { metrics: [], checks: [post-switch-logs] }";
    file.replace("analysis: { metrics: [errors] }", checks)
}

#[test]
fn lines_that_say_error_lead_back_where_no_request_does() {
    let server = Server::start();
    let listen = free_address();
    let file = server.file("serin.yaml", &lying(listen));
    server.ok(&["apply", "-f", &file]);
    let load = Load::start(listen, 2, Connections::Kept);
    let said = server.run(&["deploy", "-r", "v2"]);
    assert_eq!(said.code, Some(3), "{said:?}");
    assert!(said.err.contains("error lines of the last 1,000"), "{}", said.err);
    let seen = loop {
        let story = server.get("/api/v1/services/shop/explain");
        if story["checkup"].is_object() {
            break story["checkup"].clone();
        }
    };
    assert_eq!(load.report().failures, [""; 0], "no request says that anything is wrong");
    assert!(seen["revision"].as_str().unwrap().starts_with("v1@"), "{seen}");
    let instances = seen["instances"].as_array().unwrap();
    assert_eq!(instances.len(), 2, "{seen}");
    for instance in instances {
        assert_eq!((&instance["healthy"], &instance["error_lines"]), (&true.into(), &0.into()));
        assert_eq!(instance["probe"], "GET /ready: 200 OK");
    }
    let shown = server.ok(&["explain", "shop"]).out;
    assert!(shown.contains("GET /ready: 200 OK  0 error lines in the"), "{shown}");
    let shown = server.ok(&["history", "shop"]).out;
    assert!(shown.contains("2 of 2 instances healthy, 0 error lines"), "{shown}");
}

#[test]
fn a_worker_whose_child_burns_the_processor_is_taken_back() {
    let server = Server::start();
    let script =
        format!("(while :; do [ $VERSION = v2 ] || sleep 1; done) & exec {SERIN} __demo-app");
    let file = server.file(
        "serin.yaml",
        &format!(
            "\
apiVersion: serin.dev/v1alpha1
kind: Service
metadata: {{ name: mailer }}
spec:
  replicas: 1
  revision: v1
  run:
    command: [sh, -c, \"{script}\"]
    env: {{ VERSION: \"$(REVISION)\", PORT: \"$(PORT)\" }}
    terminationGracePeriodSeconds: 1
  traffic: none
  rollback:
    triggers: {{ maxCpu: 20%, every: 1s, window: 10s, failures: {{ consecutive: 2 }} }}
  strategy: {{ rolling: {{ maxSurge: 1, verify: 5m, warmUp: 0s }} }}
"
        ),
    );
    server.ok(&["apply", "-f", &file]);
    let said = server.run(&["deploy", "-r", "v2"]);
    assert_eq!(said.code, Some(3), "{said:?}");
    assert!(said.err.contains("maxCpu") && said.err.contains("% of a core"), "{}", said.err);
    let status = server.json(&["status", "mailer"]);
    assert!(status["stable"].as_str().unwrap().starts_with("v1@"), "{status}");
}
