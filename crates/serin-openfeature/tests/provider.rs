//! The provider behind the real SDK.

#![allow(clippy::unwrap_used)] // a test that cannot go on has failed

use open_feature::{
    EvaluationContext, EvaluationErrorCode, EvaluationReason, FlagMetadataValue, OpenFeature,
};
use serin_openfeature::{FileError, FileProvider};
use std::{fs, time::Duration};

const FLAGS: &str = r#"{"metadata": {"flagSetId": "prod"}, "flags": {
    "checkout": {"state": "ENABLED", "variants": {"on": true, "off": false}, "defaultVariant": "off",
        "targeting": {"if": [{"==": [{"var": "plan"}, "pro"]}, "on", null]},
        "metadata": {"owner": "shop"}},
    "limit": {"state": "ENABLED", "variants": {"low": 7, "half": 7.5}, "defaultVariant": "low"},
    "colour": {"state": "ENABLED", "variants": {"red": "red"}, "defaultVariant": "red"},
    "layout": {"state": "ENABLED", "variants": {"a": {"columns": 2, "none": null}},
        "defaultVariant": "a"},
    "off": {"state": "DISABLED", "variants": {"on": true}, "defaultVariant": "on"},
    "broken": {"state": "ENABLED", "variants": {"on": true}, "targeting": {"unheard of": []}}
}}"#;

#[tokio::test]
async fn the_sdk_gets_typed_values_reasons_and_metadata() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("flags.json");
    fs::write(&path, FLAGS).unwrap();
    let mut api = OpenFeature::default();
    api.set_provider(FileProvider::open(&path).unwrap()).await;
    let client = api.create_client();

    let pro =
        EvaluationContext::default().with_targeting_key("u1").with_custom_field("plan", "pro");
    let found = client.get_bool_details("checkout", Some(&pro), None).await.unwrap();
    assert!(found.value);
    assert_eq!(found.variant.as_deref(), Some("on"));
    assert_eq!(found.reason, Some(EvaluationReason::TargetingMatch));
    let owner = FlagMetadataValue::String("shop".to_owned());
    assert_eq!(found.flag_metadata.values.get("owner"), Some(&owner));
    assert!(found.flag_metadata.values.contains_key("flagSetId"));

    let found = client.get_bool_details("checkout", None, None).await.unwrap();
    assert_eq!((found.value, found.reason), (false, Some(EvaluationReason::Default)));
    assert_eq!(client.get_int_value("limit", None, None).await, Ok(7));
    assert_eq!(client.get_float_value("limit", None, None).await, Ok(7.0));
    assert_eq!(client.get_string_value("colour", None, None).await, Ok("red".to_owned()));

    for (key, code) in [
        ("nobody", EvaluationErrorCode::FlagNotFound),
        ("colour", EvaluationErrorCode::TypeMismatch),
        ("broken", EvaluationErrorCode::ParseError),
    ] {
        assert_eq!(client.get_bool_value(key, None, None).await.unwrap_err().code, code, "{key}");
    }
    let off = client.get_bool_value("off", None, None).await.unwrap_err();
    assert!(off.message.unwrap().contains("DISABLED"));
}

#[tokio::test]
async fn the_flags_follow_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("flags.json");
    fs::write(&path, FLAGS).unwrap();
    let mut api = OpenFeature::default();
    let provider = FileProvider::open(&path).unwrap().looking_every(Duration::ZERO);
    api.set_provider(provider).await;
    let client = api.create_client();
    assert_eq!(client.get_int_value("limit", None, None).await, Ok(7));
    for (flags, expected) in [
        (FLAGS.replace("\"low\": 7,", "\"low\": 1000,"), 1000),
        ("not flags at all".to_owned(), 1000),
        (FLAGS.replace("\"low\": 7,", "\"low\": 20,"), 20),
    ] {
        fs::write(&path, flags).unwrap();
        assert_eq!(client.get_int_value("limit", None, None).await, Ok(expected));
    }
    fs::remove_file(&path).unwrap();
    assert_eq!(client.get_int_value("limit", None, None).await, Ok(20));
}

#[tokio::test]
async fn a_wrong_file_does_not_take_the_flags_away() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("flags.json");
    assert!(matches!(FileProvider::open(&path), Err(FileError::Unreadable { .. })));
    fs::write(&path, FLAGS).unwrap();
    let provider = std::sync::Arc::new(FileProvider::open(&path).unwrap());

    fs::write(&path, r#"{"flags": {"a": {"state": "ON"}}}"#).unwrap();
    let refused = provider.reload().unwrap_err().to_string();
    assert!(refused.contains("flags.a.state: `ON` is no state"), "{refused}");
    let ask = async |key| {
        use open_feature::provider::FeatureProvider;
        provider.resolve_int_value(key, &EvaluationContext::default()).await.map(|d| d.value)
    };
    assert_eq!(ask("limit").await, Ok(7));

    fs::write(&path, FLAGS.replace(": 7,", ": 8,")).unwrap();
    provider.reload().unwrap();
    assert_eq!(ask("limit").await, Ok(8));
}
