//! No text makes the reader panic, and what it says always points into the text.

use crate::{SERVICE, problems, source};
use proptest::{prelude::*, test_runner::RngSeed};

/// Reads and draws, and checks what holds for every text.
fn survives(text: &str) {
    let problems = problems(text);
    for problem in &problems.0 {
        assert!(text.get(problem.span.clone()).is_some(), "{problem:?}");
        let line = text.split('\n').nth(problem.line - 1);
        assert!(line.is_some_and(|line| problem.column <= line.chars().count() + 1), "{problem:?}");
        assert!(!problem.message.contains('\n'), "{problem:?}");
    }
    let drawn = problems.render(&source(text), false);
    assert_eq!(problems.0.is_empty(), drawn.is_empty());
    // The second reading says the same.
    assert_eq!(problems, crate::problems(text));
}

/// Pieces that YAML or the reader treats in a special way.
const PIECES: [&str; 40] = [
    "\n",
    "\n  ",
    "\n    ",
    "- ",
    ": ",
    ":",
    "{",
    "}",
    "[",
    "]",
    ",",
    "\"",
    "'",
    "&a ",
    "*a",
    "!!str ",
    "!x ",
    "|\n",
    ">\n",
    "#",
    "---\n",
    "...\n",
    "? ",
    "%YAML 1.2\n",
    "\t",
    "\u{feff}",
    "\0",
    "é",
    "💥",
    "$(PORT)",
    "$(",
    "5%",
    "1e999",
    "-0",
    ".nan",
    "99999999999999999999d",
    "spec:",
    "steps:",
    "~",
    "\r\n",
];

/// The nearest character boundary at or before `at`.
fn floor(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

fn config() -> ProptestConfig {
    let seed = std::env::var("SERIN_SEED").map_or(1, |seed| seed.parse().unwrap());
    ProptestConfig {
        cases: 1000,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(seed),
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn any_text(text in "\\PC{0,200}") {
        survives(&text);
    }

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        survives(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn pieces_of_yaml(picks in prop::collection::vec(0..PIECES.len(), 0..40)) {
        survives(&picks.into_iter().map(|pick| PIECES[pick]).collect::<String>());
    }

    #[test]
    fn a_good_file_with_changes(
        long in any::<bool>(),
        changes in prop::collection::vec(
            (any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0..PIECES.len(), 0..3_u8),
            1..6,
        ),
    ) {
        let mut text = String::from(if long { serin_spec::reference() } else { SERVICE });
        for (from, to, piece, what) in changes {
            let at = |index: prop::sample::Index| floor(&text, index.index(text.len() + 1));
            let (a, b) = (at(from), at(to));
            let (start, end) = (a.min(b), a.max(b));
            match what {
                0 => text.insert_str(start, PIECES[piece]),
                1 => text.replace_range(start..floor(&text, end.min(start + 20)).max(start), ""),
                _ => text = format!("{}{}{}", &text[..end], PIECES[piece], &text[start..]),
            }
            if text.len() > 50_000 {
                break;
            }
        }
        survives(&text);
    }
}
