use super::*;

fn attribute(key: &str, text: &str) -> Attribute {
    let value = Text { string_value: Some(text.into()), bool_value: None };
    Attribute { key: key.into(), value: Some(value) }
}

fn keys(events: Option<Vec<Vec<Attribute>>>) -> Vec<String> {
    let key =
        |attributes: &Vec<Attribute>| find(attributes, "feature_flag.key").unwrap().to_owned();
    events.unwrap().iter().map(key).collect()
}

#[test]
fn records_are_found_in_protobuf_by_their_event() {
    let record = |name: &str, key: &str| Record {
        event_name: name.into(),
        attributes: vec![attribute("feature_flag.key", key)],
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
    assert_eq!(find(&events.as_ref().unwrap()[0], "feature_flag.result.value"), Some("true"));
    assert_eq!(keys(events), ["a"]);
    let text = br#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[
        {"eventName":"feature_flag.evaluation","body":{"stringValue":"x"},
         "attributes":[{"key":"feature_flag.key","value":{"stringValue":"a"}}]}]}]}]}"#;
    assert_eq!(keys(logs(&Bytes::from_static(text), Form::Json)), ["a"]);
    assert!(logs(&Bytes::from_static(b"{"), Form::Json).is_none());
}
