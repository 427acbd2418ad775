//! Words that must not be in the code, or only in tests, or never in tests.

use super::{Finding, source::Source};

/// A word and where it may not be.
struct Banned {
    word: &'static str,
    rule: &'static str,
    place: Place,
    instead: &'static str,
}

/// Where a word is looked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Everywhere,
    Product,
    Tests,
    /// The crates that know no clock, socket or file.
    Pure,
}

const fn banned(
    word: &'static str,
    rule: &'static str,
    place: Place,
    instead: &'static str,
) -> Banned {
    Banned { word, rule, place, instead }
}

const BANNED: &[Banned] = &[
    banned(
        "unsafe",
        "unsafe",
        Place::Everywhere,
        "there is a safe way (`rustix` for system calls)",
    ),
    banned("todo!", "unfinished", Place::Everywhere, "write it, or return an error that says so"),
    banned("unimplemented!", "unfinished", Place::Everywhere, "write it, or return an error"),
    banned("dbg!", "debug-print", Place::Everywhere, "remove it"),
    banned("#[ignore", "ignored-test", Place::Everywhere, "a test runs or is removed"),
    banned(".unwrap()", "unwrap", Place::Product, "return the error, or `expect` with the reason"),
    banned("thread::sleep", SLEEP, Place::Tests, SLEEP_INSTEAD),
    banned("time::sleep", SLEEP, Place::Tests, SLEEP_INSTEAD),
    banned("sleep_until", SLEEP, Place::Tests, SLEEP_INSTEAD),
    banned(" sleep(", SLEEP, Place::Tests, SLEEP_INSTEAD),
    banned("Instant::now", PURE, Place::Pure, "time is a parameter"),
    banned("SystemTime", PURE, Place::Pure, "time is a parameter"),
    banned("std::fs", PURE, Place::Pure, "files belong to the shell"),
    banned("std::process", PURE, Place::Pure, "processes belong to the shell"),
    banned("std::env", PURE, Place::Pure, "the environment belongs to the shell"),
    banned("std::thread", PURE, Place::Pure, "threads belong to the shell"),
    banned("TcpStream", PURE, Place::Pure, "sockets belong to the shell"),
    banned("TcpListener", PURE, Place::Pure, "sockets belong to the shell"),
    banned("println!", PURE, Place::Pure, "the journal says it"),
    banned("eprintln!", PURE, Place::Pure, "the journal says it"),
    banned("HashMap", PURE, Place::Pure, "a `BTreeMap` replays to the same bytes"),
    banned("HashSet", PURE, Place::Pure, "a `BTreeSet` replays to the same bytes"),
];

const SLEEP: &str = "sleep-in-test";
const SLEEP_INSTEAD: &str = "await the event; if there is none, say why in `// tidy: sleep: ...`";
const PURE: &str = "pure-crate";
const PURE_CRATES: [&str; 3] =
    ["crates/serin-core/src", "crates/serin-stats/src", "crates/serin-flags/src"];
const SLEEP_PERMIT: &str = "tidy: sleep:";

/// Checks one file.
pub fn check(source: &Source) -> Vec<Finding> {
    BANNED.iter().flat_map(|banned| occurrences(source, banned)).collect()
}

fn occurrences(source: &Source, banned: &Banned) -> Vec<Finding> {
    let found = source.words(banned.word).filter(|&at| applies(source, banned.place, at));
    let lines =
        found.map(|at| source.line_of(at)).filter(|&line| !is_permitted(source, banned, line));
    lines
        .map(|line| {
            let message = format!("`{}`: {}", banned.word.trim(), banned.instead);
            Finding::new(&source.path, line, banned.rule, message)
        })
        .collect()
}

fn applies(source: &Source, place: Place, at: usize) -> bool {
    match place {
        Place::Everywhere => true,
        Place::Product => !source.is_test(at),
        Place::Tests => source.is_test(at),
        Place::Pure => {
            !source.is_test(at) && PURE_CRATES.iter().any(|name| source.path.starts_with(name))
        }
    }
}

/// A sleep is permitted by a comment with a reason, on its line or the line above.
fn is_permitted(source: &Source, banned: &Banned, line: usize) -> bool {
    banned.rule == SLEEP
        && [line, line - 1].iter().any(|line| {
            let comment = source.comments.get(line).map_or("", String::as_str);
            comment.split_once(SLEEP_PERMIT).is_some_and(|(_, reason)| !reason.trim().is_empty())
        })
}
