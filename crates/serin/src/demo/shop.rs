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

/// What is wrong with a version.
struct Faults {
    errors: &'static str,
    slow: &'static str,
}

const NONE: Faults = Faults { errors: "0", slow: "0" };

/// One request in twenty fails, one in ten takes 200 ms longer.
const BAD: Faults = Faults { errors: "0.05", slow: "0.1" };

impl Shop {
    /// The file of the good versions.
    pub(super) fn good(&self) -> String {
        self.text(&NONE)
    }

    /// The file of the bad version.
    pub(super) fn bad(&self) -> String {
        self.text(&BAD)
    }

    fn text(&self, Faults { errors, slow }: &Faults) -> String {
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
      SEED: "{seed}"
      LATENCY_MS: "25"
      LATENCY_SIGMA: "0.2"
      ERROR_RATE: "{errors}"
      SLOW_RATE: "{slow}"
      SLOW_MS: "200"
    readiness: {{ httpGet: {{ path: /ready }} }}
    liveness: {{ httpGet: {{ path: /health }} }}
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
      analysis: {{ metrics: [errors, latency] }}
      keepWarm: 3s
"#
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serin_spec::Source;
    use std::path::Path;

    #[test]
    fn both_files_are_valid_and_differ_in_their_faults_only() {
        let program = "/odd \"path\"/\\serin: #1".to_owned();
        let listen = "127.0.0.1:20480".parse().unwrap();
        let shop = Shop { program: program.clone(), listen, seed: 7 };
        let specs = [shop.good(), shop.bad()].map(|text| {
            let source = Source { name: "shop.yaml", text: &text, base_dir: Path::new("/") };
            let loaded = serin_spec::load(&source).unwrap_or_else(|p| panic!("{p:?}"));
            assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
            loaded.services[0].value.clone()
        });
        let [good, mut bad] = specs;
        assert_eq!(good.run.command, [program.as_str(), "__demo-app"]);
        assert_eq!(good.traffic.listen, Some(listen));
        assert_eq!(good.schedule.rungs(), 2);
        assert_ne!(good, bad);
        for name in ["ERROR_RATE", "SLOW_RATE"] {
            bad.run.env.insert(name.into(), good.run.env[name].clone());
        }
        assert_eq!(good, bad);
    }
}
