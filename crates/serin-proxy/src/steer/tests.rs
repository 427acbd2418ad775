use super::*;
use crate::count::ArmCount;
use crate::wire::{Generation, HeaderMatch, RequestMatch, Rule};
use std::rc::Rc;

fn arm(revision: &str, role: Role) -> Arm {
    let wire = wire::Arm { revision: revision.into(), role, weight: 0, backends: vec![] };
    Arm::new(&wire, Rc::new(ArmCount::new(&wire, Rc::default(), None)), vec![])
}

/// Stable v1, its baseline, candidate v2, variant v2-red, kept v0.
fn arms() -> Vec<Arm> {
    let all = [
        ("v1@aa", Role::Baseline),
        ("v1@aa", Role::Stable),
        ("v2@bb", Role::Candidate),
        ("v2-red@cc", Role::Variant),
        ("v0@dd", Role::Kept),
    ];
    all.map(|(revision, role)| arm(revision, role)).into()
}

fn plain() -> wire::Route {
    wire::Route::new("shop", ([127, 0, 0, 1], 80).into(), Generation::default(), vec![])
}

fn headers(lines: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
    }
    headers
}

fn test(header: &str, value: TextMatch) -> HeaderMatch {
    HeaderMatch { header: header.into(), value }
}

#[test]
fn nothing_special_is_no_work() {
    assert!(Steer::new(&plain(), &arms()).is_none());
}

#[test]
fn an_override_names_a_role_or_a_version_and_anything_else_says_nothing() {
    let route = wire::Route { override_header: Some("x-serin".into()), ..plain() };
    let steer = Steer::new(&route, &arms()).unwrap();
    for (value, wanted) in [
        ("stable", Some(1)),
        ("NEVER", Some(1)),
        ("candidate", Some(2)),
        (" Always ", Some(2)),
        ("V2", Some(2)),
        ("v2@bb", Some(2)),
        ("v2-Red", Some(3)),
        ("v0", Some(4)),
        ("v1", Some(1)),
        ("v9", None),
        ("", None),
        ("true", None),
    ] {
        let wanted = wanted.map_or(Way::Dealt, |arm| Way::Led(Some(arm)));
        assert_eq!(steer.way(&headers(&[("x-serin", value)])), wanted, "{value}");
    }
    assert_eq!(steer.way(&headers(&[])), Way::Dealt);
}

#[test]
fn without_a_candidate_its_words_say_nothing() {
    let route = wire::Route { override_header: Some("x-serin".into()), ..plain() };
    let steer = Steer::new(&route, &[arm("v1@aa", Role::Stable)]).unwrap();
    assert_eq!(steer.way(&headers(&[("x-serin", "always")])), Way::Dealt);
    assert_eq!(steer.way(&headers(&[("x-serin", "never")])), Way::Led(Some(0)));
}

#[test]
fn headers_fit_by_any_of_their_values() {
    let long = "a".repeat(MAX_TEXT + 1);
    for (value, text, wanted) in [
        (TextMatch::Exact("de".into()), "de", true),
        (TextMatch::Exact("de".into()), "den", false),
        (TextMatch::Prefix("de".into()), "den", true),
        (TextMatch::Prefix("de".into()), "ade", false),
        (TextMatch::Regex("^[0-9]+$".into()), "123", true),
        (TextMatch::Regex("^[0-9]+$".into()), "12a", false),
        (TextMatch::Regex("a".into()), &long, false),
        (TextMatch::Present, "", true),
    ] {
        let rule = Rule {
            name: "r".into(),
            matches: vec![test("x-c", value.clone())],
            to: "v2@bb".into(),
        };
        let steer = Steer::new(&wire::Route { rules: vec![rule], ..plain() }, &arms()).unwrap();
        let way = steer.way(&headers(&[("x-c", "other"), ("x-c", text)]));
        let any = value == TextMatch::Present;
        assert_eq!(way == Way::Led(Some(2)), wanted || any, "{value:?} {text}");
        assert_eq!(steer.way(&headers(&[("x-d", text)])), Way::Dealt, "{value:?}");
    }
}

#[test]
fn override_comes_before_rules_and_rules_before_dealing() {
    let rule = |name: &str, header: &str, to: &str| Rule {
        name: name.into(),
        matches: vec![test(header, TextMatch::Present), test("x-both", TextMatch::Present)],
        to: to.into(),
    };
    let route = wire::Route {
        override_header: Some("x-serin".into()),
        rules: vec![
            rule("a", "x-a", "v2@bb"),
            rule("b", "x-b", "v0@dd"),
            rule("c", "x-c", "gone@1"),
        ],
        only: vec![test("x-only", TextMatch::Present)],
        ..plain()
    };
    let steer = Steer::new(&route, &arms()).unwrap();
    for (lines, wanted) in [
        (vec![("x-a", "1"), ("x-serin", "never")], Way::Led(Some(1))),
        (vec![("x-a", "1"), ("x-b", "1"), ("x-serin", "?")], Way::Led(Some(2))),
        (vec![("x-b", "1"), ("x-only", "1")], Way::Led(Some(4))),
        (vec![("x-both", "1")], Way::Led(Some(2))),
        (vec![("x-c", "1")], Way::Led(None)),
        (vec![("x-only", "1")], Way::Dealt),
        (vec![("x-other", "1")], Way::Led(Some(1))),
    ] {
        assert_eq!(steer.way(&headers(&lines)), wanted, "{lines:?}");
    }
}

#[test]
fn requests_fit_when_everything_does() {
    let request =
        |method: &str, uri: &str| Request::builder().method(method).uri(uri).body(()).unwrap();
    let safe = RequestTest::safe();
    for (method, wanted) in
        [("GET", true), ("HEAD", true), ("OPTIONS", true), ("POST", false), ("TRACE", false)]
    {
        assert_eq!(safe.fits(&request(method, "/")), wanted, "{method}");
    }
    let wire = RequestMatch {
        methods: vec!["POST".into()],
        path: Some(TextMatch::Prefix("/cart".into())),
        headers: vec![test("x-a", TextMatch::Present)],
    };
    let test = RequestTest::new(&wire).unwrap();
    let with = |method: &str, uri: &str| {
        let mut request = request(method, uri);
        request.headers_mut().insert("x-a", "1".parse().unwrap());
        request
    };
    assert!(test.fits(&with("POST", "/cart/7?x=1")));
    assert!(!test.fits(&with("GET", "/cart/7")));
    assert!(!test.fits(&with("POST", "/shop?p=/cart")));
    assert!(!test.fits(&request("POST", "/cart")));
    let goal = wire::Goal { method: None, path: TextMatch::Exact("/buy".into()) };
    let goal = Goal::new(&goal).unwrap();
    assert!(goal.fits(&with("GET", "/buy?a=b")) && !goal.fits(&with("GET", "/buy/")));
}
