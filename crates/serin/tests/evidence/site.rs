//! A shop that is up with v1, and what is asked of it.

use crate::support::{SERIN, Said, Server, free_address, said};
use serde_json::Value;
use std::net::SocketAddr;

/// The parts of the shop's file in which the tests differ.
#[derive(Debug, Clone, Copy)]
pub struct Shop {
    /// More of the environment, as in the file.
    pub env: &'static str,
    /// Of the load balancer, beside its address.
    pub traffic: &'static str,
    pub steps: &'static str,
    pub analysis: &'static str,
    /// Of the strategy, beside steps and analysis.
    pub strategy: &'static str,
}

impl Shop {
    /// Half of the users until the evidence on errors is there.
    pub const HALF: Self = Self {
        env: "",
        traffic: "",
        steps: "{ setWeight: 50 }, { bake: { until: evidence } }, { setWeight: 100 }",
        analysis: "metrics: [errors]",
        strategy: "warmUp: 0s, keepWarm: 0s",
    };

    fn file(&self, listen: SocketAddr) -> String {
        let Self { env, traffic, steps, analysis, strategy } = self;
        format!(
            "\
apiVersion: serin.dev/v1alpha1
kind: Service
metadata: {{ name: shop }}
spec:
  replicas: 2
  revision: v1
  run:
    command: [\"{SERIN}\", __demo-app]
    env: {{ PORT: $(PORT), VERSION: $(REVISION), INSTANCE: $(INSTANCE), LATENCY_MS: \"5\", {env} }}
    readiness: {{ httpGet: {{ path: /ready }}, periodSeconds: 1 }}
    terminationGracePeriodSeconds: 3
  traffic: {{ listen: \"{listen}\", {traffic} }}
  strategy:
    canary: {{ steps: [{steps}], analysis: {{ {analysis} }}, {strategy} }}
"
        )
    }
}

/// A server with v1 of a shop.
pub struct Site {
    pub server: Server,
    pub listen: SocketAddr,
}

impl Site {
    /// Up with v1.
    pub fn new(shop: &Shop) -> Self {
        let site = Self { server: Server::start(), listen: free_address() };
        let said = site.apply(shop, "v1");
        assert_eq!(said.code, Some(0), "{said:?}");
        site
    }

    /// Brings out a version and stays until that is over, or for a time in which it must be.
    pub fn apply(&self, shop: &Shop, version: &str) -> Said {
        let file = self.server.file("serin.yaml", &shop.file(self.listen));
        self.server.run(&["apply", "-f", &file, "-r", version, "--timeout", "3m"])
    }

    /// Begins to bring out a version.
    pub fn begin(&self, shop: &Shop, version: &str) {
        let file = self.server.file("serin.yaml", &shop.file(self.listen));
        self.server.ok(&["apply", "-f", &file, "-r", version, "--detach"]);
    }

    /// Waits for a place in the rollout, or for its end.
    pub fn wait(&self, what: &str) -> Said {
        self.server.ok(&["wait", "shop", "--for", what, "--timeout", "3m"])
    }

    /// The service as it is.
    pub fn status(&self) -> Value {
        self.server.json(&["status", "shop"])
    }

    /// The record of the newest rollout.
    pub fn record(&self) -> Value {
        self.server.json(&["history", "shop"])["rollouts"][0].clone()
    }

    /// What happened in the newest rollout, oldest first.
    pub fn story(&self) -> Vec<String> {
        let entries = self.server.json(&["explain", "shop"])["entries"].clone();
        let text = |entry: &Value| entry["text"].as_str().unwrap().to_owned();
        entries.as_array().unwrap().iter().map(text).collect()
    }
}

/// Asserts that the texts have these parts, in this order.
pub fn told(story: &[String], parts: &[&str]) {
    let mut rest = story.iter();
    for part in parts {
        assert!(rest.any(|text| text.contains(part)), "no `{part}` in its place: {story:#?}");
    }
}

/// What the newest rollout was judged by leads to its verdict when it is judged again. Gives the
/// line that says so.
pub fn audited(site: &Site) -> Value {
    let export = site.server.ok(&["analysis", "export", "shop"]).out;
    let file = site.server.file("export.jsonl", &export);
    let mut judge = site.server.command(&["stats", "judge", "-"]);
    judge.stdin(std::fs::File::open(file).unwrap());
    let said = said(judge);
    assert_eq!(said.code, Some(0), "{said:?}");
    let line: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(line["agrees"], true, "{line:#}");
    line
}
