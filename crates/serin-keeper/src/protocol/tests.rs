//! The lines shown in the documentation are the lines on the wire.
#![allow(clippy::unwrap_used)]

use super::*;

fn request(line: &str) -> RequestLine {
    serde_json::from_str(line).unwrap()
}

fn same_reply(line: &str) {
    let parsed: ReplyLine = serde_json::from_str(line).unwrap();
    assert_eq!(serde_json::to_string(&parsed).unwrap(), line);
}

#[test]
fn spawn_has_defaults() {
    let line = request(
        r#"{"id":1,"op":"spawn","process":{"instance":"a","command":["./a"],"cwd":"/","log":{"path":"/l"}}}"#,
    );
    let Request::Spawn { process } = line.request else { panic!("not a spawn") };
    assert_eq!(process.log, LogSpec::at("/l"));
    assert_eq!(process.grace_ms, 30_000);
    assert_eq!(process.limits, Limits::default());
}

#[test]
fn every_reply_reads_back() {
    for line in [
        r#"{"id":2,"reply":"ok"}"#,
        r#"{"id":1,"reply":"spawned","instance":"a","pid":71,"started_at_ms":1760000000000,"start_ticks":4711}"#,
        r#"{"id":3,"reply":"processes","processes":[{"instance":"a","label":{"port":8101},"pid":71,"started_at_ms":17,"start_ticks":47,"state":"exited","code":null,"signal":15,"unknown":false,"at_ms":19}]}"#,
        r#"{"id":3,"reply":"processes","processes":[{"instance":"a","label":null,"pid":71,"started_at_ms":17,"start_ticks":47,"state":"running"}]}"#,
        r#"{"id":4,"reply":"watching","oldest":1,"newest":2}"#,
        r#"{"id":4,"reply":"entry","seq":1,"at_ms":17,"instance":"a","event":"started","pid":71}"#,
        r#"{"id":9,"reply":"error","code":"not-found","message":"m"}"#,
    ] {
        same_reply(line);
    }
}

#[test]
fn an_unknown_event_or_code_is_no_error() {
    let line = r#"{"id":4,"reply":"entry","seq":1,"at_ms":1,"instance":"a","event":"new","x":[1]}"#;
    let reply: ReplyLine = serde_json::from_str(line).unwrap();
    let Reply::Entry(entry) = reply.reply else { panic!("not an entry") };
    assert_eq!(entry.event, JournalEvent::Unknown);
    let line = r#"{"id":4,"reply":"error","code":"new","message":"m"}"#;
    let reply: ReplyLine = serde_json::from_str(line).unwrap();
    assert!(matches!(reply.reply, Reply::Error { code: ErrorCode::Unknown, .. }));
}

#[test]
fn a_debug_print_shows_no_secret() {
    let line = request(
        r#"{"id":1,"op":"spawn","process":{"instance":"a","command":["./a"],"env":{"KEY":"s3cret"},"cwd":"/","log":{"path":"/l"}}}"#,
    );
    let shown = format!("{line:?}");
    assert!(shown.contains("KEY") && !shown.contains("s3cret"));
}
