//! The file the demo applies: a service like anybody's.

use std::net::SocketAddr;

/// Name of the service.
pub(super) const NAME: &str = "shop";

/// What is put into the file.
#[derive(Debug, Clone)]
pub(super) struct Shop {
    /// This binary, which is the app too.
    pub(super) program: String,
    /// Where its users come in.
    pub(super) listen: SocketAddr,
    /// For the luck of its instances.
    pub(super) seed: u64,
}

/// Faults of the bad version.
const FAULTS: &str = r#"
      ERROR_RATE: "0.05"             # one request in twenty fails,
      SLOW_RATE: "0.1"               # one in ten takes
      SLOW_MS: "200"                 # 200 ms longer"#;

impl Shop {
    /// The file of the good versions.
    pub(super) fn good(&self) -> String {
        self.text("")
    }

    /// The file of the bad version.
    pub(super) fn bad(&self) -> String {
        self.text(FAULTS)
    }

    fn text(&self, faults: &str) -> String {
        let Self { program, listen, seed } = self;
        // A JSON string is a YAML string.
        let program = serde_json::Value::from(program.as_str());
        format!(
            r#"apiVersion: serin.dev/v1alpha1
kind: Service
metadata: {{ name: {NAME} }}
spec:
  environment: demo
  replicas: 2
  run:
    command: [{program}, "__demo-app"]
    env:
      PORT: "$(PORT)"
      VERSION: "$(REVISION)"
      INSTANCE: "$(INSTANCE)"
      SEED: "{seed}"{faults}
    readiness: {{ httpGet: {{ path: /ready }}, periodSeconds: 1 }}
    liveness: {{ httpGet: {{ path: /health }}, periodSeconds: 5 }}
    terminationGracePeriodSeconds: 5
  traffic: {{ listen: "{listen}" }}
  strategy:
    canary:
      warmUp: 5s
      steps:
        - setWeight: 20
        - bake: {{ atLeast: 3s, until: evidence }}
        - setWeight: 50
        - bake: {{ atLeast: 3s, until: evidence }}
        - setWeight: 100
      analysis: {{ metrics: [errors, latency], latencyTolerance: "11%" }}
      keepWarm: 3s
"#
        )
    }
}
