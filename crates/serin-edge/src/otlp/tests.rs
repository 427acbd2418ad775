use super::wire::{Record, ResourceLogs, ScopeLogs, Text};
use super::*;

fn attribute(key: &str, text: &str) -> Attribute {
    let value = Text { string_value: Some(text.into()), bool_value: None };
    Attribute { key: key.into(), value: Some(value) }
}

fn keys(told: Option<Vec<Told>>) -> Vec<String> {
    let key = |told: &Told| find(&told.attributes, "feature_flag.key").unwrap().to_owned();
    told.unwrap().iter().filter(|told| told.is_evaluation).map(key).collect()
}

#[test]
fn records_are_found_in_protobuf_by_their_event() {
    let record = |name: &str, key: &str| Record {
        event_name: name.into(),
        attributes: vec![attribute("feature_flag.key", key)],
        ..Record::default()
    };
    let mut old = record("", "c");
    old.attributes.push(attribute("event.name", EVENT));
    let items = vec![record(EVENT, "a"), record("other", "b"), old];
    let scopes = vec![ScopeLogs { items }];
    let logs = Logs { resources: vec![ResourceLogs { scopes }] };
    let bytes = Bytes::from(logs.encode_to_vec());
    assert_eq!(keys(super::logs(&bytes, Form::Protobuf)), ["a", "c"]);
    assert!(super::logs(&Bytes::from_static(b"\xff"), Form::Protobuf).is_none());
}

#[test]
fn events_are_found_in_json_beside_anything_else() {
    let text =
        br#"{"resourceSpans":[{"resource":{"attributes":[]},"scopeSpans":[{"scope":{},"spans":[
        {"traceId":"5b8e","name":"GET","kind":2,"events":[
          {"timeUnixNano":"1","name":"feature_flag.evaluation","attributes":[
            {"key":"feature_flag.key","value":{"stringValue":"a"}},
            {"key":"n","value":{"intValue":"7"}},
            {"key":"feature_flag.result.value","value":{"boolValue":true}}]},
          {"name":"exception"}]},
        {"name":"without"}]}]}]}"#;
    let events = traces(&Bytes::from_static(text), Form::Json);
    assert_eq!(
        find(&events.as_ref().unwrap()[0].attributes, "feature_flag.result.value"),
        Some("true")
    );
    assert_eq!(keys(events), ["a"]);
    let text = br#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[
        {"eventName":"feature_flag.evaluation","body":{"stringValue":"x"},
         "attributes":[{"key":"feature_flag.key","value":{"stringValue":"a"}}]}]}]}]}"#;
    assert_eq!(keys(logs(&Bytes::from_static(text), Form::Json)), ["a"]);
    assert!(logs(&Bytes::from_static(b"{"), Form::Json).is_none());
}

#[test]
fn how_a_span_ended_is_read_in_both_forms() {
    let text = br#"{"resourceSpans":[{"scopeSpans":[{"spans":[
        {"traceId":"000102030405060708090a0b0c0d0e0f","spanId":"0001020304050607",
         "startTimeUnixNano":"5000000000","endTimeUnixNano":5000250000,
         "status":{"code":"STATUS_CODE_ERROR"}},
        {"traceId":"zz","spanId":"0001","startTimeUnixNano":"x","status":{}},
        {"status":null,"startTimeUnixNano":"9","endTimeUnixNano":"5"}]}]}]}"#;
    let told = traces(&Bytes::from_static(text), Form::Json).unwrap();
    let seen = |told: &Told| (told.span.map(|id| id[17]), told.ending.unwrap());
    let ending = |failed, took_us, at_ms| Ending { failed, took_us, at_ms };
    let wanted = [
        (Some(1), ending(true, Some(250), 5_000)),
        (None, ending(false, None, 0)),
        (None, ending(false, None, 0)),
    ];
    assert_eq!(told.iter().map(seen).collect::<Vec<_>>(), wanted);
    let span = Span {
        trace_id: (0..16).collect(),
        span_id: (0..8).collect(),
        start_time_unix_nano: 5_000_000_000,
        end_time_unix_nano: 5_000_250_000,
        status: Some(wire::Status { code: ERROR }),
        ..Span::default()
    };
    let scopes = vec![wire::ScopeSpans { items: vec![span] }];
    let all = Traces { resources: vec![wire::ResourceSpans { scopes }] };
    let told = traces(&Bytes::from(all.encode_to_vec()), Form::Protobuf).unwrap();
    assert_eq!(told.iter().map(seen).collect::<Vec<_>>(), wanted[..1]);
}
