//! One strategy after the other, each on a server of its own.

use crate::number;
use crate::support::load::{Connections, Load, Report};
use crate::support::{SERIN, Said, Server, free_address};
use std::net::SocketAddr;

/// A strategy as in the file.
struct Case {
    name: &'static str,
    strategy: &'static str,
    /// Users may be told that the service is being replaced.
    has_downtime: bool,
}

/// Where users and testers come in.
#[derive(Clone, Copy)]
struct Addresses {
    listen: SocketAddr,
    preview: SocketAddr,
}

/// A shop with this strategy; a bad version fails every other request.
fn file(case: &Case, at: Addresses, bad: bool) -> String {
    let errors = if bad { "0.5" } else { "0" };
    let Addresses { listen, preview } = at;
    format!(
        "\
apiVersion: serin.dev/v1alpha1
kind: Service
metadata: {{ name: shop }}
spec:
  environment: staging
  replicas: 3
  run:
    command: [\"{SERIN}\", __demo-app]
    env: {{ PORT: $(PORT), VERSION: $(REVISION), INSTANCE: $(INSTANCE), LATENCY_MS: \"5\", ERROR_RATE: \"{errors}\" }}
    readiness: {{ httpGet: {{ path: /ready }}, periodSeconds: 1 }}
    terminationGracePeriodSeconds: 3
  traffic: {{ listen: \"{listen}\", preview: \"{preview}\" }}
  strategy:
{}",
        case.strategy
    )
}

/// Cases of this module: name, and what `strategy` says.
macro_rules! ships {
    ($($name:ident: $strategy:literal;)*) => {$(
        #[test]
        fn $name() {
            let name = stringify!($name);
            ship(&Case { name, strategy: $strategy, has_downtime: name == "recreate" });
        }
    )*};
}

ships! {
    rolling: "    rolling: { maxSurge: 1, batch: 1, verify: 2s, warmUp: 0s, keepWarm: 2s, \
        analysis: { metrics: [errors] } }";
    rolling_without_surge: "    rolling: { maxSurge: 0, maxUnavailable: 1, batch: 1, verify: 2s, \
        warmUp: 0s, analysis: { metrics: [errors] } }";
    recreate: "    recreate: { warmUp: 0s, analysis: { metrics: [errors], afterPromotion: 4s } }";
    blue_green: "    blueGreen: { warmUp: 0s, keepWarm: 0s, keepOld: 5s, \
        prePromotion: { run: { http: { url: /health } } }, postPromotion: { watch: 4s }, \
        analysis: { metrics: [errors] } }";
    blue_green_in_steps: "    blueGreen: { warmUp: 0s, keepWarm: 0s, traffic: { steps: [ \
        { setWeight: 30 }, { bake: { until: evidence } }, { setWeight: 100 } ] }, \
        analysis: { metrics: [errors] } }";
    canary: "    canary: { warmUp: 0s, keepWarm: 0s, steps: [ { setWeight: 40 }, \
        { bake: { until: evidence } }, { setWeight: 100 } ], analysis: { metrics: [errors] } }";
    canary_with_scaling: "    canary: { warmUp: 0s, keepWarm: 0s, dynamicStableScale: true, \
        steps: [ { setWeight: 40 }, { bake: { until: evidence } }, { setWeight: 100 } ], \
        analysis: { metrics: [errors] } }";
    ab: "    ab: { warmUp: 0s, keepWarm: 0s, goal: { path: { exact: / } }, duration: 3s, \
        deadline: 5s, minUnits: 100, otherwise: candidate, analysis: { metrics: [errors] } }";
    shadow: "    shadow: { warmUp: 0s, keepWarm: 0s, until: evidence, then: promote, \
        analysis: { metrics: [errors] } }";
    one_box: "    oneBox: { warmUp: 0s, keepWarm: 0s, bake: 3s, between: 1s, \
        analysis: { metrics: [errors] } }";
}

fn apply(server: &Server, case: &Case, at: Addresses, version: u32, bad: bool) -> Said {
    let file = server.file("serin.yaml", &file(case, at, bad));
    let version = format!("v{version}");
    server.run(&["apply", "-f", &file, "-r", &version, "--timeout", "3m"])
}

/// Ships the versions, the one in the middle bad, and gives what users saw.
fn ship(case: &Case) {
    let versions = number("SERIN_VERSIONS", 3);
    let at = Addresses { listen: free_address(), preview: free_address() };
    let server = Server::start();
    let said = apply(&server, case, at, 1, false);
    assert_eq!(said.code, Some(0), "{}: {said:?}", case.name);
    let load = Load::start(at.listen, 6, Connections::Kept);
    load.wait_for(200);
    let bad = 2 + versions / 2;
    let mut good = 1;
    for version in 2..2 + versions {
        let said = apply(&server, case, at, version, version == bad);
        let wanted = if version == bad { 3 } else { 0 };
        assert_eq!(said.code, Some(wanted), "{} v{version}: {said:?}", case.name);
        good = if version == bad { good } else { version };
        let stable = server.json(&["status", "shop"])["stable"].as_str().unwrap().to_owned();
        assert!(stable.starts_with(&format!("v{good}@")), "{}: {stable}", case.name);
    }
    load.wait_for(100);
    seen(case, &load.report(), bad, good);
}

/// Nothing failed that a version did not answer itself, and the last good one serves.
fn seen(case: &Case, report: &Report, bad: u32, good: u32) {
    let own = format!("status 500 of v{bad}");
    let down = |failure: &str| case.has_downtime && failure == "status 503 of serin";
    let others: Vec<_> =
        report.failures.iter().filter(|f| **f != own && !down(f)).take(5).collect();
    assert!(others.is_empty(), "{}: {others:?} of {}", case.name, report.failures.len());
    assert!(report.by_version.contains_key(&format!("v{good}")), "{}: {report:?}", case.name);
}
