use super::*;

fn arm(revision: &str, weight: u32) -> Arm {
    Arm { revision: revision.into(), role: Role::Stable, weight, backends: vec![] }
}

fn route(arms: Vec<Arm>) -> Route {
    Route {
        service: "shop".into(),
        listen: ([127, 0, 0, 1], 8080).into(),
        generation: Generation { epoch: 1, n: 2 },
        sub: 3,
        arms,
        request_timeout_ms: 1,
        warmup_ms: 2,
    }
}

#[test]
fn orders_are_lexicographic() {
    let order = |epoch, n, sub| Order { generation: Generation { epoch, n }, sub };
    let mut orders = [order(2, 0, 0), order(1, 9, 9), order(1, 9, 10), order(1, 10, 0)];
    orders.sort();
    assert_eq!(orders, [order(1, 9, 9), order(1, 9, 10), order(1, 10, 0), order(2, 0, 0)]);
    assert_eq!(orders[1].to_string(), "1.9/10");
}

#[test]
fn listeners_request_is_the_line_the_keeper_sends() {
    let parsed: Request = serde_json::from_str(r#"{"listeners":null}"#).unwrap();
    assert_eq!(parsed, Request::Listeners);
    let reply = Reply::Addrs(vec![([127, 0, 0, 1], 8080).into()]);
    assert_eq!(serde_json::to_string(&reply).unwrap(), r#"{"addrs":["127.0.0.1:8080"]}"#);
}

#[test]
fn timeouts_have_defaults() {
    let text = r#"{"apply":{"service":"a","listen":"127.0.0.1:1","generation":{"epoch":1,"n":1}}}"#;
    let Request::Apply(route) = serde_json::from_str(text).unwrap() else { panic!("not apply") };
    assert_eq!((route.request_timeout_ms, route.warmup_ms, route.sub), (60_000, 5_000, 0));
}

#[test]
fn bad_routes_are_named() {
    assert_eq!(route(vec![]).check(), Ok(()));
    assert_eq!(route(vec![arm("a", 1), arm("b", 99_999)]).check(), Ok(()));
    let sum = route(vec![arm("a", 1)]).check().unwrap_err().to_string();
    assert!(sum.contains("sum to 1,") || sum.contains("sum to 1"), "{sum}");
    let twice = route(vec![arm("a", 50_000), arm("a", 50_000)]).check().unwrap_err();
    assert!(matches!(twice, RouteError::Twice { .. }));
}
