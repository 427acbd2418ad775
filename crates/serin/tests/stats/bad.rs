//! What cannot be true is refused with its line; none of it passes.

use crate::{judge, lines, steady, stream, verdict};
use serde_json::json;

/// A stream that passes, with `bad` as its last line.
fn ending_in(bad: &str) -> String {
    stream("a", &steady(20, 5, 5)) + bad + "\n"
}

/// Wrong lines of run `a`, and what is said about each.
const BAD: &[(&str, &str)] = &[
    ("{", "column 2: EOF while parsing an object"),
    ("[]", "one JSON object"),
    (
        r#"{"run":"a","t":900,"stable":{"n":NaN,"k":0},"canary":{"n":1,"k":0}}"#,
        "NaN is not a number",
    ),
    (r#"{"run":"a","t":900,"stable":{"n":1,"k":0},"canary":{"n":-Infinity}}"#, "is not a number"),
    (r#"{"run":"a","t":900,"stable":{"n":1e999,"k":0},"canary":{"n":1,"k":0}}"#, "out of range"),
    (
        r#"{"run":"a","t":900,"stable":{"n":-5,"k":0},"canary":{"n":1,"k":0}}"#,
        "stable.n is -5; a count is",
    ),
    (
        r#"{"run":"a","t":900,"stable":{"n":1.5,"k":0},"canary":{"n":1,"k":0}}"#,
        "stable.n is 1.5; a count",
    ),
    (r#"{"run":"a","t":900,"stable":{"n":"9","k":0},"canary":{"n":1,"k":0}}"#, "expected a number"),
    (
        r#"{"run":"a","t":900,"stable":{"n":9,"k":0},"canary":{"n":1,"k":2}}"#,
        "canary.k is 2, more than its 1 requests",
    ),
    (r#"{"run":"a","t":900,"stable":{"n":9,"k":0},"canary":{"n":1}}"#, "canary.k is missing"),
    (r#"{"run":"a","t":900,"stable":{"n":9,"k":0}}"#, "canary is missing"),
    (r#"{"run":"a","t":900,"canary":{"n":9,"k":0}}"#, "stable is missing"),
    (r#"{"run":"a","stable":{"n":9,"k":0},"canary":{"n":1,"k":0}}"#, "t is missing"),
    (
        r#"{"run":"a","t":600,"stable":{"n":9,"k":0},"canary":{"n":1,"k":0}}"#,
        "t is 600 as on line 20",
    ),
    (
        r#"{"run":"a","t":599,"stable":{"n":9,"k":0},"canary":{"n":1,"k":0}}"#,
        "t is 599 after 600 on line 20",
    ),
    (r#"{"run":"a","t":-3,"stable":{"n":9,"k":0},"canary":{"n":1,"k":0}}"#, "t is -3"),
    (r#"{"run":"a","t":1e13,"stable":{"n":9,"k":0},"canary":{"n":1,"k":0}}"#, "not a date"),
    (
        r#"{"run":"a","t":900,"stabel":{"n":9,"k":0},"canary":{"n":1,"k":0}}"#,
        "unknown field `stabel`",
    ),
    (r#"{"run":"a","t":900,"stable":{"n":9,"e":0},"canary":{"n":1,"k":0}}"#, "unknown field `e`"),
    (
        r#"{"run":"a","t":900,"t":901,"stable":{"n":9,"k":0},"canary":{"n":1,"k":0}}"#,
        "duplicate field `t`",
    ),
    (
        r#"{"run":"a","t":900,"weight":0,"stable":{"n":9,"k":0},"canary":{"n":1,"k":0}}"#,
        "weight is 0",
    ),
    (
        r#"{"run":"a","t":900,"weight":1,"stable":{"n":9,"k":0},"canary":{"n":1,"k":0}}"#,
        "weight is 1",
    ),
    (
        r#"{"run":"a","t":900,"weight":10,"stable":{"n":9,"k":0},"canary":{"n":1,"k":0}}"#,
        "write 0.1 for 10 %",
    ),
    (
        r#"{"run":"a","t":900,"seconds":-1,"stable":{"n":9,"k":0},"canary":{"n":1,"k":0}}"#,
        "seconds is -1",
    ),
    (
        r#"{"run":"a","t":900,"stable":{"n":9,"k":0},"canary":{"n":3,"k":1,"unfinished":2}}"#,
        "canary.unfinished is 2",
    ),
    (
        r#"{"run":"a","t":900,"stable":{"n":9,"k":0},"canary":{"n":3,"k":0,"hist":{"318":3}}}"#,
        "canary.hist comes after a first tick without",
    ),
    (
        r#"{"run":"a","t":900,"stable":{"n":9,"k":0,"sessions":2},"canary":{"n":3,"k":0}}"#,
        "stable has sessions",
    ),
    (r#"{"run":"a","t":900,"before":true,"alone":true,"canary":{"n":3,"k":0}}"#, "not both"),
    (
        r#"{"run":"a","t":900,"samples":{"cpu":{"count":{"stable":[1,2],"canary":[1,2]}}}}"#,
        "nobody judges the metric cpu",
    ),
    (
        r#"{"run":"a","t":900,"samples":{"cpu":{"counts":{"stable":[1,2],"canary":[1,2]}}}}"#,
        "unknown variant `counts`",
    ),
    (
        r#"{"run":"a","t":900,"split":[[1,2]],"stable":{"n":9,"k":0},"canary":{"n":3,"k":0}}"#,
        "larger than its whole",
    ),
    (
        r#"{"run":"a","t":900,"replicas":{"x":[1,2]},"stable":{"n":9,"k":0},"canary":{"n":3,"k":0}}"#,
        "larger than its whole",
    ),
    (r#"{"run":"a","settings":{}}"#, "settings come once, before"),
    (r#"{"run":"a","t":900,"settings":{"alpah":1}}"#, "unknown field `alpah`"),
];

#[test]
fn a_bad_line_ends_it_with_its_number_and_no_verdict() {
    for (bad, part) in BAD {
        let said = judge(&[], &ending_in(bad));
        assert_eq!((said.code, said.out.as_str()), (Some(2), ""), "{bad}: {said:?}");
        let place = "error: <stdin>, line 21: ";
        assert!(said.err.contains(place) && said.err.contains(part), "{bad}: {}", said.err);
    }
}

#[test]
fn a_bad_line_that_is_skipped_is_counted_and_passes_nothing() {
    for (bad, _) in BAD {
        let said = judge(&["--skip-bad"], &ending_in(bad));
        assert_eq!(said.code, Some(0), "{bad}: {said:?}");
        assert!(said.err.contains("1 bad line skipped"), "{bad}: {}", said.err);
        let found = &lines(&said.out)[0];
        // Whose line it was is not known where it cannot be read at all.
        let verdict = if found.get("skipped").is_some() { "INVALID" } else { "PASS" };
        assert_eq!(found["verdict"], verdict, "{bad}: {found}");
        let alone = judge(&["--skip-bad"], bad);
        assert_eq!(alone.code, Some(0), "{bad}: {alone:?}");
        assert!(!alone.out.contains("\"PASS\""), "{bad}: {}", alone.out);
    }
}

#[test]
fn a_good_line_after_a_skipped_one_is_judged() {
    let text = ending_in(r#"{"run":"a","t":620,"stable":{"n":9,"k":0},"canary":{"n":1,"k":2}}"#);
    let text = text + r#"{"run":"a","t":630,"stable":{"n":9,"k":0},"canary":{"n":1,"k":0}}"#;
    let found = verdict(&["--skip-bad"], &text);
    assert_eq!((&found["verdict"], &found["skipped"]), (&json!("PASS"), &json!(1)));
    assert_eq!(found["ticks"], 21);
}

#[test]
fn a_failure_stands_whatever_comes_after_it() {
    let bad = r#"{"run":"a","t":900,"stable":{"n":9,"k":0},"canary":{"n":1,"k":2}}"#;
    let text = stream("a", &steady(20, 5, 50)) + bad;
    assert_eq!(verdict(&["--skip-bad"], &text)["verdict"], "FAIL");
}

#[test]
fn odd_histograms_are_refused() {
    let line = |hist: &str| {
        format!(r#"{{"t":1,"stable":{{"n":9,"k":0}},"canary":{{"n":4,"k":1,"hist":{hist}}}}}"#)
    };
    for (hist, part) in [
        (r#"{"1024":1}"#, "buckets are 0 to 1023"),
        (r#"{"-1":1}"#, "buckets are 0 to 1023"),
        (r#"{"1.5":1}"#, "buckets are 0 to 1023"),
        (r#"{"640":-1}"#, "bucket 640 has -1"),
        (r#"{"640":0.5}"#, "bucket 640 has 0.5"),
        ("[[1024,1]]", "buckets are 0 to 1023"),
        ("[[640,-1]]", "bucket 640 has -1"),
        ("3", "expected counts by bucket"),
        (r#"{"640":5}"#, "canary.hist has 5 requests, more than the 4 there were"),
    ] {
        let said = judge(&[], &line(hist));
        assert_eq!((said.code, said.out.as_str()), (Some(2), ""), "{hist}: {said:?}");
        assert!(said.err.contains(part), "{hist}: {}", said.err);
    }
}

#[test]
fn a_tick_without_anything_to_judge_by_is_refused() {
    let said = judge(&[], r#"{"t":1,"stable":{"n":9},"canary":{"n":4}}"#);
    assert_eq!(said.code, Some(2));
    assert!(said.err.contains("neither k nor hist"), "{}", said.err);
}

#[test]
fn a_line_without_end_is_refused() {
    let said = judge(&[], &" ".repeat((16 << 20) + 1));
    assert_eq!(said.code, Some(2));
    assert!(said.err.contains("line 1: longer than 16 MiB"), "{}", said.err);
}

#[test]
fn counts_at_the_end_of_what_can_be_counted_do_no_harm() {
    let huge = u64::MAX;
    let ticks = [[huge, 0, huge, huge], [huge, huge, huge, 0], [huge, 0, huge, 0]];
    let said = judge(&["--trace"], &stream("a", &ticks));
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(!said.out.contains("null,\"fail"), "{}", said.out);
    for line in lines(&said.out) {
        assert!(line["evidence"]["fail"].is_f64() && line["evidence"]["fail_e"].is_f64(), "{line}");
    }
}

#[test]
fn a_file_that_is_not_there() {
    let said = crate::support::said(crate::serin(&["stats", "judge", "/nonexistent"]));
    assert_eq!(said.code, Some(2));
    assert!(said.err.contains("cannot read `/nonexistent`"), "{}", said.err);
}
