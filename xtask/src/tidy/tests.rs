//! The repository obeys its rules, and each rule finds what it is for.

use super::{
    check, documents,
    edges::{Graph, check_graph},
    functions, layout, lines,
    source::{Source, mark_test_modules},
};
use serde_json::json;
use std::path::{Path, PathBuf};

#[test]
fn the_repository_is_tidy() {
    let report = check(&crate::root::path()).unwrap();
    let findings: Vec<String> = report.findings.iter().map(ToString::to_string).collect();
    assert!(findings.is_empty(), "{}", findings.join("\n"));
}

fn source(path: &str, text: &str) -> Source {
    Source::new(PathBuf::from(path), text.to_owned())
}

#[track_caller]
fn check_code(text: &str, code: &str) {
    assert_eq!(source("a.rs", text).code, code);
}

#[test]
fn comments_and_literals_are_blanked() {
    check_code("a // b\nc", "a     \nc");
    check_code("a /* b /* c */ d */ e", "a                   e");
    check_code(r#"f("x\"y")"#, r#"f("    ")"#);
    check_code("r#\"a\"b\"# c", "r#\"   \"# c");
    check_code("br\"a\\\" c", "br\"  \" c");
    check_code("b'{' '\\'' 'a' <'a> x", "b' ' '  ' ' ' <'a> x");
    check_code("r#fn bar\"s\"", "r#fn bar\" \"");
    check_code("\"ü\" é", "\"  \" é");
    check_code("\"open", "\"    ");
}

#[test]
fn functions_are_measured() {
    let text = "fn a() { 1 }\nimpl X {\n  fn b(\n    x: [u8; 2],\n  ) -> u8 {\n    \"}\";\n  }\n}\n\
                trait T { fn c(); }\ntype F = fn (u8);\n#[cfg(test)]\nmod t {\n  fn d() {\n  }\n}\n";
    let source = source("a.rs", text);
    let found: Vec<_> = functions::functions(&source)
        .iter()
        .map(|f| (f.name, f.line, f.lines, f.is_test))
        .collect();
    assert_eq!(found, [("a", 1, 1, false), ("b", 3, 5, false), ("d", 13, 2, true)]);
}

#[test]
fn a_function_of_71_lines_is_too_long() {
    let of = |lines: usize| format!("fn a() {{\n{}}}\n", "1;\n".repeat(lines - 2));
    let mut lengths = Vec::new();
    assert_eq!(functions::check(&source("a.rs", &of(70)), &mut lengths), []);
    assert_eq!(functions::check(&source("a.rs", &of(71)), &mut lengths).len(), 1);
    assert_eq!(lengths, [70, 71]);
    assert_eq!(functions::median(&mut [9, 1, 3]), 3);
    assert!(functions::median_finding(9).is_none());
    assert!(functions::median_finding(10).is_some());
}

/// The rules broken by a file, with their lines.
#[track_caller]
fn check_lines(path: &str, text: &str, expected: &[(usize, &str)]) {
    let findings = lines::check(&source(path, text));
    let mut found: Vec<_> = findings.iter().map(|f| (f.line, f.rule)).collect();
    found.sort_unstable();
    assert_eq!(found, expected);
}

#[test]
fn banned_words_are_found_in_code_only() {
    check_lines("a.rs", "x.unwrap();\n// .unwrap()\n\".unwrap()\"", &[(1, "unwrap")]);
    check_lines("a.rs", "x.unwrap_or(1); #[allow(unsafe_code)]", &[]);
    check_lines("a.rs", "unsafe { todo!() }", &[(1, "unfinished"), (1, "unsafe")]);
    check_lines("a.rs", "dbg!(x);", &[(1, "debug-print")]);
    check_lines("tests/a.rs", "#[ignore = \"slow\"]\nx.unwrap();", &[(1, "ignored-test")]);
    check_lines("a.rs", "#[cfg(test)]\nmod t {\n x.unwrap()\n}\ny.unwrap()", &[(5, "unwrap")]);
}

#[test]
fn sleeps_in_tests_need_a_reason() {
    let sleep = "std::thread::sleep(x);";
    check_lines("src/a.rs", sleep, &[]);
    check_lines("tests/a.rs", sleep, &[(1, "sleep-in-test")]);
    check_lines("tests/a.rs", " sleep(x).await;\nfn f() {}", &[(1, "sleep-in-test")]);
    check_lines("tests/a.rs", "tokio::time::sleep(x) // tidy: sleep: no event", &[]);
    check_lines("tests/a.rs", "// tidy: sleep: no event\ntokio::time::sleep(x)", &[]);
    check_lines("tests/a.rs", "// tidy: sleep:\ntokio::time::sleep(x)", &[(2, "sleep-in-test")]);
}

#[test]
fn pure_crates_know_no_clock() {
    let text = "use std::collections::HashMap;\nlet t = Instant::now();";
    check_lines("crates/serin-core/src/a.rs", text, &[(1, "pure-crate"), (2, "pure-crate")]);
    check_lines("crates/serin-core/tests/a.rs", text, &[]);
    check_lines("crates/serin-core/examples/a.rs", text, &[]);
    check_lines("crates/serin-proxy/src/a.rs", text, &[]);
}

#[test]
fn modules_declared_for_tests_are_tests() {
    let mut sources = [
        source("src/lib.rs", "#[cfg(test)]\nmod fake;\nmod real;"),
        source("src/fake.rs", "x"),
        source("src/fake/deep.rs", "x"),
        source("src/real.rs", "#[cfg(test)]\n#[path = \"x\"]\nmod checks;"),
        source("src/real/checks.rs", "x"),
    ];
    mark_test_modules(&mut sources);
    assert_eq!(sources.map(|s| s.all_test), [false, true, true, false, true]);
}

#[track_caller]
fn check_layout(path: &str, text: &str, expected: &[&str]) {
    let found: Vec<_> = layout::check(&source(path, text)).iter().map(|f| f.rule).collect();
    assert_eq!(found, expected);
}

#[test]
fn layout_rules() {
    check_layout("src/a.rs", &"x\n".repeat(500), &[]);
    check_layout("src/a.rs", &"x\n".repeat(501), &["long-file"]);
    check_layout("tests/common/mod.rs", "", &["module-name"]);
    check_layout("src/a.rs", "mod utils;\nmod utilities;", &["module-name"]);
    check_layout("crates/a/src/lib.rs", "//! A.\n//!\n//! # Invariants\n//! - B.", &[]);
    check_layout("crates/a/src/lib.rs", "//! A.\n//! # Invariants\n\nfn x() {}", &["crate-header"]);
    check_layout("crates/a/src/lib.rs", "fn x() {}", &["crate-header", "crate-header"]);
    check_layout("crates/a/src/main.rs", "//! A.", &[]);
}

#[test]
fn machine_paths_are_found() {
    let find = |text: &str| documents::machine_paths(Path::new("a"), text).len();
    let home = concat!("/ho", "me/me/x");
    assert_eq!(find(&format!("see {home}")), 1);
    assert_eq!(find(&format!("\"{home}\" a\n\n({home})")), 2);
    assert_eq!(find(&format!("https://host{home} src{home}")), 0);
}

#[test]
fn packages_take_the_lints_of_the_workspace() {
    let find = |text| documents::unlinted_package(Path::new("a/Cargo.toml"), text).is_some();
    assert!(!find("[package]\n[lints]\nworkspace = true\n"));
    assert!(find("[package]\n[lints]\n[dependencies]\n"));
    assert!(find("[package]\nversion.workspace = true\n"));
    assert!(!find("[workspace]\n"));
}

#[test]
fn broken_links_are_found() {
    let text = "[a](b.md#x) [c](gone.md)\n```\n[d](e)\n```\n[f](#g) [h](https://i/j) [k](b.md)";
    let findings = documents::broken_links(Path::new("a.md"), text, |target| target == "b.md");
    let found: Vec<_> = findings.iter().map(ToString::to_string).collect();
    assert_eq!(found, ["a.md:1: broken-link: links to `gone.md`, which is not there"]);
}

/// A graph of `(name, dependencies)`; a dependency with a `?` is for tests only.
fn graph(packages: &[(&str, &[&str])]) -> Graph {
    let dep = |name: &&str| {
        let (name, kind) = name.strip_suffix('?').map_or((*name, None), |n| (n, Some("dev")));
        json!({"pkg": name, "dep_kinds": [{"kind": kind}]})
    };
    let names = packages.iter().map(|(name, _)| name);
    let members: Vec<_> = names.filter(|n| n.starts_with("serin")).collect();
    let described = packages.iter().map(|(name, _)| {
        json!({"id": name, "name": name, "manifest_path": format!("/r/crates/{name}/Cargo.toml")})
    });
    let nodes = packages
        .iter()
        .map(|(name, deps)| json!({"id": name, "deps": deps.iter().map(dep).collect::<Vec<_>>()}));
    let metadata = json!({
        "workspace_members": members,
        "packages": described.collect::<Vec<_>>(),
        "resolve": {"nodes": nodes.collect::<Vec<_>>()},
    });
    Graph::read(&metadata).unwrap()
}

#[track_caller]
fn check_edges(packages: &[(&str, &[&str])], expected: &[&str]) {
    let findings = check_graph(&graph(packages), Path::new("/r"));
    let found: Vec<_> = findings.iter().map(ToString::to_string).collect();
    assert_eq!(found, expected);
}

#[test]
fn arrows_point_down_only() {
    check_edges(&[("serin-core", &["serin-stats"]), ("serin-stats", &[])], &[]);
    check_edges(
        &[("serin-core", &[]), ("serin-stats", &["serin-core"])],
        &["crates/serin-stats/Cargo.toml:1: edge: `serin-stats` must not know `serin-core`: \
           arrows point down only"],
    );
    check_edges(&[("serin-core", &["serin-store?"]), ("serin-store", &["serin-core"])], &[]);
    check_edges(&[("serin-server", &["serin-stats"]), ("serin-stats", &[])], &[]);
    check_edges(
        &[("serin-keeper", &["serin-stats"]), ("serin-stats", &[])],
        &["crates/serin-keeper/Cargo.toml:1: edge: `serin-keeper` must not know `serin-stats`: \
           arrows point down only"],
    );
    check_edges(
        &[("serin-new", &[])],
        &["crates/serin-new/Cargo.toml:1: edge: `serin-new` has no place in the house; \
           give it one in xtask's tidy/edges.rs"],
    );
}

#[test]
fn pure_crates_reach_no_runtime() {
    check_edges(
        &[("serin-core", &["a"]), ("a", &["b", "a"]), ("b", &["tokio"]), ("tokio", &[])],
        &["crates/serin-core/Cargo.toml:1: edge: out of reach, but there: \
           serin-core -> a -> b -> tokio"],
    );
    check_edges(&[("serin-core", &["a"]), ("a", &["tokio?"]), ("tokio", &[])], &[]);
}

#[test]
fn owned_crates_are_named_by_their_owner() {
    check_edges(&[("serin-store", &["rusqlite"]), ("rusqlite", &[])], &[]);
    check_edges(
        &[("serin-server", &["rusqlite"]), ("rusqlite", &[])],
        &["crates/serin-server/Cargo.toml:1: edge: only `serin-store` may name `rusqlite`"],
    );
}
