//! The users' page: every example in it loads, and it names everything there is.

use crate::{lowered::presets_table, problems};
use serin_spec::Severity;

const PAGE: &str = include_str!("../../../../docs/strategies.md");

/// Examples: parts of a `spec`.
fn examples() -> Vec<&'static str> {
    PAGE.split("```yaml\n").skip(1).map(|part| part.split("```").next().unwrap()).collect()
}

fn service(example: &str) -> String {
    let indented = example.lines().fold(String::new(), |all, line| all + "  " + line + "\n");
    let has = |key: &str| example.starts_with(key) || example.contains(&format!("\n{key}"));
    let traffic = "  traffic: { listen: \"127.0.0.1:8080\" }\n";
    let run = "  run: { command: [./shop, $(PORT)] }\n";
    let traffic = if has("traffic:") { "" } else { traffic };
    let run = if has("run:") { "" } else { run };
    format!(
        "apiVersion: serin.dev/v1alpha1\nkind: Service\nmetadata: {{ name: shop }}\nspec:\n\
         {run}{traffic}{indented}"
    )
}

#[test]
fn every_example_of_the_page_loads() {
    let examples = examples();
    assert!(examples.len() > 10);
    for example in examples {
        let text = service(example);
        let found = problems(&text);
        let errors: Vec<_> = found.0.iter().filter(|p| p.severity == Severity::Error).collect();
        assert!(errors.is_empty(), "{text}\n{errors:#?}");
    }
}

#[test]
fn every_preset_stands_on_the_page() {
    assert!(PAGE.contains(&presets_table()), "the table should be:\n{}", presets_table());
}
