use super::*;

fn map(lines: &[(&str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in lines {
        map.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
    }
    map
}

fn stripped(lines: &[(&str, &str)]) -> Vec<(String, String)> {
    let mut map = map(lines);
    let seen = scan(&map);
    strip(&mut map, seen);
    map.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().into())).collect()
}

#[test]
fn what_belongs_to_the_connection_stays_behind() {
    let left = stripped(&[
        ("connection", "close, X-Secret"),
        ("connection", "keep-alive"),
        ("x-secret", "1"),
        ("keep-alive", "timeout=5"),
        ("proxy-connection", "keep-alive"),
        ("proxy-authorization", "Basic x"),
        ("proxy-authenticate", "Basic"),
        ("te", "gzip"),
        ("transfer-encoding", "chunked"),
        ("content-length", "5"),
        ("upgrade", "h2c"),
        ("expect", "100-continue"),
        ("trailer", "x-sum"),
        ("x-kept", "2"),
    ]);
    assert_eq!(left, [("trailer".into(), "x-sum".into()), ("x-kept".into(), "2".into())]);
}

#[test]
fn connection_cannot_take_away_host_or_length() {
    let left = stripped(&[
        ("host", "shop"),
        ("content-length", "5"),
        ("connection", "host, content-length"),
    ]);
    assert_eq!(left, [("host".into(), "shop".into()), ("content-length".into(), "5".into())]);
}

#[test]
fn te_keeps_only_trailers() {
    let left = stripped(&[("te", "gzip, Trailers;q=1"), ("te", "trailers")]);
    assert_eq!(left, [("te".into(), "trailers".into())]);
}

#[test]
fn a_plain_request_is_left_alone() {
    let map = map(&[("host", "shop"), ("accept", "*/*"), ("content-length", "3")]);
    let seen = scan(&map);
    assert!(!seen.any(Seen::STRIP));
    assert!(seen.all(Seen::HOST) && !seen.any(Seen::HOST_TWICE));
    assert!(scan(&self::map(&[("host", "a"), ("host", "b")])).any(Seen::HOST_TWICE));
}

#[test]
fn the_client_is_appended_and_the_rest_set_only_when_absent() {
    let client = HeaderValue::from_static("10.0.0.1");
    let mut fresh = map(&[("host", "shop")]);
    let seen = scan(&fresh);
    forward(&mut fresh, seen, &client);
    assert_eq!(fresh[FORWARDED_FOR], "10.0.0.1");
    assert_eq!(fresh[FORWARDED_PROTO], "http");
    assert_eq!(fresh[FORWARDED_HOST], "shop");
    let mut passed = map(&[
        ("host", "shop"),
        ("x-forwarded-for", "1.1.1.1"),
        ("x-forwarded-for", "2.2.2.2"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "outside"),
    ]);
    let seen = scan(&passed);
    forward(&mut passed, seen, &client);
    let all: Vec<_> = passed.get_all(FORWARDED_FOR).iter().collect();
    assert_eq!(all, ["1.1.1.1, 2.2.2.2, 10.0.0.1"]);
    assert_eq!(passed[FORWARDED_PROTO], "https");
    assert_eq!(passed[FORWARDED_HOST], "outside");
}

#[test]
fn an_upgrade_needs_both_headers() {
    let asks = |lines: &[(&str, &str)]| {
        let map = map(lines);
        asks_upgrade(&map, scan(&map))
    };
    assert!(asks(&[("connection", "keep-alive, Upgrade"), ("upgrade", "websocket")]));
    assert!(!asks(&[("connection", "keep-alive"), ("upgrade", "websocket")]));
    assert!(!asks(&[("connection", "upgrade")]));
}

#[test]
fn what_a_client_says_about_flags_is_not_passed_on() {
    let mut map = map(&[
        ("X-Serin-Flag-a", "on"),
        ("x-serin-flag-b", "1"),
        ("X_Serin_Flag_a", "on"),
        ("x-serin_flag-a", "on"),
        ("x.serin.flag.a", "on"),
        ("x-serin-flags", "1"),
        ("x-serin-mirror", "1"),
        ("trailer", "x-sum, X_Serin-Flag-a"),
    ]);
    let seen = scan(&map);
    strip_flags(&mut map, seen);
    let left: Vec<_> = map.keys().map(HeaderName::as_str).collect();
    assert_eq!(left, ["x-serin-flags", "x-serin-mirror"]);
}
