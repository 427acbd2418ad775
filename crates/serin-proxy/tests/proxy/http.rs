//! What travels, what stays behind, what is refused.

use crate::app::App;
use crate::rig::Proxy;
use crate::user::User;
use std::io::Write;

/// Answers with the head it received.
fn mirror() -> App {
    App::start(|asked| {
        let body = asked.body()?;
        let text = format!("{}{}", asked.head, String::from_utf8_lossy(&body));
        asked.reply(200, &text)
    })
}

fn serve(app: &App) -> (Proxy, User) {
    let proxy = Proxy::start();
    proxy.serve(&[app]);
    let user = User::connect(proxy.addr);
    (proxy, user)
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::to_ascii_lowercase).collect()
}

#[test]
fn request_headers_are_cleaned_and_completed() {
    let app = mirror();
    let (_proxy, mut user) = serve(&app);
    user.send(
        "GET /a?b=c HTTP/1.1\r\nHost: Shop.example:80\r\nConnection: keep-alive, X-Drop\r\n\
         X-Drop: 1\r\nKeep-Alive: timeout=9\r\nProxy-Connection: keep-alive\r\n\
         Proxy-Authorization: x\r\nTE: gzip, trailers\r\nUpgrade: foo\r\n\
         X-Forwarded-For: 9.9.9.9\r\nX-Kept: 1\r\nX-Kept: 2\r\n\r\n",
    );
    let got = user.receive();
    let mut seen = lines(got.text());
    seen.retain(|line| !line.is_empty());
    seen[1..].sort();
    assert_eq!(
        seen,
        [
            "get /a?b=c http/1.1",
            "host: shop.example:80",
            "te: trailers",
            "x-forwarded-for: 9.9.9.9, 127.0.0.1",
            "x-forwarded-host: shop.example:80",
            "x-forwarded-proto: http",
            "x-kept: 1",
            "x-kept: 2",
        ]
    );
}

#[test]
fn response_headers_are_cleaned() {
    let app = App::start(|asked| {
        asked.stream.write_all(
            b"HTTP/1.1 201 Very Good\r\nConnection: X-Drop\r\nX-Drop: 1\r\nKeep-Alive: timeout=9\r\n\
              Proxy-Authenticate: x\r\nContent-Length: 2\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n\r\nok",
        )
    });
    let (_proxy, mut user) = serve(&app);
    let got = user.get("/");
    let head = got.head.to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 201 very good\r\n"), "{head}");
    for gone in ["connection:", "x-drop", "keep-alive", "proxy-auth", "transfer-encoding"] {
        assert!(!head.contains(gone), "{gone} in {head}");
    }
    assert_eq!(head.matches("set-cookie:").count(), 2);
    assert_eq!(user.get("/").status, 201, "the connection stays");
}

#[test]
fn ambiguous_requests_are_refused() {
    let app = mirror();
    let proxy = Proxy::start();
    proxy.serve(&[&app]);
    let bad = [
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\nabc",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\nabc",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX-Fold: 1\r\n 2\r\n\r\n",
        "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "GET / HTTP/1.1\r\nX: no host\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
    ];
    for request in bad {
        let mut user = User::connect(proxy.addr);
        user.send(request);
        let got = user.receive();
        assert_eq!(got.status, 400, "{request:?} got {}", got.head);
        assert!(user.is_closed(), "{request:?}");
    }
    let mut user = User::connect(proxy.addr);
    user.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n");
    assert_eq!(user.receive().status, 501);
    let mut user = User::connect(proxy.addr);
    user.send("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n");
    assert_eq!(user.receive().status, 405);
    let mut user = User::connect(proxy.addr);
    user.send(format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(70_000)));
    assert_eq!(user.receive().status, 431);
    assert_eq!(User::connect(proxy.addr).get("/").status, 200);
    let arm = proxy.arm_when(1, "v1", |arm| arm.totals.requests == arm.assigned);
    assert_eq!(arm.totals.responses_5xx + arm.totals.resets, 0);
}

#[test]
fn of_two_framings_chunks_win_and_the_connection_ends() {
    let app = mirror();
    let proxy = Proxy::start();
    proxy.serve(&[&app]);
    for framing in [
        "Content-Length: 3\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 3",
    ] {
        let mut user = User::connect(proxy.addr);
        user.send(format!(
            "POST / HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n2\r\nab\r\n0\r\n\r\n\
             GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
        ));
        let got = user.receive();
        assert!(got.text().ends_with("\r\n\r\nab"), "{}", got.text());
        assert!(!lines(got.text()).iter().any(|line| line.contains("content-length")));
        assert!(user.is_closed());
    }
    assert_eq!(app.served(), 2);
}

#[test]
fn an_absolute_target_becomes_the_host() {
    let app = mirror();
    let (_proxy, mut user) = serve(&app);
    user.send("GET http://real:8080/x?y HTTP/1.1\r\nHost: other\r\n\r\n");
    let seen = lines(user.receive().text());
    assert_eq!(seen[0], "get /x?y http/1.1");
    assert!(seen.contains(&"host: real:8080".to_owned()), "{seen:?}");
    user.send("OPTIONS * HTTP/1.1\r\nHost: other\r\n\r\n");
    assert!(user.receive().text().starts_with("OPTIONS * HTTP/1.1"));
}

#[test]
fn old_clients_are_served() {
    let app = mirror();
    let (proxy, mut user) = serve(&app);
    user.send("GET / HTTP/1.0\r\n\r\n");
    let got = user.receive();
    let listen = format!("host: {}", proxy.addr);
    assert!(lines(got.text()).contains(&listen), "{}", got.text());
    assert!(user.is_closed());
    let chunked = App::start(|asked| {
        let head = b"HTTP/1.1 200 X\r\ntransfer-encoding: chunked\r\n\r\n";
        asked.stream.write_all(head)?;
        asked.stream.write_all(b"2\r\nab\r\n1\r\nc\r\n0\r\n\r\n")
    });
    let (_proxy, mut user) = serve(&chunked);
    user.send("GET / HTTP/1.0\r\nHost: a\r\n\r\n");
    let got = user.receive();
    assert_eq!((got.text(), got.header("transfer-encoding")), ("abc", None));
}

#[test]
fn old_apps_are_served() {
    let app = App::start(|asked| {
        asked.stream.write_all(b"HTTP/1.0 200 OK\r\n\r\nuntil the end")?;
        Err(std::io::ErrorKind::ConnectionAborted.into())
    });
    let (proxy, mut user) = serve(&app);
    for _ in 0..3 {
        let got = user.get("/");
        assert_eq!(
            (got.text(), got.header("transfer-encoding")),
            ("until the end", Some("chunked"))
        );
    }
    let arm = proxy.arm_when(1, "v1", |arm| arm.totals.requests == 3);
    assert_eq!((arm.totals.resets, arm.totals.latency.is_empty()), (0, false));
}

#[test]
fn responses_without_a_body_have_none() {
    let app = App::start(|asked| {
        let head: &[u8] = match (asked.method.as_str(), asked.path.as_str()) {
            ("HEAD", "/length") => b"HTTP/1.1 200 X\r\ncontent-length: 5\r\n\r\n",
            ("HEAD", _) => b"HTTP/1.1 200 X\r\ntransfer-encoding: chunked\r\n\r\n",
            (_, "/204") => b"HTTP/1.1 204 X\r\n\r\n",
            (_, "/304") => b"HTTP/1.1 304 X\r\ncontent-length: 5\r\netag: x\r\n\r\n",
            _ => b"HTTP/1.1 200 X\r\ncontent-length: 0\r\n\r\n",
        };
        asked.stream.write_all(head)
    });
    let (proxy, mut user) = serve(&app);
    user.send("HEAD /length HTTP/1.1\r\nHost: a\r\n\r\n");
    let head = user.head();
    assert!(head.contains("content-length: 5"), "{head}");
    user.send("HEAD /chunked HTTP/1.1\r\nHost: a\r\n\r\n");
    let head = user.head();
    assert!(!head.contains("content-length: 0"), "{head}");
    let got = user.get("/204");
    assert_eq!((got.status, got.header("content-length")), (204, None));
    user.send("GET /304 HTTP/1.1\r\nHost: a\r\n\r\n");
    let head = user.head();
    assert!(head.starts_with("HTTP/1.1 304"), "{head}");
    assert_eq!(user.get("/empty").header("content-length"), Some("0"));
    let arm = proxy.arm_when(1, "v1", |arm| arm.totals.requests == 5);
    assert_eq!((arm.totals.client_aborts, arm.totals.resets), (0, 0));
    assert_eq!(app.served(), 5);
}

#[test]
fn bodies_keep_their_framing() {
    let app = mirror();
    let (_proxy, mut user) = serve(&app);
    let got = user.post("/", "four");
    assert!(got.text().ends_with("\r\n\r\nfour") && got.text().contains("content-length: 4"));
    for method in ["POST", "GET", "DELETE"] {
        user.send(format!(
            "{method} / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
        ));
        let got = user.receive();
        assert!(got.text().ends_with("\r\n\r\nabc"), "{method}: {}", got.text());
    }
    user.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
    assert!(user.receive().text().contains("content-length: 0"));
}

#[test]
fn expect_continue_is_met() {
    let app = mirror();
    let (_proxy, mut user) = serve(&app);
    user.send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
    assert_eq!(user.head(), "HTTP/1.1 100 Continue\r\n\r\n");
    user.send("body");
    let got = user.receive();
    assert!(
        got.text().ends_with("body") && !lines(got.text()).iter().any(|l| l.contains("expect"))
    );
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let app = mirror();
    let (_proxy, mut user) = serve(&app);
    let requests = (0..20).map(|n| format!("GET /{n} HTTP/1.1\r\nHost: a\r\n\r\n"));
    user.send(requests.collect::<Vec<_>>().concat());
    for n in 0..20 {
        assert!(user.receive().text().starts_with(&format!("GET /{n} ")));
    }
}

#[test]
fn nonsense_from_the_app_is_a_bad_gateway() {
    let app = App::start(|asked| {
        asked.stream.write_all(match asked.path.as_str() {
            "/gzip" => b"HTTP/1.1 200 X\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
            "/101" => b"HTTP/1.1 101 X\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n".as_slice(),
            _ => b"nonsense\r\n\r\n",
        })
    });
    let (proxy, mut user) = serve(&app);
    assert_eq!(user.get("/").status, 502);
    assert_eq!(user.get("/101").status, 502);
    assert_eq!(user.get("/gzip").status, 502);
    assert_eq!(proxy.counters().dropped[0].failed, 3);
}
