//! Unleash's evaluator, the one inside its Rust, Ruby, Java and Python clients.

use super::{USERS, measure, users};
use serde_json::json;
use std::{collections::HashMap, hint::black_box};
use unleash_types::client_features::ClientFeatures;
use unleash_yggdrasil::{Context, EngineState, UpdateMessage};

const ENGINE: &str = "unleash-yggdrasil 0.21.7";

/// Measures the same rules in Unleash's words.
pub fn run() {
    let engine = engine();
    let properties = [("country", "it"), ("plan", "pro"), ("age", "40")];
    let properties = properties.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let context = |user: String| Context {
        user_id: Some(user),
        properties: Some(HashMap::from(properties.clone())),
        ..Context::default()
    };
    let contexts: Vec<Context> = users().map(context).collect();
    for name in ["static", "user list of 1,000", "three clauses, percentage"] {
        measure(ENGINE, name, |at| engine.is_enabled(name, black_box(&contexts[at]), &None));
    }
    let name = "two-level guarded release";
    measure(ENGINE, name, |at| engine.get_variant(name, black_box(&contexts[at]), &None));
}

fn engine() -> EngineState {
    let users: Vec<String> = (0..USERS).map(|at| format!("user-{at}")).collect();
    let rollout =
        |share: &str| json!({"rollout": share, "stickiness": "userId", "groupId": "salt"});
    let flag = |name: &str, strategies| json!({"name": name, "type": "release", "enabled": true, "strategies": strategies});
    let features: ClientFeatures = serde_json::from_value(json!({"version": 2, "features": [
        flag("static", json!([{"name": "default"}])),
        flag("user list of 1,000",
            json!([{"name": "userWithId", "parameters": {"userIds": users.join(",")}}])),
        flag("three clauses, percentage",
            json!([{"name": "flexibleRollout", "parameters": rollout("50"), "constraints": [
                {"contextName": "country", "operator": "IN", "values": ["de", "fr", "it"]},
                {"contextName": "plan", "operator": "IN", "values": ["pro"]},
                {"contextName": "age", "operator": "NUM_GTE", "value": "18"}]}])),
        flag("two-level guarded release",
            json!([{"name": "flexibleRollout", "parameters": rollout("20"), "variants": [
                {"name": "on", "weight": 500, "stickiness": "userId"},
                {"name": "off", "weight": 500, "stickiness": "userId"}]}])),
    ]}))
    .expect("features in Unleash's form");
    let engine = EngineState::default();
    let warnings = engine.take_state(UpdateMessage::FullResponse(features));
    assert!(warnings.is_none(), "{warnings:?}");
    engine
}
