use super::*;

fn range(text: &str) -> ClientRange {
    text.parse().unwrap()
}

fn shown(spans: &[ClientSpan]) -> String {
    spans.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

#[test]
fn ranges_mean_what_they_mean_elsewhere() {
    for (text, spans) in [
        (">=3.2 <5", "3.2.0 to below 5.0.0"),
        (">= 3.2, < 5.0.1", "3.2.0 to below 5.0.1"),
        (">3", "from 4.0.0"),
        (">3.2.1", "from 3.2.2"),
        ("<=3.2", "below 3.3.0"),
        ("<3", "below 3.0.0"),
        ("3", "3.0.0 to below 4.0.0"),
        ("3.x", "3.0.0 to below 4.0.0"),
        ("=3.2.1", "3.2.1 to below 3.2.2"),
        ("^3.2.1", "3.2.1 to below 4.0.0"),
        ("^0.2.3", "0.2.3 to below 0.3.0"),
        ("^0.0.3", "0.0.3 to below 0.0.4"),
        ("^0.0", "below 0.1.0"),
        ("~3.2.1", "3.2.1 to below 3.3.0"),
        ("~3", "3.0.0 to below 4.0.0"),
        ("*", "all"),
        (">=1 || <2", "all"),
        ("5.x || ^3.2 || 4", "3.2.0 to below 6.0.0"),
        ("1 || 3", "1.0.0 to below 2.0.0; 3.0.0 to below 4.0.0"),
    ] {
        assert_eq!(shown(range(text).spans()), spans, "{text}");
    }
}

#[test]
fn what_is_no_range_is_refused_with_its_reason() {
    for (text, why) in [
        ("", "a part of it is empty; `*` is every version"),
        ("3 ||", "a part of it is empty; `*` is every version"),
        (">=5 <3", "no version fits it"),
        ("three", "`three` is no number"),
        ("1.2.3.4", "`1.2.3.4` has more than three parts"),
        ("x.2", "`x.2` says more after `x`"),
        (">*", "nothing comes after every version"),
        ("4294967296", "`4294967296` is no number"),
        ("-1", "`-1` is no number"),
        (">=", "`` is no number"),
    ] {
        assert_eq!(text.parse::<ClientRange>().unwrap_err().why, why, "{text}");
    }
    assert!("3 ".repeat(101).parse::<ClientRange>().is_err());
}

#[test]
fn a_version_is_in_its_range_and_a_range_without_another_is_what_is_left() {
    assert!(range("^3.2").contains([3, 9, 1]));
    assert!(!range("^3.2").contains([3, 1, 9]));
    for (a, b, left) in [
        (">=2", ">=3", "2.0.0 to below 3.0.0"),
        (">=3", ">=2", ""),
        ("*", "2 || 4", "below 2.0.0; 3.0.0 to below 4.0.0; from 5.0.0"),
        ("2", "*", ""),
    ] {
        assert_eq!(shown(&range(a).without(&range(b))), left, "{a} without {b}");
    }
}

#[test]
fn it_is_stored_as_it_was_written() {
    let clients = Clients { header: "x".into(), serves: range(" ^3 "), assume: Some([1, 0, 0]) };
    let text = serde_json::to_string(&clients).unwrap();
    assert_eq!(text, r#"{"header":"x","serves":"^3","assume":[1,0,0]}"#);
    assert_eq!(serde_json::from_str::<Clients>(&text).unwrap(), clients);
    assert_eq!((client_version("3.2"), client_version("x")), (Some([3, 2, 0]), None));
}
