use super::*;
use tokio::net::TcpListener;

fn probe(kind: ProbeKind, timeout: u64) -> Probe {
    Probe {
        kind,
        period: Millis(1000),
        timeout: Millis(timeout),
        failure_threshold: 3,
        success_threshold: 1,
        initial_delay: Millis(0),
    }
}

fn ready(timeout: u64) -> Probe {
    probe(ProbeKind::HttpGet { path: "/ready".into() }, timeout)
}

/// Answers one connection with `answer` and says what it was asked.
async fn app(answer: &'static [u8]) -> (u16, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let served = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut asked = vec![0; 4096];
        let n = stream.read(&mut asked).await.unwrap();
        stream.write_all(answer).await.unwrap();
        String::from_utf8_lossy(&asked[..n]).into_owned()
    });
    (port, served)
}

#[tokio::test]
async fn an_answer_is_told_in_words() {
    for (answer, expected) in [
        (&b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"[..], Ok("GET /ready: 200 OK")),
        (b"HTTP/1.0 302 Found\n\n", Ok("GET /ready: 302 Found")),
        (b"HTTP/1.1 204\r\n\r\n", Ok("GET /ready: 204")),
        (b"HTTP/1.1 503 Service Unavailable\r\n\r\n", Err("GET /ready: 503 Service Unavailable")),
        (b"", Err("GET /ready: closed without an answer")),
        (b"SSH-2.0-x\r\n", Err("GET /ready: not an HTTP answer")),
        (b"HTTP/1.1 20\xc3\xa9 x\r\n", Err("GET /ready: not an HTTP answer")),
    ] {
        let (port, served) = app(answer).await;
        let result = attempt(&ready(5000), port).await;
        let (is, should) = (result.as_deref().map_err(String::as_str), expected);
        assert_eq!(is, should);
        let asked = served.await.unwrap();
        assert!(asked.starts_with("GET /ready HTTP/1.1\r\nHost: 127.0.0.1:"), "{asked}");
    }
}

#[tokio::test]
async fn nobody_there_is_refused_and_silence_is_a_timeout() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    assert_eq!(attempt(&ready(20), port).await, Err("GET /ready: no answer in 20 ms".into()));
    let tcp = attempt(&probe(ProbeKind::Tcp, 5000), port).await;
    assert_eq!(tcp, Ok(format!("connect to port {port}: connected")));
    drop(listener);
    assert_eq!(attempt(&ready(5000), port).await, Err("GET /ready: connection refused".into()));
}
