use super::*;

fn arm(revision: &str, weight: u32) -> Arm {
    Arm { revision: revision.into(), role: Role::Stable, weight, backends: vec![] }
}

fn route(arms: Vec<Arm>) -> Route {
    let generation = Generation { epoch: 1, n: 2 };
    let (request_timeout_ms, warmup_ms) = (1, 2);
    let plain = Route::new("shop", ([127, 0, 0, 1], 8080).into(), generation, arms);
    Route { sub: 3, request_timeout_ms, warmup_ms, ..plain }
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
    let baseline = Arm { role: Role::Baseline, ..arm("a", 50_000) };
    assert_eq!(route(vec![arm("a", 50_000), baseline.clone()]).check(), Ok(()));
    let twice = route(vec![baseline.clone(), arm("b", 0), baseline]).check().unwrap_err();
    assert!(matches!(twice, RouteError::Twice { .. }));
}

fn sticky(key: AffinityKey, window_s: u32) -> Route {
    let affinity = Affinity { key, salt: "1.7".into(), window_s };
    Route { affinity: Some(affinity), ..route(vec![]) }
}

#[test]
fn bad_affinities_are_named() {
    let cookie = |name: &str| AffinityKey::Cookie(name.into());
    for window_s in [1, 60, 300] {
        assert_eq!(sticky(cookie("serin_user"), window_s).check(), Ok(()));
    }
    assert_eq!(sticky(AffinityKey::Header("X-User".into()), 60).check(), Ok(()));
    for window_s in [0, 301, u32::MAX] {
        let error = sticky(cookie("user"), window_s).check().unwrap_err().to_string();
        let wanted = format!("the affinity of shop: a window of {window_s} s; give it 1 to 300 s");
        assert_eq!(error, wanted);
    }
    for name in ["", "a b", "a=b", "a;b", "ü", "a\r\nb"] {
        for key in [AffinityKey::Header(name.into()), cookie(name)] {
            let error = sticky(key, 60).check().unwrap_err().to_string();
            assert!(error.contains(&format!("`{name}` cannot be")), "{error}");
        }
    }
}

#[test]
fn an_affinity_is_written_like_this() {
    let text = r#"{"service":"a","listen":"127.0.0.1:1","generation":{"epoch":1,"n":1},
        "arms":[{"revision":"v1","role":"baseline","weight":100000}],
        "affinity":{"key":{"cookie":"user"}}}"#;
    let route: Route = serde_json::from_str(text).unwrap();
    let key = AffinityKey::Cookie("user".into());
    assert_eq!(route.affinity, Some(Affinity { key, salt: String::new(), window_s: 60 }));
    assert_eq!(route.arms[0].role, Role::Baseline);
    let plain = serde_json::to_string(&self::route(vec![])).unwrap();
    assert!(!plain.contains("affinity"), "{plain}");
}

#[test]
fn counters_of_an_older_data_plane_are_understood() {
    let text = r#"{"revision":"v1","role":"stable","weight_asked":1,"assigned":9,
        "first_assigned_ms":1,"last_assigned_ms":2,
        "judged":{"n":3,"errors":1,"unfinished":0,"aborted":0,"latency":[]},
        "totals":{"requests":0,"responses_5xx":0,"timeouts":0,"connect_failures":0,"resets":0,
          "client_aborts":0,"retries":0,"fallback":0,"upgrades":0,"latency":[]}}"#;
    let arm: ArmCounters = serde_json::from_str(text).unwrap();
    assert_eq!((arm.judged.n, arm.judged.sessions, arm.sessions_assigned), (3, false, 0));
    assert_eq!((arm.split.len(), arm.instances.len()), (0, 0));
}
