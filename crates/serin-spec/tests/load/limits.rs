//! Texts made to be too much.

use crate::{SERVICE, problems, said, source};
use std::fmt::Write as _;

fn codes(text: &str) -> Vec<&'static str> {
    problems(text).0.iter().map(|problem| problem.code).collect()
}

#[test]
fn a_large_file_is_refused_unread() {
    let text = format!("{SERVICE}# {}\n", "x".repeat(1 << 20));
    assert_eq!(
        said(&text),
        format!(
            "1:1 too-large: the file has {} bytes; allowed are 1048576 -> split it into several files",
            text.len()
        )
    );
    assert!(problems(&text).render(&source(&text), false).starts_with("error[too-large]"));
}

#[test]
fn a_thousand_services_are_enough() {
    let mut text = String::new();
    for n in 0..1001 {
        let one = SERVICE.replace("shop }", &format!("s{n} }}"));
        write!(text, "---\n{}", one.replace("8080", &(2000 + n).to_string())).unwrap();
    }
    assert_eq!(codes(&text), ["too-large"]);
    let fewer = &text[..text.rfind("---\n").unwrap()];
    assert_eq!(said(fewer), "");
}

#[test]
fn deep_nesting_is_refused() {
    assert_eq!(codes(&"[".repeat(100_000)), ["too-deep"]);
    assert_eq!(codes(&"{a: ".repeat(100_000)), ["too-deep"]);
    assert_eq!(codes(&"- ".repeat(10_000)), ["too-deep"]);
    assert_eq!(
        codes(&(0..200).map(|n| format!("{}a:\n", " ".repeat(n))).collect::<Vec<_>>().concat()),
        ["too-deep"]
    );
}

#[test]
fn aliases_cannot_multiply() {
    let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for n in 1..30 {
        let before = format!("*a{}, ", n - 1).repeat(10);
        writeln!(text, "a{n}: &a{n} [{before}]").unwrap();
    }
    assert_eq!(codes(&text), ["too-large"]);
}

#[test]
fn anchors_inside_anchors_cannot_multiply() {
    let open = (0..60).map(|n| format!("&a{n} [")).collect::<Vec<_>>().concat();
    let text = format!("{open}{}{}", "x,".repeat(20_000), "]".repeat(60));
    assert_eq!(codes(&text), ["too-large"]);
}

#[test]
fn many_problems_are_counted_not_drawn() {
    let keys = (0..5000).map(|n| format!("  k{n}: 1\n")).collect::<Vec<_>>().concat();
    let text = SERVICE.replace("spec:\n", &format!("spec:\n{keys}"));
    let problems = problems(&text);
    assert_eq!(problems.0.len(), 5000);
    let drawn = problems.render(&source(&text), false);
    assert_eq!(drawn.matches("error[").count(), 100);
    assert!(drawn.ends_with("... and 4900 more problems in serin.yaml"), "{drawn}");
}

#[test]
fn long_values_are_shown_short() {
    let text = SERVICE.replace("name: shop", &format!("name: {}", "x".repeat(5000)));
    let message = &problems(&text).0[0].message;
    assert_eq!(message, &format!("`{}…` is not a service name", "x".repeat(60)));
}

#[test]
fn more_than_a_hundred_steps_are_a_mistake() {
    let steps = "        - pause: {}\n".repeat(101);
    let text = format!("{SERVICE}  strategy:\n    canary:\n      steps:\n{steps}");
    assert_eq!(said(&text), "11:9 out-of-range: `steps` is a list of 101; allowed are 1 to 100");
}
