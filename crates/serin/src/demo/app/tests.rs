use super::settings::{Behaviour, Dice, Leak, Settings};
use super::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::oneshot;

fn settings(pairs: &[(&str, &str)]) -> anyhow::Result<Settings> {
    Settings::read(|name| {
        let found = pairs.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| (*value).to_owned())
    })
}

/// A running app; `stop` is its SIGTERM.
struct Running {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    done: tokio::task::JoinHandle<ExitCode>,
}

async fn start(pairs: &[(&str, &str)]) -> Running {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let port = address.port().to_string();
    let given: Vec<_> = [("PORT", port.as_str())].iter().chain(pairs).copied().collect();
    let settings = settings(&given).unwrap();
    let (stop, stopped) = oneshot::channel();
    let done = tokio::task::spawn_local(serve(listener, settings, stopped));
    Running { address, stop, done }
}

async fn send(address: SocketAddr, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: shop\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

/// One response whose body ends with a newline.
async fn receive(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    while !(bytes.windows(4).any(|w| w == b"\r\n\r\n") && bytes.ends_with(b"\n"))
        || bytes.ends_with(b"\r\n\r\n")
    {
        let mut part = [0; 1024];
        let n = stream.read(&mut part).await.unwrap();
        assert!(n > 0, "closed after {:?}", String::from_utf8_lossy(&bytes));
        bytes.extend_from_slice(&part[..n]);
    }
    String::from_utf8(bytes).unwrap()
}

async fn get(address: SocketAddr, path: &str) -> String {
    receive(&mut send(address, path).await).await
}

fn local(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, test);
}

#[test]
fn answers_with_its_version_and_health() {
    local(async {
        let pairs = [("VERSION", "v7"), ("LATENCY_MS", "0"), ("COMMIT", "abc"), ("INSTANCE", "i1")];
        let app = start(&pairs).await;
        let home = get(app.address, "/").await;
        assert!(home.starts_with("HTTP/1.1 200 "), "{home}");
        assert!(home.contains("x-version: v7\r\n") && home.ends_with("shop v7\n"), "{home}");
        let version = get(app.address, "/version").await;
        let json: serde_json::Value =
            serde_json::from_str(version.split("\r\n\r\n").nth(1).unwrap()).unwrap();
        let expected = serde_json::json!(
            {"version": "v7", "commit": "abc", "buildTime": null, "instance": "i1"}
        );
        assert_eq!(json, expected);
        for path in ["/ready", "/health"] {
            assert!(get(app.address, path).await.starts_with("HTTP/1.1 200 "));
        }
        assert!(get(app.address, "/nothing").await.starts_with("HTTP/1.1 404 "));
    });
}

#[test]
fn is_alive_but_not_ready_while_it_warms_up() {
    local(async {
        let app = start(&[("START_DELAY_MS", "600000")]).await;
        let ready = get(app.address, "/ready").await;
        assert!(ready.starts_with("HTTP/1.1 503 ") && ready.contains("warming up"), "{ready}");
        assert!(get(app.address, "/health").await.starts_with("HTTP/1.1 200 "));
    });
}

#[test]
fn fails_every_request_when_told_to() {
    local(async {
        let app = start(&[("ERROR_RATE", "1"), ("LATENCY_MS", "0")]).await;
        for _ in 0..5 {
            assert!(get(app.address, "/").await.starts_with("HTTP/1.1 500 "));
        }
    });
}

/// A request that was begun is answered after SIGTERM; meanwhile the app is not ready, an idle
/// connection is closed, and with the last answer the app is gone.
#[test]
fn finishes_what_it_began_before_it_exits() {
    local(async {
        let app = start(&[("LATENCY_MS", "300"), ("LATENCY_SIGMA", "0")]).await;
        let mut idle = send(app.address, "/health").await;
        receive(&mut idle).await;
        let mut busy = send(app.address, "/").await;
        // Its turn comes after the busy one was read, because connections are served in order.
        receive(&mut send(app.address, "/ready").await).await;
        app.stop.send(()).unwrap();
        assert_eq!(idle.read(&mut [0; 8]).await.unwrap(), 0, "an idle connection stayed open");
        let ready = get(app.address, "/ready").await;
        assert!(ready.starts_with("HTTP/1.1 503 ") && ready.contains("stopping"), "{ready}");
        assert!(ready.contains("connection: close"), "{ready}");
        let answer = receive(&mut busy).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert_eq!(app.done.await.unwrap(), ExitCode::SUCCESS);
    });
}

#[test]
fn crashes_after_so_many_requests() {
    local(async {
        let app = start(&[("CRASH_AFTER", "1"), ("LATENCY_MS", "0")]).await;
        let mut request = send(app.address, "/").await;
        assert_eq!(app.done.await.unwrap(), ExitCode::from(CRASHED));
        // The answer may or may not get out before the crash.
        let _ = request.read(&mut [0; 1024]).await;
        let app = start(&[("CRASH_AFTER", "0")]).await;
        assert_eq!(app.done.await.unwrap(), ExitCode::from(CRASHED));
    });
}

fn check_refused(pairs: &[(&str, &str)], expected: &str) {
    assert_eq!(settings(pairs).unwrap_err().to_string(), expected);
}

#[test]
fn refuses_settings_that_make_no_sense() {
    check_refused(&[], "PORT is not set; give it a value, for example PORT=8080");
    check_refused(&[("PORT", "x")], "PORT=x is not a port; for example PORT=8080");
    check_refused(
        &[("PORT", "1"), ("ERROR_RATE", "5")],
        "ERROR_RATE=5 is not a share from 0 to 1; for example ERROR_RATE=0.05",
    );
    check_refused(
        &[("PORT", "1"), ("LATENCY_MS", "NaN")],
        "LATENCY_MS=NaN is not a number of milliseconds from 0 to 600000; for example LATENCY_MS=25",
    );
}

fn rolls(seed: &str, instance: &str, n: usize) -> Vec<settings::Roll> {
    let pairs = [
        ("PORT", "1"),
        ("SEED", seed),
        ("INSTANCE", instance),
        ("ERROR_RATE", "0.05"),
        ("SLOW_RATE", "0.1"),
    ];
    let mut dice = Dice::new(&settings(&pairs).unwrap());
    (0..n).map(|_| dice.roll(0)).collect()
}

#[test]
fn luck_is_the_same_for_the_same_seed_and_instance_only() {
    assert_eq!(rolls("1", "a", 50), rolls("1", "a", 50));
    assert_ne!(rolls("1", "a", 50), rolls("1", "b", 50));
    assert_ne!(rolls("1", "a", 50), rolls("2", "a", 50));
}

#[test]
fn luck_has_the_shares_that_were_asked_for() {
    let rolls = rolls("3", "a", 20_000);
    let share = |what: &dyn Fn(&settings::Roll) -> bool| {
        rolls.iter().filter(|roll| what(roll)).count() as f64 / rolls.len() as f64
    };
    let ms = Duration::from_millis;
    assert!((share(&|r| r.fails) - 0.05).abs() < 0.006);
    assert!((share(&|r| r.delay > ms(180)) - 0.1).abs() < 0.01);
    // The median of the whole mixture: quantile 0.5 / 0.9 of the fast ones, 25 ms x e^(0.14 x 0.5).
    assert!((share(&|r| r.delay < Duration::from_micros(26_800)) - 0.5).abs() < 0.015);
}

#[test]
fn a_leak_shows_after_a_while_and_grows() {
    let pairs = [
        ("PORT", "1"),
        ("LATENCY_SIGMA", "0"),
        ("LEAK_AFTER", "100"),
        ("LEAK_ERRORS", "0.5"),
        ("LEAK_MS", "10"),
    ];
    let mut dice = Dice::new(&settings(&pairs).unwrap());
    let clean = dice.roll(100);
    assert_eq!((clean.delay, clean.fails), (Duration::from_millis(25), false));
    let full = dice.roll(102);
    assert_eq!((full.delay, full.fails), (Duration::from_millis(45), true));
}

#[test]
fn defaults_are_a_healthy_version() {
    let settings = settings(&[("PORT", "8080")]).unwrap();
    let healthy = Behaviour {
        median_ms: 25.0,
        sigma: 0.5,
        error_rate: 0.0,
        slow_rate: 0.0,
        slow_ms: 200.0,
        leak: Leak { after: 0, errors: 0.0, ms: 0.0 },
    };
    assert_eq!(settings.behaviour, healthy);
    assert_eq!((settings.version.as_str(), settings.crash_after), ("dev", None));
}
