//! Arrows between crates point down only, and the pure crates stay pure. Read from
//! `cargo metadata`, so that what is checked is what is built.

use super::Finding;
use crate::{
    command,
    failure::{Doing, Failure, Result},
};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

/// Which of our crates a crate may name in its own dependencies.
const EDGES: &[(&str, &[&str])] = &[
    ("serin-stats", &[]),
    ("serin-flags", &[]),
    ("serin-core", BELOW_CORE),
    ("serin-keeper", &[]),
    ("serin-edge", &["serin-flags"]),
    ("serin-openfeature", &["serin-flags"]),
    ("serin-proxy", &["serin-stats", "serin-edge", "serin-flags"]),
    ("serin-spec", &["serin-core", "serin-flags"]),
    ("serin-store", &["serin-core"]),
    ("serin-metrics", &["serin-core"]),
    ("serin-connect", &[]),
    ("serin-migrate", &["serin-connect"]),
    ("serin-lint", &["serin-migrate", "serin-connect"]),
    ("serin-dual", &["serin-connect"]),
    ("serin-kube", &["serin-core"]),
    ("serin-local", &["serin-core", "serin-proxy", "serin-keeper"]),
    ("serin-server", SERVER_USES),
    ("serin", BINARY_USES),
    ("serin-calibration", &["serin-stats"]),
    ("serin-hostile", &["serin-core", "serin-proxy", "serin-local", "serin-calibration"]),
    ("serin-sim", &["serin-core", "serin-store", "serin-server", "serin-flags"]),
    ("serin-postgres", &[]),
    ("xtask", &[]),
];

/// Core's items carry the types of these, so whoever may know core may know them too.
const BELOW_CORE: &[&str] = &["serin-stats"];

const SERVER_USES: &[&str] = &[
    "serin-core",
    "serin-edge",
    "serin-flags",
    "serin-spec",
    "serin-store",
    "serin-metrics",
    "serin-local",
    "serin-kube",
    "serin-migrate",
    "serin-lint",
    "serin-dual",
];

/// The binary is also the entry point of the processes it starts itself as.
const BINARY_USES: &[&str] = &[
    "serin-server",
    "serin-core",
    "serin-spec",
    "serin-local",
    "serin-keeper",
    "serin-proxy",
    "serin-edge",
    "serin-flags",
    "serin-connect",
    "serin-migrate",
    "serin-lint",
    "serin-dual",
];

/// What a crate must not reach, however many steps away.
const OUT_OF_REACH: &[(&str, &[&str])] = &[
    ("serin-core", IMPURE),
    ("serin-stats", IMPURE),
    ("serin-flags", IMPURE_BUT_FOR_JSON),
    ("serin-keeper", &["tokio", "rusqlite", "serde-saphyr", "hyper", "axum"]),
    ("serin-proxy", &["rusqlite", "serde-saphyr", "axum"]),
];

/// Flags are JSON: their format, their rules and what they are asked with.
const IMPURE_BUT_FOR_JSON: &[&str] = &[
    "async-std",
    "axum",
    "chrono",
    "fastrand",
    "getrandom",
    "hyper",
    "jiff",
    "log",
    "mio",
    "rand",
    "rusqlite",
    "rustix",
    "serde-saphyr",
    "socket2",
    "tempfile",
    "tokio",
    "tracing",
    "uuid",
];

const IMPURE: &[&str] = &[
    "async-std",
    "axum",
    "chrono",
    "fastrand",
    "getrandom",
    "hyper",
    "jiff",
    "libsqlite3-sys",
    "log",
    "mio",
    "rand",
    "reqwest",
    "rusqlite",
    "rustix",
    "serde-saphyr",
    "serde_json",
    "smol",
    "socket2",
    "tempfile",
    "time",
    "tokio",
    "tracing",
    "uuid",
];

/// Crates that only one of ours may name.
const OWNED: [(&str, &str); 2] = [("rusqlite", "serin-store"), ("serde-saphyr", "serin-spec")];

/// Checks the workspace as cargo resolves it.
pub fn check(root: &Path) -> Result<Vec<Finding>> {
    // Without the platform, cargo downloads what only other systems need.
    let platform = host()?;
    let arguments = ["metadata", "--format-version", "1", "--filter-platform", &platform];
    let text = command::capture(command::cargo(&arguments).current_dir(root))?;
    let metadata = serde_json::from_str(&text).doing(|| "reading `cargo metadata`".to_owned())?;
    Ok(check_graph(&Graph::read(&metadata)?, root))
}

fn host() -> Result<String> {
    let version = command::capture(&mut command::cargo(&["--version", "--verbose"]))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or_else(|| Failure::new("`cargo --version --verbose` names no host"))
}

/// Who depends on whom, without what is only for tests.
#[derive(Debug, Default)]
pub struct Graph {
    /// Our crates: package id to (name, manifest).
    pub members: BTreeMap<String, (String, String)>,
    /// Package id to name, of all packages.
    pub names: BTreeMap<String, String>,
    /// Package id to the ids it uses in its product.
    pub uses: BTreeMap<String, BTreeSet<String>>,
}

impl Graph {
    /// Takes what is needed out of `cargo metadata`.
    pub fn read(metadata: &Value) -> Result<Self> {
        let mut graph = Self::default();
        let members: BTreeSet<&str> =
            list(metadata, "workspace_members")?.filter_map(Value::as_str).collect();
        for package in list(metadata, "packages")? {
            let (id, name) = (text(package, "id")?, text(package, "name")?);
            graph.names.insert(id.to_owned(), name.to_owned());
            if members.contains(id) {
                let manifest = text(package, "manifest_path")?.to_owned();
                graph.members.insert(id.to_owned(), (name.to_owned(), manifest));
            }
        }
        for node in list(&metadata["resolve"], "nodes")? {
            let used = list(node, "deps")?.filter(|dep| is_product(dep));
            let used =
                used.map(|dep| text(dep, "pkg").map(str::to_owned)).collect::<Result<_>>()?;
            graph.uses.insert(text(node, "id")?.to_owned(), used);
        }
        Ok(graph)
    }

    fn used_names(&self, id: &str) -> BTreeSet<&str> {
        self.uses.get(id).into_iter().flatten().filter_map(|id| self.name(id)).collect()
    }

    fn name(&self, id: &str) -> Option<&str> {
        self.names.get(id).map(String::as_str)
    }

    /// The chain of names from `start` to a package called `target`, if there is one.
    fn path_to<'a>(&'a self, start: &'a str, target: &str) -> Option<Vec<&'a str>> {
        let mut seen = BTreeSet::from([start]);
        let mut open = vec![vec![start]];
        while let Some(path) = open.pop() {
            let here = *path.last()?;
            if path.len() > 1 && self.name(here) == Some(target) {
                return path.iter().map(|id| self.name(id)).collect();
            }
            for next in self.uses.get(here).into_iter().flatten() {
                if seen.insert(next) {
                    open.push(path.iter().copied().chain([next.as_str()]).collect());
                }
            }
        }
        None
    }
}

fn list<'a>(value: &'a Value, key: &str) -> Result<std::slice::Iter<'a, Value>> {
    let array = value[key].as_array();
    array
        .map(|items| items.iter())
        .ok_or_else(|| Failure::new(format!("`cargo metadata` has no list `{key}`")))
}

fn text<'a>(value: &'a Value, key: &str) -> Result<&'a str> {
    value[key].as_str().ok_or_else(|| Failure::new(format!("`cargo metadata` has no text `{key}`")))
}

/// Whether an edge is for more than tests.
fn is_product(dep: &Value) -> bool {
    let kinds = dep["dep_kinds"].as_array();
    kinds.is_none_or(|kinds| kinds.iter().any(|kind| kind["kind"].as_str() != Some("dev")))
}

/// All findings about a graph.
pub fn check_graph(graph: &Graph, root: &Path) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (id, (name, manifest)) in &graph.members {
        let messages = [edges(graph, id, name), reach(graph, id, name), owned(graph, id, name)];
        let file = Path::new(manifest).strip_prefix(root).unwrap_or(Path::new(manifest));
        findings.extend(messages.concat().into_iter().map(|m| Finding::new(file, 1, "edge", m)));
    }
    findings
}

fn edges(graph: &Graph, id: &str, name: &str) -> Vec<String> {
    let Some((_, allowed)) = EDGES.iter().find(|(crate_name, _)| *crate_name == name) else {
        return vec![format!(
            "`{name}` has no place in the house; give it one in xtask's tidy/edges.rs"
        )];
    };
    let ours: BTreeSet<&str> = graph.members.values().map(|(name, _)| name.as_str()).collect();
    let used = graph.used_names(id).into_iter().filter(|used| ours.contains(used));
    let knows_core = allowed.contains(&"serin-core");
    let is_allowed =
        |used: &&str| allowed.contains(used) || knows_core && BELOW_CORE.contains(used);
    used.filter(|used| !is_allowed(used))
        .map(|used| format!("`{name}` must not know `{used}`: arrows point down only"))
        .collect()
}

fn reach(graph: &Graph, id: &str, name: &str) -> Vec<String> {
    let rules = OUT_OF_REACH.iter().filter(|(crate_name, _)| *crate_name == name);
    let targets = rules.flat_map(|(_, targets)| targets.iter());
    targets
        .filter_map(|target| graph.path_to(id, target))
        .map(|path| format!("out of reach, but there: {}", path.join(" -> ")))
        .collect()
}

fn owned(graph: &Graph, id: &str, name: &str) -> Vec<String> {
    let used = graph.used_names(id);
    let broken = OWNED.iter().filter(|(owned, owner)| used.contains(owned) && name != *owner);
    broken.map(|(owned, owner)| format!("only `{owner}` may name `{owned}`")).collect()
}
